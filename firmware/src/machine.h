/**
 * The session machine as a table: in which situation, on which input, under which conditions, what is done. Rule ids
 * are those of the model (model/rules), which explains each; whoever asks is dtls.c.
 */
#ifndef SCEWL_MACHINE_H
#define SCEWL_MACHINE_H

#include <stdint.h>

/** SES-1, and how far the running session has come. */
enum situation {
    AT_IDLE = 0x01u,
    /** SENDING_MESSAGE; the peer's flight 4 has not come (section 5, pinned 3). */
    AT_CALLING = 0x02u,
    /** SENDING_MESSAGE; flight 4 has come. */
    AT_PROVING = 0x04u,
    /** TALKING_TO_SSS, handshake. */
    AT_ASKING = 0x08u,
    /** TALKING_TO_SSS, the response is awaited. */
    AT_AWAITING = 0x10u,
    /** RECEIVING_MESSAGE, the peer has not proved who it is. */
    AT_SERVING = 0x20u,
    /** RECEIVING_MESSAGE, records of the message are awaited. */
    AT_LISTENING = 0x40u,
    /** FATAL_ERROR: no rule applies. */
    AT_END = 0x80u,
};

enum input {
    ON_NOTHING,
    /** The own CPU has a message for a SED, a request for the SSS, or a request of a wrong length. */
    ON_MESSAGE,
    ON_REQUEST,
    ON_MALFORMED_REQUEST,
    /** A frame of the own CPU is there, its body unread. */
    ON_CPU_FRAME,
    /** A message that was put aside can go on. */
    ON_RELEASE,
    /** A whole ClientHello, without a valid cookie or with one. */
    ON_HELLO,
    ON_HELLO_COOKIE,
    /** A record of the peer during the handshake. */
    ON_RECORD,
    /** The handshake is complete, or has failed; the peer knows what it has to know. */
    ON_DONE,
    ON_FAILED,
    /** Authentic records after the handshake (`enum session_input`). */
    ON_DATA,
    ON_CLOSE,
    ON_FATAL_ALERT,
    ON_WARNING,
    ON_HANDSHAKE,
    ON_NONSENSE,
    /** What became of the SSS's response with the record that just came (pinned 8), and of its credentials. */
    ON_BAD_RESPONSE,
    ON_GOOD_RESPONSE,
    ON_USABLE,
    ON_UNUSABLE,
    /** The timer fired. */
    ON_TIMER
};

/** Facts; what holds is a set of them. */
enum {
    /** The input's source is the session's peer. */
    IF_PEER = 0x01u,
    /** The source's id is lower than the own one (SES-9). */
    IF_LOWER = 0x02u,
    /** The hello is of the handshake that is being served: it bears the same client random. */
    IF_SAME = 0x04u,
    /** Serving: flight 4 went out again because the timer fired (ADV-1). */
    IF_LATE = 0x08u,
    /** The own message may be put aside (pinned 5). */
    IF_MAY_YIELD = 0x10u,
    /** Something of our own waits for the session's end: a message put aside (pinned 5), or a CPU frame (ADV-1). */
    IF_OWN_WAITS = 0x20u,
    /** The record's number is the one that contiguity asks for (SES-8). */
    IF_FOLLOWS = 0x40u,
    /** The record's data has room (SES-10). */
    IF_FITS = 0x80u,
    /** Data has begun (SES-8). */
    IF_BEGAN = 0x100u
};

/** What is done; dtls.c has one statement for each. */
enum action {
    DO_NOTHING,
    /** Discard the runtime set (CRT-4). */
    DO_DISCARD,
    /** Open a session as a client and send flight 1: with the message's target, or with the SSS. */
    DO_CALL,
    DO_ASK,
    /** Answer a hello with a HelloVerifyRequest (SES-6). */
    DO_VERIFY,
    /** The own message waits until this peer is served (SES-9). */
    DO_PUT_ASIDE,
    /** Open a session as a server, in place of any other, and send flight 4. */
    DO_SERVE,
    /** Give the handshake the record, or the timer's end: Mbed TLS knows what to do. */
    DO_HANDSHAKE,
    DO_RETRANSMIT,
    /** From here the handshake has made no progress for one retransmission period (ADV-1). */
    DO_NOTE_LATE,
    /** The peer has proved who it is; records are counted from here (SES-8). */
    DO_ESTABLISH,
    /** Write the own message and a close_notify, or the request. */
    DO_WRITE_MESSAGE,
    DO_WRITE_REQUEST,
    /** Arm the idle timer (SES-7). */
    DO_WATCH,
    /** The record takes its number; a repeated Finished moves the count past itself (SES-8). */
    DO_COUNT,
    DO_SKIP,
    /** Keep the record's data; look whether the response is complete (SES-4). */
    DO_COLLECT,
    DO_JUDGE,
    /** Check the response's credentials and put them in force (CRT-5). */
    DO_INSTALL,
    /** The message to the own CPU. */
    DO_DELIVER,
    /** Send a close_notify. */
    DO_CLOSE,
    /** The session is over. */
    DO_END,
    /** Answer the own CPU: as it asked, or with a refusal (REG-4). */
    DO_GRANT,
    DO_REFUSE
};

#define RULE_ACTIONS 4

struct rule {
    /** Ids of the model's rules that it carries out, separated by blanks; NULL: a step within one. */
    const char *ids;
    /** The situations in which it applies. */
    uint16_t at;
    /** One of `enum input`. */
    uint16_t on;
    /** Facts that must hold, and that must not. */
    uint16_t when, unless;
    /** Of `enum action`, in order, until one gives the next input. */
    uint8_t does[RULE_ACTIONS];
};

#define MACHINE_RULES 46

/** All rules; at most one applies at a time. */
extern const struct rule machine_rules[MACHINE_RULES];

/** The rule that applies, or NULL: then nothing happens. */
const struct rule *machine_rule(enum situation at, enum input on, unsigned facts);

#endif
