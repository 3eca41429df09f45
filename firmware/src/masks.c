/**
 * Masks come from ChaCha20 with fast key erasure: each run of it makes the next key and 160 bytes of masks, and neither
 * a used key nor a drawn mask is kept. At each new AES key the generator's key is drawn anew from the DRBG. Why not
 * every mask from there: a draw takes as many instructions as thirty AES blocks (decision 0010).
 */

#include "masks.h"

#include "rng.h"

#include <mbedtls/chacha20.h>
#include <mbedtls/platform_util.h>
#include <stdbool.h>
#include <string.h>

#define KEY 32u

/** The next key, then the masks; those that are left lie at the end. Three blocks of ChaCha20. */
static uint8_t pool[KEY + MASKS_MAX];
static size_t left;
static bool keyed;

int masks_refresh(void) {
    int error = rng_random(NULL, pool, KEY);
    left = 0;
    keyed = error == 0;
    return error;
}

void masks_free(void) {
    mbedtls_platform_zeroize(pool, sizeof pool);
    left = 0;
    keyed = false;
}

static int refill(void) {
    static const uint8_t nonce[12]; /* a key is used once */
    uint8_t key[KEY];
    memcpy(key, pool, KEY);
    memset(pool, 0, sizeof pool);
    int error = mbedtls_chacha20_crypt(key, nonce, 0, sizeof pool, pool, pool);
    mbedtls_platform_zeroize(key, sizeof key);
    left = MASKS_MAX;
    keyed = error == 0;
    return error;
}

int masks_draw(uint8_t *out, size_t length) {
    if (!keyed || length > MASKS_MAX) {
        return MBEDTLS_ERR_CHACHA20_BAD_INPUT_DATA;
    }
    int error = length > left ? refill() : 0;
    if (error == 0) {
        uint8_t *from = pool + sizeof pool - left;
        memcpy(out, from, length);
        memset(from, 0, length);
        left -= length;
    }
    return error;
}
