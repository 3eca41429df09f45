/**
 * Frames on the three byte streams (protocol page, section 2), and the FAA channel that is cut through here.
 */
#ifndef SCEWL_SCEWL_H
#define SCEWL_SCEWL_H

#include "port.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCEWL_BROADCAST 0u
#define SCEWL_SSS 1u
#define SCEWL_FAA 2u
#define SCEWL_LOWEST_SED 3u

/** Bytes of a frame's header. */
#define SCEWL_HEADER 8u
/** Most bytes of payload on the CPU bus and the FAA channel (FRM-2). */
#define SCEWL_MAX_MESSAGE 16384u
/** Most bytes of a DTLS datagram (FRM-2, DTL-5). */
#define SCEWL_MTU 1000u

struct scewl_header {
    uint16_t target;
    uint16_t source;
    uint16_t length;
};

/** What becomes of a frame once its header is known. */
enum scewl_fate {
    /** Consumed whole, then forgotten. */
    SCEWL_DROP,
    /** Its payload is collected. */
    SCEWL_STORE,
    /** Sent on byte by byte to the other side of the FAA channel (FRM-5). */
    SCEWL_FORWARD,
    /** The payload stays unread; asked again later (SES-5). */
    SCEWL_WAIT,
};

/** Start afresh as the device `own_id`. `message` takes the CPU's payloads and has room for SCEWL_MAX_MESSAGE bytes. */
void scewl_init(uint16_t own_id, uint8_t *message);

/**
 * Take what has arrived on a link, up to the end of one frame. Returns true if anything moved.
 * Complete frames go to controller_frame.
 */
bool scewl_pump(enum link link);

/** Read a link to its end and forget everything: all that is done in FATAL_ERROR. Returns true if anything was there.
 */
bool scewl_discard(enum link link);

/** True while a frame that has come on this link waits to be taken, its body unread or whole (SES-5). */
bool scewl_waiting(enum link link);

/** True while a forwarded frame is only partly out on this link, so that nothing else may be written there (FRM-5). */
bool scewl_writing(enum link link);

/** Send one frame; the link must not be in the middle of another one. */
void scewl_write(enum link link, struct scewl_header header, const uint8_t *payload);

/** A message of a SED, whole and authenticated, to the own CPU as one frame (SES-3). */
void handle_scewl_recv(uint16_t source, const uint8_t *message, uint16_t length);

/* Decided by controller.c. */

/** What to do with a frame of the own CPU that is not passed on to the FAA. */
enum scewl_fate controller_cpu_fate(struct scewl_header header);

/** A frame whose payload was stored is complete. For the CPU bus: false leaves it where it is, to be offered again. */
bool controller_frame(enum link link, struct scewl_header header, const uint8_t *payload);

#endif
