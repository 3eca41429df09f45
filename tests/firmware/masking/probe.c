/**
 * Records the Hamming weight of each value that AES computes, and says which masks it draws. A word gives five samples:
 * its bytes, then the whole. With `transitions` a sample is the Hamming distance to the value before instead.
 */

#include "probe.h"

#include <mbedtls/aes.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* What a trace is of; may be added. */
#define OF_KEY_SCHEDULE 1
#define OF_BLOCK 2
#define OF_TRANSITIONS 4

/* As many masks as one call draws. */
#define SET 6

static const uint8_t *next_mask;
static bool recording, transitions;
static uint8_t *to, *end, last_byte;
static uint32_t last_word;

static void sample(unsigned weight) {
    if (to < end) {
        *to = (uint8_t)weight;
    }
    to++;
}

void probe_byte(uint8_t byte) {
    uint8_t change = transitions ? byte ^ last_byte : byte;
    last_byte = byte;
    if (recording) {
        sample((unsigned)__builtin_popcount(change));
    }
}

uint32_t probe_word(uint32_t word) {
    uint32_t change = transitions ? word ^ last_word : word;
    last_word = word;
    if (recording) {
        for (unsigned row = 0; row < 4; row++) {
            sample((unsigned)__builtin_popcount(change >> 8 * row & 0xFF));
        }
        sample((unsigned)__builtin_popcount(change));
    }
    return word;
}

int masks_refresh(void) {
    return 0;
}

int masks_draw(uint8_t *out, size_t length) {
    memcpy(out, next_mask, length);
    next_mask += length;
    return 0;
}

/**
 * `count` traces of one key schedule and one block each. `keys` holds one key or, with `key_step`, one for each trace;
 * `masks` two sets for each trace. Returns the samples of a trace, or 0 if something went wrong.
 */
size_t probe_traces(int of, const uint8_t *keys, size_t key_step, unsigned key_bits, const uint8_t *inputs,
                    const uint8_t *masks, size_t count, uint8_t *samples, size_t room, uint8_t *outputs) {
    size_t length = 0;
    transitions = (of & OF_TRANSITIONS) != 0;
    for (size_t i = 0; i < count; i++) {
        mbedtls_aes_context context;
        mbedtls_aes_init(&context);
        to = samples + i * room;
        end = to + room;
        next_mask = masks + i * 2 * SET;
        last_byte = 0;
        last_word = 0;
        recording = (of & OF_KEY_SCHEDULE) != 0;
        int error = mbedtls_aes_setkey_enc(&context, keys + i * key_step, key_bits);
        recording = (of & OF_BLOCK) != 0;
        if (error == 0) {
            error = mbedtls_aes_crypt_ecb(&context, MBEDTLS_AES_ENCRYPT, inputs + 16 * i, outputs + 16 * i);
        }
        recording = false;
        mbedtls_aes_free(&context);
        size_t this_length = (size_t)(to - (samples + i * room));
        if (error != 0 || (i > 0 && this_length != length)) {
            return 0;
        }
        length = this_length;
    }
    return length;
}
