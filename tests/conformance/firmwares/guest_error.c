/* When a byte comes, writes to a register of the UART that does not exist, acknowledges and goes on. */
#include "board.h"

void on_uart(void) {
    while (!UART_EMPTY(2))
        (void)UART_DATA(2);
    REG(UART(2) + 0x9C) = 1;
    UART_DATA(2) = '!';
}

void firmware(void) {
    uarts_start();
    sleep_forever();
}
