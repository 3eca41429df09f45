/** Reset, and the vector table. */

#include "board.h"
#include "port.h"

#include <string.h>

int main(void);
void reset_entry(void);

__attribute__((noreturn)) void reset_entry(void) {
    protection_init();
    paint_init();
    memcpy(data_start, data_load, (size_t)data_bytes);
    memset(bss_start, 0, (size_t)bss_bytes);
    (void)main();
    for (;;) {
    }
}

typedef void (*vector)(void);

/*
 * Interrupts 5, 6, 33: UART0..2. 19: timer 0A. Every other exception, the reserved ones too, is a fault of ours. The
 * table fills the 256 bytes that it has, although this chip has no interrupt beyond 43.
 */
__attribute__((section(".vectors"), used)) static const vector vectors[64] = {
    [0] = (vector)stack_top,
    [1] = reset_entry,
    [2] = fault_entry,
    [3] = hard_fault_entry,
    [4 ... 16 + 4] = fault_entry,
    [16 + 5] = uart0_interrupt,
    [16 + 6] = uart1_interrupt,
    [16 + 7 ... 16 + 18] = fault_entry,
    [16 + 19] = timer0_interrupt,
    [16 + 20 ... 16 + 32] = fault_entry,
    [16 + 33] = uart2_interrupt,
    [16 + 34 ... 16 + 47] = fault_entry,
};
