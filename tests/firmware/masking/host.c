/** The firmware's own C on the host, for test vectors: AES alone and in GCM, the DRBG, the wrapper at its limit. */

#include "../../../firmware/src/rng.c"

#include "masks.h"

#include <mbedtls/aes.h>
#include <mbedtls/gcm.h>
#include <mbedtls/memory_buffer_alloc.h>

static unsigned char arena[32768];

uint32_t port_timer_reading(void) {
    return 0x12345678;
}

/** Returns 0 or an error. */
int host_begin(const uint8_t *seed, size_t length) {
    mbedtls_memory_buffer_alloc_init(arena, sizeof arena);
    return rng_init((struct bytes){seed, length});
}

void host_end(void) {
    masks_free();
    rng_free();
    mbedtls_memory_buffer_alloc_free();
}

int host_setkey(mbedtls_aes_context *context, const uint8_t *key, unsigned bits) {
    mbedtls_aes_init(context);
    return mbedtls_aes_setkey_enc(context, key, bits);
}

int host_crypt(mbedtls_aes_context *context, const uint8_t *input, size_t blocks, uint8_t *output) {
    int error = 0;
    for (size_t i = 0; i < blocks && error == 0; i++) {
        error = mbedtls_aes_crypt_ecb(context, MBEDTLS_AES_ENCRYPT, input + 16 * i, output + 16 * i);
    }
    return error;
}

size_t host_context_size(void) {
    return sizeof(mbedtls_aes_context);
}

int host_gcm(const uint8_t *key, unsigned bits, const uint8_t *iv, size_t iv_length, const uint8_t *added,
             size_t added_length, const uint8_t *input, size_t length, uint8_t *output, uint8_t *tag,
             size_t tag_length) {
    mbedtls_gcm_context context;
    mbedtls_gcm_init(&context);
    int error = mbedtls_gcm_setkey(&context, MBEDTLS_CIPHER_ID_AES, key, bits);
    if (error == 0) {
        error = mbedtls_gcm_crypt_and_tag(&context, MBEDTLS_GCM_ENCRYPT, length, iv, iv_length, added, added_length,
                                          input, output, tag_length, tag);
    }
    mbedtls_gcm_free(&context);
    return error;
}

int host_gcm_open(const uint8_t *key, unsigned bits, const uint8_t *iv, size_t iv_length, const uint8_t *added,
                  size_t added_length, const uint8_t *input, size_t length, uint8_t *output, const uint8_t *tag,
                  size_t tag_length) {
    mbedtls_gcm_context context;
    mbedtls_gcm_init(&context);
    int error = mbedtls_gcm_setkey(&context, MBEDTLS_CIPHER_ID_AES, key, bits);
    if (error == 0) {
        error = mbedtls_gcm_auth_decrypt(&context, length, iv, iv_length, added, added_length, tag, tag_length, input,
                                         output);
    }
    mbedtls_gcm_free(&context);
    return error;
}

/** CAVP's "no reseed": seed, two requests of the same length with additional input; the second one's bits. */
int host_drbg(const uint8_t *seed, size_t length, const uint8_t *first, size_t first_length, const uint8_t *second,
              size_t second_length, uint8_t *out, size_t out_length) {
    struct drbg two;
    int error = drbg_instantiate(&two, seed, length);
    if (error == 0) {
        error = drbg_generate(&two, out, out_length, first, first_length);
    }
    if (error == 0) {
        error = drbg_generate(&two, out, out_length, second, second_length);
    }
    drbg_free(&two);
    return error;
}

/** The request counter of the wrapper's generator. */
uint64_t host_requests(void) {
    return drbg.reseed_counter;
}

void host_set_requests(uint64_t counter) {
    drbg.reseed_counter = counter;
}

int host_library_requests(void) {
    return drbg.hmac.MBEDTLS_PRIVATE(reseed_counter);
}

int host_draw(uint8_t *out, size_t length) {
    return rng_random(NULL, out, length);
}
