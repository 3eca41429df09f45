/** Clock, one-shot timer, sleep, and the debug channel. */

#include "board.h"
#include "port.h"

#define TIMER0_CFG REGISTER(0x40030000)
#define TIMER0_TAMR REGISTER(0x40030004)
#define TIMER0_CTL REGISTER(0x4003000C)
#define TIMER0_IMR REGISTER(0x40030018)
#define TIMER0_ICR REGISTER(0x40030024)
#define TIMER0_TAILR REGISTER(0x40030028)
#define TIMER0_TAR REGISTER(0x40030048)

/** 50 MHz: 60,000 ms are 3.0e9 ticks and fit the 32-bit timer. */
#define TICKS_PER_MS 50000u

volatile uint32_t port_event;
volatile uint32_t debug_absent;
static volatile uint32_t timer_expired;

/** 50 MHz from the PLL and the 8 MHz crystal (data sheet, 5.3: bypass, configure, wait for lock, switch over). */
static void clock_init(void) {
    uint32_t rcc = SYSCTL_RCC;
    rcc = (rcc | (1u << 11)) & ~(1u << 22); /* bypass, no divider */
    SYSCTL_RCC = rcc;
    rcc &= ~((0xFu << 6) | (0x3u << 4) | (1u << 13) | 1u); /* crystal, main oscillator, PLL on */
    rcc |= 0xEu << 6;                                      /* 8 MHz */
    SYSCTL_RCC = rcc;
    rcc = (rcc & ~(0xFu << 23)) | (3u << 23) | (1u << 22); /* 200 MHz / 4 */
    SYSCTL_RCC = rcc;
    while ((SYSCTL_RIS & (1u << 6)) == 0) {
    }
    SYSCTL_RCC = rcc & ~(1u << 11);
}

static void timer_init(void) {
    SYSCTL_RCGC1 |= 1u << 16;
    TIMER0_CTL = 0;
    TIMER0_CFG = 0;  /* 32 bits */
    TIMER0_TAMR = 1; /* one shot */
    TIMER0_IMR = 1;
    NVIC_ENABLE(0) = 1u << 19;
}

void port_init(void) {
    clock_init();
    timer_init();
    uart_init();
}

void timer0_interrupt(void) {
    TIMER0_ICR = 1;
    timer_expired = 1;
    port_event = 1;
}

void port_timer_stop(void) {
    TIMER0_CTL = 0;
    TIMER0_ICR = 1;
    /* An interrupt that was already pending would set the flag again: let it run first. */
    __asm volatile("dsb\n isb" ::: "memory");
    timer_expired = 0;
}

void port_timer_start(uint32_t ms) {
    port_timer_stop();
    TIMER0_TAILR = ms * TICKS_PER_MS;
    TIMER0_CTL = 1;
}

bool port_timer_expired(void) {
    return timer_expired != 0;
}

uint32_t port_timer_reading(void) {
    return TIMER0_TAR;
}

void port_wait(void) {
    /* With interrupts masked a pending one still ends WFI, so nothing is lost between the test and the sleep. */
    interrupts_off();
    if (port_event == 0u) {
        wait_for_interrupt();
    }
    port_event = 0;
    interrupts_on();
}

void board_halt(void) {
    TIMER0_CTL = 0;
    NVIC_DISABLE(0) = 0xFFFFFFFFu;
    NVIC_DISABLE(1) = 0xFFFFFFFFu;
}

void port_debug(const char *line) {
    if (debug_absent == 0) {
        /* ARM semihosting SYS_WRITE0. */
        register uint32_t operation __asm("r0") = 0x04;
        register const char *text __asm("r1") = line;
        __asm volatile("bkpt 0xAB" : "+r"(operation) : "r"(text) : "memory");
    }
}

const uint8_t *port_provisioning(size_t *room) {
    *room = PROVISIONING_ROOM;
    return (const uint8_t *)PROVISIONING_ADDRESS;
}
