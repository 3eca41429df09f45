/**
 * The controller: one loop over the three links and the clock, asleep when there is nothing to do.
 *
 * Here stands what the CPU bus may ask for and when (SES-5, ADV-1); the session machine is in dtls.c.
 */

#include "dtls.h"
#include "port.h"
#include "scewl.h"

#include <stdint.h>

/** FRM-6: CPU frames that belong to another protocol, or to ourselves. For a debugger to look at. */
static uint32_t cpu_frames_dropped;

enum scewl_fate controller_cpu_fate(struct scewl_header header) {
    if (!dtls_accepts_request()) {
        return SCEWL_WAIT; /* SES-5 */
    }
    if (header.length > SCEWL_MAX_MESSAGE) {
        return SCEWL_DROP; /* FRM-2 */
    }
    if (header.target == SCEWL_BROADCAST || header.target == dtls_own_id()) {
        cpu_frames_dropped++;
        return SCEWL_DROP; /* FRM-6 */
    }
    dtls_preempt();
    return SCEWL_STORE;
}

bool controller_frame(enum link link, struct scewl_header header, const uint8_t *payload) {
    if (link != LINK_CPU) {
        if (link == LINK_RADIO && scewl_writing(LINK_RADIO)) {
            return false; /* FRM-5: its answer would fall into the middle of an FAA frame */
        }
        dtls_handle_packet(link, header.source, payload, header.length);
        return true;
    }
    if (!dtls_accepts_request()) {
        return false;
    }
    dtls_preempt();
    if (header.target == SCEWL_SSS) {
        dtls_send_message_to_sss(header.length);
    } else {
        dtls_send_message(header.target, header.length);
    }
    return true;
}

int main(void) {
    port_init();
    dtls_setup();
    for (;;) {
        bool worked = false;
        for (unsigned link = 0; link < LINK_COUNT; link++) {
            worked |= dtls_state() == DTLS_FATAL_ERROR ? scewl_discard((enum link)link) : scewl_pump((enum link)link);
        }
        worked |= dtls_check_timers();
        if (!worked) {
            port_wait();
        }
    }
}
