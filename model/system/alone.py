"""A system of one controller, alone in an environment that may do anything.

The environment speaks as a lower id, a higher id and the SSS, with whatever certificate; it has what honest peers can
have said: a few authenticated records, each of which counts once. It acts at deadlines, and a moment (one unit) before.
So the longest time that the controller can be kept busy here is the longest under any adversary, and every rule of a
controller can be taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from model.alphabet import EVENTS, MAX_MESSAGE, PLAINTEXT, SSS_ID
from model.profile import Profile, Setting
from model.rules.base import Rule
from model.state import Mode, State, Step, Waiting
from model.system.base import Action, Kind, Property, System, Variable, Variables
from model.system.base import Step as Change
from model.system.parts import OF
from model.terms import And, If, Not, Or, Term, one_of

ME, LOWER, HIGHER = 4, 3, 5
RECORDS = 3
"""Highest number of an authenticated record that a peer has sent: peers' messages are finite."""
FIRST, LAST, IDLE = 7, 60, 60
"""Timeouts in units of a second."""
WRONG_NAME = 7

RANGES: dict[str, tuple[int, int]] = {
    "mode": (0, 4), "step": (0, 6), "peer": (0, 5), "handshake": (0, 2), "registered": (0, 1), "timer": (0, 60),
    "timeout": (0, 60), "expect": (0, RECORDS + 3), "began": (0, 1), "size": (0, RECORDS + 3), "dev": (0, ME),
    "op": (-1, 1), "aside": (0, 1), "aside_to": (0, 5), "aside_size": (0, 1), "unyielding": (0, 1), "waiting": (0, 4),
    "waiting_to": (0, 5), "waiting_size": (0, 4), "waiting_dev": (0, ME), "waiting_op": (0, 1),
}  # fmt: skip
OPENS = ("SES-2.open", "SES-4.open", "SES-3.open", "SES-3.start-over", "SES-9.yield", "SES-9.resume", "ADV-1.replace")
OPENS += ("SES-5.take-send", "SES-5.take-request", "SES-7.junk", "FRM-2.cut")
"""Rules that begin a session."""


def alone(profile: Profile) -> System:
    """The system of one controller with id 4."""
    setting = Setting(ME, profile, FIRST, LAST, IDLE)
    large = {} if profile.frm_2 else {"size": (0, MAX_MESSAGE + 1)}
    return System(
        "controller",
        tuple(Variable(name, *{**RANGES, **large}[name]) for name in State._fields),
        tuple(_actions(setting)),
        tuple(_properties()),
        unit=1_000,
    )


def _actions(c: Setting) -> Iterator[Action]:
    for rule in OF[None]:
        yield _action(c, rule, "urgent", "", lambda v: (), lambda v: True, urgent=True)
    for kind, event, said, arguments, when in _events():
        for rule in OF[event]:
            yield _action(c, rule, kind, said, arguments, when)
    for rule in OF["time"]:
        if rule.id == "DTL-6.wait":
            yield _action(
                c, rule, "time", "until just before the deadline", lambda v: (v.timer - 1,), lambda v: v.timer > 1
            )
        else:
            yield _action(c, rule, "time", "until the deadline", lambda v: (v.timer,), lambda v: v.timer > 0)


def _action(c: Setting, rule: Rule, kind: str, said: str, arguments, when, *, urgent: bool = False) -> Action:  # type: ignore[no-untyped-def]
    names = EVENTS[rule.on] if rule.on else ()

    def body(v: Variables) -> Change:
        e = SimpleNamespace(**dict(zip(names, arguments(v), strict=True)))
        effect = rule.body(v, e, c)
        return Change(effect.guard, {n: x if not isinstance(x, int) else int(x) for n, x in effect.update.items()})

    def calm(v: Variables) -> Term:
        busy = Or(v.mode != Mode.IDLE, And(v.aside == 0, v.waiting == Waiting.NONE))
        return when(v) if urgent else And(when(v), busy)

    elapsed = (lambda v: arguments(v)[0]) if kind == "time" else None
    return Action(f"{ME}.{rule.id}({said})", kind, (rule.id,), rule.says, body, calm, elapsed=elapsed)


def _always(_: Variables) -> Term:
    return True


