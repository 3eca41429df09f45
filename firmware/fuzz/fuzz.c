/**
 * The libFuzzer side: what an input is, and how one is made from another.
 *
 * SCEWL_FUZZ_FRAMES=N in the environment ends the run, without an error, once N frames went in. SCEWL_FUZZ_SERVE=1 asks
 * for an honest session after every input; without, after one of 64, chosen by the input's bytes.
 */

#include "program.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t room);
const char *__asan_default_options(void);

const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static uint64_t most_frames, inputs;
static bool always_serve;

int LLVMFuzzerInitialize(int *count, char ***arguments) {
    (void)count;
    (void)arguments;
    const char *frames = getenv("SCEWL_FUZZ_FRAMES"), *serve = getenv("SCEWL_FUZZ_SERVE");
    most_frames = frames == NULL ? 0 : strtoull(frames, NULL, 10);
    always_serve = serve != NULL && serve[0] == '1';
    world_init();
    program_init();
    return 0;
}

/** FNV-1a: the same input is always treated alike. */
static uint32_t hash(const uint8_t *bytes, size_t length) {
    uint32_t value = 2166136261u;
    for (size_t i = 0; i < length; i++) {
        value = (value ^ bytes[i]) * 16777619u;
    }
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
    program_run(bytes, length, always_serve || hash(bytes, length) % 64 == 0);
    inputs++;
    if (most_frames > 0 && world_frames() >= most_frames) {
        (void)fprintf(stderr, "scewl fuzz: %llu frames in %llu inputs, no finding\n",
                      (unsigned long long)world_frames(), (unsigned long long)inputs);
        _exit(0); /* exit() would count as a finding */
    }
    return 0;
}

/* --- mutation ------------------------------------------------------------------------------------------------ */

static uint32_t chance;

static uint32_t draw(uint32_t below) {
    chance = chance * 1664525u + 1013904223u;
    return (chance >> 8) % below;
}

/** Where each step of a program begins, and its end. Returns how many there are. */
static unsigned cut(const uint8_t *bytes, size_t length, size_t at[PROGRAM_MOST_STEPS + 1]) {
    unsigned steps = 0;
    size_t own;
    at[0] = 1;
    while (steps < PROGRAM_MOST_STEPS && (own = program_step(bytes + at[steps], length - at[steps])) > 0) {
        at[steps + 1] = at[steps] + own;
        steps++;
    }
    return steps;
}

/** A step of any kind. Returns its length. */
static size_t make_step(uint8_t *out) {
    static const uint8_t likely[] = {0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11, 11, 12};
    static const uint16_t lengths[] = {0, 1, 16, 900, 963, 964, 1000, 1001, 16383, 16384, 16385};
    uint16_t x = draw(2) ? lengths[draw(sizeof lengths / sizeof lengths[0])] : (uint16_t)draw(draw(2) ? 65536 : 64);
    uint8_t own = draw(2) ? 0 : (uint8_t)(draw(4) == 0 ? draw(64) : 4 * (1 + draw(3)));
    out[0] = likely[draw(sizeof likely)];
    out[1] = (uint8_t)draw(PEER_COUNT);
    out[2] = (uint8_t)draw(draw(2) ? 8 : 256);
    out[3] = (uint8_t)(draw(4) == 0 ? 1 + draw(20) : 0);
    out[4] = (uint8_t)x;
    out[5] = (uint8_t)(x >> 8);
    out[6] = own;
    out[7] = 0;
    for (unsigned i = 0; i < own; i++) {
        out[PROGRAM_STEP + i] = (uint8_t)(draw(3) == 0 ? draw(256) : draw(16));
    }
    return PROGRAM_STEP + own;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t length, size_t room, unsigned seed) {
    size_t at[PROGRAM_MOST_STEPS + 1];
    uint8_t step[PROGRAM_STEP + 256];
    chance = seed;
    if (length == 0 || draw(4) == 0) {
        return LLVMFuzzerMutate(bytes, length, room);
    }
    unsigned steps = cut(bytes, length, at);
    unsigned which = steps == 0 ? 0 : draw(steps);
    size_t own, from = at[which], end = at[steps];
    switch (steps == 0 ? draw(2) : draw(7)) {
    case 0: /* start elsewhere */
        bytes[0] = (uint8_t)draw(program_starts());
        return length;
    case 1: /* more, at the end or within */
    case 2:
        if (draw(2)) {
            from = end;
        }
        for (unsigned more = 1 + (draw(2) ? draw(6) : 0); more > 0; more--) {
            own = make_step(step);
            if (end + own > room) {
                break;
            }
            memmove(bytes + from + own, bytes + from, end - from);
            memcpy(bytes + from, step, own);
            from += own;
            end += own;
        }
        return end;
    case 3: /* one less */
        own = at[which + 1] - from;
        memmove(bytes + from, bytes + from + own, end - from - own);
        return end - own;
    case 4: /* one twice */
        own = at[which + 1] - from;
        if (end + own > room) {
            return length;
        }
        memmove(bytes + from + own, bytes + from, end - from);
        return end + own;
    case 5: /* one other number in its head, its length apart */
        bytes[from + draw(6)] = (uint8_t)draw(draw(2) ? 16 : 256);
        return length;
    default: /* something else in its own bytes */
        own = at[which + 1] - from - PROGRAM_STEP;
        if (own > 0) {
            (void)LLVMFuzzerMutate(bytes + from + PROGRAM_STEP, own, own);
        }
        return length;
    }
}
