/** Random numbers from the boot seed and from everything that has been received (ADV-3). */
#ifndef SCEWL_RNG_H
#define SCEWL_RNG_H

#include "provisioning.h"

#include <stdbool.h>

/** Seed the generator. Returns 0, or a negative Mbed TLS error. */
int rng_init(struct bytes seed);

/** Forget everything, zeroised. Safe to call at any time. */
void rng_free(void);

/** Mix in bytes that were received, before they are acted on. */
void rng_absorb(const uint8_t *bytes, size_t length);

/** Fill `out`; the form is Mbed TLS's `f_rng`. Returns 0, or a negative error, which also makes rng_failed true. */
int rng_random(void *unused, unsigned char *out, size_t length);

/** True once the generator has failed: a failure of our own that ends in FATAL_ERROR (SES-12). */
bool rng_failed(void);

#endif
