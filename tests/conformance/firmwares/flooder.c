/* When a byte comes, writes for ever: on its UART, or, for UART 0, on the debug channel. */
#include "board.h"

void on_uart(void) {
    for (;;)
        if (!UART_EMPTY(0))
            debug("flooder: more\n");
        else
            UART_DATA(2) = 'x';
}

void firmware(void) {
    uarts_start();
    sleep_forever();
}
