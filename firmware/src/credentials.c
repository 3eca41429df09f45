#include "credentials.h"

#include "rng.h"
#include "scewl.h"
#include "text.h"

#include <mbedtls/oid.h>
#include <mbedtls/platform_util.h>
#include <string.h>

/** Bytes of DER that a runtime set may have: two P-256 certificates of up to 1 KB, and a key. */
#define STORE 2304u

static struct der_set provisioned, runtime;
static uint8_t store[STORE];
static bool registered;
static uint16_t own_id;

void credentials_init(const struct der_set *set, uint16_t id) {
    credentials_free();
    provisioned = *set;
    own_id = id;
}

enum credentials_fault credentials_open(struct credentials *out, const struct der_set *set) {
    mbedtls_x509_crt_init(&out->ca);
    mbedtls_x509_crt_init(&out->certificate);
    mbedtls_pk_init(&out->key);
    if (mbedtls_x509_crt_parse_der_nocopy(&out->ca, set->ca.at, set->ca.length) != 0) {
        return CREDENTIALS_CA;
    }
    if (mbedtls_x509_crt_parse_der_nocopy(&out->certificate, set->certificate.at, set->certificate.length) != 0) {
        return CREDENTIALS_CERTIFICATE;
    }
    if (mbedtls_pk_parse_key(&out->key, set->key.at, set->key.length, NULL, 0, rng_random, NULL) != 0) {
        return CREDENTIALS_KEY;
    }
    return CREDENTIALS_GOOD;
}

void credentials_close(struct credentials *set) {
    mbedtls_x509_crt_free(&set->ca);
    mbedtls_x509_crt_free(&set->certificate);
    mbedtls_pk_free(&set->key);
}

bool credentials_names(const mbedtls_x509_crt *certificate, uint16_t id) {
    char wanted[TEXT_ID];
    size_t length = (size_t)(text_decimal(wanted, id) - wanted);
    unsigned names = 0;
    bool equal = false;
    for (const mbedtls_x509_name *part = &certificate->subject; part != NULL; part = part->next) {
        if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &part->oid) == 0) {
            names++;
            equal = part->val.len == length && memcmp(part->val.p, wanted, length) == 0;
        }
    }
    return names == 1 && equal;
}

enum credentials_fault credentials_check(const struct der_set *set) {
    struct credentials parsed;
    uint32_t flags;
    enum credentials_fault fault = credentials_open(&parsed, set);
    /* The chain comes before the key in the order of names, so a key that does not parse must not hide a bad chain. */
    if ((fault == CREDENTIALS_GOOD || fault == CREDENTIALS_KEY) &&
        mbedtls_x509_crt_verify(&parsed.certificate, &parsed.ca, NULL, NULL, &flags, NULL, NULL) != 0) {
        fault = CREDENTIALS_CERTIFICATE;
    }
    if (fault == CREDENTIALS_GOOD &&
        mbedtls_pk_check_pair(&parsed.certificate.pk, &parsed.key, rng_random, NULL) != 0) {
        fault = CREDENTIALS_KEY;
    }
    if (fault == CREDENTIALS_GOOD && !credentials_names(&parsed.certificate, own_id)) {
        fault = CREDENTIALS_NAME;
    }
    credentials_close(&parsed);
    return fault;
}

/** Copy `from` behind what is in the store already. */
static struct bytes keep(size_t *used, struct bytes from) {
    memcpy(store + *used, from.at, from.length);
    struct bytes kept = {store + *used, from.length};
    *used += from.length;
    return kept;
}

bool credentials_install(const struct der_set *set) {
    size_t used = 0;
    if (set->ca.length + set->certificate.length + set->key.length > STORE ||
        credentials_check(set) != CREDENTIALS_GOOD) {
        return false;
    }
    runtime.ca = keep(&used, set->ca);
    runtime.certificate = keep(&used, set->certificate);
    runtime.key = keep(&used, set->key);
    registered = true;
    return true;
}

void credentials_discard(void) {
    mbedtls_platform_zeroize(store, sizeof store);
    mbedtls_platform_zeroize(&runtime, sizeof runtime);
    registered = false;
}

void credentials_free(void) {
    credentials_discard();
    memset(&provisioned, 0, sizeof provisioned);
}

const struct der_set *credentials_for(uint16_t peer) {
    return registered && peer != SCEWL_SSS ? &runtime : &provisioned;
}
