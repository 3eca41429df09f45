#include "program.h"

#include "deployment.h"
#include "dtls.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 600u
#define MOST_SWEEP 64u
#define MOST_PAYLOAD 16400u
#define ME ((uint16_t)DEPLOYMENT_ME)

struct step {
    uint8_t op;
    enum peer peer;
    uint8_t how, chunk;
    uint16_t x;
    size_t length;
    const uint8_t *bytes;
};

/** What is given to the controller. */
static uint8_t data[MOST_PAYLOAD + MOST_BYTES];

/* --- damage -------------------------------------------------------------------------------------------------- */

/** Edits of four bytes each: kind, offset u16, value. */
static size_t edit(uint8_t *at, size_t length, size_t room, const uint8_t *edits, size_t edits_length) {
    for (; edits_length >= 4; edits += 4, edits_length -= 4) {
        size_t offset = length == 0 ? 0 : (size_t)(edits[1] | edits[2] << 8) % length;
        uint8_t value = edits[3];
        switch (edits[0] % 8) {
        case 0:
            at[offset] = value;
            break;
        case 1:
            at[offset] ^= (uint8_t)(1u << value % 8);
            break;
        case 2:
            length = offset;
            break;
        case 3:
            at[offset] = (uint8_t)(at[offset] + value);
            break;
        case 4: /* longer */
            for (unsigned i = 0; i < value && length < room; i++) {
                at[length++] = value;
            }
            break;
        case 5: /* shorter in the middle */
            if (length - offset > value) {
                memmove(at + offset, at + offset + value, length - offset - value);
                length -= value;
            }
            break;
        case 6: /* only what is behind */
            memmove(at, at + offset, length - offset);
            length -= offset;
            break;
        default: /* the whole twice */
            if (2 * length <= room) {
                memcpy(at + length, at, length);
                length *= 2;
            }
            break;
        }
        if (length == 0) {
            break;
        }
    }
    return length;
}

/** Bytes of a step, then a pattern, up to its x. */
static size_t fill(const struct step *step, size_t most) {
    size_t length = step->x % (most + 1);
    if (length < step->length) {
        length = step->length;
    }
    memset(data, 0x53, length);
    if (step->length > 0) {
        memcpy(data, step->bytes, step->length);
    }
    return length;
}

/* --- steps --------------------------------------------------------------------------------------------------- */

/** A datagram that a peer wants to send: as it is, again, damaged, lost, under another id, or with the next. */
static void do_carry(const struct step *step) {
    size_t pending = peer_pending(step->peer), length;
    if (pending == 0) {
        return;
    }
    size_t index = step->x % pending;
    memcpy(data, peer_datagram(step->peer, index, &length), PEER_MTU);
    enum peer as = step->peer;
    switch (step->how % 6) {
    case 1: /* it stays, to come again */
        break;
    case 2:
        peer_drop(step->peer, index);
        return;
    case 3:
        as = step->peer == PEER_SSS ? PEER_SSS : (enum peer)((step->peer + 1u) % PEER_SSS);
        break;
    case 4:
        peer_drop(step->peer, index);
        if (index < peer_pending(step->peer)) {
            size_t more;
            const uint8_t *next = peer_datagram(step->peer, index, &more);
            memcpy(data + length, next, more);
            length += more;
            peer_drop(step->peer, index);
        }
        break;
    default:
        peer_drop(step->peer, index);
        break;
    }
    length = edit(data, length, 2 * PEER_MTU, step->bytes, step->length);
    world_datagram(as, data, length, step->chunk);
}

/** An authentic record of any type and content. */
static void do_seal(const struct step *step) {
    static const uint8_t types[] = {23, 21, 22, 20, 24, 0};
    static const int8_t ahead[] = {0, 0, 0, 1, -1, 2, 63, -64};
    uint8_t record[PEER_MTU];
    size_t length = fill(step, 900);
    length = peer_seal(step->peer, types[step->how % 6], ahead[step->how / 6 % 8], data, length > 900 ? 900 : length,
                       record);
    if (length > 0) {
        world_datagram(step->peer, record, length, step->chunk);
    }
}

