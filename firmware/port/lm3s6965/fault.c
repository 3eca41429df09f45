/**
 * Faults: one line on the debug channel, then silence. The line tells which exception it was, where (pc, lr), what the
 * processor says about it (CFSR), and the address that was not to be had. Other registers may hold secrets.
 */

#include "board.h"
#include "port.h"
#include "text.h"

#include <stdbool.h>

_Noreturn void fault_report(uint32_t pc, uint32_t lr, uint32_t exception);

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

/**
 * Any other fault: take pc and lr from the frame if it lies in the stack whole, then report on a fresh stack. The
 * program is over, so nothing there is needed any more.
 */
__attribute__((naked)) void fault_entry(void) {
    __asm volatile("cpsid i                    \n"
                   "movs  r0, #0               \n"
                   "movs  r1, #0               \n"
                   "mrs   r2, ipsr             \n"
                   "mov   r12, sp              \n"
                   "ldr   r3, =stack_bottom    \n"
                   "cmp   r12, r3              \n"
                   "blo   1f                   \n"
                   "ldr   r3, =stack_top - 32  \n"
                   "cmp   r12, r3              \n"
                   "bhi   1f                   \n"
                   "ldr   r0, [sp, #24]        \n"
                   "ldr   r1, [sp, #20]        \n"
                   "1:                         \n"
                   "ldr   r3, =stack_top       \n"
                   "mov   sp, r3               \n"
                   "b     fault_report         \n");
}

/** CFSR: the frame could not be stacked, so that what lies in its place is something else. */
#define CFSR_NO_FRAME ((1u << 4) | (1u << 12))
#define CFSR_MMFAR_VALID (1u << 7)
#define CFSR_BFAR_VALID (1u << 15)

static bool in_code(uint32_t address) {
    return address >= (uint32_t)text_start && address < PROVISIONING_ADDRESS;
}

/** Whether a pc is an address of this chip's memory. After a wild jump it may be anything. */
static bool in_memory(uint32_t address) {
    return address < PROVISIONING_ADDRESS + PROVISIONING_ROOM || address >> 16 == 0x2000;
}

/** Whether lr is a return address. The compiler also uses it for data. */
static bool is_return(uint32_t address) {
    return address >= 0xFFFFFFF0u || ((address & 1u) != 0 && in_code(address));
}

static char *name_exception(char *out, uint32_t exception) {
    static const char *const names[16] = {
        [2] = "nmi",     [3] = "hard",   [4] = "memory",  [5] = "bus",      [6] = "usage",
        [11] = "svcall", [12] = "debug", [14] = "pendsv", [15] = "systick",
    };
    if (exception >= 16) {
        return text_decimal(text_append(out, "interrupt-"), exception - 16);
    }
    return text_append(out, names[exception] != NULL ? names[exception] : "reserved");
}

static char *append_field(char *out, const char *name, uint32_t value) {
    return text_hex(text_append(out, name), value);
}

_Noreturn void fault_report(uint32_t pc, uint32_t lr, uint32_t exception) {
    static char line[128];
    uint32_t status = SCB_CFSR, address = 0;
    if ((status & CFSR_MMFAR_VALID) != 0u) {
        address = SCB_MMFAR;
    } else if ((status & CFSR_BFAR_VALID) != 0u) {
        address = SCB_BFAR;
    }
    if ((status & CFSR_NO_FRAME) != 0u) {
        pc = 0;
        lr = 0;
    }
    char *end = name_exception(text_append(line, "scewl: fault: "), exception);
    end = append_field(end, " pc=0x", in_memory(pc) ? pc : 0);
    end = append_field(end, " lr=0x", is_return(lr) ? lr : 0);
    end = append_field(end, " cfsr=0x", status);
    end = append_field(end, " address=0x", address);
    (void)text_append(end, "\n");
    SCB_CFSR = status; /* its bits are cleared by ones: the HardFault entry looks there when no debugger listens */
    board_halt();
    port_debug(line);
    for (;;) {
        __asm volatile("wfi");
    }
}
