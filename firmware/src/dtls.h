/**
 * One message, one session: the controller's session machine (protocol page, section 5).
 */
#ifndef SCEWL_DTLS_H
#define SCEWL_DTLS_H

#include "port.h"
#include "scewl.h"

/** SES-1: a controller is in exactly one of these. */
enum dtls_state { DTLS_IDLE, DTLS_SENDING_MESSAGE, DTLS_RECEIVING_MESSAGE, DTLS_TALKING_TO_SSS, DTLS_FATAL_ERROR };

/** Check the provisioning image and set everything up. Ends in IDLE, or, reported, in FATAL_ERROR (section 10). */
void dtls_setup(void);

/** The own SCEWL id. */
uint16_t dtls_own_id(void);

/** The state now. */
enum dtls_state dtls_state(void);

/** IDLE, and nothing of our own goes first: the CPU's next frame can be taken. */
bool dtls_free(void);

/** A frame of the CPU is there: abandon, without a word, an unauthenticated handshake without progress (ADV-1). */
void dtls_preempt(void);

/** SES-2: send the first `length` bytes of the message buffer to a SED. Only when IDLE. */
void dtls_send_message(uint16_t target, uint16_t length);

/** SES-4: the message buffer holds a request of `length` bytes for the SSS. Only when IDLE. */
void dtls_send_message_to_sss(uint16_t length);

/** A datagram for this controller, from a SED on the radio or from the SSS on its wire. */
void dtls_handle_packet(enum link link, uint16_t source, const uint8_t *datagram, size_t length);

/** Do what the clock or the end of a session made due. Returns true if something was. */
bool dtls_check_timers(void);

/** Zeroise and free all that dtls_setup made. */
void dtls_teardown(void);

/** SES-12: report a failure of our own on the debug channel, once, and stop for good. `name` as in section 10. Never
 *  inlined: a breakpoint here sees every failure. */
__attribute__((noinline)) void dtls_fatal_error(const char *name);

/** Answered by controller.c: what became of a request for the SSS, as one frame to the CPU (REG-4). */
void handle_sss_recv(uint16_t id, int16_t op);

#endif