def _events() -> Iterator[tuple[str, str, str, object, object]]:
    """Kind of action, event, what to call it, its arguments and its guard."""

    def unread(v: Variables) -> Term:
        return v.waiting == Waiting.NONE

    def session(v: Variables) -> Term:
        return v.peer != 0

    def own_ca(v: Variables) -> Term:
        return If(v.mode != Mode.TALKING_TO_SSS, v.registered, 0)

    for to in (LOWER, HIGHER):
        yield "cpu", "cpu-send", f"cpu-send to {to}", lambda v, to=to: (to, 1), unread
        yield "fault", "start-failure", f"start-failure towards {to}", lambda v, to=to: (to,), unread
        yield "cpu", "cpu-oversize", f"cpu-oversize to {to}", lambda v, to=to: (to, MAX_MESSAGE + 1), unread
    for op, word in ((0, "register"), (1, "deregister")):
        yield "cpu", "cpu-request", f"cpu-request {word}", lambda v, op=op: (4, ME, op), unread
    yield "cpu", "cpu-request", "cpu-request of 3 bytes", lambda v: (3, 0, 0), unread
    yield "cpu", "cpu-other", "cpu-other", lambda v: (), unread
    yield "cpu", "cpu-faa", "cpu-faa", lambda v: (1,), unread
    yield "deliver", "radio-faa", "radio-faa", lambda v: (1,), _always
    for x in (LOWER, HIGHER):
        yield "forge", "hello", f"hello from {x}", lambda v, x=x: (x,), _always
        for h in (1, 2):
            yield "forge", "hello-cookie", f"hello-cookie {h} from {x}", lambda v, x=x, h=h: (x, h), _always
        yield "forge", "noise", f"noise from {x}", lambda v, x=x: (x,), _always
    yield "forge", "verify-request", "verify-request from its peer", lambda v: (v.peer,), session
    yield "deliver", "flight4", "flight4 from its peer", lambda v: (v.peer,), session
    yield "forge", "alert", "plaintext alert from its peer", lambda v: (v.peer, PLAINTEXT), session
    yield "forge", "forged", "forged from its peer", lambda v: (v.peer,), session
    for said, flip, cn in (("good", 0, 0), ("of another CA", 1, 0), ("in another name", 0, WRONG_NAME)):

        def shown(v: Variables, flip: int = flip, cn: int = cn) -> tuple[Term, ...]:
            ca = own_ca(v)
            return (v.peer, 1 - ca if flip else ca, cn or v.peer)

        yield "deliver", "certificate", f"certificate {said}, from its peer", shown, session
    yield "replay", "repeat", "flight4 again from its peer", lambda v: (v.peer, 4, PLAINTEXT), session

    def handshake(v: Variables) -> Term:
        return one_of(v.step, Step.KEYS, Step.ACCEPT)

    yield "deliver", "flight5", "flight5 from its peer", lambda v: (v.peer, 0), handshake
    yield "deliver", "flight6", "flight6 from its peer", lambda v: (v.peer, 0), handshake

    def more(v: Variables) -> Term:
        return And(session(v), v.expect <= RECORDS)

    for flight in (5, 6):
        yield (
            "replay",
            "repeat",
            f"flight{flight} again from its peer",
            lambda v, flight=flight: (v.peer, flight, v.expect),
            lambda v: And(more(v), v.began == 0),
        )
    for gap, said in ((0, "data"), (1, "data after a gap")):
        yield "deliver", "data", f"{said} from its peer", lambda v, gap=gap: (v.peer, v.expect + gap, 1), more
    yield (
        "deliver",
        "data",
        "data beyond 16,384 bytes, from its peer",
        lambda v: (v.peer, v.expect, MAX_MESSAGE + 1),
        more,
    )
    for gap, said in ((0, "close"), (1, "close after a gap")):
        yield "deliver", "close", f"{said} from its peer", lambda v, gap=gap: (v.peer, v.expect + gap), more
    yield "deliver", "alert", "authenticated alert from its peer", lambda v: (v.peer, v.expect), more

    def talking(v: Variables) -> Term:
        return v.mode == Mode.TALKING_TO_SSS

    for op in (0, 1, -1):
        for good, usable in ((1, 1), (1, 0), (0, 0)):
            said = ("spoiled", "good")[good] + ("" if usable or not good else " but useless")
            yield (
                "deliver",
                "response",
                f"response {op}, {said}, from {SSS_ID}",
                lambda v, op=op, good=good, usable=usable: (op, good, usable),
                talking,
            )


def _properties() -> Iterator[Property]:
    def busy(v: Variables) -> Term:
        return one_of(v.mode, Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE, Mode.TALKING_TO_SSS)

    yield Property(
        "timers-armed",
        Kind.ALWAYS,
        ("SES-7", "SES-11", "SES-1"),
        "A timer is armed exactly while a session runs: nothing ever waits for ever.",
        lambda v: And(Or(Not(busy(v)), v.timer != 0), Or(busy(v), v.timer == 0)),
        busy,
    )
    yield Property(
        "no-fatal-error",
        Kind.ALWAYS,
        ("SES-12", "CRT-5"),
        "No input leads to FATAL_ERROR.",
        lambda v: v.mode != Mode.FATAL_ERROR,
        lambda v: True,
    )
    yield Property(
        "can-come-to-rest",
        Kind.POSSIBLE,
        ("SES-7", "SES-12"),
        "From every state there is a way back to where the controller is IDLE.",
        lambda v: And(v.mode == Mode.IDLE, v.aside == 0, v.waiting == Waiting.NONE),
    )
