/**
 * The controller under test, its peers and the attacker on one clock, and the oracle: after each thing that happens,
 * what must hold of a controller whatever the world does (SES-1, SES-7, SES-8, SES-12, REG-4, ADV-1). A finding ends
 * the process with one line that names the rule.
 */
#ifndef SCEWL_FUZZ_WORLD_H
#define SCEWL_FUZZ_WORLD_H

#include "host.h"
#include "peer/peer.h"

/** Boot the controller, and let it give a cookie to every source (world_cookie). Once. */
void world_init(void);

/** Bytes for a link in parts of `chunk` bytes (0: all at once). */
void world_send(enum link link, const uint8_t *bytes, size_t length, size_t chunk);

/** The same as the payload of a whole frame. */
void world_frame(enum link link, uint16_t target, uint16_t source, const uint8_t *bytes, size_t length, size_t chunk);

/** A datagram under a peer's id, on the link that it talks on. */
void world_datagram(enum peer as, const uint8_t *bytes, size_t length, size_t chunk);

/** Let time pass, deadline by deadline. */
void world_advance(uint64_t ms);

/** A peer starts a session as a client, with the set that the controller has in force. */
void world_start(enum peer who);

/** Carry all that waits, until nothing moves. */
void world_settle(void);

/** 32 bytes: the cookie that the controller gave this peer's id. */
const uint8_t *world_cookie(enum peer who);

/** The SSS's good response to our registration, as it goes over the wire. */
const uint8_t *world_response(size_t *length);

/** The input is over: complete what is half sent, and wait until the controller is IDLE (SES-7), then look back. */
void world_rest(void);

/** At rest: an honest peer's message arrives, and one of our CPU reaches it. */
void world_serve(void);

/** Frames that were given to the controller since the process began. */
uint64_t world_frames(void);

/** A copy of everything: controller, peers, attacker. Kept for ever. */
struct world_copy;
struct world_copy *world_keep(void);
void world_return(const struct world_copy *copy);

#endif
