/**
 * Frame reader and writer. One reader a link, each a small state machine over the bytes that have come so far.
 *
 * FAA frames are cut through: a reader that forwards writes each byte on as it comes, and holds the output link until
 * the frame is out. They need no message buffer and no session, and so they pass at any time.
 */

#include "scewl.h"

#include "rng.h"

#include <string.h>

enum phase {
    /** Looking for the magic, then collecting the header. */
    IN_HEADER,
    /** The header is whole; what to do was put off (SES-5). */
    UNDECIDED,
    IN_PAYLOAD,
    /** Stored whole, not yet taken. */
    COMPLETE,
};

static struct reader {
    enum phase phase;
    enum scewl_fate fate;
    uint8_t raw[SCEWL_HEADER];
    /** Bytes of the header or of the payload that have come. */
    size_t have;
    struct scewl_header header;
    /** Where stored payloads go. */
    uint8_t *payload;
} readers[LINK_COUNT];

static uint8_t sss_datagram[SCEWL_MTU], radio_datagram[SCEWL_MTU];
static uint16_t own_id;

void scewl_init(uint16_t id, uint8_t *message) {
    memset(readers, 0, sizeof readers);
    readers[LINK_CPU].payload = message;
    readers[LINK_SSS].payload = sss_datagram;
    readers[LINK_RADIO].payload = radio_datagram;
    own_id = id;
}

