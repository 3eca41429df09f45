/**
 * What the protocol code asks of a board. The protocol code knows no register; a port knows no protocol.
 *
 * Times are milliseconds. Nothing here allocates. All functions but port_wait and port_write return at once.
 */
#ifndef SCEWL_PORT_H
#define SCEWL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** The three byte streams of a controller; the numbers are those of the UARTs. */
enum link { LINK_CPU = 0, LINK_SSS = 1, LINK_RADIO = 2 };
#define LINK_COUNT 3

/** Longest time that the one-shot timer can be set to, in milliseconds (DTL-6, SES-7). */
#define PORT_TIMER_MAX_MS 60000u

/** Clocks, streams and timer. Once, first. */
void port_init(void);

/** Take up to `room` bytes that have arrived on a link. Returns how many. Bytes that are not taken wait and hold the
 * sender back. */
size_t port_read(enum link link, uint8_t *bytes, size_t room);

/** Send bytes on a link; returns when the last one is in the transmitter's queue. */
void port_write(enum link link, const uint8_t *bytes, size_t length);

/** Arm the one timer for `ms` from now, 1 to PORT_TIMER_MAX_MS. Replaces what was armed, and forgets an expiry. */
void port_timer_start(uint32_t ms);

/** Disarm the timer and forget an expiry. */
void port_timer_stop(void);

/** True from the timer's expiry until the next start or stop. */
bool port_timer_expired(void);

/** A number that changes with time, where the board has one: additional input of the random generator (ADV-3). */
uint32_t port_timer_reading(void);

/** Sleep until something has happened on a link or the timer since the last call. May return early. */
void port_wait(void);

/** Clear what functions that have returned left on the stack: parts of keys, for example (REG-6). */
void port_stack_clear(void);

/** Print one line on the debug channel, if somebody listens there. `line` ends with a newline. */
void port_debug(const char *line);

/** The provisioning image: `*room` bytes can be read (protocol page, section 10). */
const uint8_t *port_provisioning(size_t *room);

#if defined(SCEWL_REPORT_MEMORY)
/** Most bytes of stack that were ever in use. */
size_t port_stack_peak(void);

/** Fill aligned memory with what marks it as not used yet. */
void port_paint(void *at, size_t bytes);
#endif

#endif
