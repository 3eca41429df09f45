/** The provisioning image: what makes one program any SED (protocol page, section 10). */
#ifndef SCEWL_PROVISIONING_H
#define SCEWL_PROVISIONING_H

#include <stddef.h>
#include <stdint.h>

/** Bytes somewhere else that stay where they are. */
struct bytes {
    const uint8_t *at;
    size_t length;
};

/** A set of credentials as DER: CA certificate, own certificate, own private key (CRT-1). */
struct der_set {
    struct bytes ca;
    struct bytes certificate;
    struct bytes key;
};

/** What a good image says. It points into the image. */
struct provisioning {
    uint16_t id;
    uint16_t suite;
    struct der_set set;
    struct bytes seed;
};

/** IANA numbers of the two cipher suites of the profile (DTL-2). */
#define SUITE_AES_128 0xC02Bu
#define SUITE_AES_256 0xC02Cu

/**
 * Check the image's form, in the order of section 10, and take it apart.
 * Returns NULL, or the name of what is wrong first. The credentials are not looked into.
 */
const char *provisioning_read(const uint8_t *image, size_t room, struct provisioning *out);

#endif
