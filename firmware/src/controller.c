/**
 * The controller: one loop over the three links and the clock, asleep when there is nothing to do.
 *
 * Here stands what the CPU bus may ask for and when (SES-5, ADV-1); the session machine is in dtls.c.
 */

#include "controller.h"

#include "dtls.h"
#include "port.h"
#include "registration.h"
#include "scewl.h"

#include <stdint.h>

/** FRM-6: CPU frames that belong to another protocol, or to ourselves. For a debugger to look at. */
static uint32_t cpu_frames_dropped;
/** What handles keys may have run since the stack was cleared. Bytes that came do not count: a message comes in a
 *  thousand pieces, and the processor would do little else than clear. */
static bool stack_used = true;

enum scewl_fate controller_cpu_fate(struct scewl_header header) {
    bool oversize = header.length > SCEWL_MAX_MESSAGE;
    bool foreign = header.target == SCEWL_BROADCAST || header.target == dtls_own_id();
    stack_used = true;
    dtls_preempt();
    if (!dtls_free()) {
        return SCEWL_WAIT; /* SES-5 */
    }
    if (foreign) {
        cpu_frames_dropped++;
    }
    return oversize || foreign ? SCEWL_DROP : SCEWL_STORE; /* FRM-2, FRM-6 */
}

bool controller_frame(enum link link, struct scewl_header header, const uint8_t *payload) {
    stack_used = true;
    if (link != LINK_CPU) {
        if (link == LINK_RADIO && scewl_writing(LINK_RADIO)) {
            return false; /* FRM-5: its answer would fall into the middle of an FAA frame */
        }
        dtls_handle_packet(link, header.source, payload, header.length);
        return true;
    }
    /* A handshake may have begun while the payload was coming. */
    dtls_preempt();
    if (!dtls_free()) {
        return false;
    }
    if (header.target == SCEWL_SSS) {
        dtls_send_message_to_sss(header.length);
    } else {
        dtls_send_message(header.target, header.length);
    }
    return true;
}

void handle_sss_recv(uint16_t id, int16_t op) {
    uint8_t bytes[REGISTRATION_REQUEST];
    registration_write(bytes, id, op);
    scewl_write(LINK_CPU, (struct scewl_header){.target = id, .source = SCEWL_SSS, .length = sizeof bytes}, bytes);
}

bool controller_round(void) {
    bool worked = false;
    for (unsigned link = 0; link < LINK_COUNT; link++) {
        /* First, so that a message put aside goes before whatever comes next (section 5, pinned 6). */
        if (dtls_check_timers()) {
            worked = true;
            stack_used = true;
        }
        worked |= dtls_state() == DTLS_FATAL_ERROR ? scewl_discard((enum link)link) : scewl_pump((enum link)link);
    }
    return worked;
}

int main(void) {
    port_init();
    dtls_setup();
    for (;;) {
        if (!controller_round()) {
            if (stack_used) {
                port_stack_clear();
                stack_used = false;
            }
            port_wait();
        }
    }
}
