/** The two sets of credentials, and which of them is in force (protocol page, section 3). */
#ifndef SCEWL_CREDENTIALS_H
#define SCEWL_CREDENTIALS_H

#include "provisioning.h"

#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdbool.h>

/** A set, parsed. The certificates point into the DER, which must stay where it is. */
struct credentials {
    mbedtls_x509_crt ca;
    mbedtls_x509_crt certificate;
    mbedtls_pk_context key;
};

/** What is wrong with a set, in the order in which it is looked for. */
enum credentials_fault {
    CREDENTIALS_GOOD,
    CREDENTIALS_CA,
    CREDENTIALS_CERTIFICATE,
    CREDENTIALS_KEY,
    CREDENTIALS_NAME,
};

/** Take the provisioning set, which is in force from now on, for the device `id`. */
void credentials_init(const struct der_set *set, uint16_t id);

/** Parse a set without judging it. Returns what does not parse. Give it to credentials_close in any case. */
enum credentials_fault credentials_open(struct credentials *out, const struct der_set *set);

/** Free a parsed set, its key zeroised. */
void credentials_close(struct credentials *set);

/** All the checks of CRT-5: chain, key, name. Returns the first that fails. */
enum credentials_fault credentials_check(const struct der_set *set);

/** CRT-5: check a runtime set, and only if it is good, copy it and put it into force. */
bool credentials_install(const struct der_set *set);

/** CRT-4, REG-6: zeroise the runtime set; the provisioning set is in force. */
void credentials_discard(void);

/** Zeroise and forget everything. */
void credentials_free(void);

/** The set for a session: always the provisioning set with the SSS (CRT-2), else the one in force (CRT-3). */
const struct der_set *credentials_for(uint16_t peer);

/** CRT-7: the subject has exactly one common name, and it is the id in decimal. */
bool credentials_names(const mbedtls_x509_crt *certificate, uint16_t id);

#endif
