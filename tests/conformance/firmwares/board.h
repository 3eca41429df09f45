/* The few registers of the LM3S6965 that the test firmwares touch, and semihosting. */
#ifndef BOARD_H
#define BOARD_H
#include <stdint.h>

#define REG(address) (*(volatile uint32_t *)(address))
#define UART(n) (0x4000C000u + 0x1000u * (n)) /* 0 CPU bus, 1 SSS wire, 2 radio */
#define UART_DATA(n) REG(UART(n))
#define UART_EMPTY(n) (REG(UART(n) + 0x18) & 0x10u) /* RXFE */
#define TIMER 0x40030000u
#define IMAGE 0x3F000u /* where the harness loads the provisioning image */
#define CLOCK_KHZ 12500u

/* Enable receive FIFOs and receive interrupts of all UARTs. */
static inline void uarts_start(void) {
    for (unsigned n = 0; n < 3; n++) {
        REG(UART(n) + 0x2C) = 0x70; /* 8 bits, FIFO */
        REG(UART(n) + 0x38) = 0x10; /* receive interrupt */
        REG(UART(n) + 0x30) = 0x301;
    }
    REG(0xE000E100) = 1u << 5 | 1u << 6; /* UART0, UART1 */
    REG(0xE000E104) = 1u << (33 - 32);   /* UART2 */
}

/* Arm timer 0 once; ms up to 343,000. */
static inline void timer_start(uint32_t ms) {
    REG(TIMER + 0x0C) = 0;
    REG(TIMER + 0x00) = 0; /* 32 bits */
    REG(TIMER + 0x04) = 1; /* one shot */
    REG(TIMER + 0x28) = ms * CLOCK_KHZ;
    REG(TIMER + 0x18) = 1; /* time-out interrupt */
    REG(TIMER + 0x0C) = 1;
    REG(0xE000E100) = 1u << 19;
}

static inline void timer_acknowledge(void) {
    REG(TIMER + 0x24) = 1;
}

static inline int semihosting(int call, const void *argument) {
    register int r0 __asm__("r0") = call;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static inline void debug(const char *text) {
    semihosting(4, text); /* SYS_WRITE0 */
}

static inline void sleep_forever(void) {
    for (;;)
        __asm__ volatile("wfi");
}

void on_uart(void);
void on_timer(void);
void firmware(void);
#endif
