/**
 * AES-128 and AES-256, encryption only, masked byte by byte (MBT-1); GCM needs no more. In place of Mbed TLS's own
 * through MBEDTLS_AES_SETKEY_ENC_ALT and MBEDTLS_AES_ENCRYPT_ALT.
 *
 * A device's power consumption follows the values that it computes. Here no value that depends on the key is ever
 * computed but XORed with a random byte, drawn anew for each block, so that each value by itself is random. After
 * Herbst, Oswald and Mangard, "An AES Smart Card Implementation Resistant to Power Analysis Attacks" (ACNS 2006):
 *
 *     where                 mask of a byte
 *     into the S-box        in
 *     out of the S-box      out, another one: a load often overwrites the register that held its index
 *     into MixColumns       rows, one for each of the four rows: it adds rows, and equal masks would cancel
 *     out of MixColumns     mixed = MixColumns(rows)
 *     round keys            mixed ^ in, so that AddRoundKey turns `mixed` into `in`
 *
 * The S-box is a table made anew with each set of masks: sbox[x ^ in] = S(x) ^ out. Nothing branches on data, and
 * tables are indexed by masked bytes only. What this does not protect from is on the page docs/side-channels.md.
 */

#include "masks.h"

#include <mbedtls/aes.h>
#include <mbedtls/platform_util.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "row r of a column is byte r of its word");

/** A test sees intermediate values through these (tests/firmware/masking); the firmware has nothing here. */
#ifndef AES_PROBE_WORD
#define AES_PROBE_WORD(word) ((void)0)
#define AES_PROBE_BYTE(byte) ((void)0)
#endif

/** The mask of the round keys lies behind them: at most 15 keys of 4 words fill `buf` up to here. */
#define KEY_MASK 60

static const uint8_t plain_sbox[256] = {
    0x63, 0x7C, 0x77, 0x7B, 0xF2, 0x6B, 0x6F, 0xC5, 0x30, 0x01, 0x67, 0x2B, 0xFE, 0xD7, 0xAB, 0x76, 0xCA, 0x82, 0xC9,
    0x7D, 0xFA, 0x59, 0x47, 0xF0, 0xAD, 0xD4, 0xA2, 0xAF, 0x9C, 0xA4, 0x72, 0xC0, 0xB7, 0xFD, 0x93, 0x26, 0x36, 0x3F,
    0xF7, 0xCC, 0x34, 0xA5, 0xE5, 0xF1, 0x71, 0xD8, 0x31, 0x15, 0x04, 0xC7, 0x23, 0xC3, 0x18, 0x96, 0x05, 0x9A, 0x07,
    0x12, 0x80, 0xE2, 0xEB, 0x27, 0xB2, 0x75, 0x09, 0x83, 0x2C, 0x1A, 0x1B, 0x6E, 0x5A, 0xA0, 0x52, 0x3B, 0xD6, 0xB3,
    0x29, 0xE3, 0x2F, 0x84, 0x53, 0xD1, 0x00, 0xED, 0x20, 0xFC, 0xB1, 0x5B, 0x6A, 0xCB, 0xBE, 0x39, 0x4A, 0x4C, 0x58,
    0xCF, 0xD0, 0xEF, 0xAA, 0xFB, 0x43, 0x4D, 0x33, 0x85, 0x45, 0xF9, 0x02, 0x7F, 0x50, 0x3C, 0x9F, 0xA8, 0x51, 0xA3,
    0x40, 0x8F, 0x92, 0x9D, 0x38, 0xF5, 0xBC, 0xB6, 0xDA, 0x21, 0x10, 0xFF, 0xF3, 0xD2, 0xCD, 0x0C, 0x13, 0xEC, 0x5F,
    0x97, 0x44, 0x17, 0xC4, 0xA7, 0x7E, 0x3D, 0x64, 0x5D, 0x19, 0x73, 0x60, 0x81, 0x4F, 0xDC, 0x22, 0x2A, 0x90, 0x88,
    0x46, 0xEE, 0xB8, 0x14, 0xDE, 0x5E, 0x0B, 0xDB, 0xE0, 0x32, 0x3A, 0x0A, 0x49, 0x06, 0x24, 0x5C, 0xC2, 0xD3, 0xAC,
    0x62, 0x91, 0x95, 0xE4, 0x79, 0xE7, 0xC8, 0x37, 0x6D, 0x8D, 0xD5, 0x4E, 0xA9, 0x6C, 0x56, 0xF4, 0xEA, 0x65, 0x7A,
    0xAE, 0x08, 0xBA, 0x78, 0x25, 0x2E, 0x1C, 0xA6, 0xB4, 0xC6, 0xE8, 0xDD, 0x74, 0x1F, 0x4B, 0xBD, 0x8B, 0x8A, 0x70,
    0x3E, 0xB5, 0x66, 0x48, 0x03, 0xF6, 0x0E, 0x61, 0x35, 0x57, 0xB9, 0x86, 0xC1, 0x1D, 0x9E, 0xE1, 0xF8, 0x98, 0x11,
    0x69, 0xD9, 0x8E, 0x94, 0x9B, 0x1E, 0x87, 0xE9, 0xCE, 0x55, 0x28, 0xDF, 0x8C, 0xA1, 0x89, 0x0D, 0xBF, 0xE6, 0x42,
    0x68, 0x41, 0x99, 0x2D, 0x0F, 0xB0, 0x54, 0xBB, 0x16};

