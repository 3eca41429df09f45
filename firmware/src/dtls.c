/**
 * The session machine: which session runs, for whom, and what becomes of its records. Rule ids refer to the protocol
 * page, "pinned" to the end of its section 5.
 */

#include "dtls.h"

#include "credentials.h"
#include "hello.h"
#include "masks.h"
#include "provisioning.h"
#include "registration.h"
#include "rng.h"
#include "session.h"
#include "text.h"

#include <mbedtls/md.h>
#include <mbedtls/memory_buffer_alloc.h>
#include <mbedtls/platform_util.h>
#include <string.h>

/** SES-7: a session without authenticated progress is closed after this time. */
#define IDLE_TIMEOUT_MS 60000u

/** All that Mbed TLS ever allocates: the larger role needs 14 KB (DTL-4), on a host with longer pointers more. */
#define ARENA (4096u * sizeof(void *))

static uint8_t arena[ARENA] __attribute__((aligned(8)));

/** The own CPU's message; it also stays here while it is put aside (SES-9). */
static uint8_t outgoing[SCEWL_MAX_MESSAGE];

/** A peer's message, or the SSS's response. One byte more, so that there is always room to read into. */
static uint8_t incoming[SCEWL_MAX_MESSAGE + 1];

static struct provisioning provisioning;

static enum dtls_state state;

/** The running session. */
static struct {
    uint16_t peer;
    enum link link;
    /** The handshake is complete: the peer has proved who it is. */
    bool established;
    /** Serving: flight 4 went out again because the timer fired (ADV-1). */
    bool retransmitted;
    /** Serving: the client random of the handshake. */
    uint8_t random[HELLO_RANDOM];
    /** SES-8: number that the peer's next record must have, once data began. */
    uint64_t expected;
    bool began;
    /** Bytes in `incoming`. */
    size_t have;
} session;

/** The own message in `outgoing`. */
static struct {
    uint16_t target;
    uint16_t length;
    /** SES-9: it waits until the peer that we yielded to has been served. */
    bool aside;
    /** Pinned 5: it may still be put aside. */
    bool may_yield;
} own;

static struct registration_request request;

/** An answer to the CPU that waits until an FAA frame is out (FRM-5, REG-4). */
static struct {
    bool pending;
    int16_t op;
} answer;

/* --- set-up, tear-down ------------------------------------------------------------------------------------- */

static const char *set_up(void) {
    size_t room;
    const uint8_t *image = port_provisioning(&room);
    const char *wrong = provisioning_read(image, room, &provisioning);
    if (wrong != NULL) {
        return wrong;
    }
    int error = rng_init(provisioning.seed);
    if (error != 0) {
        return error == MBEDTLS_ERR_MD_ALLOC_FAILED ? "memory" : "rng";
    }
    credentials_init(&provisioning.set, provisioning.id);
    /* cppcheck-suppress misra-c2012-9.5 ; D-11 */
    static const char *const names[] = {
        [CREDENTIALS_GOOD] = NULL,
        [CREDENTIALS_CA] = "provisioning-ca",
        [CREDENTIALS_CERTIFICATE] = "provisioning-certificate",
        [CREDENTIALS_KEY] = "provisioning-key",
        [CREDENTIALS_NAME] = "provisioning-cn",
    };
    wrong = names[credentials_check(&provisioning.set)];
    if (wrong == NULL && hello_init() != 0) {
        wrong = rng_failed() ? "rng" : "memory";
    }
    if (wrong == NULL) {
        session_init(provisioning.id, provisioning.suite);
    }
    return wrong;
}

void dtls_setup(void) {
    mbedtls_memory_buffer_alloc_init(arena, sizeof arena);
#if defined(SCEWL_REPORT_MEMORY)
    /* It has cleared the arena. Behind its first header nothing need be zero: every block is cleared when allocated. */
    port_paint(arena + 64, sizeof arena - 64);
#endif
    const char *wrong = set_up();
    if (wrong != NULL) {
        dtls_fatal_error(wrong);
        return;
    }
    scewl_init(provisioning.id, outgoing);
    char line[32];
    (void)text_append(text_decimal(text_append(line, "scewl: ready: id="), provisioning.id), "\n");
    port_debug(line);
}