/** A peer's message, well said. */
static void do_write(const struct step *step) {
    size_t length = fill(step, MOST_PAYLOAD - 1);
    peer_write(step->peer, data, length, step->how % 2 == 0);
}

/** The SSS's response: a good one, or one with damage. */
static void do_respond(const struct step *step) {
    size_t length;
    const uint8_t *response = world_response(&length);
    memcpy(data, response, length);
    if (step->how % 2 == 1) {
        memset(data + 2, 0, 8);
        data[2] = 1;
        length = 10;
    }
    length = edit(data, length, MOST_PAYLOAD, step->bytes, step->length);
    peer_write(PEER_SSS, data, length, step->how / 2 % 2 == 1);
}

/** A hello of our own making, with a good cookie if wanted. */
static void do_hello(const struct step *step) {
    static const uint8_t extensions[] = {
        0, 10, 0, 4, 0, 2, 0, 23, 0, 11, 0, 2, 1, 0, 0, 13, 0, 4, 0, 2, 4, 3, 0, 23, 0, 0,
    };
    static const uint8_t suites[] = {0, 2, 0xC0, 0x2C, 1, 0};
    size_t cookie = step->how % 2 == 0 ? 32 : 0;
    uint8_t *at = data + 25;
    *at++ = 0xFE;
    *at++ = 0xFD;
    memset(at, step->x & 0xFF, 32);
    at += 32;
    *at++ = 0;
    *at++ = (uint8_t)cookie;
    memcpy(at, world_cookie(step->peer), cookie);
    at += cookie;
    memcpy(at, suites, sizeof suites);
    at += sizeof suites;
    *at++ = 0;
    *at++ = sizeof extensions;
    memcpy(at, extensions, sizeof extensions);
    at += sizeof extensions;
    size_t length = (size_t)(at - data), message = length - 25;
    memset(data, 0, 25);
    data[0] = 22;
    data[1] = 0xFE;
    data[2] = 0xFD;
    data[10] = step->how / 2 % 2 == 0;
    data[12] = (uint8_t)(message + 12);
    data[13] = 1;
    data[16] = (uint8_t)message;
    data[18] = step->how / 2 % 2 == 0;
    data[24] = (uint8_t)message;
    length = edit(data, length, PEER_MTU, step->bytes, step->length);
    world_datagram(step->peer == PEER_SSS ? PEER_LOW : step->peer, data, length, step->chunk);
}

/** A plaintext record: a fragment of a handshake message, or another type with any body. */
static void do_record(const struct step *step) {
    static const uint8_t types[] = {22, 22, 22, 20, 21, 23, 22, 24};
    size_t body = step->length < 6 ? 0 : step->length - 6;
    uint8_t type = types[step->how % 8];
    memset(data, 0, 25);
    data[0] = type;
    data[1] = 0xFE;
    data[2] = 0xFD;
    data[4] = step->how / 64 % 2;
    data[9] = (uint8_t)(step->x >> 8);
    data[10] = (uint8_t)step->x;
    size_t length = 13;
    if (type == 22 && step->length >= 6) { /* type, number, total, offset */
        data[13] = step->bytes[0] % 32;
        data[18] = step->bytes[1] % 16;
        data[15] = step->bytes[2] % 8;
        data[16] = step->bytes[3];
        data[20] = step->bytes[4] % 8;
        data[21] = step->bytes[5];
        data[23] = (uint8_t)(body >> 8);
        data[24] = (uint8_t)body;
        length = 25;
    }
    memcpy(data + length, step->bytes + (step->length - body), body);
    length += body;
    data[11] = (uint8_t)((length - 13) >> 8);
    data[12] = (uint8_t)(length - 13);
    world_datagram(step->peer, data, length, step->chunk);
}

static void do_raw(const struct step *step) {
    size_t length = fill(step, 1100);
    world_send((enum link)(step->how % LINK_COUNT), data, length, step->chunk);
}

static void do_frame(const struct step *step) {
    static const uint16_t ids[] = {ME, 0, 2, DEPLOYMENT_HIGH, DEPLOYMENT_LOW, 1, 999, ME};
    enum link link = (enum link)(step->how % LINK_COUNT);
    size_t length = fill(step, 1100);
    world_frame(link, ids[step->how / 3 % 8], ids[step->how / 24 % 8], data, length, step->chunk);
}

