#include "world.h"

#include "dtls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPLOYMENT_CONTROLLER
#include "deployment.h"

#define ME ((uint16_t)DEPLOYMENT_ME)
#define FAA 2u
#define HEADER 8u
#define MOST 65535u

/* The bounds that `scewl check` computes (docs/model.md), in their parts. */
#define FLIGHTS_MS 165000u
#define IDLE_MS 60000u
#define PREEMPT_MS 7000u

/** What the controller's reader has made of a link's bytes, by FRM-1. */
struct reading {
    uint8_t header[HEADER];
    size_t have;
    /** Bytes of the payload that are missing. */
    size_t missing;
};

static struct world {
    struct reading in[LINK_COUNT];
    uint8_t cookies[PEER_COUNT][32];
    /** The controller has its runtime set: its last answer granted a registration. */
    bool registered;
    /** Whole requests that the CPU has made, and answers that it got. */
    uint32_t requests, answers;
    /** The running session: when it began, and what is known of it. */
    uint8_t random[32];
    uint64_t began, latest_input;
    /** Datagrams with a record of epoch 1 that were given to it. */
    uint32_t sealed;
    /** The controller has said flight 6: the peer is proved. */
    bool proved;
    /** Since when a frame of the CPU waits for this session; UINT64_MAX if none does. */
    uint64_t waits;
} world;

struct world_copy {
    struct host_copy *controller;
    struct world world;
    uint8_t *peers;
};

static uint64_t frames;

/** The frames that left the controller on each link and are not whole yet. */
static struct output {
    uint8_t bytes[HEADER + MOST];
    size_t have;
} outputs[LINK_COUNT];

/** What world_serve waits for. */
static const uint8_t *awaited;
static size_t awaited_length;
static bool arrived;

#define MESSAGE 20u

static _Noreturn void finding(const char *rule, const char *what) {
    (void)fprintf(stderr, "finding: %s: %s\n", rule, what);
    abort();
}

static uint16_t little(const uint8_t *bytes) {
    return (uint16_t)(bytes[0] | (bytes[1] << 8));
}

static int by_id(uint16_t id) {
    for (int who = 0; who < PEER_COUNT; who++) {
        if (peer_id((enum peer)who) == id) {
            return who;
        }
    }
    return -1;
}

/* --- what the controller says -------------------------------------------------------------------------------- */

static void note_random(const uint8_t *random) {
    if (memcmp(world.random, random, sizeof world.random) != 0) {
        memcpy(world.random, random, sizeof world.random);
        world.began = host_now();
        world.sealed = 0;
        world.proved = false;
        world.waits = UINT64_MAX;
    }
}

/** A datagram of the controller: note what it shows of its session, and let the peer have it. */
static void hear(uint16_t target, const uint8_t *at, size_t length) {
    if (length == 0 || length > PEER_MTU) {
        finding("FRM-2", "a datagram of a forbidden length");
    }
    int who = by_id(target);
    if (length >= 60 && at[0] == 22 && at[13] == 3 && at[27] == 32 && who >= 0) {
        memcpy(world.cookies[who], at + 28, 32);
    }
    for (size_t left = length; left >= 13;) {
        size_t body = (size_t)(at[11] << 8 | at[12]);
        if (body > left - 13) {
            finding("FRM-7", "a record that spans datagrams");
        }
        if (at[0] == 22 && at[4] == 0 && body >= 46 && (at[13] == 1 || at[13] == 2) && at[19] == 0 && at[20] == 0 &&
            at[21] == 0) {
            note_random(at + 27);
        }
        if (at[0] == 20 && dtls_state() != DTLS_SENDING_MESSAGE && dtls_state() != DTLS_TALKING_TO_SSS) {
            world.proved = true;
        }
        at += 13 + body;
        left -= 13 + body;
    }
}

static void on_cpu(uint16_t source, const uint8_t *payload, size_t length) {
    if (source == 1) {
        if (length != 4 || little(payload) != ME) {
            finding("REG-4", "an answer of a wrong form");
        }
        world.answers++;
        world.registered = little(payload + 2) == 0;
    } else if (source != FAA) {
        if (length > 16384) {
            finding("SES-10", "a message above 16,384 bytes");
        }
        if (!world.proved) {
            finding("SES-3", "a message was delivered, and nobody proved to be its sender");
        }
        if (awaited != NULL && length == awaited_length && memcmp(payload, awaited, length) == 0) {
            arrived = true;
        }
    }
}

/** Take the frames apart that are whole. */
static void take_output(enum link link) {
    struct output *out = &outputs[link];
    struct host_output told = host_output(link);
    for (size_t at = 0; at < told.length;) {
        size_t want = out->have < HEADER ? HEADER : HEADER + little(out->bytes + 6);
        size_t part = told.length - at < want - out->have ? told.length - at : want - out->have;
        memcpy(out->bytes + out->have, told.bytes + at, part);
        out->have += part;
        at += part;
        if (out->have < HEADER || out->have < HEADER + (size_t)little(out->bytes + 6)) {
            continue;
        }
        if (out->bytes[0] != 'S' || out->bytes[1] != 'C') {
            finding("FRM-5", "bytes that are no frame");
        }
        uint16_t target = little(out->bytes + 2), source = little(out->bytes + 4);
        size_t length = out->have - HEADER;
        out->have = 0;
        if (link == LINK_CPU) {
            on_cpu(source, out->bytes + HEADER, length);
        } else if (target != FAA) {
            hear(target, out->bytes + HEADER, length);
            int who = by_id(target);
            if (who >= 0) {
                peer_receive((enum peer)who, out->bytes + HEADER, length, world.registered);
            }
        }
    }
}