void dtls_teardown(void) {
    session_end();
    hello_free();
    credentials_free();
    masks_free();
    rng_free();
    mbedtls_memory_buffer_alloc_free();
    mbedtls_platform_zeroize(arena, sizeof arena);
    mbedtls_platform_zeroize(outgoing, sizeof outgoing);
    mbedtls_platform_zeroize(incoming, sizeof incoming);
    memset(&session, 0, sizeof session);
    memset(&own, 0, sizeof own);
    memset(&answer, 0, sizeof answer);
}

void dtls_fatal_error(const char *name) {
    if (state == DTLS_FATAL_ERROR) {
        return;
    }
    state = DTLS_FATAL_ERROR;
    char line[64];
    (void)text_append(text_append(text_append(line, "scewl: fatal: "), name), "\n");
    port_debug(line);
    dtls_teardown();
}

/* --- small questions --------------------------------------------------------------------------------------- */

uint16_t dtls_own_id(void) {
    return provisioning.id;
}

enum dtls_state dtls_state(void) {
    return state;
}

bool dtls_free(void) {
    return state == DTLS_IDLE && !own.aside && !answer.pending;
}

/** Serving a handshake whose Finished has not verified. */
static bool unproved(void) {
    return state == DTLS_RECEIVING_MESSAGE && !session.established;
}

/** Serving a handshake that made no progress for one retransmission period (ADV-1). */
static bool no_progress(void) {
    return unproved() && session.retransmitted;
}

/** Something of our own waits for the session's end: a message put aside (pinned 5), or a frame of the CPU (ADV-1). */
static bool own_waits(void) {
    return own.aside || scewl_waiting(LINK_CPU);
}

/** SENDING_MESSAGE, and the peer's flight 4 has not come (pinned 3). */
static bool unanswered(void) {
    return state == DTLS_SENDING_MESSAGE && !session_answered();
}

/* --- the end of a session ---------------------------------------------------------------------------------- */

static void end_session(void) {
    if (own.aside && unproved()) {
        own.may_yield = false; /* pinned 5 */
    }
    if (state == DTLS_TALKING_TO_SSS) {
        mbedtls_platform_zeroize(incoming, sizeof incoming); /* REG-6: a key may have come */
    }
    session_end();
    memset(&session, 0, sizeof session);
    state = DTLS_IDLE;
#if defined(SCEWL_REPORT_MEMORY)
    char line[96];
    size_t peak, used, blocks;
    mbedtls_memory_buffer_alloc_max_get(&peak, &blocks);
    mbedtls_memory_buffer_alloc_cur_get(&used, &blocks);
    char *end = text_decimal(text_append(line, "scewl: memory: stack_peak="), (uint32_t)port_stack_peak());
    end = text_decimal(text_append(end, " heap_peak="), (uint32_t)peak);
    (void)text_append(text_decimal(text_append(end, " heap_used="), (uint32_t)used), "\n");
    port_debug(line);
#endif
}

/** REG-4: the one answer to the CPU's request. */
static void answer_cpu(int16_t op) {
    if (scewl_writing(LINK_CPU)) {
        answer.pending = true;
        answer.op = op;
        return;
    }
    handle_sss_recv(provisioning.id, op);
}

/** The session has failed, or was refused; the peer knows what it has to know. */
static void fail(void) {
    bool asked = state == DTLS_TALKING_TO_SSS;
    end_session();
    if (asked) {
        answer_cpu(REGISTRATION_REFUSED);
    }
}

static void close_and_fail(void) {
    session_close_notify();
    fail();
}

/* --- handshakes -------------------------------------------------------------------------------------------- */

/** The handshake is complete; the records that follow are numbered from here (SES-8). */
static void establish(void) {
    session.established = true;
    session.expected = session_top() + 1;
    switch (state) {
    case DTLS_SENDING_MESSAGE: /* SES-2: fire and forget */
        if (session_write(outgoing, own.length)) {
            session_close_notify();
        }
        end_session();
        break;
    case DTLS_TALKING_TO_SSS: /* SES-4 */
        if (session_write(outgoing, REGISTRATION_REQUEST)) {
            port_timer_start(IDLE_TIMEOUT_MS);
        } else {
            fail();
        }
        break;
    default:
        own.may_yield = true; /* pinned 5: the peer was real */
        port_timer_start(IDLE_TIMEOUT_MS);
        break;
    }
}

