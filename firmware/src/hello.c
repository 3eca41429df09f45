/**
 * The cookie exchange (DTL-3, RFC 6347 section 4.2.1), stateless.
 *
 * Mbed TLS would do this inside a server context; but then an unproved hello would need one, and a damaged hello would
 * draw an alert that kills the waiting client. Here a server context sees only hellos with a valid cookie.
 */

#include "hello.h"

#include "rng.h"
#include "text.h"

#include <mbedtls/ssl_cookie.h>
#include <string.h>

#define COOKIE 32u

static mbedtls_ssl_cookie_ctx cookies;
static bool ready;

int hello_init(void) {
    mbedtls_ssl_cookie_init(&cookies);
    int error = mbedtls_ssl_cookie_setup(&cookies, rng_random, NULL);
    /* Without a clock Mbed TLS would count cookies and let a flood of hellos expire those of honest clients. The key is
     * new at each boot, and a cookie proves no more than that its bearer can receive at its id, which does not wear
     * off. */
    mbedtls_ssl_cookie_set_timeout(&cookies, 0);
    ready = error == 0;
    return error;
}

void hello_free(void) {
    if (ready) {
        mbedtls_ssl_cookie_free(&cookies);
        ready = false;
    }
}

/** Step over a vector with a length field of `width` bytes. Returns false if it does not fit. */
static bool skip_vector(const uint8_t **at, size_t *left, size_t width, size_t *length) {
    if (*left < width) {
        return false;
    }
    *length = width == 1 ? (*at)[0] : record_big16(*at);
    if (*length > *left - width) {
        return false;
    }
    *at += width + *length;
    *left -= width + *length;
    return true;
}

/** The extensions, if any, fill the rest of the hello exactly, and each fits into them. */
static bool extensions_fit(const uint8_t *at, size_t left) {
    if (left == 0) {
        return true;
    }
    size_t length;
    const uint8_t *first = at + 2;
    if (!skip_vector(&at, &left, 2, &length) || left != 0) {
        return false;
    }
    at = first;
    left = length;
    while (left > 0) {
        if (left < 2) {
            return false;
        }
        at += 2;
        left -= 2;
        if (!skip_vector(&at, &left, 2, &length)) {
            return false;
        }
    }
    return true;
}

enum hello_form hello_parse(const uint8_t *datagram, size_t length, struct hello *out) {
    const uint8_t *rest = datagram;
    size_t left = length, vector;
    struct fragment fragment;
    if (!record_next(&rest, &left, &out->record) || out->record.type != RECORD_HANDSHAKE || out->record.epoch != 0 ||
        out->record.body_length == 0 || out->record.body[0] != HANDSHAKE_CLIENT_HELLO) {
        return HELLO_NONE;
    }
    if (!record_fragment(&out->record, &fragment) || fragment.offset != 0 || fragment.length != fragment.total ||
        fragment.length != out->record.body_length - HANDSHAKE_HEADER) {
        return HELLO_MALFORMED;
    }
    const uint8_t *at = out->record.body + HANDSHAKE_HEADER;
    left = fragment.length;
    if (left < 2 + HELLO_RANDOM) {
        return HELLO_MALFORMED;
    }
    out->message_seq = fragment.message_seq;
    out->random = at + 2;
    at += 2 + HELLO_RANDOM;
    left -= 2 + HELLO_RANDOM;
    if (!skip_vector(&at, &left, 1, &vector) || vector > 32) { /* session id */
        return HELLO_MALFORMED;
    }
    out->cookie = at + 1;
    if (!skip_vector(&at, &left, 1, &out->cookie_length)) {
        return HELLO_MALFORMED;
    }
    if (!skip_vector(&at, &left, 2, &vector) || vector < 2 || vector % 2 != 0) { /* cipher suites */
        return HELLO_MALFORMED;
    }
    if (!skip_vector(&at, &left, 1, &vector) || vector < 1) { /* compression methods */
        return HELLO_MALFORMED;
    }
    return extensions_fit(at, left) ? HELLO_WHOLE : HELLO_MALFORMED;
}

bool hello_cookie_valid(const struct hello *hello, uint16_t source) {
    char id[TEXT_ID];
    size_t length = (size_t)(text_decimal(id, source) - id);
    /* The comparison inside is constant-time. */
    return ready && mbedtls_ssl_cookie_check(&cookies, hello->cookie, hello->cookie_length, (const unsigned char *)id,
                                             length) == 0;
}

bool hello_verify_request(const struct hello *hello, uint16_t source, uint8_t out[HELLO_VERIFY_REQUEST]) {
    char id[TEXT_ID];
    size_t length = (size_t)(text_decimal(id, source) - id);
    const uint8_t body = 2 + 1 + COOKIE;
    /* Record: DTLS 1.2, and the ClientHello's own number (RFC 6347, 4.2.1), which is the header's bytes 3 to 10. */
    out[0] = RECORD_HANDSHAKE;
    out[1] = 0xFE;
    out[2] = 0xFD;
    memcpy(out + 3, hello->record.at + 3, 8);
    out[11] = 0;
    out[12] = HANDSHAKE_HEADER + body;
    /* Message: unfragmented; its number is the hello's, so that a client that answers twice finds it in order. */
    uint8_t *message = out + RECORD_HEADER;
    memset(message, 0, HANDSHAKE_HEADER);
    message[0] = HANDSHAKE_VERIFY_REQUEST;
    message[3] = body;
    message[4] = (uint8_t)(hello->message_seq >> 8);
    message[5] = (uint8_t)hello->message_seq;
    message[11] = body;
    /* Version DTLS 1.0, whatever will be agreed on (RFC 6347, 4.2.1), then the cookie. */
    message[12] = 0xFE;
    message[13] = 0xFF;
    message[14] = COOKIE;
    unsigned char *cookie = message + 15;
    return ready &&
           mbedtls_ssl_cookie_write(&cookies, &cookie, cookie + COOKIE, (const unsigned char *)id, length) == 0 &&
           cookie == out + HELLO_VERIFY_REQUEST;
}
