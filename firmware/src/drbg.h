/** HMAC_DRBG (NIST SP 800-90A, 10.1.2) with SHA-256, and a reseed counter of 64 bits (MBT-2). */
#ifndef SCEWL_DRBG_H
#define SCEWL_DRBG_H

#include <mbedtls/hmac_drbg.h>
#include <stddef.h>
#include <stdint.h>

/** Requests that one seed may serve: SP 800-90A's limit. Mbed TLS counts in an `int`, which would end at 2^31. */
#define DRBG_RESEED_INTERVAL (UINT64_C(1) << 48)

struct drbg {
    mbedtls_hmac_drbg_context hmac;

    /** Requests so far, and one. */
    uint64_t reseed_counter;
};

/** Seed: entropy, nonce and personalization string in one. Returns 0, or a negative Mbed TLS error. */
int drbg_instantiate(struct drbg *drbg, const uint8_t *seed, size_t length);

/**
 * Fill `out`, at most 1,024 bytes; `additional`, at most 256, is mixed in. Returns 0, or a negative error:
 * MBEDTLS_ERR_HMAC_DRBG_ENTROPY_SOURCE_FAILED if the seed is used up, for there is nothing to reseed from.
 */
int drbg_generate(struct drbg *drbg, uint8_t *out, size_t length, const uint8_t *additional, size_t additional_length);

/** Zeroise. */
void drbg_free(struct drbg *drbg);

#endif
