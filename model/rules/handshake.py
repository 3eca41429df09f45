"""Rules for hellos, flights, certificates, and the retransmission timer."""

from __future__ import annotations

from model.alphabet import MAX_MESSAGE, PLAINTEXT, SSS_ID, Ca
from model.profile import Setting
from model.rules.base import Effect, Emit, Variables, rule
from model.rules.session import (
    begin,
    end,
    failure_answer,
    flight,
    idle_timer,
    own_ca,
    peer_session,
    serve,
    unanswered,
)
from model.state import Mode, Step, Waiting
from model.terms import And, If, Max, Min, Not, Or, Term, one_of

# --- ClientHellos ----------------------------------------------------------------------------------------------------


def unproved(s: Variables) -> Term:
    """Serving a handshake whose Finished has not come."""
    return And(s.mode == Mode.RECEIVING_MESSAGE, s.step == Step.ACCEPT)


def own_waits(s: Variables, c: Setting) -> Term:
    """Something of our own waits for the session's end: a message put aside (pinned 5), or a CPU frame (ADV-1)."""
    return Or(s.aside == 1, And(c.profile.adv_1, s.waiting != Waiting.NONE))


@rule(
    "SES-6.verify",
    on="hello",
    needs="SES-6 DTL-3 SES-9 ADV-1",
    says="A ClientHello without a valid cookie is answered with a HelloVerifyRequest and leaves nothing behind.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    glare = And(c.profile.ses_9, unanswered(s), e.source < c.me)
    return Effect(
        Or(s.mode == Mode.IDLE, glare, And(c.profile.adv_1, unproved(s))),
        emit=(Emit("verify-request", (e.source,)),),
    )


@rule(
    "SES-9.lost",
    on="hello",
    needs="SES-9",
    says="(historic) The target's own ClientHello is fed to our client, which fails: the message is lost.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(not c.profile.ses_9, unanswered(s), peer_session(s, e)), end(s))


@rule(
    "SES-3.open",
    on="hello-cookie",
    needs="SES-3 DTL-3 CRT-3 CRT-4",
    says="A ClientHello with a valid cookie while IDLE opens a server session bound to its source.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        s.mode == Mode.IDLE,
        serve(e.source, e.handshake, c),
        (Emit("flight4", (e.source, own_ca(s))),),
    )


@rule(
    "SES-9.yield",
    on="hello-cookie",
    needs="SES-9 CRT-3",
    says="A controller whose own hello is unanswered puts its message aside for a lower id.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    put_aside = {"aside": 1, "aside_to": s.peer, "aside_size": s.size}
    return Effect(
        And(c.profile.ses_9, unanswered(s), e.source < c.me, s.unyielding == 0),
        {**serve(e.source, e.handshake, c), **put_aside},
        (Emit("flight4", (e.source, own_ca(s))),),
    )


@rule(
    "DTL-6.repeat-4",
    on="hello-cookie",
    needs="DTL-6 DTL-7",
    says="The hello of the handshake being served came again: flight 4 goes out again, and the timer runs on.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(unproved(s), peer_session(s, e), s.handshake == e.handshake),
        emit=(Emit("flight4", (e.source, own_ca(s))),),
    )


@rule(
    "SES-3.start-over",
    on="hello-cookie",
    needs="SES-3 SES-9",
    says="The peer being served started over: its new handshake replaces the old one, unless our own CPU waits.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(unproved(s), peer_session(s, e), s.handshake != e.handshake, Not(own_waits(s, c))),
        serve(e.source, e.handshake, c),
        (Emit("flight4", (e.source, own_ca(s))),),
    )


@rule(
    "ADV-1.replace",
    on="hello-cookie",
    needs="ADV-1",
    says="Another source's valid hello replaces a handshake that made no progress for one retransmission period.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(c.profile.adv_1, unproved(s), Not(peer_session(s, e)), s.timeout > c.first_timeout),
        serve(e.source, e.handshake, c),
        (Emit("flight4", (e.source, own_ca(s))),),
    )


# --- client flights --------------------------------------------------------------------------------------------------


@rule(
    "DTL-3.cookie",
    on="verify-request",
    needs="DTL-3 DTL-7",
    says="A client repeats its hello with the cookie that it was given, once in a session.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(peer_session(s, e), s.step == Step.HELLO),
        flight(Step.COOKIE, c),
        (Emit("hello-cookie", (e.source,)),),
    )


@rule(
    "SES-2.keys",
    on="flight4",
    needs="CRT-3 CRT-4 CRT-2 DTL-1 SES-2",
    says="The server's flight is whole: the client sends its certificate, key exchange and Finished.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(peer_session(s, e), s.step == Step.COOKIE),
        flight(Step.KEYS, c),
        (Emit("flight5", (e.source, own_ca(s))),),
    )


@rule(
    "DTL-6.repeat-5",
    on="repeat",
    needs="DTL-6 DTL-7",
    says="The server's flight 4 came again: flight 5 goes out again, and the timer runs on.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(peer_session(s, e), s.step == Step.KEYS, e.flight == 4),
        emit=(Emit("flight5", (e.source, own_ca(s))),),
    )


@rule(
    "SES-2.write",
    on="flight6",
    needs="SES-2 DTL-5",
    says="The handshake is complete: the whole message as records, then close_notify, then IDLE.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    whole = True if c.profile.frm_2 else s.size <= MAX_MESSAGE
    return Effect(
        And(peer_session(s, e), s.step == Step.KEYS, s.mode == Mode.SENDING_MESSAGE),
        end(s),
        (Emit("data", (e.source, s.size, If(whole, 1, 0))), Emit("close", (e.source,))),
    )


@rule(
    "SES-4.request",
    on="flight6",
    needs="SES-4",
    says="The handshake with the SSS is complete: the request goes out, the response is awaited.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(peer_session(s, e), s.step == Step.KEYS, s.mode == Mode.TALKING_TO_SSS),
        {"step": Step.READ, "timer": idle_timer(c), "timeout": 0, "expect": e.seq + 1, "began": 0},
        (Emit("request", (s.dev, s.op)),),
    )


# --- server flights --------------------------------------------------------------------------------------------------


@rule(
    "SES-3.finish",
    on="flight5",
    needs="SES-3 DTL-1",
    says="The client's flight is whole and verifies: the server's Finished, then records are awaited.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    listen = {"step": Step.LISTEN, "timer": idle_timer(c), "timeout": 0, "expect": e.seq + 1}
    return Effect(
        And(peer_session(s, e), s.step == Step.ACCEPT),
        {**listen, "began": 0, "size": 0, "unyielding": 0},
        (Emit("flight6", (e.source,)),),
    )


@rule(
    "DTL-6.repeat-6",
    on="repeat",
    needs="DTL-6 DTL-7 SES-7",
    says="The client's Finished came again before any data: flight 6 goes out again, and the peer is alive.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(peer_session(s, e), s.step == Step.LISTEN, e.flight == 5, s.began == 0),
        {"timer": idle_timer(c), "expect": Max(s.expect, e.seq + 1)},
        (Emit("flight6", (e.source,)),),
    )


@rule(
    "SES-7.alive",
    on="repeat",
    needs="SES-7",
    says="The SSS's Finished came again, or a client's after its data: nothing to send, but the peer is alive.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(
            peer_session(s, e),
            Or(And(s.step == Step.READ, e.flight == 6), And(s.step == Step.LISTEN, e.flight == 5, s.began == 1)),
        ),
        {"timer": idle_timer(c), "expect": If(s.began == 1, s.expect, Max(s.expect, e.seq + 1))},
    )


# --- certificates and failures ---------------------------------------------------------------------------------------


def handshaking(s: Variables) -> Term:
    """A handshake is under way."""
    return one_of(s.step, Step.HELLO, Step.COOKIE, Step.KEYS, Step.ACCEPT)


@rule(
    "CRT-7.reject",
    on="certificate",
    needs="CRT-7 CRT-3 CRT-9 DTL-1",
    says="A certificate of another authority, or in another name than the peer's id, ends the session with an alert.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    bad = e.ca != own_ca(s)
    if c.profile.crt_7:
        bad = Or(bad, e.cn != s.peer)
    else:  # historic: the client alone looked at the name, and provisioning names never matched
        client = s.step == Step.COOKIE
        misnamed = And(s.peer != SSS_ID, own_ca(s) == Ca.PROVISIONING)
        bad = Or(bad, And(client, Or(e.cn != s.peer, misnamed)))
    waiting = one_of(s.step, Step.COOKIE, Step.ACCEPT)
    return Effect(And(peer_session(s, e), waiting, bad), end(s), (Emit("alert", (e.source,)), failure_answer(s, c)))


@rule(
    "DTL-7.forged",
    on="forged",
    needs="DTL-7 SES-11",
    says="A plaintext handshake message that does not belong may end the handshake with an alert.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(peer_session(s, e), handshaking(s)), end(s), (Emit("alert", (e.source,)), failure_answer(s, c)))


@rule(
    "DTL-7.forged-ignored",
    on="forged",
    needs="DTL-7",
    says="A plaintext handshake message that does not belong may be ignored.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(peer_session(s, e), handshaking(s)))


@rule(
    "DTL-7.alert",
    on="alert",
    needs="DTL-7 REG-4 SES-11",
    says="A fatal alert ends the session: any during the handshake, an authenticated one after it.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    counts = Or(handshaking(s), And(one_of(s.step, Step.READ, Step.LISTEN), e.seq != PLAINTEXT))
    return Effect(And(peer_session(s, e), counts), end(s), (failure_answer(s, c),))


# --- time ------------------------------------------------------------------------------------------------------------


@rule("DTL-6.wait", on="time", needs="DTL-6", says="Time passes, and no timer fires.", timer="DTL-6 SES-7")
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(Or(s.timer == 0, e.ms < s.timer), {"timer": If(s.timer == 0, 0, s.timer - e.ms)})


def given_up(s: Variables, c: Setting) -> Term:
    """The handshake has had its last timeout, or serves another while something of our own waits (decision 0007)."""
    return Or(s.timeout >= c.last_timeout, And(s.step == Step.ACCEPT, own_waits(s, c)))


@rule(
    "DTL-6.resend",
    on="time",
    needs="DTL-6",
    says="The retransmission timer fires: the flight goes out again, and the timeout doubles up to its cap.",
    timer="DTL-6",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    doubled = Min(2 * s.timeout, c.last_timeout)
    return Effect(
        And(handshaking(s), s.timer == e.ms, Not(given_up(s, c))),
        {"timer": doubled, "timeout": doubled},
        (
            Emit("hello", (s.peer,), s.step == Step.HELLO),
            Emit("hello-cookie", (s.peer,), s.step == Step.COOKIE),
            Emit("flight5", (s.peer, own_ca(s)), s.step == Step.KEYS),
            Emit("flight4", (s.peer, own_ca(s)), s.step == Step.ACCEPT),
        ),
    )


@rule(
    "DTL-6.give-up",
    on="time",
    needs="DTL-6 ADV-1 REG-4",
    says="The last timeout, or flight 4's first one while something of our own waits: the handshake is over.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(handshaking(s), s.timer == e.ms, given_up(s, c)), end(s), (failure_answer(s, c),))


@rule(
    "SES-7.idle",
    on="time",
    needs="SES-7",
    says="No authenticated progress for idle_timeout: the session is closed.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    due = And(s.step == Step.LISTEN, s.timer == e.ms, s.timer > 0)
    return Effect(due, end(s), (Emit("close", (s.peer,)),))


@rule(
    "SES-7.idle-sss",
    on="time",
    needs="SES-7 REG-4",
    says="No authenticated progress of the SSS for idle_timeout: closed, and the CPU is answered op -1.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    due = And(s.step == Step.READ, s.timer == e.ms, s.timer > 0)
    return Effect(due, end(s), (Emit("close", (s.peer,)), failure_answer(s, c)))


# --- junk ------------------------------------------------------------------------------------------------------------


@rule(
    "SES-7.junk",
    on="noise",
    needs="SES-7",
    says="(historic) Junk as first datagram opened a session without any timer.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    from_radio = And(s.mode == Mode.IDLE, e.source > 2)
    opened = {**begin(Mode.RECEIVING_MESSAGE, Step.ACCEPT, e.source, c), "timer": 0, "timeout": 0}
    return Effect(And(not c.profile.ses_7, from_radio), opened)
