/* Included before aes_masked.c, or a copy of Mbed TLS's aes.c: what a measurement sees of their intermediate values. */
#ifndef PROBE_H
#define PROBE_H

#include <stdint.h>

#define AES_PROBE_WORD(word) ((void)probe_word(word))
#define AES_PROBE_BYTE(byte) probe_byte((uint8_t)(byte))

void probe_byte(uint8_t byte);

/* Returns its argument. */
uint32_t probe_word(uint32_t word);

#endif
