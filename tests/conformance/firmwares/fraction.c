/* A one-shot timer of one and a half milliseconds: not a whole number. */
#include "board.h"

void on_timer(void) {
    timer_acknowledge();
    UART_DATA(2) = 'T';
}

void firmware(void) {
    timer_start(1);
    REG(TIMER + 0x0C) = 0;
    REG(TIMER + 0x28) = CLOCK_KHZ * 3 / 2;
    REG(TIMER + 0x0C) = 1;
    sleep_forever();
}
