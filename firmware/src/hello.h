/** ClientHellos before there is a session: parsed, and answered with a HelloVerifyRequest, without any state (SES-6).
 */
#ifndef SCEWL_HELLO_H
#define SCEWL_HELLO_H

#include "record.h"

#define HELLO_RANDOM 32u

/** Bytes of the HelloVerifyRequest that hello_verify_request writes. */
#define HELLO_VERIFY_REQUEST 60u

enum hello_form {
    /** The datagram does not begin with a ClientHello. */
    HELLO_NONE,
    /** It begins with one that is damaged or fragmented: dropped. */
    HELLO_MALFORMED,
    HELLO_WHOLE,
};

struct hello {
    struct record record;
    uint16_t message_seq;
    const uint8_t *random;
    const uint8_t *cookie;
    size_t cookie_length;
};

/** Draw the key of the cookies. Returns 0, or a negative Mbed TLS error. */
int hello_init(void);

/** Forget the key. */
void hello_free(void);

/** Look for a ClientHello at the start of a datagram. `out` is filled for HELLO_WHOLE and points into the datagram. */
enum hello_form hello_parse(const uint8_t *datagram, size_t length, struct hello *out);

/** Whether the hello bears a cookie that was made here for this source (DTL-3). */
bool hello_cookie_valid(const struct hello *hello, uint16_t source);

/** Write the answer to a hello without a valid cookie. Returns false if no cookie could be made. */
bool hello_verify_request(const struct hello *hello, uint16_t source, uint8_t out[HELLO_VERIFY_REQUEST]);

#endif
