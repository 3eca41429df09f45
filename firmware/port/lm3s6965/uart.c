/**
 * The three UARTs: reception by interrupt into rings, transmission straight into the FIFO. Nothing is waited for in a
 * loop: whoever finds the FIFO full sleeps until its interrupt tells that half of it is empty again.
 *
 * A full ring masks its UART's receive interrupt; the FIFO then fills and holds the sender back, and nothing is lost.
 * The receive interrupt is never cleared by hand: reading the data register below the trigger does that, and a FIFO
 * that is not empty keeps the line up. (Clearing it with bytes left would lose the interrupt for good, here and in
 * QEMU.)
 */

#include "board.h"
#include "port.h"

#define UART_DR(base) REGISTER((base) + 0x000)
#define UART_FR(base) REGISTER((base) + 0x018)
#define UART_IBRD(base) REGISTER((base) + 0x024)
#define UART_FBRD(base) REGISTER((base) + 0x028)
#define UART_LCRH(base) REGISTER((base) + 0x02C)
#define UART_CTL(base) REGISTER((base) + 0x030)
#define UART_IFLS(base) REGISTER((base) + 0x034)
#define UART_IM(base) REGISTER((base) + 0x038)

#define FR_RXFE (1u << 4)
#define FR_TXFF (1u << 5)
#define IM_RX (1u << 4)
#define IM_TX (1u << 5)
#define IM_RT (1u << 6)

#define GPIO_AFSEL(base) REGISTER((base) + 0x420)
#define GPIO_DEN(base) REGISTER((base) + 0x51C)

/** Receive and transmit pins: PA0 and PA1, PD2 and PD3, PG0 and PG1. */
static const struct {
    uint32_t clock, base, mask;
} pins[LINK_COUNT] = {
    {1u << 0, 0x40004000, 0x3},
    {1u << 3, 0x40007000, 0xC},
    {1u << 6, 0x40026000, 0x3},
};

static const uint32_t base_of[LINK_COUNT] = {0x4000C000, 0x4000D000, 0x4000E000};

/*
 * Sizes are powers of two, so that the free-running indices wrap. A full ring loses nothing, so they need not be large:
 * as much as comes while the main loop looks at what came before. On the radio that is a whole datagram.
 */
static uint8_t cpu_bytes[256], sss_bytes[256], radio_bytes[1024];

static struct ring {
    uint8_t *bytes;
    uint32_t mask;
    /** Free running; written by the interrupt only. */
    volatile uint32_t in;
    /** Free running; written by port_read only. */
    volatile uint32_t out;
} rings[LINK_COUNT] = {
    {cpu_bytes, sizeof cpu_bytes - 1, 0, 0},
    {sss_bytes, sizeof sss_bytes - 1, 0, 0},
    {radio_bytes, sizeof radio_bytes - 1, 0, 0},
};

void uart_init(void) {
    SYSCTL_RCGC1 |= 0x7; /* UART0..2 */
    for (unsigned i = 0; i < LINK_COUNT; i++) {
        SYSCTL_RCGC2 |= pins[i].clock;
        GPIO_AFSEL(pins[i].base) |= pins[i].mask;
        GPIO_DEN(pins[i].base) |= pins[i].mask;
    }
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        uint32_t base = base_of[link];
        UART_CTL(base) = 0;
        /* 115,200 baud from 50 MHz: 50e6 / (16 * 115200) = 27 + 8/64. */
        UART_IBRD(base) = 27;
        UART_FBRD(base) = 8;
        UART_LCRH(base) = 0x70; /* 8N1, FIFOs on */
        UART_IFLS(base) = 0x12; /* half full and half empty; the receive timeout covers the rest */
        UART_IM(base) = IM_RX | IM_RT;
        UART_CTL(base) = 0x301;
    }
    NVIC_ENABLE(0) = (1u << 5) | (1u << 6);
    NVIC_ENABLE(1) = 1u << (33 - 32);
}

static void receive(enum link link) {
    struct ring *ring = &rings[link];
    uint32_t base = base_of[link], in = ring->in;
    while ((UART_FR(base) & FR_RXFE) == 0) {
        if (in - ring->out > ring->mask) {
            UART_IM(base) = 0;
            break;
        }
        ring->bytes[in++ & ring->mask] = (uint8_t)UART_DR(base);
    }
    ring->in = in;
    UART_IM(base) &= ~IM_TX; /* there is room now; else port_write asks again */
    port_event = 1;
}

void uart0_interrupt(void) {
    receive(LINK_CPU);
}

void uart1_interrupt(void) {
    receive(LINK_SSS);
}

void uart2_interrupt(void) {
    receive(LINK_RADIO);
}

size_t port_read(enum link link, uint8_t *bytes, size_t room) {
    struct ring *ring = &rings[link];
    size_t taken = 0;
    uint32_t out = ring->out;
    while (taken < room && out != ring->in) {
        bytes[taken++] = ring->bytes[out++ & ring->mask];
    }
    if (taken > 0) {
        ring->out = out;
        /* After the index moved: the interrupt may fire at once and must find the room. */
        UART_IM(base_of[link]) = IM_RX | IM_RT;
    }
    return taken;
}

/** With interrupts masked a pending one still ends the sleep, so nothing is lost between the test and the sleep. */
static void sleep_while_full(uint32_t base) {
    interrupts_off();
    if ((UART_FR(base) & FR_TXFF) != 0u) {
        UART_IM(base) |= IM_TX;
        wait_for_interrupt();
    }
    interrupts_on();
}

void port_write(enum link link, const uint8_t *bytes, size_t length) {
    uint32_t base = base_of[link];
    for (size_t i = 0; i < length; i++) {
        while ((UART_FR(base) & FR_TXFF) != 0u) {
            sleep_while_full(base);
        }
        UART_DR(base) = bytes[i];
    }
}
