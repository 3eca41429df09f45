/** The way that a run of AES takes through its code: every block of it that is entered, in order. */

#include <mbedtls/aes.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint64_t path;
static const uint8_t *next_mask;

/* gcc's -fsanitize-coverage=trace-pc calls it in each basic block. */
void __sanitizer_cov_trace_pc(void) {
    uintptr_t block = (uintptr_t)__builtin_return_address(0);
    path = (path ^ block) * UINT64_C(0x100000001B3);
}

int masks_refresh(void) {
    return 0;
}

int masks_draw(uint8_t *out, size_t length) {
    memcpy(out, next_mask, length);
    next_mask += length;
    return 0;
}

/** A number that differs, but for chance, between two paths; 0 after an error. */
uint64_t path_of(const uint8_t *key, unsigned bits, const uint8_t *input, const uint8_t *masks) {
    mbedtls_aes_context context;
    uint8_t output[16];
    next_mask = masks;
    path = UINT64_C(0xCBF29CE484222325);
    mbedtls_aes_init(&context);
    if (mbedtls_aes_setkey_enc(&context, key, bits) != 0 ||
        mbedtls_aes_crypt_ecb(&context, MBEDTLS_AES_ENCRYPT, input, output) != 0) {
        return 0;
    }
    return path;
}
