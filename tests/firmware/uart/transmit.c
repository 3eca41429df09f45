/**
 * A message through port_write into a FIFO that is as slow as the wire, which QEMU's is not. Says what was found:
 * `sent=… sleeps=… looks=…`; ends with a message where the port does what it must not.
 */

#include "board.h"
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UART0 = 0x4000C000, DATA = 0x000, FLAGS = 0x018, MASK = 0x038, FIFO = 16, LENGTH = 16384 };

static const uint32_t RECEIVE_EMPTY = 1u << 4, TRANSMIT_FULL = 1u << 5, TRANSMIT = 1u << 5;

volatile uint32_t port_event;

static uint32_t sent[LENGTH + 1], mask, other;
static unsigned count, level, sleeps, looks, off;

static void expect(int truth, const char *what) {
    if (!truth) {
        printf("%s\n", what);
        exit(1);
    }
}

uint32_t *model_register(uint32_t address) {
    static uint32_t flags;
    switch (address - UART0) {
    case DATA:
        expect(level < FIFO, "a byte was written into a full FIFO");
        expect(count < LENGTH, "more bytes than there were");
        level++;
        return &sent[count++];
    case FLAGS:
        looks++;
        flags = RECEIVE_EMPTY | (level == FIFO ? TRANSMIT_FULL : 0);
        return &flags;
    case MASK:
        return &mask;
    default:
        return &other;
    }
}

void interrupts_off(void) {
    expect(off == 0, "interrupts switched off twice");
    off = 1;
}

void interrupts_on(void) {
    expect(off == 1, "interrupts switched on twice");
    off = 0;
    /* What was pending is served now: the FIFO is half empty. */
    if ((mask & TRANSMIT) != 0 && level <= FIFO / 2) {
        uart0_interrupt();
        expect((mask & TRANSMIT) == 0, "the transmit interrupt would fire for ever");
    }
}

void wait_for_interrupt(void) {
    expect(off == 1, "asleep with interrupts on: one that came just before would be lost");
    expect((mask & TRANSMIT) != 0, "asleep, and nothing would end it");
    sleeps++;
    level = FIFO / 2;
}

int main(void) {
    static uint8_t message[LENGTH];
    for (unsigned i = 0; i < LENGTH; i++) {
        message[i] = (uint8_t)(i * 7 + i / 256);
    }
    uart_init();
    count = level = looks = 0; /* what the set-up did */
    port_write(LINK_CPU, message, LENGTH);
    for (unsigned i = 0; i < LENGTH; i++) {
        expect(sent[i] == message[i], "another byte than was given");
    }
    printf("sent=%u sleeps=%u looks=%u\n", count, sleeps, looks);
    return 0;
}
