#include "machine.h"

#include <stddef.h>

#define AT_HANDSHAKE (AT_CALLING | AT_PROVING | AT_SERVING)

/* clang-format off */
/* cppcheck-suppress misra-c2012-9.3 ; D-17 */
const struct rule machine_rules[MACHINE_RULES] = {
    /* The own CPU, when nothing else runs (SES-5). */
    {"SES-2.open SES-5.take-send", AT_IDLE, ON_MESSAGE, 0, 0, {DO_CALL}},
    {"SES-4.open SES-5.take-request", AT_IDLE, ON_REQUEST, 0, 0, {DO_DISCARD, DO_ASK}},
    {"SES-4.malformed SES-5.take-malformed", AT_IDLE, ON_MALFORMED_REQUEST, 0, 0, {DO_DISCARD, DO_REFUSE}},
    {"SES-9.resume", AT_IDLE, ON_RELEASE, 0, 0, {DO_CALL}},
    {"ADV-1.preempt-to-send ADV-1.preempt-to-request ADV-1.preempt-to-drop",
                     AT_SERVING, ON_CPU_FRAME, IF_LATE, 0, {DO_END}},

    /* Hellos. */
    {"SES-6.verify", AT_IDLE | AT_SERVING, ON_HELLO, 0, 0, {DO_VERIFY}},
    {"SES-6.verify", AT_CALLING, ON_HELLO, IF_LOWER, 0, {DO_VERIFY}},
    {"SES-3.open", AT_IDLE, ON_HELLO_COOKIE, 0, 0, {DO_SERVE}},
    {"SES-9.yield", AT_CALLING, ON_HELLO_COOKIE, IF_LOWER | IF_MAY_YIELD, 0, {DO_PUT_ASIDE, DO_SERVE}},
    {"DTL-6.repeat-4", AT_SERVING, ON_HELLO_COOKIE, IF_PEER | IF_SAME, 0, {DO_HANDSHAKE}},
    {"SES-3.start-over", AT_SERVING, ON_HELLO_COOKIE, IF_PEER, IF_SAME | IF_OWN_WAITS, {DO_SERVE}},
    {"ADV-1.replace", AT_SERVING, ON_HELLO_COOKIE, IF_LATE, IF_PEER, {DO_SERVE}},

    /* The handshake. Which flight a record belongs to, and which one it asks for, is Mbed TLS's to know. */
    {"DTL-3.cookie SES-2.keys DTL-6.repeat-5",
                     AT_HANDSHAKE | AT_ASKING, ON_RECORD, 0, 0, {DO_HANDSHAKE}},
    {"DTL-6.resend", AT_CALLING | AT_PROVING | AT_ASKING, ON_TIMER, 0, 0, {DO_RETRANSMIT}},
    {"DTL-6.resend", AT_SERVING, ON_TIMER, 0, IF_OWN_WAITS, {DO_RETRANSMIT, DO_NOTE_LATE}},
    {"DTL-6.give-up", AT_SERVING, ON_TIMER, IF_OWN_WAITS, 0, {DO_END}},
    {"SES-2.write", AT_PROVING, ON_DONE, 0, 0, {DO_WRITE_MESSAGE, DO_END}},
    {"SES-4.request", AT_ASKING, ON_DONE, 0, 0, {DO_ESTABLISH, DO_WRITE_REQUEST, DO_WATCH}},
    {"SES-3.finish", AT_SERVING, ON_DONE, 0, 0, {DO_ESTABLISH, DO_WATCH}},
    {"DTL-6.give-up DTL-7.alert DTL-7.forged CRT-7.reject SES-11.start",
                     AT_HANDSHAKE, ON_FAILED, 0, 0, {DO_END}},
    {"DTL-6.give-up DTL-7.alert DTL-7.forged CRT-7.reject SES-11.start",
                     AT_ASKING | AT_AWAITING, ON_FAILED, 0, 0, {DO_END, DO_REFUSE}},

    /* Records of a message. */
    {"SES-3.collect", AT_LISTENING, ON_DATA, IF_FOLLOWS | IF_FITS, 0, {DO_COUNT, DO_WATCH, DO_COLLECT}},
    {"SES-10.too-long", AT_LISTENING, ON_DATA, IF_FOLLOWS, IF_FITS, {DO_CLOSE, DO_END}},
    {"SES-8.gap", AT_LISTENING, ON_DATA, 0, IF_FOLLOWS, {DO_CLOSE, DO_END}},
    {"SES-3.deliver", AT_LISTENING, ON_CLOSE, IF_FOLLOWS, 0, {DO_CLOSE, DO_DELIVER, DO_END}},
    {"SES-8.cut-off", AT_LISTENING, ON_CLOSE, 0, IF_FOLLOWS, {DO_CLOSE, DO_END}},
    {"DTL-7.alert", AT_LISTENING, ON_FATAL_ALERT, 0, 0, {DO_END}},
    {"DTL-6.repeat-6", AT_LISTENING, ON_HANDSHAKE, 0, IF_BEGAN, {DO_SKIP, DO_WATCH}},
    {"SES-7.alive", AT_LISTENING | AT_AWAITING, ON_HANDSHAKE, IF_BEGAN, 0, {DO_WATCH}},
    {"SES-7.idle", AT_LISTENING, ON_TIMER, 0, 0, {DO_CLOSE, DO_END}},

    /* Records of the SSS's response. Whatever ends it but a good response is a refusal to the CPU. */
    {"SES-3.collect", AT_AWAITING, ON_DATA, IF_FOLLOWS | IF_FITS, 0, {DO_COUNT, DO_WATCH, DO_COLLECT, DO_JUDGE}},
    {"REG-4.refused", AT_AWAITING, ON_DATA, IF_FOLLOWS, IF_FITS, {DO_CLOSE, DO_END, DO_REFUSE}},
    {"SES-8.gap-in-response", AT_AWAITING, ON_DATA, 0, IF_FOLLOWS, {DO_CLOSE, DO_END, DO_REFUSE}},
    {"REG-4.closed", AT_AWAITING, ON_CLOSE, 0, 0, {DO_CLOSE, DO_END, DO_REFUSE}},
    {"DTL-7.alert", AT_AWAITING, ON_FATAL_ALERT, 0, 0, {DO_END, DO_REFUSE}},
    {"SES-7.alive", AT_AWAITING, ON_HANDSHAKE, 0, IF_BEGAN, {DO_SKIP, DO_WATCH}},
    {"SES-7.idle-sss", AT_AWAITING, ON_TIMER, 0, 0, {DO_CLOSE, DO_END, DO_REFUSE}},
    {"REG-4.refused", AT_AWAITING, ON_BAD_RESPONSE, 0, 0, {DO_CLOSE, DO_END, DO_REFUSE}},
    {NULL,           AT_AWAITING, ON_GOOD_RESPONSE, 0, 0, {DO_CLOSE, DO_INSTALL}},
    {"REG-4.granted", AT_AWAITING, ON_USABLE, 0, 0, {DO_END, DO_GRANT}},
    {"CRT-5.unusable", AT_AWAITING, ON_UNUSABLE, 0, 0, {DO_END, DO_REFUSE}},

    /* Authentic records that the model has no word for. A warning takes its number as data does; nonsense is a gap. */
    {NULL,           AT_LISTENING | AT_AWAITING, ON_WARNING, IF_FOLLOWS, 0, {DO_COUNT, DO_WATCH}},
    {"SES-8.gap",    AT_LISTENING, ON_WARNING, 0, IF_FOLLOWS, {DO_CLOSE, DO_END}},
    {"SES-8.gap-in-response", AT_AWAITING, ON_WARNING, 0, IF_FOLLOWS, {DO_CLOSE, DO_END, DO_REFUSE}},
    {"SES-8.gap",    AT_LISTENING, ON_NONSENSE, 0, 0, {DO_CLOSE, DO_END}},
    {"SES-8.gap-in-response", AT_AWAITING, ON_NONSENSE, 0, 0, {DO_CLOSE, DO_END, DO_REFUSE}},
};
/* clang-format on */

const struct rule *machine_rule(enum situation at, enum input on, unsigned facts) {
    for (const struct rule *rule = machine_rules; rule < machine_rules + MACHINE_RULES; rule++) {
        if ((rule->at & (unsigned)at) != 0 && rule->on == (unsigned)on && (facts & rule->when) == rule->when &&
            (facts & rule->unless) == 0) {
            return rule;
        }
    }
    return NULL;
}
