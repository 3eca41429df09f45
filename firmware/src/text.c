#include "text.h"

#include <string.h>

char *text_append(char *out, const char *text) {
    size_t length = strlen(text);
    memcpy(out, text, length + 1);
    return out + length;
}

char *text_decimal(char *out, uint32_t number) {
    char digits[10];
    int count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    while (count > 0) {
        *out++ = digits[--count];
    }
    *out = '\0';
    return out;
}

char *text_hex(char *out, uint32_t number) {
    for (int shift = 28; shift >= 0; shift -= 4) {
        *out++ = "0123456789abcdef"[(number >> shift) & 0xF];
    }
    *out = '\0';
    return out;
}
