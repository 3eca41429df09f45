/** `port.h` on the machine that this is built on: streams in memory, and a clock that the caller moves. */

#include "controller.h"
#include "credentials.h"
#include "dtls.h"
#include "host.h"

#include <mbedtls/platform.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** Rounds of the main loop in one call: a hundred times what the longest message takes. */
#define ROUNDS 1000000u

/** Bytes on one stream in one call: sixty times the longest message. */
#define FLOOD (1u << 20)

struct stream {
    uint8_t *bytes;
    size_t length, room;
};

static struct stream in[LINK_COUNT], out[HOST_STREAMS];

static uint8_t image[HOST_IMAGE];

static struct clock {
    uint64_t now, deadline;
    bool expired;
} clock = {.deadline = UINT64_MAX};

/** The variables of the firmware and of Mbed TLS: the makefile gathers them in these two sections. */
extern uint8_t __start_firmware_data[], __stop_firmware_data[], __start_firmware_bss[], __stop_firmware_bss[];

struct host_copy {
    struct clock clock;
    uint8_t image[HOST_IMAGE];
    size_t in[LINK_COUNT];
    /** The two sections, then what waits on the links. */
    uint8_t bytes[];
};

static struct host_copy *before_boot;

/* --- streams ------------------------------------------------------------------------------------------------- */

static _Noreturn void stop(const char *why) {
    (void)fprintf(stderr, "host: %s\n", why);
    abort();
}

static void append(struct stream *stream, const uint8_t *bytes, size_t length) {
    if (stream->room - stream->length < length) {
        stream->room = 2 * (stream->length + length);
        stream->bytes = realloc(stream->bytes, stream->room);
        if (stream->bytes == NULL) {
            stop("out of memory");
        }
    }
    if (length > 0) {
        memcpy(stream->bytes + stream->length, bytes, length);
        stream->length += length;
    }
}

size_t port_read(enum link link, uint8_t *bytes, size_t room) {
    struct stream *stream = &in[link];
    size_t got = room < stream->length ? room : stream->length;
    if (got > 0) {
        memcpy(bytes, stream->bytes, got);
        stream->length -= got;
        memmove(stream->bytes, stream->bytes + got, stream->length);
    }
    return got;
}

void port_write(enum link link, const uint8_t *bytes, size_t length) {
    append(&out[link], bytes, length);
    if (out[link].length > FLOOD) {
        stop("flood: too many bytes of output in one step");
    }
}

void port_debug(const char *line) {
    append(&out[HOST_DEBUG], (const uint8_t *)line, strlen(line));
}

/* --- the clock ----------------------------------------------------------------------------------------------- */

void port_init(void) {
    clock = (struct clock){.deadline = UINT64_MAX};
}

void port_timer_start(uint32_t ms) {
    clock.deadline = clock.now + ms;
    clock.expired = false;
}

void port_timer_stop(void) {
    clock.deadline = UINT64_MAX;
    clock.expired = false;
}

bool port_timer_expired(void) {
    return clock.expired;
}

uint32_t port_timer_reading(void) {
    return 0; /* as QEMU's timer, which cannot be read: so both draw the same numbers */
}

void port_stack_clear(void) {
    /* The caller's own stack goes on. */
}

void port_wait(void) {
    stop("port_wait: only main sleeps");
}

const uint8_t *port_provisioning(size_t *room) {
    *room = sizeof image;
    return image;
}

/* --- the caller's side --------------------------------------------------------------------------------------- */

static void settle(void) {
    for (unsigned round = 0; controller_round(); round++) {
        if (round == ROUNDS) {
            stop("never quiescent");
        }
    }
}

static void clear_output(void) {
    for (unsigned stream = 0; stream < HOST_STREAMS; stream++) {
        out[stream].length = 0;
    }
}

void host_boot(const uint8_t *bytes, size_t length) {
    if (length > sizeof image) {
        stop("the provisioning image is too long");
    }
    if (before_boot == NULL) {
        before_boot = host_keep();
    }
    host_return(before_boot);
    memset(image, 0, sizeof image);
    if (length > 0) {
        memcpy(image, bytes, length);
    }
    port_init();
    dtls_setup();
    settle();
}

void host_send(enum link link, const uint8_t *bytes, size_t length) {
    clear_output();
    append(&in[link], bytes, length);
    settle();
}

void host_advance(uint64_t ms) {
    clear_output();
    uint64_t end = clock.now + ms;
    while (clock.deadline <= end) {
        clock.now = clock.deadline;
        clock.deadline = UINT64_MAX;
        clock.expired = true;
        settle();
    }
    clock.now = end;
}

uint64_t host_now(void) {
    return clock.now;
}

uint64_t host_deadline(void) {
    return clock.deadline;
}

struct host_state host_state(void) {
    return (struct host_state){
        .mode = (uint8_t)dtls_state(),
        .registered = credentials_for(SCEWL_LOWEST_SED) != credentials_for(SCEWL_SSS),
        .waiting = scewl_waiting(LINK_CPU),
    };
}

void host_exhaust(void) {
    for (size_t part = 4096; part > 0; part /= 2) {
        while (mbedtls_calloc(1, part) != NULL) {
        }
    }
}

struct host_output host_output(unsigned stream) {
    return (struct host_output){out[stream].bytes, out[stream].length};
}

/* --- copies -------------------------------------------------------------------------------------------------- */

/** memcpy, the gaps included which the address sanitizer keeps between variables; volatile, or it becomes memcpy. */
__attribute__((no_sanitize("address"))) static void copy_raw(uint8_t *to, const uint8_t *from, size_t length) {
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= length; at += sizeof(uint64_t)) {
        *(volatile uint64_t *)(void *)(to + at) = *(const volatile uint64_t *)(const void *)(from + at);
    }
    for (; at < length; at++) {
        *(volatile uint8_t *)(to + at) = *(const volatile uint8_t *)(from + at);
    }
}

static size_t data_bytes(void) {
    return (size_t)((uintptr_t)__stop_firmware_data - (uintptr_t)__start_firmware_data);
}

static size_t bss_bytes(void) {
    return (size_t)((uintptr_t)__stop_firmware_bss - (uintptr_t)__start_firmware_bss);
}

struct host_copy *host_keep(void) {
    size_t waiting = 0;
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        waiting += in[link].length;
    }
    struct host_copy *copy = malloc(sizeof *copy + data_bytes() + bss_bytes() + waiting);
    if (copy == NULL) {
        stop("out of memory");
    }
    copy->clock = clock;
    memcpy(copy->image, image, sizeof image);
    uint8_t *at = copy->bytes;
    copy_raw(at, __start_firmware_data, data_bytes());
    copy_raw(at += data_bytes(), __start_firmware_bss, bss_bytes());
    at += bss_bytes();
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        copy->in[link] = in[link].length;
        if (in[link].length > 0) {
            memcpy(at, in[link].bytes, in[link].length);
            at += in[link].length;
        }
    }
    return copy;
}

void host_return(const struct host_copy *copy) {
    clear_output();
    clock = copy->clock;
    memcpy(image, copy->image, sizeof image);
    const uint8_t *at = copy->bytes;
    copy_raw(__start_firmware_data, at, data_bytes());
    copy_raw(__start_firmware_bss, at += data_bytes(), bss_bytes());
    at += bss_bytes();
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        in[link].length = 0;
        append(&in[link], at, copy->in[link]);
        at += copy->in[link];
    }
}

void host_forget(struct host_copy *copy) {
    free(copy);
}
