/* Reads eight bytes of UART 0 and leaves the rest unread until a byte comes on UART 2; then it echoes all to UART 0. */
#include "board.h"

static volatile unsigned allowed;

void on_uart(void) {
    if (!UART_EMPTY(2)) {
        (void)UART_DATA(2);
        allowed = ~0u;
    }
    while (!UART_EMPTY(0) && allowed) {
        UART_DATA(0) = UART_DATA(0);
        allowed--;
    }
    if (!allowed)
        REG(0xE000E180) = 1u << 5; /* no more interrupts of UART 0 */
    else
        REG(0xE000E100) = 1u << 5;
}

void firmware(void) {
    allowed = 8;
    uarts_start();
    sleep_forever();
}