static void proceed(enum session_standing standing) {
    if (rng_failed()) {
        dtls_fatal_error("rng"); /* SES-12 */
    } else if (standing == SESSION_ESTABLISHED) {
        establish();
    } else if (standing == SESSION_FAILED) {
        fail();
    }
}

/** Open a client session and send flight 1. A start that fails returns to IDLE (SES-11). */
static void start_client(enum dtls_state as, enum link link, uint16_t peer) {
    state = as;
    session.peer = peer;
    session.link = link;
    proceed(session_begin(SESSION_CLIENT, link, peer) ? session_step() : SESSION_FAILED);
}

static void start_sending(void) {
    own.aside = false;
    start_client(DTLS_SENDING_MESSAGE, LINK_RADIO, own.target);
}

void dtls_send_message(uint16_t target, uint16_t length) {
    own.target = target;
    own.length = length;
    own.may_yield = true;
    start_sending();
}

void dtls_send_message_to_sss(uint16_t length) {
    credentials_discard(); /* CRT-4, whatever comes of it */
    if (length != REGISTRATION_REQUEST) {
        answer_cpu(REGISTRATION_REFUSED); /* pinned 7 */
        return;
    }
    request = registration_read(outgoing);
    start_client(DTLS_TALKING_TO_SSS, LINK_SSS, SCEWL_SSS);
}

void dtls_preempt(void) {
    if (no_progress()) {
        end_session();
    }
}

/* --- hellos (SES-6, SES-9, pinned 4) ----------------------------------------------------------------------- */

static void serve(uint16_t source, const struct hello *hello) {
    end_session();
    state = DTLS_RECEIVING_MESSAGE;
    session.peer = source;
    session.link = LINK_RADIO;
    memcpy(session.random, hello->random, HELLO_RANDOM);
    proceed(session_begin(SESSION_SERVER, LINK_RADIO, source) ? session_handshake(&hello->record) : SESSION_FAILED);
}

static void take_hello(uint16_t source, const struct hello *hello) {
    bool lower = source < provisioning.id;
    if (!hello_cookie_valid(hello, source)) {
        uint8_t reply[HELLO_VERIFY_REQUEST];
        bool answered = state == DTLS_IDLE || unproved() || (unanswered() && lower);
        if (answered && hello_verify_request(hello, source, reply)) {
            scewl_write(LINK_RADIO,
                        (struct scewl_header){.target = source, .source = provisioning.id, .length = sizeof reply},
                        reply);
        }
        return;
    }
    if (state == DTLS_IDLE) {
        serve(source, hello); /* SES-3 */
    } else if (unanswered() && lower && own.may_yield) {
        own.aside = true; /* SES-9 */
        serve(source, hello);
    } else if (unproved() && source == session.peer) {
        if (memcmp(session.random, hello->random, HELLO_RANDOM) == 0) {
            proceed(session_handshake(&hello->record)); /* a retransmission: flight 4 goes out again (DTL-6) */
        } else if (!own_waits()) {
            serve(source, hello); /* the peer started over */
        }
    } else if (no_progress()) {
        serve(source, hello); /* ADV-1 */
    }
}

/* --- records after the handshake --------------------------------------------------------------------------- */

/** The response may be complete with the data that just came (SES-4, pinned 8). */
static void judge_response(void) {
    struct der_set set;
    /* cppcheck-suppress misra-c2012-16.4 ; D-7 */
    switch (registration_judge(incoming, session.have, SCEWL_MAX_MESSAGE, provisioning.id, request.op, &set)) {
    case REGISTRATION_INCOMPLETE:
        break;
    case REGISTRATION_BAD:
        close_and_fail();
        break;
    case REGISTRATION_GOOD:
        session_close_notify();
        session_end(); /* before the check, which needs the arena's room */
        if (request.op == REGISTRATION_REGISTER && !credentials_install(&set)) {
            fail(); /* CRT-5: a bad set changes nothing */
        } else {
            end_session();
            answer_cpu(request.op);
        }
        if (rng_failed()) {
            dtls_fatal_error("rng");
        }
        break;
    }
}

