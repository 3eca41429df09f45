/* When a byte comes, executes an undefined instruction; the fault's vector is 0, so that the core locks up. */
#include "board.h"

void on_uart(void) {
    debug("lockup: goodbye\n");
    __asm__ volatile("udf #0");
}

void firmware(void) {
    uarts_start();
    sleep_forever();
}
