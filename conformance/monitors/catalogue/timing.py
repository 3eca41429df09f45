"""Timers, the CPU's answers, and who may be answered at all."""

from __future__ import annotations

from conformance.monitors.automaton import (
    ALL_SEEN,
    ANY_HELLO,
    BUG,
    CLIENT_DID,
    FOREIGN,
    OWN,
    SPEAKS,
    START,
    Condition,
    Fault,
    Monitor,
    Need,
    Rule,
    Severity,
    after,
    differs,
    has,
    later,
    rule,
    same,
    sooner,
    within,
)
from conformance.monitors.catalogue.cookies import ANSWER_MS
from conformance.monitors.catalogue.order import HANDSHAKE_KEY
from conformance.monitors.signs import Kind
from model.alphabet import SSS_ID

SCHEDULE_MS = (7_000, 21_000, 49_000, 105_000)
"""When a flight may go out again, counted from its first time (DTL-6)."""
GIVEN_UP_MS = 165_000
LONGEST_REQUEST_S = 900
"""Three flights of 165 s, a response awaited for 60 s, and a session before, whose bound is lower."""
_ANSWERS = frozenset({Kind.VERIFY_REQUEST, Kind.SERVER_HELLO})
_FOR_TAP = Condition("to the tap's controller", lambda s, _: s.to == s.tap, ("to",))
_FOR_ANOTHER = Condition("to another", lambda s, _: s.to != s.tap, ("to",))


def _schedule(kind: Kind, *sent: Condition, provoked: bool) -> tuple[Rule, ...]:
    """A flight's transmissions: the n-th repeat no earlier than the schedule's n-th time after the first.

    A repeat that a frame of the peer may have provoked does not count (RFC 6347, section 4.2.4); then absence of such
    frames must be certain.
    """
    rules = [rule(START, kind, "sent 1", OWN, *sent, keep=("time_us",))]
    for count, earliest in enumerate(SCHEDULE_MS, 1):
        state, following = f"sent {count}", f"sent {count + 1}"
        if provoked:
            rules += [
                rule(state, SPEAKS, f"provoked {count}", FOREIGN),
                rule(f"provoked {count}", kind, state, OWN, *sent),
            ]
        certain = (ALL_SEEN,) if provoked else ()
        rules += [
            rule(state, kind, BUG, OWN, *sent, *certain, sooner(earliest)),
            rule(state, kind, following, OWN, *sent),
        ]
    return tuple(rules)


def _early(flight: int, kind: Kind, *sent: Condition, provoked: bool) -> Monitor:
    key = ("tap", "session") if flight < 4 else HANDSHAKE_KEY
    return Monitor(
        id=f"flight-{flight}-resent-early",
        says=f"Flight {flight} is sent more often than at 0, 7, 21, 49 and 105 s.",
        fault=Fault.SENDER,
        requirements=("DTL-6", "RFC 6347 §4.2.4.1"),
        severity=Severity.LOW,
        source="own mutants timeout-not-doubled, first-timeout-of-the-rfc",
        key=key,
        rules=_schedule(kind, *sent, provoked=provoked),
        needs=frozenset({Need.BOTH, Need.ALL}) if provoked else frozenset(),
    )


