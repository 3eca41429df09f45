/**
 * The controller as a program: it reads commands on standard input and answers each on standard output. Little endian.
 *
 *   command   u32 kind, u32 link, u64 number, then `number` bytes if it is BOOT (the image) or SEND (bytes for `link`)
 *   answer    u64 now, u64 deadline (2^64 - 1: none), u8 mode, registered, waiting and 0, u32 lengths of the four
 * streams, u32 0, then the bytes of the streams
 *
 * ADVANCE lets `number` milliseconds pass. KEEP copies the controller as copy `number`, RETURN makes it what it was
 * then, FORGET frees that copy. EXHAUST leaves no memory for another session. The end of the input ends it.
 */

#include "host.h"

#include <stdio.h>
#include <stdlib.h>

enum kind { BOOT, SEND, ADVANCE, KEEP, RETURN, FORGET, EXHAUST };

struct command {
    uint32_t kind, link;
    uint64_t number;
};

struct answer {
    uint64_t now, deadline;
    struct host_state state;
    uint8_t nothing;
    uint32_t lengths[HOST_STREAMS];
    uint32_t unused;
};

/** More than any payload of a frame, so that no caller is limited by it. */
#define MOST_BYTES (1u << 20)
#define MOST_COPIES 8192u

static uint8_t bytes[MOST_BYTES];
static struct host_copy *copies[MOST_COPIES];

/* Nothing is allocated but here; without this the check at exit needs the right to trace. The names are the
 * sanitizers'. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

const char *__ubsan_default_options(void) {
    return "print_stacktrace=1";
}

static bool take(void *into, size_t length) {
    return fread(into, 1, length, stdin) == length;
}

static bool obey(const struct command *command) {
    struct host_copy **copy = &copies[command->number % MOST_COPIES];
    bool has_bytes = command->kind == BOOT || command->kind == SEND;
    if (has_bytes && (command->number > sizeof bytes || !take(bytes, (size_t)command->number))) {
        return false;
    }
    switch (command->kind) {
    case BOOT:
        host_boot(bytes, (size_t)command->number);
        return true;
    case SEND:
        if (command->link >= LINK_COUNT) {
            return false;
        }
        host_send((enum link)command->link, bytes, (size_t)command->number);
        return true;
    case ADVANCE:
        host_advance(command->number);
        return true;
    case KEEP:
        host_forget(*copy);
        *copy = host_keep();
        return true;
    case RETURN:
        if (*copy == NULL) {
            return false;
        }
        host_return(*copy);
        return true;
    case FORGET:
        host_forget(*copy);
        *copy = NULL;
        return true;
    case EXHAUST:
        host_exhaust();
        return true;
    default:
        return false;
    }
}

static bool tell(void) {
    struct answer answer = {.now = host_now(), .deadline = host_deadline(), .state = host_state()};
    for (unsigned stream = 0; stream < HOST_STREAMS; stream++) {
        answer.lengths[stream] = (uint32_t)host_output(stream).length;
    }
    bool told = fwrite(&answer, sizeof answer, 1, stdout) == 1;
    for (unsigned stream = 0; stream < HOST_STREAMS; stream++) {
        struct host_output output = host_output(stream);
        told = told && (output.length == 0 || fwrite(output.bytes, 1, output.length, stdout) == output.length);
    }
    return told && fflush(stdout) == 0;
}

int main(void) {
    struct command command;
    while (take(&command, sizeof command)) {
        if (!obey(&command) || !tell()) {
            (void)fprintf(stderr, "host: a command that cannot be obeyed\n");
            return EXIT_FAILURE;
        }
    }
    return EXIT_SUCCESS;
}
