/**
 * The other end of the fuzzed controller's sessions: SEDs and the SSS over an Mbed TLS of their own, which is not
 * instrumented. They are correct, but for peer_seal. All their state is static, and can be copied.
 */
#ifndef SCEWL_FUZZ_PEER_H
#define SCEWL_FUZZ_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Who there is: an honest SED with a higher and one with a lower id, one of another deployment, the SSS. */
enum peer { PEER_HIGH, PEER_LOW, PEER_STRANGER, PEER_SSS, PEER_COUNT };

#define PEER_MTU 1000u

/** SCEWL id of a peer. */
uint16_t peer_id(enum peer who);

/** Set everybody up; nobody has a session. Once. */
void peer_init(void);

/** Start a session anew: as a client, which says its first hello, or as a server. `runtime`: with the runtime set. */
void peer_start(enum peer who, bool client, bool runtime);

/** A datagram of the controller for this peer. A server starts anew with each hello of another client random. */
void peer_receive(enum peer who, const uint8_t *datagram, size_t length, bool runtime);

/** The peer's retransmission timer fires. */
void peer_timeout(enum peer who);

/** Whether its handshake is complete. */
bool peer_established(enum peer who);

/** Whether it has the keys for its own records of epoch 1. */
bool peer_has_keys(enum peer who);

/** Send application data, in records of at most 963 bytes, and then a close_notify if asked to. */
void peer_write(enum peer who, const uint8_t *bytes, size_t length, bool close);

/**
 * Make an authentic record of epoch 1 that says anything: content type, content of at most 900 bytes, and a number
 * `ahead` of the next one (0: the next, which it uses up). Returns its length in `out` (room for PEER_MTU), or 0.
 */
size_t peer_seal(enum peer who, uint8_t type, int ahead, const uint8_t *content, size_t length, uint8_t *out);

/** Application data that has come since the session's start. */
size_t peer_got(enum peer who, const uint8_t **bytes);

/** How many datagrams of a peer wait to be carried to the controller. */
size_t peer_pending(enum peer who);

/** A look at one of them, the oldest is 0. */
const uint8_t *peer_datagram(enum peer who, size_t index, size_t *length);

/** Take one away. */
void peer_drop(enum peer who, size_t index);

/** Bytes of everybody's state, to copy and to put back. */
size_t peer_state_bytes(void);
void peer_keep(uint8_t *copy);
void peer_return(const uint8_t *copy);

#endif
