/**
 * One DTLS session at a time, over Mbed TLS: set-up, handshake, records. What a session is for is decided in dtls.c.
 */
#ifndef SCEWL_SESSION_H
#define SCEWL_SESSION_H

#include "credentials.h"
#include "port.h"
#include "record.h"

/** Most bytes of application data in one record (DTL-5). */
#define SESSION_MAX_RECORD 963u

enum session_role { SESSION_CLIENT, SESSION_SERVER };

/** How a handshake stands. */
enum session_standing {
    SESSION_RUNNING,
    SESSION_ESTABLISHED,
    /** Over; the peer has been told with one alert where it has to be. */
    SESSION_FAILED,
};

/** What a record after the handshake turned out to be. */
enum session_input {
    /** Not authentic, or a replay: as if it had not come. */
    SESSION_NOTHING,
    SESSION_DATA,
    SESSION_CLOSE,
    SESSION_FATAL_ALERT,
    /** A handshake message: a repeated Finished (flight 6 went out again where it had to), or what is not answered. */
    SESSION_HANDSHAKE,
    SESSION_WARNING,
    /** Authentic, and nonsense. */
    SESSION_BROKEN,
};

/** Own id and cipher suite, for all sessions to come. */
void session_init(uint16_t own_id, uint16_t suite);

/** Set a session up. Returns false if that failed; it must be ended in any case. Nothing is sent yet. */
bool session_begin(enum session_role role, enum link link, uint16_t peer);

/** Free and zeroise the session, and stop its timer. Safe to call when there is none. */
void session_end(void);

/** Start the handshake as a client, or act on the timer. */
enum session_standing session_step(void);

/** Give the handshake one record of the peer. A server's first one is the ClientHello. */
enum session_standing session_handshake(const struct record *record);

/** As a client: whether the peer's flight 4 has come, whole (section 5, pinned 3). */
bool session_answered(void);

/** Number of the peer's latest authentic record. */
uint64_t session_top(void);

/**
 * Give an established session one record of the peer. For SESSION_DATA `*got` bytes are in `out`; `*got` is more than
 * `room` if they did not fit. `room` is at least 1.
 */
enum session_input session_read(const struct record *record, uint8_t *out, size_t room, size_t *got);

/** Send application data, as many records as it takes. Returns false if the session broke. */
bool session_write(const uint8_t *bytes, size_t length);

/** Send a close_notify. */
void session_close_notify(void);

#endif