/** All that a block or a key schedule keeps in memory, so that one call zeroises it. Words are columns. */
struct work {
    uint8_t sbox[256];
    uint32_t in, out; /* the byte, four times */
    uint32_t rows, mixed;
    uint32_t state[4];
};

/** The compiler computes this value, as it stands, and not some other sum that comes to the same. */
static inline uint32_t settled(uint32_t word) {
    __asm("" : "+r"(word));
    AES_PROBE_WORD(word);
    return word;
}

static inline uint32_t four_times(uint8_t byte) {
    return byte * 0x01010101u;
}

static inline uint32_t rotate_right(uint32_t word, unsigned bits) {
    return word >> bits | word << (32 - bits);
}

static inline uint32_t read_column(const unsigned char *at) {
    uint32_t word;
    /* cppcheck-suppress misra-c2012-21.15 ; D-13 */
    memcpy(&word, at, sizeof word);
    return word;
}

/** MixColumns of one column: 2a[r] + 3a[r+1] + a[r+2] + a[r+3]. */
static inline uint32_t mix(uint32_t column) {
    uint32_t sum = settled(column ^ rotate_right(column, 8)); /* a[r] + a[r+1] */
    uint32_t twice = settled((sum & 0x7F7F7F7Fu) << 1 ^ (sum >> 7 & 0x01010101u) * 0x1Bu);
    return settled(settled(rotate_right(column, 8) ^ rotate_right(sum, 16)) ^ twice);
}

/** S of one masked byte. */
static inline uint32_t substitute(const struct work *work, uint32_t word, unsigned row) {
    uint8_t index = (uint8_t)(word >> 8 * row);
    uint8_t value = work->sbox[index];
    AES_PROBE_BYTE(value);
    AES_PROBE_BYTE(index ^ value); /* the register that held the index, as the load overwrites it */
    return (uint32_t)value << 8 * row;
}

/** S of four bytes, each from the word that is named for its row. */
static inline uint32_t substitute_four(const struct work *work, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    return settled(substitute(work, a, 0) | substitute(work, b, 1) | substitute(work, c, 2) | substitute(work, d, 3));
}

/** SubBytes and ShiftRows. */
static inline void substitute_state(struct work *work) {
    const uint32_t a = work->state[0], b = work->state[1], c = work->state[2], d = work->state[3];
    work->state[0] = substitute_four(work, a, b, c, d);
    work->state[1] = substitute_four(work, b, c, d, a);
    work->state[2] = substitute_four(work, c, d, a, b);
    work->state[3] = substitute_four(work, d, a, b, c);
}

/** A new set of masks, and its S-box. Returns 0, or a negative error. */
static int draw_masks(struct work *work) {
    uint8_t fresh[6];
    int error = masks_draw(fresh, sizeof fresh);
    if (error != 0) {
        return error;
    }
    const uint8_t in = fresh[0];
    work->in = four_times(in);
    work->out = four_times(fresh[1]);
    work->rows = read_column(fresh + 2);
    work->mixed = mix(work->rows);
    for (unsigned x = 0; x < sizeof plain_sbox; x += 4) {
        uint32_t values = settled(read_column(plain_sbox + x) ^ work->out);
        work->sbox[x ^ in] = (uint8_t)values;
        work->sbox[(x + 1) ^ in] = (uint8_t)(values >> 8);
        work->sbox[(x + 2) ^ in] = (uint8_t)(values >> 16);
        work->sbox[(x + 3) ^ in] = (uint8_t)(values >> 24);
    }
    mbedtls_platform_zeroize(fresh, sizeof fresh);
    return 0;
}

