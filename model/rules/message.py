"""Rules for what follows the handshake: records of the message, the registration response, the end."""

from __future__ import annotations

from model.alphabet import DEREGISTER, MAX_MESSAGE, REGISTER, SSS_ID
from model.profile import Setting
from model.rules.base import Effect, Emit, Variables, rule
from model.rules.session import end, failure_answer, idle_timer, peer_session
from model.state import Mode, Step
from model.terms import And, If, Not, Or, Term, one_of


def follows(s: Variables, e: Variables, c: Setting) -> Term:
    """The record's number is the one that contiguity asks for (SES-8)."""
    return Or(not c.profile.ses_8, s.expect == e.seq)


def reading(s: Variables, e: Variables) -> Term:
    """Records from this peer are awaited."""
    return And(peer_session(s, e), one_of(s.step, Step.READ, Step.LISTEN))


@rule(
    "SES-3.collect",
    on="data",
    needs="SES-3 SES-8",
    says="The next record of the message is taken.",
    timer="SES-7",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    fits = Or(s.step == Step.READ, s.size + e.size <= MAX_MESSAGE)
    return Effect(
        And(reading(s, e), follows(s, e, c), fits),
        {
            "expect": e.seq + 1,
            "began": 1,
            "size": If(s.step == Step.LISTEN, s.size + e.size, s.size),
            "timer": idle_timer(c),
        },
    )


@rule(
    "SES-8.gap",
    on="data",
    needs="SES-8",
    says="A record breaks contiguity: the session is closed and nothing is delivered.",
    timer="SES-8",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    gap = And(reading(s, e), Not(follows(s, e, c)))
    return Effect(And(gap, s.step == Step.LISTEN), end(s), (Emit("close", (e.source,)),))


@rule(
    "SES-8.gap-in-response",
    on="data",
    needs="SES-8 REG-4",
    says="A record of the response breaks contiguity: the session is closed and the CPU is answered op -1.",
    timer="SES-8",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    gap = And(reading(s, e), Not(follows(s, e, c)))
    return Effect(And(gap, s.step == Step.READ), end(s), (Emit("close", (e.source,)), failure_answer(s, c)))


@rule(
    "SES-10.too-long",
    on="data",
    needs="SES-10",
    says="A message beyond 16,384 bytes is refused by closing the session.",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    too_long = And(s.step == Step.LISTEN, s.size + e.size > MAX_MESSAGE)
    return Effect(And(reading(s, e), follows(s, e, c), too_long), end(s), (Emit("close", (e.source,)),))


@rule(
    "SES-3.deliver",
    on="close",
    needs="SES-3 SES-8",
    says="The contiguous close_notify completes the message: the CPU gets it as one frame.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(reading(s, e), s.step == Step.LISTEN, follows(s, e, c)),
        end(s),
        (Emit("close", (e.source,)), Emit("deliver", (e.source, s.size, 1))),
    )


@rule(
    "SES-8.cut-off",
    on="close",
    needs="SES-8",
    says="A close_notify after a gap: the session is over and nothing is delivered.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(reading(s, e), s.step == Step.LISTEN, Not(follows(s, e, c))), end(s), (Emit("close", (e.source,)),)
    )


@rule(
    "REG-4.closed",
    on="close",
    needs="REG-4",
    says="The SSS closed before its response was complete: the CPU is answered op -1.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(And(reading(s, e), s.step == Step.READ), end(s), (Emit("close", (e.source,)), failure_answer(s, c)))


def fulfilled(s: Variables, e: Variables) -> Term:
    """The response grants what was asked for."""
    return And(e.good == 1, e.op == s.op, one_of(s.op, REGISTER, DEREGISTER))


@rule(
    "REG-4.granted",
    on="response",
    needs="REG-4 CRT-5 REG-6",
    says="A good response: the runtime set comes into force or stays gone, and the CPU is answered.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    good = And(fulfilled(s, e), Or(s.op == DEREGISTER, e.usable == 1))
    return Effect(
        And(s.mode == Mode.TALKING_TO_SSS, s.step == Step.READ, good),
        {**end(s), "registered": If(s.op == REGISTER, 1, 0)},
        (Emit("close", (SSS_ID,)), Emit("answer", (c.me, s.op))),
    )


@rule(
    "CRT-5.unusable",
    on="response",
    needs="CRT-5 REG-4",
    says="Unusable credentials change nothing and are reported (historic: FATAL_ERROR).",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    over = end(s) if c.profile.crt_5 else {**end(s), "mode": int(Mode.FATAL_ERROR)}
    unusable = And(fulfilled(s, e), s.op == REGISTER, e.usable == 0)
    emit = (Emit("close", (SSS_ID,)), failure_answer(s, c)) if c.profile.crt_5 else ()
    return Effect(And(s.mode == Mode.TALKING_TO_SSS, s.step == Step.READ, unusable), over, emit)


@rule(
    "REG-4.refused",
    on="response",
    needs="REG-4 REG-3 REG-2",
    says="A refusal, or a response that is not one: the CPU is answered op -1.",
    timer="SES-1",
)
def _(s: Variables, e: Variables, c: Setting) -> Effect:
    return Effect(
        And(s.mode == Mode.TALKING_TO_SSS, s.step == Step.READ, Not(fulfilled(s, e))),
        end(s),
        (Emit("close", (SSS_ID,)), failure_answer(s, c)),
    )
