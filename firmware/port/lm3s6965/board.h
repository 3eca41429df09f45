/** Registers of the LM3S6965 that the port uses (data sheet, chapters 2, 5, 9 and 12), and what its files share. */
#ifndef SCEWL_BOARD_H
#define SCEWL_BOARD_H

#include <stdint.h>

/* MISRA deviation D-5, as are the symbols of the linker script. */
#define REGISTER(address) (*(volatile uint32_t *)(address))

static inline void interrupts_off(void) {
    __asm volatile("cpsid i" ::: "memory");
}

static inline void interrupts_on(void) {
    __asm volatile("cpsie i\n isb" ::: "memory");
}

/** Until an interrupt comes; one that is masked or pending ends it too. */
static inline void wait_for_interrupt(void) {
    __asm volatile("dsb\n wfi" ::: "memory");
}

/* System control. */
#define SYSCTL_RIS REGISTER(0x400FE050)
#define SYSCTL_RCC REGISTER(0x400FE060)
#define SYSCTL_RCGC1 REGISTER(0x400FE104)
#define SYSCTL_RCGC2 REGISTER(0x400FE108)

/* Cortex-M3. */
#define NVIC_ENABLE(n) REGISTER(0xE000E100 + 4u * (n))
#define NVIC_DISABLE(n) REGISTER(0xE000E180 + 4u * (n))
#define SCB_CCR REGISTER(0xE000ED14)
#define SCB_SHCSR REGISTER(0xE000ED24)
#define SCB_CFSR REGISTER(0xE000ED28)
#define SCB_MMFAR REGISTER(0xE000ED34)
#define SCB_BFAR REGISTER(0xE000ED38)
#define MPU_CTRL REGISTER(0xE000ED94)
#define MPU_RNR REGISTER(0xE000ED98)
#define MPU_RBAR REGISTER(0xE000ED9C)
#define MPU_RASR REGISTER(0xE000EDA0)

/** Where the provisioning image lies: the last 4 KB of flash. */
#define PROVISIONING_ADDRESS 0x0003F000u
#define PROVISIONING_ROOM 4096u

/* From the linker script. What ends in `_bytes` is a number, carried by the symbol's address. */
extern uint32_t text_start[], stack_bottom[], stack_top[], buffers_start[], unused_start[];
extern uint32_t data_start[], data_load[], bss_start[];
extern const uint8_t stack_bytes[], buffers_bytes[], unused_bytes[], data_bytes[], bss_bytes[];

/** Something happened that the main loop has not looked at yet. Written by interrupts, cleared by port_wait. */
extern volatile uint32_t port_event;

/** Switch the memory protection on. First of all: it needs no variable. */
void protection_init(void);

/** Fill SRAM that nothing uses yet: stack, message buffers, arena, what is left. Before there are variables. */
void paint_init(void);

void uart_init(void);
void uart0_interrupt(void);
void uart1_interrupt(void);
void uart2_interrupt(void);
void timer0_interrupt(void);

/** Nothing will end a sleep any more: no timer, no interrupt. */
void board_halt(void);

/** Nobody answers on the debug channel: set by the HardFault entry when a semihosting call was not caught. */
extern volatile uint32_t debug_absent;

/** Entries of exceptions that no correct program takes: a line on the debug channel, then nothing more. */
void hard_fault_entry(void);
void fault_entry(void);

#endif
