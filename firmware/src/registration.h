/** Requests to the SSS and its responses (protocol page, section 6). */
#ifndef SCEWL_REGISTRATION_H
#define SCEWL_REGISTRATION_H

#include "provisioning.h"

#define REGISTRATION_REQUEST 4u
#define REGISTRATION_RESPONSE 10u

#define REGISTRATION_REGISTER 0
#define REGISTRATION_DEREGISTER 1
#define REGISTRATION_REFUSED (-1)

struct registration_request {
    uint16_t id;
    int16_t op;
};

enum registration_verdict {
    /** It may still become a good response. */
    REGISTRATION_INCOMPLETE,
    REGISTRATION_GOOD,
    REGISTRATION_BAD,
};

/** Read a request of REGISTRATION_REQUEST bytes. */
struct registration_request registration_read(const uint8_t *bytes);

/** Write an answer of REGISTRATION_REQUEST bytes for the CPU. */
void registration_write(uint8_t *out, uint16_t id, int16_t op);

/**
 * Judge what has come of a response, as early as it can be told (section 5, pinned 8). `room` is the most that a
 * response could ever be. On REGISTRATION_GOOD `set` points into the bytes.
 */
enum registration_verdict registration_judge(const uint8_t *bytes, size_t have, size_t room, uint16_t own_id,
                                             int16_t asked, struct der_set *set);

#endif
