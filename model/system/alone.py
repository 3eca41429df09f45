"""A system of one controller, alone in an environment that may do anything.

The environment speaks as a lower id, a higher id and the SSS, with whatever certificate; it has what honest peers can
have said: a few authenticated records, each of which counts once. It acts at deadlines, and a millisecond before. So
the longest time that the controller can be kept busy here is the longest under any adversary, and every rule of a
controller can be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import NamedTuple, TypeAlias

from model.alphabet import DEREGISTER, EVENTS, MAX_MESSAGE, PLAINTEXT, REFUSED, REGISTER, SSS_ID
from model.profile import Profile, Setting
from model.rules.base import Effect, Rule
from model.state import Mode, State, Step, Waiting
from model.system.base import Action, Kind, Property, System, Variable, Variables
from model.system.base import Step as Change
from model.system.makers import OPERATIONS, RULES_ON
from model.terms import And, If, Not, Or, Term, one_of

ME, LOWER, HIGHER = 4, 3, 5
RECORDS = 3
"""Highest number of an authenticated record that a peer has sent: peers' messages are finite."""
FIRST, LAST, IDLE = 7_000, 60_000, 60_000
"""Timeouts in milliseconds."""
WRONG_NAME = 7

RANGES: dict[str, tuple[int, int]] = {
    "mode": (0, 4), "step": (0, 6), "peer": (0, 5), "handshake": (0, 2), "registered": (0, 1), "timer": (0, LAST),
    "timeout": (0, LAST), "expect": (0, RECORDS + 3), "began": (0, 1), "size": (0, RECORDS + 3), "dev": (0, ME),
    "op": (-1, 1), "aside": (0, 1), "aside_to": (0, 5), "aside_size": (0, 1), "unyielding": (0, 1), "waiting": (0, 4),
    "waiting_to": (0, 5), "waiting_size": (0, 4), "waiting_dev": (0, ME), "waiting_op": (0, 1),
}  # fmt: skip
OPENS = (
    "SES-2.open", "SES-4.open", "SES-3.open", "SES-3.start-over", "SES-9.yield", "SES-9.resume", "ADV-1.replace",
    "SES-5.take-send", "SES-5.take-request", "SES-7.junk", "FRM-2.cut",
)  # fmt: skip
"""Rules that begin a session."""


Guard: TypeAlias = Callable[[Variables], Term]
Arguments: TypeAlias = tuple[Term, ...] | Callable[[Variables], tuple[Term, ...]]


class Happening(NamedTuple):
    """Something that reaches the controller: the kind of action, the event, what to call it, and when it can be."""

    kind: str
    event: str
    said: str
    arguments: Arguments = ()
    when: Guard = lambda _: True

    def values(self, v: Variables) -> tuple[Term, ...]:
        """The event's arguments in a state."""
        return self.arguments if isinstance(self.arguments, tuple) else self.arguments(v)


def alone(profile: Profile) -> System:
    """The system of one controller with id 4."""
    setting = Setting(ME, profile, FIRST, LAST, IDLE)
    large = {} if profile.frm_2 else dict.fromkeys(("size", "aside_size"), (0, MAX_MESSAGE + 1))
    return System(
        "controller",
        tuple(Variable(name, *{**RANGES, **large}[name]) for name in State._fields),
        tuple(_actions(setting)),
        tuple(_properties()),
    )


# --- actions ---------------------------------------------------------------------------------------------------------


def _actions(c: Setting) -> Iterator[Action]:
    for rule in RULES_ON[None]:
        yield Action(f"{ME}.{rule.id}()", "urgent", (rule.id,), rule.says, partial(_by_itself, c, rule))
    for happening in happenings():
        for rule in RULES_ON[happening.event]:
            yield _action(c, rule, happening)
    for rule in RULES_ON["time"]:
        yield _action(c, rule, BEFORE if rule.id == "DTL-6.wait" else UNTIL)


BEFORE = Happening("time", "time", "until just before the deadline", lambda v: (v.timer - 1,), lambda v: v.timer > 1)
UNTIL = Happening("time", "time", "until the deadline", lambda v: (v.timer,), lambda v: v.timer > 0)


def _action(c: Setting, rule: Rule, happening: Happening) -> Action:
    """A rule takes what happens. Nothing reaches a controller that has something to do by itself."""

    def calm(v: Variables) -> Term:
        busy = Or(v.mode != Mode.IDLE, And(v.aside == 0, v.waiting == Waiting.NONE))
        return And(happening.when(v), busy)

    def elapsed(v: Variables) -> Term:
        return happening.values(v)[0]

    return Action(
        f"{ME}.{rule.id}({happening.said})",
        happening.kind,
        (rule.id,),
        rule.says,
        partial(_takes, c, rule, happening),
        calm,
        elapsed=elapsed if happening.event == "time" else None,
    )


def _takes(c: Setting, rule: Rule, happening: Happening, v: Variables) -> Change:
    e = SimpleNamespace(**dict(zip(EVENTS[happening.event], happening.values(v), strict=True)))
    return _change(rule.body(v, e, c))


def _by_itself(c: Setting, rule: Rule, v: Variables) -> Change:
    return _change(rule.body(v, SimpleNamespace(), c))


def _change(effect: Effect) -> Change:
    """What a rule does to the variables; what shows outside is nobody's here."""
    return Change(effect.guard, {n: int(x) if isinstance(x, int) else x for n, x in effect.update.items()})


# --- what can happen -------------------------------------------------------------------------------------------------


