/* When a byte comes, resets the chip. Each start says so on the debug channel. */
#include "board.h"

void on_uart(void) {
    while (!UART_EMPTY(2))
        (void)UART_DATA(2);
    REG(0xE000ED0C) = 0x05FA0004; /* AIRCR: SYSRESETREQ */
}

void firmware(void) {
    debug("reset: start\n");
    uarts_start();
    sleep_forever();
}