/** The authenticated close_notify that completes a message (SES-3). */
static void deliver(void) {
    uint16_t source = session.peer, length = (uint16_t)session.have;
    session_close_notify();
    handle_scewl_recv(source, incoming, length);
    end_session();
}

static void take_record(const struct record *record) {
    size_t got, room = sizeof incoming - session.have;
    enum session_input kind = session_read(record, incoming + session.have, room, &got);
    bool receiving = state == DTLS_RECEIVING_MESSAGE;
    if (kind == SESSION_NOTHING) {
        return;
    }
    if (kind == SESSION_FATAL_ALERT) {
        fail(); /* pinned 9 */
        return;
    }
    port_timer_start(IDLE_TIMEOUT_MS); /* pinned 2 */
    if (record->type == RECORD_HANDSHAKE) {
        /* SES-8: before the first data they move the base; a late one from below it changes nothing. */
        if (!session.began && record->number >= session.expected) {
            session.expected = record->number + 1;
        }
        return;
    }
    if (record->number != session.expected || kind == SESSION_BROKEN) {
        close_and_fail(); /* SES-8, pinned 1 */
        return;
    }
    session.expected++;
    session.began = true;
    switch (kind) {
    case SESSION_CLOSE:
        if (receiving) {
            deliver();
        } else {
            close_and_fail(); /* pinned 8 */
        }
        break;
    case SESSION_DATA:
        if (got > room || session.have + got > SCEWL_MAX_MESSAGE) {
            close_and_fail(); /* SES-10 */
            break;
        }
        session.have += got;
        if (!receiving) {
            judge_response();
        }
        break;
    default:
        break;
    }
}

/* --- what comes in, and the clock -------------------------------------------------------------------------- */

/** The records of a datagram, each by itself, until the session is over. */
static void take_datagram(const uint8_t *datagram, size_t length) {
    struct record record;
    enum dtls_state during = state;
    while (state == during && record_next(&datagram, &length, &record)) {
        if (session.established) {
            take_record(&record);
        } else {
            proceed(session_handshake(&record));
        }
    }
}

void dtls_handle_packet(enum link link, uint16_t source, const uint8_t *datagram, size_t length) {
    if (link == LINK_SSS) {
        if (state == DTLS_TALKING_TO_SSS) { /* SES-5 */
            take_datagram(datagram, length);
        }
        return;
    }
    if (state == DTLS_TALKING_TO_SSS) {
        return; /* SES-5 */
    }
    struct hello hello;
    /* cppcheck-suppress misra-c2012-16.4 ; D-7 */
    switch (hello_parse(datagram, length, &hello)) {
    case HELLO_WHOLE:
        take_hello(source, &hello);
        break;
    case HELLO_NONE:
        if (state != DTLS_IDLE && source == session.peer) {
            take_datagram(datagram, length);
        }
        break;
    case HELLO_MALFORMED:
        break;
    }
}

static void take_timeout(void) {
    if (session.established) {
        close_and_fail(); /* SES-7 */
    } else if (unproved() && own_waits()) {
        end_session(); /* ADV-1, pinned 5: without a word */
    } else {
        session.retransmitted = true;
        proceed(session_step()); /* DTL-6 */
    }
}

bool dtls_check_timers(void) {
    bool radio_free = !scewl_writing(LINK_RADIO);
    if (answer.pending && !scewl_writing(LINK_CPU)) {
        answer.pending = false;
        handle_sss_recv(provisioning.id, answer.op);
        return true;
    }
    bool busy = state != DTLS_IDLE && state != DTLS_FATAL_ERROR;
    if (busy && port_timer_expired() && (radio_free || session.link != LINK_RADIO)) {
        take_timeout();
        return true;
    }
    if (state == DTLS_IDLE && own.aside && radio_free) {
        start_sending(); /* pinned 6: before the CPU's next frame */
        return true;
    }
    return false;
}
