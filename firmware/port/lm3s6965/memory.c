/**
 * What each region of memory may be used for (MPU), and the paint by which one sees what of SRAM was ever used.
 */

#include "board.h"
#include "port.h"

#include <stddef.h>

/** Word with which SRAM is filled where nothing has used it. */
#define PAINT 0x5AFE57ACu

/* Fields of MPU_RASR (ARMv7-M, B3.5.9): 2^bits bytes, eighths that do not count, kind of memory, who may do what. */
#define REGION_ENABLE 1u
#define REGION_BYTES(bits) (((bits)-1u) << 1)
#define REGION_EIGHTHS_OFF(mask) ((uint32_t)(mask) << 8)
#define KIND_FLASH (1u << 17)               /* normal, cacheable, write-through */
#define KIND_SRAM ((1u << 17) | (1u << 18)) /* the same, shareable */
#define KIND_DEVICE ((1u << 16) | (1u << 18))
#define NO_ACCESS (0u << 24)
#define READ_WRITE (1u << 24)
#define READ_ONLY (5u << 24)
#define NEVER_EXECUTED (1u << 28)

#define MPU_REGIONS 8u

/** In a conflict the last one wins. What no region names faults: the default map is off. */
static const struct {
    uint32_t base;
    uint32_t attributes;
} regions[] = {
    /* Flash, 256 KB. Its controller, with which it could be written all the same, is in no region. */
    {0x00000000, REGION_BYTES(18) | KIND_FLASH | READ_ONLY},
    /* The vectors: the processor itself reads them past the MPU, and a null pointer does not. */
    {0x00000000, REGION_BYTES(8) | KIND_FLASH | NO_ACCESS | NEVER_EXECUTED},
    /* The provisioning image. */
    {PROVISIONING_ADDRESS, REGION_BYTES(12) | KIND_FLASH | READ_ONLY | NEVER_EXECUTED},
    /* SRAM, 64 KB. */
    {0x20000000, REGION_BYTES(16) | KIND_SRAM | READ_WRITE | NEVER_EXECUTED},
    /* The guard under the stack. */
    {0x20000000, REGION_BYTES(8) | KIND_SRAM | NO_ACCESS | NEVER_EXECUTED},
    /* Of the peripherals the 32 KB that hold GPIO A to D, UARTs, GPIO E to G, timers: eighths 0, 1, 4 and 6. */
    {0x40000000, REGION_BYTES(18) | REGION_EIGHTHS_OFF(0xAC) | KIND_DEVICE | READ_WRITE | NEVER_EXECUTED},
    /* System control: clocks. */
    {0x400FE000, REGION_BYTES(12) | KIND_DEVICE | READ_WRITE | NEVER_EXECUTED},
};
#define REGIONS (sizeof regions / sizeof regions[0])
_Static_assert(REGIONS <= MPU_REGIONS, "the MPU has eight regions");

void protection_init(void) {
    for (uint32_t i = 0; i < MPU_REGIONS; i++) {
        MPU_RNR = i;
        MPU_RASR = 0;
        if (i < REGIONS) {
            MPU_RBAR = regions[i].base;
            MPU_RASR = regions[i].attributes | REGION_ENABLE;
        }
    }
    SCB_CCR |= 1u << 4;    /* a division by zero faults */
    SCB_SHCSR |= 7u << 16; /* MemManage, BusFault and UsageFault by name */
    MPU_CTRL = 1;          /* no default map for the rest; off in HardFault and NMI */
    __asm volatile("dsb\n isb" ::: "memory");
}

/** Bytes of stack below the function that asks. */
static inline size_t stack_left(void) {
    uintptr_t sp;
    __asm volatile("mov %0, sp" : "=r"(sp));
    return sp - (uintptr_t)stack_bottom;
}

/* Volatile here and below: else the compiler would call a function, in the stack that is being written to. */
static void paint(volatile uint32_t *at, size_t bytes) {
    for (size_t i = 0; i < bytes / sizeof *at; i++) {
        at[i] = PAINT;
    }
}

void paint_init(void) {
    /* So nothing is left of a time before the reset. 64 bytes for what is called here. */
    paint(stack_bottom, stack_left() - 64);
    paint(buffers_start, (size_t)buffers_bytes);
    paint(unused_start, (size_t)unused_bytes);
}

/** Bytes of stack that were never in use. */
static size_t stack_unused(void) {
    size_t i = 0;
    while (i < (size_t)stack_bytes / sizeof stack_bottom[0] && stack_bottom[i] == PAINT) {
        i++;
    }
    return i * sizeof stack_bottom[0];
}

void port_stack_clear(void) {
    volatile uint32_t *at = stack_bottom;
    size_t unused = stack_unused(), left = stack_left();
    /* An interrupt that comes meanwhile uses these words and is done with them before the next is cleared. */
    for (size_t i = unused / sizeof *at; i < left / sizeof *at; i++) {
        at[i] = 0;
    }
}

#if defined(SCEWL_REPORT_MEMORY)
size_t port_stack_peak(void) {
    return (size_t)stack_bytes - stack_unused();
}

void port_paint(void *at, size_t bytes) {
    paint(at, bytes);
}
#endif