/* --- the oracle ---------------------------------------------------------------------------------------------- */

/** The CPU is in the middle of a frame for the FAA: what has to be written to the radio waits (FRM-5). */
static bool amid_faa(void) {
    const struct reading *cpu = &world.in[LINK_CPU];
    return cpu->have == HEADER && cpu->missing > 0 && little(cpu->header + 2) == FAA;
}

static void judge(void) {
    enum dtls_state state = dtls_state();
    uint64_t now = host_now(), armed = host_deadline();
    if (state == DTLS_FATAL_ERROR || host_output(HOST_DEBUG).length > 0) {
        finding("SES-12", "input led to FATAL_ERROR");
    }
    if (amid_faa()) {
        return;
    }
    if ((state == DTLS_IDLE) != (armed == UINT64_MAX)) {
        finding("SES-7", state == DTLS_IDLE ? "a timer runs while IDLE" : "a session without a timer");
    }
    if (state == DTLS_IDLE) {
        world.waits = UINT64_MAX;
        return;
    }
    uint64_t bound = FLIGHTS_MS + (1u + world.sealed) * IDLE_MS;
    if (state == DTLS_SENDING_MESSAGE) {
        bound = 3u * FLIGHTS_MS;
    } else if (state == DTLS_TALKING_TO_SSS) {
        bound += 2u * FLIGHTS_MS;
    }
    if (now - world.began > bound) {
        finding("SES-7", "a session beyond its bound");
    }
    if (now - (world.latest_input > world.began ? world.latest_input : world.began) > FLIGHTS_MS) {
        finding("SES-7", "a session that hears nothing, beyond the time of a flight");
    }
    if (state == DTLS_RECEIVING_MESSAGE && !world.proved && world.waits != UINT64_MAX) {
        uint64_t since = world.waits > world.began ? world.waits : world.began;
        if (now - since > PREEMPT_MS) {
            finding("ADV-1", "the CPU waits behind an unproved peer for more than a period");
        }
    }
}

static void look(void) {
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        take_output((enum link)link);
    }
    judge();
}

/* --- what happens to the controller -------------------------------------------------------------------------- */

/** Follow the bytes as a reader does (FRM-1), to know what is half sent and what the CPU has asked. */
static void follow(enum link link, const uint8_t *bytes, size_t length) {
    struct reading *in = &world.in[link];
    while (length > 0) {
        if (in->have < HEADER) {
            uint8_t byte = *bytes++;
            length--;
            if (in->have == 0 && byte != 'S') {
                continue;
            }
            if (in->have == 1 && byte != 'C') {
                in->have = byte == 'S' ? 1 : 0;
                continue;
            }
            in->header[in->have++] = byte;
            if (in->have < HEADER) {
                continue;
            }
            in->missing = little(in->header + 6);
            if (link == LINK_CPU && dtls_state() == DTLS_RECEIVING_MESSAGE && world.waits == UINT64_MAX &&
                !(little(in->header + 2) == FAA && in->missing <= 16384)) {
                world.waits = host_now();
            }
        }
        size_t part = length < in->missing ? length : in->missing;
        in->missing -= part;
        bytes += part;
        length -= part;
        if (in->missing == 0) {
            in->have = 0;
            frames++;
            world.requests += link == LINK_CPU && little(in->header + 2) == 1 && little(in->header + 6) <= 16384;
        }
    }
}

void world_send(enum link link, const uint8_t *bytes, size_t length, size_t chunk) {
    world.latest_input = host_now();
    if (chunk == 0) {
        chunk = length;
    }
    for (size_t at = 0; at < length; at += chunk) {
        size_t part = length - at < chunk ? length - at : chunk;
        follow(link, bytes + at, part);
        host_send(link, bytes + at, part);
        look();
    }
}

void world_frame(enum link link, uint16_t target, uint16_t source, const uint8_t *bytes, size_t length, size_t chunk) {
    static uint8_t frame[HEADER + MOST];
    frame[0] = 'S';
    frame[1] = 'C';
    frame[2] = (uint8_t)target;
    frame[3] = (uint8_t)(target >> 8);
    frame[4] = (uint8_t)source;
    frame[5] = (uint8_t)(source >> 8);
    frame[6] = (uint8_t)length;
    frame[7] = (uint8_t)(length >> 8);
    if (length > 0) {
        memcpy(frame + HEADER, bytes, length);
    }
    world_send(link, frame, HEADER + length, chunk);
}

