#include "drbg.h"

int drbg_instantiate(struct drbg *drbg, const uint8_t *seed, size_t length) {
    mbedtls_hmac_drbg_init(&drbg->hmac);
    drbg->reseed_counter = 1;
    return mbedtls_hmac_drbg_seed_buf(&drbg->hmac, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), seed, length);
}

int drbg_generate(struct drbg *drbg, uint8_t *out, size_t length, const uint8_t *additional, size_t additional_length) {
    if (drbg->reseed_counter > DRBG_RESEED_INTERVAL) {
        return MBEDTLS_ERR_HMAC_DRBG_ENTROPY_SOURCE_FAILED;
    }
    int error = mbedtls_hmac_drbg_random_with_add(&drbg->hmac, out, length, additional, additional_length);
    drbg->reseed_counter++;
    /* Theirs decides nothing without an entropy source, but must not overflow. */
    drbg->hmac.MBEDTLS_PRIVATE(reseed_counter) = 0;
    return error;
}

void drbg_free(struct drbg *drbg) {
    mbedtls_hmac_drbg_free(&drbg->hmac);
    drbg->reseed_counter = 0;
}
