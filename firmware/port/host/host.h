/**
 * The controller as a library of the machine that it is built on: for programs that judge it and that fuzz it.
 *
 * There is one controller in a process, for all its state is static; host_keep and host_return copy that state, which
 * makes many out of one. The clock stands still but in host_advance: computation takes no time. Times are milliseconds
 * since boot. Every call returns once the controller has nothing more to do; one that never has ends the process.
 */
#ifndef SCEWL_HOST_H
#define SCEWL_HOST_H

#include "port.h"

/** Bytes of the provisioning image's place (protocol page, section 10). */
#define HOST_IMAGE 4096u

/** Streams out of the controller: the three links, by their numbers, and the debug channel. */
#define HOST_DEBUG LINK_COUNT
#define HOST_STREAMS (LINK_COUNT + 1)

/** What left the controller on one stream. It stays until the next call that is not host_output. */
struct host_output {
    const uint8_t *bytes;
    size_t length;
};

/** Start, or start again as after a power cycle, with a provisioning image of at most HOST_IMAGE bytes. */
void host_boot(const uint8_t *image, size_t length);

/** Bytes for a link, at the present time. What the controller does not take waits, and is offered again. */
void host_send(enum link link, const uint8_t *bytes, size_t length);

/** Let time pass; the timer fires exactly when it is due, again and again if that is what happens. */
void host_advance(uint64_t ms);

/** The present time. */
uint64_t host_now(void);

/** When the armed timer fires; UINT64_MAX when none is armed. */
uint64_t host_deadline(void);

/** What is to be seen of its state: which of the five it is in (SES-1), whether the runtime set is in force (CRT-3),
 *  whether a CPU frame waits (SES-5). */
struct host_state {
    uint8_t mode, registered, waiting;
};

struct host_state host_state(void);

/** Take all that is left of the arena: the next session cannot be set up (SES-11). host_return undoes it. */
void host_exhaust(void);

/** What the last of the calls above made the controller write. */
struct host_output host_output(unsigned stream);

/** All that the controller is, copied: its variables, its clock and timer, the bytes that it has not taken. */
struct host_copy;

/** Copy the controller. Free the copy with host_forget. */
struct host_copy *host_keep(void);

/** Make the controller what it was when it was copied. The copy stays. */
void host_return(const struct host_copy *copy);

/** Free a copy. */
void host_forget(struct host_copy *copy);

#endif
