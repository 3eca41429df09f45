/**
 * An input of the fuzzer: a byte that names where to start, then steps. A step is eight bytes and up to 600 bytes of
 * its own:
 *
 *   op u8, peer u8, how u8, chunk u8, x u16, length u16 (little endian), bytes
 *
 * Every byte string is a program: numbers are taken modulo what there is.
 */
#ifndef SCEWL_FUZZ_PROGRAM_H
#define SCEWL_FUZZ_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_STEP 8u
#define PROGRAM_MOST_STEPS 48u

/** Prepare the places to start from. Once, after world_init. */
void program_init(void);

/** How many such places there are. */
unsigned program_starts(void);

/** How many kinds of step there are. */
unsigned program_ops(void);

/** Length of the step at the start of `left` bytes, its own bytes included; 0 when there is none. */
size_t program_step(const uint8_t *at, size_t left);

/** Run a program from its start to the world's rest, and an honest session afterwards if `serve`. */
void program_run(const uint8_t *bytes, size_t length, bool serve);

#endif