/** A frame of the own CPU. */
static void do_cpu(const struct step *step) {
    static const uint16_t ids[] = {DEPLOYMENT_HIGH, DEPLOYMENT_LOW, 1, 2, 0, ME, 13, 1};
    uint16_t target = ids[step->how % 8];
    size_t length = fill(step, MOST_PAYLOAD - 1);
    if (step->how % 8 == 2) { /* a good request */
        uint8_t request[4] = {(uint8_t)ME, 0, step->how / 8 % 2, 0};
        memcpy(data, request, 4);
        length = 4;
    }
    if (step->how / 16 % 4 == 1 && length > 0) { /* half of it: the rest comes with later bytes */
        uint8_t header[8] = {'S',         'C', (uint8_t)target, (uint8_t)(target >> 8),
                             (uint8_t)ME, 0,   (uint8_t)length, (uint8_t)(length >> 8)};
        world_send(LINK_CPU, header, 8, 0);
        world_send(LINK_CPU, data, length / 2, 0);
        return;
    }
    world_frame(LINK_CPU, target, ME, data, length, length > 600 ? 0 : step->chunk);
}

static void do_time(const struct step *step) {
    uint64_t armed = host_deadline();
    switch (step->how % 6) {
    case 0:
        world_advance(armed == UINT64_MAX ? 1 : armed - host_now());
        break;
    case 1:
        world_advance(armed == UINT64_MAX || armed == host_now() ? 0 : armed - host_now() - 1);
        break;
    case 2:
        world_advance(7000);
        break;
    case 3:
        world_advance(60000);
        break;
    case 4:
        peer_timeout(step->peer);
        break;
    default:
        world_advance(step->x);
        break;
    }
}

static void do_start(const struct step *step) {
    world_start(step->peer == PEER_SSS ? PEER_HIGH : step->peer);
}

static void do_settle(const struct step *step) {
    (void)step;
    world_settle();
}

/** The same datagram again and again, each time with another byte damaged: one that waits, or an authentic record. */
static void do_sweep(const struct step *step) {
    uint8_t good[PEER_MTU];
    size_t length = 0, pending = peer_pending(step->peer), stride = 1u + step->how / 8u % 8u;
    if (step->how / 64 % 2 == 1 || pending == 0) {
        memset(data, 0x5A, 32);
        length = peer_seal(step->peer, 23, 1, data, 32, good);
    } else {
        memcpy(good, peer_datagram(step->peer, step->chunk % pending, &length), PEER_MTU);
    }
    for (size_t at = step->x % (PEER_MTU + 1), times = 0; at < length && times < MOST_SWEEP; at += stride, times++) {
        memcpy(data, good, length);
        data[at] ^= (uint8_t)(1u << step->how % 8);
        world_datagram(step->peer, data, length, 0);
    }
}

static void (*const ops[])(const struct step *) = {
    do_carry, do_seal, do_write, do_respond, do_hello,  do_record, do_raw,
    do_frame, do_cpu,  do_time,  do_start,   do_settle, do_sweep,
};
enum op { CARRY, SEAL, WRITE, RESPOND, HELLO, RECORD, RAW, FRAME, CPU, TIME, START, SETTLE, SWEEP };
#define OPS (sizeof ops / sizeof ops[0])

/* --- places to start from ------------------------------------------------------------------------------------ */

