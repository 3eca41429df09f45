/** Random masks for the masked AES (MBT-1, decision 0010). */
#ifndef SCEWL_MASKS_H
#define SCEWL_MASKS_H

#include <stddef.h>
#include <stdint.h>

/** Most bytes that masks_draw gives at once. */
#define MASKS_MAX 160u

/** Key the generator anew from the DRBG: once per AES key. Returns 0, or the DRBG's negative error. */
int masks_refresh(void);

/** Draw `length` bytes, at most MASKS_MAX. Each is given once. Returns 0, or a negative error: never keyed. */
int masks_draw(uint8_t *out, size_t length);

/** Forget everything, zeroised. Safe to call at any time. */
void masks_free(void);

#endif