void world_datagram(enum peer as, const uint8_t *bytes, size_t length, size_t chunk) {
    world.sealed += length > 4 && bytes[4] == 1;
    world_frame(as == PEER_SSS ? LINK_SSS : LINK_RADIO, ME, peer_id(as), bytes, length, chunk);
}

void world_advance(uint64_t ms) {
    uint64_t end = host_now() + ms;
    do {
        uint64_t next = host_deadline() < end ? host_deadline() : end;
        host_advance(next - host_now());
        look();
    } while (host_now() < end);
}

void world_start(enum peer who) {
    peer_start(who, true, world.registered);
}

static bool carry(void) {
    for (int who = 0; who < PEER_COUNT; who++) {
        if (peer_pending((enum peer)who) > 0) {
            size_t length;
            uint8_t datagram[PEER_MTU];
            memcpy(datagram, peer_datagram((enum peer)who, 0, &length), PEER_MTU);
            peer_drop((enum peer)who, 0);
            world_datagram((enum peer)who, datagram, length, 0);
            return true;
        }
    }
    return false;
}

void world_settle(void) {
    for (unsigned moves = 0; carry(); moves++) {
        if (moves > 400) {
            finding("SES-7", "two correct ends answer each other for ever");
        }
    }
}

const uint8_t *world_cookie(enum peer who) {
    return world.cookies[who];
}

const uint8_t *world_response(size_t *length) {
    *length = sizeof deployment_response;
    return deployment_response;
}

void world_rest(void) {
    static const uint8_t zeros[HEADER + MOST];
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        if (world.in[link].have > 0 && world.in[link].have < HEADER) {
            world_send((enum link)link, zeros, HEADER - world.in[link].have, 0);
        }
        world_send((enum link)link, zeros, world.in[link].missing, 0);
        world.in[link].have = 0;
    }
    for (unsigned sessions = 0; dtls_state() != DTLS_IDLE || host_deadline() != UINT64_MAX; sessions++) {
        if (sessions > 10000) {
            finding("SES-7", "never IDLE again");
        }
        world_advance(host_deadline() - host_now());
    }
    if (world.answers != world.requests) {
        finding("REG-4", world.answers < world.requests ? "a request without an answer" : "more answers than requests");
    }
}

void world_serve(void) {
    uint8_t message[MESSAGE];
    const uint8_t *got;
    memset(message, 0x5A, sizeof message);
    while (peer_pending(PEER_HIGH) > 0) {
        peer_drop(PEER_HIGH, 0);
    }
    world_start(PEER_HIGH);
    awaited = message;
    awaited_length = sizeof message;
    arrived = false;
    for (int who = 0; who < PEER_COUNT; who++) {
        while (who != PEER_HIGH && peer_pending((enum peer)who) > 0) {
            peer_drop((enum peer)who, 0);
        }
    }
    world_settle();
    peer_write(PEER_HIGH, message, sizeof message, true);
    world_settle();
    awaited = NULL;
    if (!arrived || dtls_state() != DTLS_IDLE) {
        finding("SES-3", "the next honest session does not work");
    }
    world_frame(LINK_CPU, peer_id(PEER_HIGH), ME, message, sizeof message, 0);
    world_settle();
    if (peer_got(PEER_HIGH, &got) != sizeof message || memcmp(got, message, sizeof message) != 0) {
        finding("SES-2", "the next honest message does not arrive");
    }
}

uint64_t world_frames(void) {
    return frames;
}

/* --- one byte too many --------------------------------------------------------------------------------------- */

void fuzz_handle_packet(enum link link, uint16_t source, const uint8_t *datagram, size_t length);

/** The makefile puts this between frame reader and session machine: the sanitizer sees where the datagram ends. */
void fuzz_handle_packet(enum link link, uint16_t source, const uint8_t *datagram, size_t length) {
    uint8_t *exact = malloc(length);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, datagram, length);
    dtls_handle_packet(link, source, exact, length);
    free(exact);
}

/* --- set-up and copies --------------------------------------------------------------------------------------- */

void world_init(void) {
    peer_init();
    host_boot(deployment_image, sizeof deployment_image);
    world.waits = UINT64_MAX;
    if (dtls_state() != DTLS_IDLE) {
        (void)fprintf(stderr, "the controller does not start: %.*s", (int)host_output(HOST_DEBUG).length,
                      (const char *)host_output(HOST_DEBUG).bytes);
        exit(1);
    }
    for (int who = 0; who < PEER_SSS; who++) {
        peer_start((enum peer)who, true, false);
        (void)carry();
        peer_start((enum peer)who, false, false);
    }
}

struct world_copy *world_keep(void) {
    struct world_copy *copy = malloc(sizeof *copy);
    uint8_t *peers = malloc(peer_state_bytes());
    if (copy == NULL || peers == NULL) {
        abort();
    }
    peer_keep(peers);
    *copy = (struct world_copy){.controller = host_keep(), .world = world, .peers = peers};
    return copy;
}

void world_return(const struct world_copy *copy) {
    host_return(copy->controller);
    peer_return(copy->peers);
    world = copy->world;
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        outputs[link].have = 0;
    }
}
