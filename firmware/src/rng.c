/**
 * HMAC_DRBG (drbg.h) over the 48-byte boot seed. This chip has no entropy source, so every draw takes as additional
 * input the digest of all bytes that ever arrived, and the timer's reading.
 *
 * What remains (ADV-3): two boots from one image that are fed the same bytes at the same times draw the same numbers.
 * The deployment replaces the seed at each power-up. Signatures need no randomness (RFC 6979).
 */

#include "rng.h"

#include "drbg.h"
#include "port.h"

#include <mbedtls/platform_util.h>
#include <mbedtls/sha256.h>
#include <string.h>

static struct drbg drbg;
static mbedtls_sha256_context received;
static bool ready, failed;

int rng_init(struct bytes seed) {
    mbedtls_sha256_init(&received);
    failed = false;
    int error = mbedtls_sha256_starts(&received, 0);
    if (error == 0) {
        error = drbg_instantiate(&drbg, seed.at, seed.length);
    }
    ready = error == 0;
    return error;
}

void rng_free(void) {
    if (ready) {
        drbg_free(&drbg);
        mbedtls_sha256_free(&received);
        ready = false;
    }
}

void rng_absorb(const uint8_t *bytes, size_t length) {
    if (ready && mbedtls_sha256_update(&received, bytes, length) != 0) {
        failed = true;
    }
}

int rng_random(void *unused, unsigned char *out, size_t length) {
    (void)unused;
    unsigned char additional[32 + 4];
    uint32_t reading = port_timer_reading();
    mbedtls_sha256_context copy;
    mbedtls_sha256_init(&copy);
    mbedtls_sha256_clone(&copy, &received);
    int error = ready ? mbedtls_sha256_finish(&copy, additional) : MBEDTLS_ERR_HMAC_DRBG_ENTROPY_SOURCE_FAILED;
    /* cppcheck-suppress misra-c2012-21.15 ; D-13 */
    memcpy(&additional[32], &reading, sizeof reading);
    if (error == 0) {
        error = drbg_generate(&drbg, out, length, additional, sizeof additional);
    }
    mbedtls_sha256_free(&copy);
    mbedtls_platform_zeroize(additional, sizeof additional);
    failed = failed || error != 0;
    return error;
}

bool rng_failed(void) {
    return failed;
}
