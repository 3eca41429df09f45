/** The little text that a controller needs: debug lines, and ids in decimal. */
#ifndef SCEWL_TEXT_H
#define SCEWL_TEXT_H

#include <stdint.h>

/** Room for an id in decimal and its terminating zero. */
#define TEXT_ID 6u

/** Copy `text` and its terminating zero to `out`. Returns where that zero stands. */
char *text_append(char *out, const char *text);

/** Write `number` in decimal and a terminating zero (at most 11 bytes). Returns where that zero stands. */
char *text_decimal(char *out, uint32_t number);

/** Write `number` as eight hexadecimal digits and a terminating zero. Returns where that zero stands. */
char *text_hex(char *out, uint32_t number);

#endif
