/* A one-shot timer of 60,000 ms from the start; then one of 1,000 ms per byte on the radio. 'T' on the radio when it fires. */
#include "board.h"

void on_timer(void)
{
    timer_acknowledge();
    UART_DATA(2) = 'T';
}

void on_uart(void)
{
    while (!UART_EMPTY(2)) {
        (void)UART_DATA(2);
        timer_start(1000);
    }
}

void firmware(void)
{
    uarts_start();
    timer_start(60000);
    sleep_forever();
}