/** Steps that lead there from the place `from`, as a program without its first byte. */
static const struct {
    uint8_t from;
    /** The controller's state there. */
    enum dtls_state state;
    uint8_t steps[6][PROGRAM_STEP];
    uint8_t count;
} starts[] = {
    /* 0: IDLE, unregistered */
    {0, DTLS_IDLE, {{0}}, 0},
    /* 1: SENDING: the higher id has our first hello */
    {0, DTLS_SENDING_MESSAGE, {{CPU, 0, 0, 0, 100, 0}}, 1},
    /* 2: SENDING: flight 3 is out, flight 4 waits */
    {1, DTLS_SENDING_MESSAGE, {{CARRY, PEER_HIGH}}, 1},
    /* 3: RECEIVING: flight 4 is out, flight 5 waits */
    {0, DTLS_RECEIVING_MESSAGE, {{START, PEER_HIGH}, {CARRY, PEER_HIGH}, {CARRY, PEER_HIGH}}, 3},
    /* 4: RECEIVING: established */
    {0, DTLS_RECEIVING_MESSAGE, {{START, PEER_HIGH}, {SETTLE}}, 2},
    /* 5: RECEIVING: 16,384 bytes have come */
    {4, DTLS_RECEIVING_MESSAGE, {{WRITE, PEER_HIGH, 1, 0, 0x00, 0x40}, {SETTLE}}, 2},
    /* 6: RECEIVING: flight 4 went out again */
    {3, DTLS_RECEIVING_MESSAGE, {{TIME, 0, 0}}, 1},
    /* 7: TALKING: flight 3 is out, flight 4 waits */
    {0, DTLS_TALKING_TO_SSS, {{CPU, 0, 2}, {CARRY, PEER_SSS}}, 2},
    /* 8: TALKING: the request is out */
    {0, DTLS_TALKING_TO_SSS, {{CPU, 0, 2}, {SETTLE}}, 2},
    /* 9: IDLE, registered */
    {8, DTLS_IDLE, {{RESPOND, PEER_SSS, 0}, {SETTLE}}, 2},
    /* 10: registered, RECEIVING: established, some data */
    {9, DTLS_RECEIVING_MESSAGE, {{START, PEER_LOW}, {SETTLE}, {WRITE, PEER_LOW, 1, 0, 0x00, 0x08}, {SETTLE}}, 4},
    /* 11: SENDING, yielded to the lower id: flight 4 is out, flight 5 waits */
    {1, DTLS_RECEIVING_MESSAGE, {{START, PEER_LOW}, {CARRY, PEER_LOW}, {CARRY, PEER_LOW}}, 3},
    /* 12: SENDING to the lower id: flight 5 is out, flight 6 waits */
    {0, DTLS_SENDING_MESSAGE, {{CPU, 0, 1, 0, 0x00, 0x08}, {CARRY, PEER_LOW}, {CARRY, PEER_LOW}}, 3},
};
#define STARTS (sizeof starts / sizeof starts[0])

static struct world_copy *places[STARTS];

static void take_steps(const uint8_t *at, size_t left) {
    size_t length;
    for (unsigned steps = 0; steps < PROGRAM_MOST_STEPS && (length = program_step(at, left)) > 0; steps++) {
        struct step step = {
            .op = at[0],
            .peer = (enum peer)(at[1] % PEER_COUNT),
            .how = at[2],
            .chunk = at[3],
            .x = (uint16_t)(at[4] | at[5] << 8),
            .length = length - PROGRAM_STEP,
            .bytes = at + PROGRAM_STEP,
        };
        ops[step.op % OPS](&step);
        at += length;
        left -= length;
    }
}

void program_init(void) {
    for (unsigned place = 0; place < STARTS; place++) {
        if (place > 0) {
            world_return(places[starts[place].from]);
        }
        take_steps(starts[place].steps[0], starts[place].count * PROGRAM_STEP);
        if (dtls_state() != starts[place].state) {
            (void)fprintf(stderr, "place %u: state %d, not %d\n", place, dtls_state(), starts[place].state);
            exit(1);
        }
        places[place] = world_keep();
    }
}

unsigned program_starts(void) {
    return STARTS;
}

unsigned program_ops(void) {
    return OPS;
}

size_t program_step(const uint8_t *at, size_t left) {
    if (left < PROGRAM_STEP) {
        return 0;
    }
    size_t own = (size_t)(at[6] | at[7] << 8) % (MOST_BYTES + 1);
    return PROGRAM_STEP + (own < left - PROGRAM_STEP ? own : left - PROGRAM_STEP);
}

void program_run(const uint8_t *bytes, size_t length, bool serve) {
    if (length == 0) {
        return;
    }
    world_return(places[bytes[0] % STARTS]);
    take_steps(bytes + 1, length - 1);
    world_rest();
    if (serve) {
        world_serve();
    }
}