static uint16_t little(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

/** The link on the other side of the FAA channel. */
static enum link across(enum link link) {
    return link == LINK_CPU ? LINK_RADIO : LINK_CPU;
}

static enum scewl_fate radio_fate(struct scewl_header header) {
    if (header.source == own_id || (header.target != own_id && header.target != SCEWL_BROADCAST)) {
        return SCEWL_DROP; /* FRM-3 */
    }
    if (header.source == SCEWL_FAA) {
        return header.length <= SCEWL_MAX_MESSAGE ? SCEWL_FORWARD : SCEWL_DROP; /* FRM-5, FRM-2 */
    }
    if (header.target == SCEWL_BROADCAST || header.source < SCEWL_LOWEST_SED) {
        return SCEWL_DROP;
    }
    return header.length >= 1 && header.length <= SCEWL_MTU ? SCEWL_STORE : SCEWL_DROP; /* FRM-2 */
}

static enum scewl_fate sss_fate(struct scewl_header header) {
    if (header.source != SCEWL_SSS || header.target != own_id) {
        return SCEWL_DROP; /* SES-5 */
    }
    return header.length >= 1 && header.length <= SCEWL_MTU ? SCEWL_STORE : SCEWL_DROP; /* FRM-2 */
}

static enum scewl_fate cpu_fate(struct scewl_header header) {
    if (header.target == SCEWL_FAA && header.length <= SCEWL_MAX_MESSAGE) {
        return SCEWL_FORWARD; /* FRM-5 */
    }
    return controller_cpu_fate(header);
}

/** Collect the header. FRM-1: out of step, skip bytes until `S` is followed by `C`. False when the link ran dry. */
static bool read_header(enum link link, struct reader *reader) {
    while (reader->have < SCEWL_HEADER) {
        uint8_t *at = &reader->raw[reader->have];
        if (reader->have < 2) {
            if (port_read(link, at, 1) == 0) {
                return false;
            }
            if (reader->have == 1 && *at == 'C') {
                reader->have = 2;
            } else {
                /* A second `S` may be the one that the `C` follows. */
                reader->have = *at == 'S' ? 1 : 0;
                reader->raw[0] = 'S';
            }
        } else {
            size_t got = port_read(link, at, SCEWL_HEADER - reader->have);
            if (got == 0) {
                return false;
            }
            reader->have += got;
        }
    }
    reader->header.target = little(&reader->raw[2]);
    reader->header.source = little(&reader->raw[4]);
    reader->header.length = little(&reader->raw[6]);
    rng_absorb(reader->raw, SCEWL_HEADER);
    return true;
}

/** The fate of a frame is known: start on its payload. */
static void begin(enum link link, struct reader *reader, enum scewl_fate fate) {
    reader->fate = fate;
    reader->phase = IN_PAYLOAD;
    reader->have = 0;
    if (fate == SCEWL_FORWARD) {
        /* Never into the middle of another frame: all others are written whole, at one go. */
        port_write(across(link), reader->raw, SCEWL_HEADER);
    }
}

static void finish(struct reader *reader) {
    reader->phase = IN_HEADER;
    reader->have = 0;
}

/** Collect up to `room` payload bytes. Returns how many came. */
static size_t store(enum link link, const struct reader *reader, size_t room) {
    uint8_t *at = &reader->payload[reader->have];
    size_t got = port_read(link, at, room);
    rng_absorb(at, got);
    return got;
}

/** Consume up to `room` payload bytes, and send them on if that is the frame's fate. Returns how many came. */
static size_t pass(enum link link, const struct reader *reader, size_t room) {
    uint8_t bytes[64];
    size_t got = port_read(link, bytes, room < sizeof bytes ? room : sizeof bytes);
    rng_absorb(bytes, got);
    if (reader->fate == SCEWL_FORWARD) {
        port_write(across(link), bytes, got);
    }
    return got;
}

/** Move payload bytes. Returns false when the link ran dry before the frame's end. */
static bool read_payload(enum link link, struct reader *reader) {
    while (reader->have < reader->header.length) {
        size_t room = reader->header.length - reader->have;
        size_t got = reader->fate == SCEWL_STORE ? store(link, reader, room) : pass(link, reader, room);
        if (got == 0) {
            return false;
        }
        reader->have += got;
    }
    return true;
}

bool scewl_pump(enum link link) {
    struct reader *reader = &readers[link];
    if (reader->phase == IN_HEADER) {
        if (!read_header(link, reader)) {
            return false;
        }
        reader->phase = UNDECIDED;
    }
    if (reader->phase == UNDECIDED) {
        enum scewl_fate fate = link == LINK_CPU   ? cpu_fate(reader->header)
                               : link == LINK_SSS ? sss_fate(reader->header)
                                                  : radio_fate(reader->header);
        if (fate == SCEWL_WAIT) {
            return false;
        }
        begin(link, reader, fate);
    }
    if (reader->phase == IN_PAYLOAD) {
        if (!read_payload(link, reader)) {
            return false;
        }
        if (reader->fate != SCEWL_STORE) {
            finish(reader);
            return true;
        }
        reader->phase = COMPLETE;
    }
    if (!controller_frame(link, reader->header, reader->payload)) {
        return false;
    }
    finish(reader);
    return true;
}

bool scewl_discard(enum link link) {
    uint8_t bytes[64];
    bool any = false;
    while (port_read(link, bytes, sizeof bytes) > 0) {
        any = true;
    }
    return any;
}

bool scewl_waiting(enum link link) {
    return readers[link].phase == UNDECIDED || readers[link].phase == COMPLETE;
}

bool scewl_writing(enum link link) {
    const struct reader *source = &readers[across(link)];
    return link != LINK_SSS && source->phase == IN_PAYLOAD && source->fate == SCEWL_FORWARD;
}

void scewl_write(enum link link, struct scewl_header header, const uint8_t *payload) {
    const uint8_t raw[SCEWL_HEADER] = {
        'S',
        'C',
        (uint8_t)header.target,
        (uint8_t)(header.target >> 8),
        (uint8_t)header.source,
        (uint8_t)(header.source >> 8),
        (uint8_t)header.length,
        (uint8_t)(header.length >> 8),
    };
    port_write(link, raw, sizeof raw);
    port_write(link, payload, header.length);
}

void handle_scewl_recv(uint16_t source, const uint8_t *message, uint16_t length) {
    /* The radio frame that completed the message was not an FAA frame, so none is being forwarded to the CPU now. */
    scewl_write(LINK_CPU, (struct scewl_header){.target = own_id, .source = source, .length = length}, message);
}
