/**
 * What the session machine's table (machine.c) speaks of: the situation, the facts, and the actions. Rule ids refer to
 * the protocol page, "pinned" to the end of its section 5.
 */

#include "dtls.h"

#include "credentials.h"
#include "hello.h"
#include "machine.h"
#include "provisioning.h"
#include "registration.h"
#include "rng.h"
#include "session.h"
#include "setup.h"
#include "text.h"

#include <mbedtls/platform_util.h>
#include <string.h>

/** SES-7: a session without authenticated progress is closed after this time. */
#define IDLE_TIMEOUT_MS 60000u

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

/** What was asked of the SSS, and the credentials that it gave, in `incoming`. */
static struct registration_request request;
static struct der_set offered;

/** An answer to the CPU that waits until an FAA frame is out (FRM-5, REG-4). */
static struct {
    bool pending;
    int16_t op;
} answer;

/* --- set-up, tear-down ------------------------------------------------------------------------------------- */

void dtls_setup(void) {
    const char *wrong = setup_begin(&provisioning);
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
    setup_end();
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

/* --- the situation and the facts --------------------------------------------------------------------------- */

/** What came with an input. No pointer is NULL: what did not come is empty. */
struct cause {
    uint16_t source;
    const struct hello *hello;
    const struct record *record;
    /** Bytes of data in the record; they lie in `incoming` already, as far as there was room. */
    size_t got;
};

static const uint8_t no_random[HELLO_RANDOM];
static const struct hello no_hello = {.random = no_random};
static const struct record no_record;
static const struct cause nothing_came = {.hello = &no_hello, .record = &no_record};

uint16_t dtls_own_id(void) {
    return provisioning.id;
}

enum dtls_state dtls_state(void) {
    return state;
}

bool dtls_free(void) {
    return state == DTLS_IDLE && !own.aside && !answer.pending;
}

static enum situation situation(void) {
    /* cppcheck-suppress misra-c2012-16.4 ; D-7 */
    switch (state) {
    case DTLS_IDLE:
        return AT_IDLE;
    case DTLS_SENDING_MESSAGE:
        return session_answered() ? AT_PROVING : AT_CALLING;
    case DTLS_TALKING_TO_SSS:
        return session.established ? AT_AWAITING : AT_ASKING;
    case DTLS_RECEIVING_MESSAGE:
        return session.established ? AT_LISTENING : AT_SERVING;
    case DTLS_FATAL_ERROR:
        break;
    }
    return AT_END;
}

static unsigned facts(const struct cause *cause) {
    unsigned hold = 0;
    hold |= cause->source == session.peer ? IF_PEER : 0u;
    hold |= cause->source < provisioning.id ? IF_LOWER : 0u;
    hold |= memcmp(session.random, cause->hello->random, HELLO_RANDOM) == 0 ? IF_SAME : 0u;
    hold |= session.retransmitted ? IF_LATE : 0u;
    hold |= own.may_yield ? IF_MAY_YIELD : 0u;
    hold |= own.aside || scewl_waiting(LINK_CPU) ? IF_OWN_WAITS : 0u;
    hold |= cause->record->number == session.expected ? IF_FOLLOWS : 0u;
    hold |= session.have + cause->got <= SCEWL_MAX_MESSAGE ? IF_FITS : 0u;
    hold |= session.began ? IF_BEGAN : 0u;
    return hold;
}

/* --- the actions ------------------------------------------------------------------------------------------- */

/** REG-4: the one answer to the CPU's request. */
static void answer_cpu(int16_t op) {
    if (scewl_writing(LINK_CPU)) {
        answer.pending = true;
        answer.op = op;
        return;
    }
    handle_sss_recv(provisioning.id, op);
}

static enum input outcome(enum session_standing standing) {
    return standing == SESSION_ESTABLISHED ? ON_DONE : standing == SESSION_FAILED ? ON_FAILED : ON_NOTHING;
}

static void end_session(void) {
    if (own.aside && situation() == AT_SERVING) {
        own.may_yield = false; /* pinned 5 */
    }
    if (state == DTLS_TALKING_TO_SSS) {
        mbedtls_platform_zeroize(incoming, sizeof incoming); /* REG-6: a key may have come */
    }
    session_end();
    memset(&session, 0, sizeof session);
    state = DTLS_IDLE;
#if defined(SCEWL_REPORT_MEMORY)
    setup_report_memory();
#endif
}

/** Open a client session and send flight 1. A start that fails returns to IDLE (SES-11). */
static enum input start_client(enum dtls_state as, enum link link, uint16_t peer) {
    state = as;
    session.peer = peer;
    session.link = link;
    return outcome(session_begin(SESSION_CLIENT, link, peer) ? session_step() : SESSION_FAILED);
}

static enum input serve(uint16_t source, const struct hello *hello) {
    end_session();
    state = DTLS_RECEIVING_MESSAGE;
    session.peer = source;
    session.link = LINK_RADIO;
    memcpy(session.random, hello->random, HELLO_RANDOM);
    return outcome(session_begin(SESSION_SERVER, LINK_RADIO, source) ? session_handshake(&hello->record)
                                                                     : SESSION_FAILED);
}

static void verify(uint16_t source, const struct hello *hello) {
    uint8_t reply[HELLO_VERIFY_REQUEST];
    if (hello_verify_request(hello, source, reply)) {
        scewl_write(LINK_RADIO,
                    (struct scewl_header){.target = source, .source = provisioning.id, .length = sizeof reply}, reply);
    }
}

/** Whether the response is complete with the data that just came (SES-4, pinned 8). */
static enum input judge(void) {
    switch (registration_judge(incoming, session.have, SCEWL_MAX_MESSAGE, provisioning.id, request.op, &offered)) {
    case REGISTRATION_BAD:
        return ON_BAD_RESPONSE;
    case REGISTRATION_GOOD:
        return ON_GOOD_RESPONSE;
    default:
        return ON_NOTHING;
    }
}

/** CRT-5: a bad set changes nothing. */
static enum input install(void) {
    session_end(); /* the check needs the arena's room */
    return request.op != REGISTRATION_REGISTER || credentials_install(&offered) ? ON_USABLE : ON_UNUSABLE;
}

/** Do one thing. Returns the input that comes of it, if one does. */
static enum input act(enum action action, const struct cause *cause) {
    /* cppcheck-suppress misra-c2012-16.4 ; D-7 */
    switch (action) {
    case DO_NOTHING:
        break;
    case DO_DISCARD:
        credentials_discard();
        break;
    case DO_CALL:
        own.aside = false;
        return start_client(DTLS_SENDING_MESSAGE, LINK_RADIO, own.target);
    case DO_ASK:
        request = registration_read(outgoing);
        return start_client(DTLS_TALKING_TO_SSS, LINK_SSS, SCEWL_SSS);
    case DO_VERIFY:
        verify(cause->source, cause->hello);
        break;
    case DO_PUT_ASIDE:
        own.aside = true;
        break;
    case DO_SERVE:
        return serve(cause->source, cause->hello);
    case DO_HANDSHAKE:
        return outcome(session_handshake(cause->record));
    case DO_RETRANSMIT:
        return outcome(session_step());
    case DO_NOTE_LATE:
        session.retransmitted = true;
        break;
    case DO_ESTABLISH:
        session.established = true;
        session.expected = session_top() + 1;
        own.may_yield = true; /* pinned 5: the peer was real */
        break;
    case DO_WRITE_MESSAGE: /* SES-2: fire and forget */
        if (session_write(outgoing, own.length)) {
            session_close_notify();
        }
        break;
    case DO_WRITE_REQUEST:
        return session_write(outgoing, REGISTRATION_REQUEST) ? ON_NOTHING : ON_FAILED;
    case DO_WATCH:
        port_timer_start(IDLE_TIMEOUT_MS);
        break;
    case DO_COUNT:
        session.expected++;
        session.began = true;
        break;
    case DO_SKIP: /* a late one from below changes nothing */
        if (cause->record->number >= session.expected) {
            session.expected = cause->record->number + 1;
        }
        break;
    case DO_COLLECT:
        session.have += cause->got;
        break;
    case DO_JUDGE:
        return judge();
    case DO_INSTALL:
        return install();
    case DO_DELIVER:
        handle_scewl_recv(session.peer, incoming, (uint16_t)session.have);
        break;
    case DO_CLOSE:
        session_close_notify();
        break;
    case DO_END:
        end_session();
        break;
    case DO_GRANT:
        answer_cpu(request.op);
        break;
    case DO_REFUSE:
        answer_cpu(REGISTRATION_REFUSED);
        break;
    }
    return ON_NOTHING;
}

/** Give the machine an input, and what comes of that, until nothing does. */
static void take(enum input on, const struct cause *cause) {
    while (on != ON_NOTHING) {
        const struct rule *rule = machine_rule(situation(), on, facts(cause));
        on = ON_NOTHING;
        if (rule == NULL) {
            break;
        }
#if defined(SCEWL_REPORT_RULES)
        if (rule->ids != NULL) {
            char line[128];
            const char *word = rule->does[0] == DO_HANDSHAKE || rule->does[0] == DO_RETRANSMIT ? "asked" : "taken";
            char *end = text_append(text_append(line, "scewl: rule "), word);
            (void)text_append(text_append(text_append(end, ": "), rule->ids), "\n");
            port_debug(line);
        }
#endif
        for (unsigned i = 0; i < RULE_ACTIONS && on == ON_NOTHING; i++) {
            on = act((enum action)rule->does[i], cause);
        }
        if (rng_failed()) {
            dtls_fatal_error("rng"); /* SES-12 */
        }
    }
}

/* --- what comes in, and the clock -------------------------------------------------------------------------- */

void dtls_send_message(uint16_t target, uint16_t length) {
    own.target = target;
    own.length = length;
    own.may_yield = true;
    take(ON_MESSAGE, &nothing_came);
}

void dtls_send_message_to_sss(uint16_t length) {
    take(length == REGISTRATION_REQUEST ? ON_REQUEST : ON_MALFORMED_REQUEST, &nothing_came); /* pinned 7 */
}

void dtls_preempt(void) {
    take(ON_CPU_FRAME, &nothing_came);
}

static void take_record(const struct record *record) {
    /* cppcheck-suppress misra-c2012-9.5 ; D-11 */
    static const enum input inputs[] = {
        [SESSION_NOTHING] = ON_NOTHING,         [SESSION_DATA] = ON_DATA,       [SESSION_CLOSE] = ON_CLOSE,
        [SESSION_FATAL_ALERT] = ON_FATAL_ALERT, [SESSION_WARNING] = ON_WARNING, [SESSION_HANDSHAKE] = ON_HANDSHAKE,
        [SESSION_BROKEN] = ON_NONSENSE,
    };
    struct cause cause = {.source = session.peer, .hello = &no_hello, .record = record};
    if (!session.established) {
        take(ON_RECORD, &cause);
    } else {
        enum session_input kind =
            session_read(record, incoming + session.have, sizeof incoming - session.have, &cause.got);
        take(inputs[kind], &cause);
    }
}

/** The records of a datagram, each by itself, until the session is over. */
static void take_datagram(const uint8_t *datagram, size_t length) {
    struct record record;
    enum dtls_state during = state;
    while (state == during && record_next(&datagram, &length, &record)) {
        take_record(&record);
    }
}

void dtls_handle_packet(enum link link, uint16_t source, const uint8_t *datagram, size_t length) {
    bool ours = state != DTLS_IDLE && link == session.link; /* SES-5 */
    struct hello hello;
    enum hello_form form = link == LINK_RADIO ? hello_parse(datagram, length, &hello) : HELLO_NONE;
    if (form == HELLO_WHOLE) {
        struct cause cause = {.source = source, .hello = &hello, .record = &hello.record};
        take(hello_cookie_valid(&hello, source) ? ON_HELLO_COOKIE : ON_HELLO, &cause);
    } else if (form == HELLO_NONE && ours && (link == LINK_SSS || source == session.peer)) {
        take_datagram(datagram, length);
    } else {
        /* not for anybody here */
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
        take(ON_TIMER, &nothing_came);
        return true;
    }
    if (state == DTLS_IDLE && own.aside && radio_free) {
        take(ON_RELEASE, &nothing_came); /* pinned 6: before the CPU's next frame */
        return true;
    }
    return false;
}
