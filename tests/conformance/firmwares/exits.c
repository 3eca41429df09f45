/* When a byte comes, says goodbye and exits through semihosting. */
#include "board.h"

void on_uart(void) {
    debug("exits: bye\n");
    UART_DATA(2) = 'B';
    const uint32_t status[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, 7};
    semihosting(0x20 /* SYS_EXIT_EXTENDED */, status);
}

void firmware(void) {
    uarts_start();
    sleep_forever();
}