/* cppcheck-suppress misra-c2012-8.4 ; D-15 */
int mbedtls_aes_setkey_enc(mbedtls_aes_context *ctx, const unsigned char *key, unsigned int keybits) {
    if (keybits != 128 && keybits != 256) {
        return MBEDTLS_ERR_AES_INVALID_KEY_LENGTH; /* no suite has another (DTL-2) */
    }
    struct work work;
    int error = masks_refresh();
    if (error == 0) {
        error = draw_masks(&work);
    }
    if (error != 0) {
        return error;
    }
    const unsigned length = keybits / 32, rounds = length + 6;
    const uint32_t mask = settled(work.mixed ^ work.in);
    const uint32_t from_key = settled(mask ^ work.rows), from_out = settled(work.out ^ work.rows);
    uint32_t *words = ctx->MBEDTLS_PRIVATE(buf);
    uint32_t constant = 1;
    for (unsigned i = 0; i < length; i++) {
        words[i] = settled(read_column(key + 4 * i) ^ mask);
    }
    /* cppcheck-suppress misra-c2012-14.2 ; D-16 */
    for (unsigned i = length, place = 0; i < 4 * (rounds + 1); i++, place = place + 1 < length ? place + 1 : 0) {
        uint32_t word = words[i - 1], rows = work.rows;
        /* Two words under one mask must not be added: the later one is taken to `rows` first. */
        if (place == 0 || (place == 4 && length == 8)) {
            word = settled(word ^ work.mixed); /* to `in` */
            word = settled(substitute_four(&work, word, word, word, word) ^ from_out);
        } else {
            word = settled(word ^ from_key);
        }
        if (place == 0) {
            word = settled(rotate_right(word, 8) ^ constant);
            rows = rotate_right(rows, 8);
            constant = constant << 1 ^ (constant >> 7) * 0x11Bu;
        }
        words[i] = settled(settled(words[i - length] ^ word) ^ rows);
    }
    words[KEY_MASK] = mask;
    ctx->MBEDTLS_PRIVATE(nr) = (int)rounds;
    mbedtls_platform_zeroize(&work, sizeof work);
    return 0;
}

/* cppcheck-suppress misra-c2012-8.4 ; D-15 */
int mbedtls_internal_aes_encrypt(mbedtls_aes_context *ctx, const unsigned char input[16], unsigned char output[16]) {
    const unsigned rounds = (unsigned)ctx->MBEDTLS_PRIVATE(nr);
    uint32_t *key = ctx->MBEDTLS_PRIVATE(buf);
    struct work work;
    if (rounds == 0) {
        return MBEDTLS_ERR_AES_BAD_INPUT_DATA; /* no key was ever set */
    }
    int error = draw_masks(&work);
    if (error != 0) {
        return error;
    }
    /* The round keys go from their old mask to the new one; they are never without. */
    const uint32_t mask = settled(work.mixed ^ work.in), change = settled(key[KEY_MASK] ^ mask);
    for (unsigned i = 0; i < 4 * (rounds + 1); i++) {
        key[i] = settled(key[i] ^ change);
    }
    key[KEY_MASK] = mask;

    const uint32_t from_out = settled(work.out ^ work.rows), from_last = settled(work.out ^ mask);
    for (unsigned column = 0; column < 4; column++) {
        work.state[column] = settled(settled(read_column(input + 4 * column) ^ key[column]) ^ work.mixed);
    }
    for (unsigned round = 1; round < rounds; round++) {
        key += 4;
        substitute_state(&work);
        for (unsigned column = 0; column < 4; column++) {
            work.state[column] = settled(mix(settled(work.state[column] ^ from_out)) ^ key[column]);
        }
    }
    key += 4;
    substitute_state(&work);
    for (unsigned column = 0; column < 4; column++) {
        /* The last sum takes the mask off: this is the ciphertext. */
        uint32_t word = settled(work.state[column] ^ key[column]) ^ from_last;
        /* cppcheck-suppress misra-c2012-21.15 ; D-13 */
        memcpy(output + 4 * column, &word, sizeof word);
    }
    mbedtls_platform_zeroize(&work, sizeof work);
    return 0;
}
