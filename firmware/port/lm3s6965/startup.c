/** Vector table, reset, and the entries of faults. */

#include "board.h"
#include "port.h"

#include <string.h>

/* From the linker script. What ends in `_bytes` is a number, carried by the symbol's address. */
extern uint32_t stack_bottom[], stack_top[], data_start[], data_load[], bss_start[];
extern const uint8_t stack_bytes[], data_bytes[], bss_bytes[];

int main(void);
void reset_entry(void);
void hard_fault_entry(void);
void fault_entry(void);

/** Word with which unused stack is filled, so that its peak can be read. */
#define STACK_PAINT 0x5AFE57ACu

__attribute__((noreturn)) void reset_entry(void) {
    /* What lies above belongs to this function and to the copying below. */
    const size_t in_use = 256;
    for (size_t i = 0; i < ((size_t)stack_bytes - in_use) / sizeof stack_bottom[0]; i++) {
        stack_bottom[i] = STACK_PAINT;
    }
    memcpy(data_start, data_load, (size_t)data_bytes);
    memset(bss_start, 0, (size_t)bss_bytes);
    (void)main();
    for (;;) {
    }
}

/**
 * HardFault. A semihosting breakpoint that no debugger caught comes here as well: note that nobody listens, step over
 * it and go on, so that the debug channel is harmless on a board that stands alone. A breakpoint leaves no bit in CFSR.
 */
__attribute__((naked)) void hard_fault_entry(void) {
    __asm volatile("ldr   r0, =0xE000ED28      \n" /* CFSR */
                   "ldr   r0, [r0]             \n"
                   "cbnz  r0, 1f               \n"
                   "ldr   r1, [sp, #24]        \n" /* stacked pc */
                   "ldr   r0, =0x0003F000      \n" /* code lies below the provisioning image */
                   "cmp   r1, r0               \n"
                   "bhs   1f                   \n"
                   "ldrh  r2, [r1]             \n"
                   "movw  r0, #0xBEAB          \n"
                   "cmp   r2, r0               \n"
                   "bne   1f                   \n"
                   "adds  r1, #2               \n"
                   "str   r1, [sp, #24]        \n"
                   "ldr   r0, =debug_absent    \n"
                   "movs  r1, #1               \n"
                   "str   r1, [r0]             \n"
                   "ldr   r0, =0xE000ED2C      \n" /* HFSR: bits are cleared by writing ones */
                   "ldr   r1, [r0]             \n"
                   "str   r1, [r0]             \n"
                   "bx    lr                   \n"
                   "1: b  fault_entry          \n");
}

/** Any other fault: take pc and lr from the frame if the stack still holds one, then report on a fresh stack. */
__attribute__((naked)) void fault_entry(void) {
    __asm volatile("cpsid i                    \n"
                   "movs  r0, #0               \n"
                   "movs  r1, #0               \n"
                   "mrs   r2, ipsr             \n"
                   "ldr   r3, =stack_bottom    \n"
                   "cmp   sp, r3               \n"
                   "blo   1f                   \n"
                   "ldr   r0, [sp, #24]        \n"
                   "ldr   r1, [sp, #20]        \n"
                   "1:                         \n"
                   "ldr   r3, =stack_top       \n"
                   "mov   sp, r3               \n"
                   "b     fault_report         \n");
}

#if defined(SCEWL_REPORT_MEMORY)
size_t port_stack_peak(void) {
    size_t unused = 0;
    while (unused < (size_t)stack_bytes && stack_bottom[unused / sizeof stack_bottom[0]] == STACK_PAINT) {
        unused += sizeof stack_bottom[0];
    }
    return (size_t)stack_bytes - unused;
}
#endif

typedef void (*vector)(void);

/* Interrupts 5, 6, 33: UART0..2. 19: timer 0A. Any other one is a fault of ours. */
__attribute__((section(".vectors"), used)) static const vector vectors[16 + 44] = {
    [0] = (vector)stack_top,
    [1] = reset_entry,
    [2] = fault_entry,
    [3] = hard_fault_entry,
    [4] = fault_entry,
    [5] = fault_entry,
    [6] = fault_entry,
    [11] = fault_entry,
    [12] = fault_entry,
    [14] = fault_entry,
    [15] = fault_entry,
    [16 ... 20] = fault_entry,
    [16 + 5] = uart0_interrupt,
    [16 + 6] = uart1_interrupt,
    [16 + 7 ... 16 + 18] = fault_entry,
    [16 + 19] = timer0_interrupt,
    [16 + 20 ... 16 + 32] = fault_entry,
    [16 + 33] = uart2_interrupt,
    [16 + 34 ... 16 + 43] = fault_entry,
};
