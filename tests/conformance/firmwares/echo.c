/* Echoes each UART to itself from the interrupt; reports the first byte of the image at the start. */
#include "board.h"

void on_uart(void) {
    for (unsigned n = 0; n < 3; n++)
        while (!UART_EMPTY(n))
            UART_DATA(n) = UART_DATA(n);
}

void firmware(void) {
    char line[] = "echo: ready: image=?\n";
    line[sizeof line - 3] = *(volatile const char *)IMAGE;
    uarts_start();
    debug(line);
    sleep_forever();
}