def happenings() -> Iterator[Happening]:
    """All that reaches the controller, the passing of time apart."""
    yield from _from_the_cpu()
    for x in (LOWER, HIGHER):
        yield Happening("forge", "hello", f"hello from {x}", (x,))
        for h in (1, 2):
            yield Happening("forge", "hello-cookie", f"hello-cookie {h} from {x}", (x, h))
        yield Happening("forge", "noise", f"noise from {x}", (x,))
    yield from _in_handshakes()
    yield from _afterwards()


def _from_the_cpu() -> Iterator[Happening]:
    def unread(v: Variables) -> Term:
        return v.waiting == Waiting.NONE

    for to in (LOWER, HIGHER):
        yield Happening("cpu", "cpu-send", f"cpu-send to {to}", (to, 1), unread)
        yield Happening("fault", "start-failure", f"start-failure towards {to}", (to,), unread)
        yield Happening("cpu", "cpu-oversize", f"cpu-oversize to {to}", (to, MAX_MESSAGE + 1), unread)
    for op, word in OPERATIONS.items():
        yield Happening("cpu", "cpu-request", f"cpu-request {word}", (4, ME, op), unread)
    yield Happening("cpu", "cpu-request", "cpu-request of 3 bytes", (3, 0, 0), unread)
    yield Happening("cpu", "cpu-other", "cpu-other", (), unread)
    yield Happening("cpu", "cpu-faa", "cpu-faa", (1,), unread)
    yield Happening("deliver", "radio-faa", "radio-faa", (1,))


def _session(v: Variables) -> Term:
    return v.peer != 0


def _by_peer(v: Variables) -> tuple[Term, ...]:
    return (v.peer,)


def _in_handshakes() -> Iterator[Happening]:
    yield Happening("forge", "verify-request", "verify-request from its peer", _by_peer, _session)
    yield Happening("deliver", "flight4", "flight4 from its peer", _by_peer, _session)
    yield Happening("forge", "alert", "plaintext alert from its peer", lambda v: (v.peer, PLAINTEXT), _session)
    yield Happening("forge", "forged", "forged from its peer", _by_peer, _session)

    def own_ca(v: Variables) -> Term:
        return If(v.mode != Mode.TALKING_TO_SSS, v.registered, 0)

    def good(v: Variables) -> tuple[Term, ...]:
        return (v.peer, own_ca(v), v.peer)

    def of_another_ca(v: Variables) -> tuple[Term, ...]:
        return (v.peer, 1 - own_ca(v), v.peer)

    def misnamed(v: Variables) -> tuple[Term, ...]:
        return (v.peer, own_ca(v), WRONG_NAME)

    for said, shown in (("good", good), ("of another CA", of_another_ca), ("in another name", misnamed)):
        yield Happening("deliver", "certificate", f"certificate {said}, from its peer", shown, _session)
    yield Happening("replay", "repeat", "flight4 again from its peer", lambda v: (v.peer, 4, PLAINTEXT), _session)

    def handshake(v: Variables) -> Term:
        return one_of(v.step, Step.KEYS, Step.ACCEPT)

    def finished(v: Variables) -> tuple[Term, ...]:
        return (v.peer, 0)

    yield Happening("deliver", "flight5", "flight5 from its peer", finished, handshake)
    yield Happening("deliver", "flight6", "flight6 from its peer", finished, handshake)


def _afterwards() -> Iterator[Happening]:
    def more(v: Variables) -> Term:
        return And(_session(v), v.expect <= RECORDS)

    def before_data(v: Variables) -> Term:
        return And(more(v), v.began == 0)

    def repeat(flight: int, v: Variables) -> tuple[Term, ...]:
        return (v.peer, flight, v.expect)

    def data(gap: int, size: int, v: Variables) -> tuple[Term, ...]:
        return (v.peer, v.expect + gap, size)

    def record(gap: int, v: Variables) -> tuple[Term, ...]:
        return (v.peer, v.expect + gap)

    for flight in (5, 6):
        said = f"flight{flight} again from its peer"
        yield Happening("replay", "repeat", said, partial(repeat, flight), before_data)
    for gap, said in ((0, "data"), (1, "data after a gap")):
        yield Happening("deliver", "data", f"{said} from its peer", partial(data, gap, 1), more)
    too_much = partial(data, 0, MAX_MESSAGE + 1)
    yield Happening("deliver", "data", "data beyond 16,384 bytes, from its peer", too_much, more)
    for gap, said in ((0, "close"), (1, "close after a gap")):
        yield Happening("deliver", "close", f"{said} from its peer", partial(record, gap), more)
    yield Happening("deliver", "alert", "authenticated alert from its peer", partial(record, 0), more)

    def talking(v: Variables) -> Term:
        return v.mode == Mode.TALKING_TO_SSS

    for op in (REGISTER, DEREGISTER, REFUSED):
        for good, usable, quality in ((1, 1, "good"), (1, 0, "good but useless"), (0, 0, "spoiled")):
            said = f"response {op}, {quality}, from {SSS_ID}"
            yield Happening("deliver", "response", said, (op, good, usable), talking)


# --- properties ------------------------------------------------------------------------------------------------------


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
        lambda _: True,
    )
    yield Property(
        "can-come-to-rest",
        Kind.POSSIBLE,
        ("SES-7", "SES-12"),
        "From every state there is a way back to where the controller is IDLE.",
        lambda v: And(v.mode == Mode.IDLE, v.aside == 0, v.waiting == Waiting.NONE),
    )
