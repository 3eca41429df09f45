/* Vectors of the test firmwares. A hard fault's vector is 0, so that any fault locks the core up. */
#include "board.h"

__attribute__((weak)) void on_uart(void) {
}
__attribute__((weak)) void on_timer(void) {
}

extern uint32_t stack_top[];

__attribute__((section(".vectors"), used)) static const void *const vectors[64] = {
    [0] = stack_top, [1] = firmware, [16 + 5] = on_uart, [16 + 6] = on_uart, [16 + 19] = on_timer, [16 + 33] = on_uart,
};
