/* Sleeps until a byte comes; then computes for ever. */
#include "board.h"

void on_uart(void) {
    debug("spinner: off I go\n");
    for (;;)
        __asm__ volatile("nop");
}

void firmware(void) {
    uarts_start();
    sleep_forever();
}
