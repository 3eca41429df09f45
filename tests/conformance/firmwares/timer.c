/* A one-shot timer of 60,000 ms from the start; then one of 1,000 ms from each byte on. 'T' on the radio when it fires.
 */
#include "board.h"

void on_timer(void) {
    timer_acknowledge();
    UART_DATA(2) = 'T';
}

void on_uart(void) {
    for (unsigned n = 0; n < 3; n++)
        while (!UART_EMPTY(n)) {
            (void)UART_DATA(n);
            timer_start(1000);
        }
}

void firmware(void) {
    uarts_start();
    timer_start(60000);
    sleep_forever();
}