TIMING = (
    _early(1, Kind.HELLO, provoked=False),
    _early(3, Kind.HELLO_WITH_COOKIE, provoked=True),
    _early(4, Kind.SERVER_HELLO, provoked=True),
    _early(5, Kind.CCS, CLIENT_DID, provoked=True),
    Monitor(
        id="flight-sent-after-giving-up",
        says="A flight is sent again more than 165 s after its first time, when the handshake has failed.",
        fault=Fault.SENDER,
        requirements=("DTL-6", "SES-7"),
        severity=Severity.MEDIUM,
        source="own mutant timeout-not-capped; historic defects 4 and 15",
        key=(*HANDSHAKE_KEY, "by", "kind"),
        rules=(
            rule(START, ANY_HELLO | {Kind.SERVER_HELLO, Kind.CCS}, "sent", OWN, keep=("time_us",)),
            rule("sent", ANY_HELLO | {Kind.SERVER_HELLO, Kind.CCS}, BUG, OWN, later(GIVEN_UP_MS)),
        ),
    ),
    Monitor(
        id="request-not-answered",
        says="The CPU gets no answer to its request for the SSS.",
        fault=Fault.SENDER,
        requirements=("REG-4",),
        severity=Severity.MEDIUM,
        source="historic defects 2 and 6; own mutant cpu-not-told",
        key=("tap",),
        rules=(
            rule(START, Kind.REQUEST, "asked", ALL_SEEN),
            rule("asked", Kind.ANSWER, START),
            rule("asked", Kind.BOOT, START),
            rule("asked", Kind.HELLO, "talking", OWN, has("to", SSS_ID), keep=("client_random",)),
            after("asked", LONGEST_REQUEST_S, BUG),
            rule("talking", Kind.ANSWER, START),
            rule("talking", Kind.BOOT, START),
            rule("talking", Kind.HELLO, BUG, OWN, differs("client_random")),
            after("talking", LONGEST_REQUEST_S, BUG),
        ),
        needs=frozenset({Need.CPU, Need.ALL}),
    ),
    Monitor(
        id="answered-more-than-once",
        says="The CPU gets more answers than it made requests.",
        fault=Fault.SENDER,
        requirements=("REG-4",),
        severity=Severity.LOW,
        source="own mutant cpu-told-twice",
        key=("tap",),
        rules=(
            rule(START, Kind.REQUEST, "asked"),
            rule("asked", Kind.ANSWER, "answered"),
            rule("asked", Kind.REQUEST, "asked twice"),
            rule("asked", Kind.BOOT, START),
            rule("asked twice", Kind.ANSWER, "asked"),
            rule("asked twice", Kind.BOOT, START),
            rule("answered", Kind.REQUEST, "asked"),
            rule("answered", Kind.ANSWER, BUG, ALL_SEEN),
        ),
        needs=frozenset({Need.CPU, Need.ALL}),
    ),
    Monitor(
        id="radio-answered-while-talking-to-sss",
        says="A ClientHello on the radio is answered while the controller talks to the SSS.",
        fault=Fault.ACCEPTOR,
        requirements=("SES-5",),
        severity=Severity.LOW,
        source="own mutant radio-while-talking",
        key=("tap",),
        rules=(
            rule(START, Kind.HELLO, "talking", OWN, has("to", SSS_ID), ALL_SEEN),
            rule("talking", frozenset({Kind.ANSWER, Kind.BOOT}), START),
            rule("talking", _ANSWERS, BUG, OWN),
        ),
        needs=frozenset({Need.BOTH, Need.CPU, Need.ALL}),
    ),
    Monitor(
        id="overheard-hello-answered",
        says="A server answers a ClientHello that was for another.",
        fault=Fault.ACCEPTOR,
        requirements=("FRM-3",),
        severity=Severity.LOW,
        source="own mutant hears-everyone",
        key=("tap",),
        rules=(
            rule(START, ANY_HELLO, "overheard", FOREIGN, _FOR_ANOTHER, keep=("by", "time_us")),
            rule("overheard", ANY_HELLO, START, FOREIGN, same("by"), _FOR_TAP),
            rule("overheard", ANY_HELLO, "overheard", FOREIGN, _FOR_ANOTHER, keep=("by", "time_us")),
            rule("overheard", _ANSWERS, BUG, OWN, ALL_SEEN, same("to", "by"), within(ANSWER_MS)),
        ),
        needs=frozenset({Need.BOTH, Need.ALL}),
    ),
    Monitor(
        id="own-hello-answered",
        says="A controller answers a ClientHello under its own id.",
        fault=Fault.ACCEPTOR,
        requirements=("FRM-3",),
        severity=Severity.LOW,
        source="own mutant hears-itself",
        key=("tap",),
        rules=(rule(START, _ANSWERS, BUG, OWN, _FOR_TAP),),
    ),
)
