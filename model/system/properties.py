"""What is asked of the systems (protocol page, section 11): each property with its requirement ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from model.alphabet import SSS_ID
from model.state import Mode, Step, Waiting
from model.system.base import Kind, Property
from model.system.layout import Draft, Guard, Layout, Proof
from model.system.makers import always, settled
from model.terms import And, If, Not, Or, Term, one_of

About: TypeAlias = Callable[[Layout], bool]
"""Whether a layout has what a property is about."""


@dataclass(frozen=True, slots=True)
class Question:
    """A property of every layout that has what it is `about`. The other fields are those of `Property`."""

    name: str
    kind: Kind
    needs: str
    says: str
    holds: Guard
    premise: Guard | None = None
    about: About = lambda _: True

    def of(self, layout: Layout) -> Property:
        """It, of one layout."""
        premise = None if self.premise is None else layout.reading(self.premise)
        return Property(self.name, self.kind, tuple(self.needs.split()), self.says, layout.reading(self.holds), premise)


# --- what they are made of -------------------------------------------------------------------------------------------

OfOne: TypeAlias = Callable[[Draft, int], Term]
"""Something that is asked of one SED."""


def each(holds: OfOne) -> Guard:
    """It holds of each SED."""
    return lambda d: And(*(holds(d, i) for i in d.layout.scope.seds))


def some(holds: OfOne) -> Guard:
    """It holds of some SED."""
    return lambda d: Or(*(holds(d, i) for i in d.layout.scope.seds))


def zero(monitor: str) -> Guard:
    """What a monitor looks for has not happened."""
    return lambda d: d[monitor] == 0


def in_mode(mode: Mode) -> OfOne:
    """A SED is in a state."""
    return lambda d, i: d[f"s{i}_mode"] == mode


def at_step(step: Step) -> OfOne:
    """A SED's session has come so far."""
    return lambda d, i: d[f"s{i}_step"] == step


def registered(d: Draft, i: int) -> Term:
    """A SED has a runtime set."""
    return d[f"s{i}_registered"] == 1


def busy(d: Draft, i: int) -> Term:
    """A session of a SED runs."""
    return one_of(d[f"s{i}_mode"], Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE, Mode.TALKING_TO_SSS)


def rest(d: Draft) -> Term:
    """Every controller is IDLE and stays so unless something reaches it."""
    return And(settled(d), each(in_mode(Mode.IDLE))(d))


def asking(layout: Layout) -> bool:
    """Some SED can be a client of the SSS."""
    return bool(layout.scope.asks)


def sending(layout: Layout) -> bool:
    """Some SED can be a client of another."""
    return bool(layout.scope.sends)


def receiving(layout: Layout) -> bool:
    """Some SED can be a server."""
    return sending(layout) or (layout.scope.forging and layout.scope.radio)


# --- always ----------------------------------------------------------------------------------------------------------


def _one_session(d: Draft, i: int) -> Term:
    mode, step, peer = d[f"s{i}_mode"], d[f"s{i}_step"], d[f"s{i}_peer"]
    a_sed = And(peer != 0, peer != SSS_ID)
    flights = one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS)
    return Or(
        And(mode == Mode.SENDING_MESSAGE, flights, a_sed),
        And(mode == Mode.TALKING_TO_SSS, Or(flights, step == Step.READ), peer == SSS_ID),
        And(mode == Mode.RECEIVING_MESSAGE, one_of(step, Step.ACCEPT, Step.LISTEN), a_sed),
        And(one_of(mode, Mode.IDLE, Mode.FATAL_ERROR), step == Step.NONE, peer == 0),
    )


def _timer_armed(d: Draft, i: int) -> Term:
    return If(busy(d, i), d[f"s{i}_timer"] != 0, d[f"s{i}_timer"] == 0)


def _no_fatal_error(d: Draft, i: int) -> Term:
    return d[f"s{i}_mode"] != Mode.FATAL_ERROR


def _secrets_gone(d: Draft, i: int) -> Term:
    return Not(And(d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, registered(d, i)))


def _known(d: Draft, i: int) -> Term:
    return Or(d[f"s{i}_registered"] == 0, d[f"w{i}_registered"] == 1)


def _one_answer(d: Draft, i: int) -> Term:
    talking = If(d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, 1, 0)
    waiting = If(d[f"s{i}_waiting"] == Waiting.REQUEST, 1, 0)
    return d[f"s{i}_owed"] == talking + waiting


def _cpu_first(d: Draft, i: int) -> Term:
    unproved = And(d[f"s{i}_mode"] == Mode.RECEIVING_MESSAGE, d[f"s{i}_step"] == Step.ACCEPT)
    late = d[f"s{i}_timeout"] > d.layout.first
    return Not(And(unproved, late, Or(d[f"s{i}_aside"] == 1, d[f"s{i}_waiting"] != Waiting.NONE)))


def _after_handshake(d: Draft, i: int) -> Term:
    return one_of(d[f"s{i}_step"], Step.READ, Step.LISTEN)


def _wire_timer_armed(d: Draft, i: int) -> Term:
    return If(d[f"w{i}_step"] == Step.NONE, d[f"w{i}_timer"] == 0, d[f"w{i}_timer"] != 0)


def _faa_never_waits(d: Draft) -> Term:
    return And(d["faa_lost"] == 0, each(lambda d, i: d[f"s{i}_waiting"] != Waiting.FAA)(d))


def _under_way(layout: Layout) -> list[str]:
    """The counts of messages that were sent and have not been delivered."""
    return [name for name in layout.variables if name.startswith("sent")]


def _at_most_once(d: Draft) -> Term:
    return And(*(d[name] >= 0 for name in _under_way(d.layout)))


def _some_under_way(d: Draft) -> Term:
    return Or(*(d[name] > 0 for name in _under_way(d.layout)))


ALWAYS = (
    Question(
        "one-session",
        Kind.ALWAYS,
        "SES-1 SES-5",
        "A controller is in one of its five states, with at most one session, of the kind that the state says.",
        each(_one_session),
        some(busy),
    ),
    Question(
        "timers-armed",
        Kind.ALWAYS,
        "SES-7 SES-11 SES-1",
        "A timer is armed exactly while a session runs: nothing ever waits for ever.",
        each(_timer_armed),
        some(busy),
    ),
    Question(
        "no-fatal-error",
        Kind.ALWAYS,
        "SES-12 CRT-5",
        "No input leads to FATAL_ERROR.",
        each(_no_fatal_error),
        always,
    ),
    Question(
        "secrets-gone",
        Kind.ALWAYS,
        "CRT-4 REG-6",
        "While a controller talks to the SSS, it has no runtime set any more.",
        each(_secrets_gone),
        some(in_mode(Mode.TALKING_TO_SSS)),
        about=asking,
    ),
    Question(
        "registered-is-known",
        Kind.ALWAYS,
        "REG-1 REG-6 CRT-4",
        "Who has a runtime set counts as registered at the SSS.",
        each(_known),
        some(registered),
        about=asking,
    ),
    Question(
        "one-answer",
        Kind.ALWAYS,
        "REG-4",
        "The CPU gets exactly one answer per request: it is owed one only while its request waits or is under way.",
        each(_one_answer),
        some(in_mode(Mode.TALKING_TO_SSS)),
        about=asking,
    ),
    Question(
        "delivered-at-most-once",
        Kind.ALWAYS,
        "ADV-3 SES-8 CRT-7",
        "No CPU gets more messages from a SED than that SED has sent to it.",
        _at_most_once,
        _some_under_way,
        about=lambda layout: bool(_under_way(layout)),
    ),
    Question(
        "cpu-first",
        Kind.ALWAYS,
        "ADV-1",
        "A peer that has not proved itself holds up the own CPU for one retransmission period at the most.",
        each(_cpu_first),
        some(at_step(Step.ACCEPT)),
        about=receiving,
    ),
    Question(
        "faa-always-passes",
        Kind.ALWAYS,
        "FRM-5",
        "FAA frames pass at any time.",
        _faa_never_waits,
        some(busy),
        about=lambda layout: "faa" in layout.scope.faults,
    ),
    Question(
        "authentic",
        Kind.ALWAYS,
        "CRT-7 CRT-3 SES-3",
        "What a CPU gets as a message from a SED was sent by that SED; nobody can speak in its name.",
        zero("fake"),
        some(at_step(Step.LISTEN)),
        about=sending,
    ),
    Question(
        "confidential",
        Kind.ALWAYS,
        "CRT-7 CRT-3 DTL-1",
        "A message goes only to the device that it is for; nobody else can read it.",
        zero("leak"),
        some(at_step(Step.KEYS)),
        about=sending,
    ),
    Question(
        "same-bytes-or-nothing",
        Kind.ALWAYS,
        "SES-8 FRM-2 SES-10",
        "A CPU gets a message whole and unchanged, or not at all.",
        zero("broken"),
        some(at_step(Step.LISTEN)),
        about=sending,
    ),
    Question(
        "no-session-across-cas",
        Kind.ALWAYS,
        "CRT-9 CRT-3",
        "No session completes between certificates of different CAs.",
        zero("cross"),
        some(at_step(Step.LISTEN)),
        about=sending,
    ),
    Question(
        "plaintext-ends-no-session",
        Kind.ALWAYS,
        "DTL-7 SES-5",
        "What needs no key ends no session after its handshake.",
        zero("killed"),
        some(_after_handshake),
    ),
    Question(
        "answers-are-true",
        Kind.ALWAYS,
        "REG-4 REG-6 CRT-5",
        "The CPU is told that it is registered exactly when it is, and deregistered only when the SSS agrees.",
        zero("misanswered"),
        some(in_mode(Mode.TALKING_TO_SSS)),
        about=asking,
    ),
    Question(
        "credentials-work",
        Kind.ALWAYS,
        "CRT-5",
        "A runtime set comes into force only if it is usable.",
        zero("useless"),
        some(registered),
        about=lambda layout: "unusable" in layout.scope.faults and asking(layout),
    ),
    Question(
        "any-request-discards",
        Kind.ALWAYS,
        "CRT-4",
        "A malformed request discards the runtime set, too.",
        zero("kept"),
        some(registered),
        about=lambda layout: "malformed" in layout.scope.faults and asking(layout),
    ),
    Question(
        "sss-timers-armed",
        Kind.ALWAYS,
        "DTL-6 SES-7",
        "At the SSS, too, a timer is armed exactly while a session runs.",
        each(_wire_timer_armed),
        some(lambda d, i: d[f"w{i}_step"] != Step.NONE),
        about=asking,
    ),
    Question(
        "sss-serves-its-devices",
        Kind.ALWAYS,
        "CRT-8 CRT-7",
        "Nobody completes a handshake with the SSS on a wire but the device that the wire belongs to.",
        zero("impostor"),
        some(lambda d, i: And(d[f"w{i}_step"] == Step.ACCEPT, d[f"w{i}_handshake"] == 2)),
        about=lambda layout: asking(layout) and layout.scope.forging and layout.scope.wires,
    ),
    Question(
        "removed-stays-out",
        Kind.ALWAYS,
        "CRT-8",
        "A device that was removed is not registered.",
        lambda d: And(*(And(d[f"s{i}_registered"] == 0, d[f"w{i}_registered"] == 0) for i in d.layout.scope.removed)),
        lambda d: Or(*(d[f"w{i}_step"] == Step.ACCEPT for i in d.layout.scope.removed)),
        about=lambda layout: bool(layout.scope.removed),
    ),
    Question(
        "right-certificate-set",
        Kind.ALWAYS,
        "CRT-2 CRT-3 CRT-4",
        "Each session shows the set that it must: provisioning to the SSS and while unregistered, else runtime.",
        zero("wrong"),
        some(at_step(Step.KEYS)),
    ),
)
"""Safety, asked of every scope that has what they are about."""


# --- by name ---------------------------------------------------------------------------------------------------------


def _all_delivered(d: Draft) -> Term:
    return Or(Not(rest(d)), And(*(d[name] == 0 for name in d.layout.variables if name.startswith("due"))))


def _all_sent(d: Draft) -> Term:
    return And(rest(d), each(lambda d, i: d[f"s{i}_todo"] == 0)(d))


def _registered_if_asking(d: Draft, i: int) -> Term:
    return registered(d, i) if d.layout.scope.asks.get(i) else True


def _message_before_receiver(d: Draft, i: int) -> Term:
    whole = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_size"] == d.layout.scope.records, d[f"s{i}_c"] == 1)
    return And(whole, d[f"s{i}_f5"] != Proof.ADVERSARY)


BY_NAME = (
    Question(
        "all-delivered",
        Kind.ALWAYS,
        "SES-2 SES-3 SES-9 CRT-7 CRT-3",
        "When everything has come to rest, every message that was sent has been delivered.",
        _all_delivered,
        _all_sent,
    ),
    Question(
        "no-needless-timeout",
        Kind.ALWAYS,
        "REG-3 REG-7 SES-4",
        "Where no frame is lost, no controller waits until it gives up.",
        zero("spurious"),
        some(busy),
    ),
    Question(
        "idle-again",
        Kind.EVENTUALLY,
        "SES-7 SES-11 SES-12",
        "Whatever happens, everything comes to rest: every controller IDLE, with nothing under way.",
        rest,
    ),
    Question(
        "can-register",
        Kind.POSSIBLE,
        "REG-5 REG-1",
        "From every state every device can get registered (again).",
        each(_registered_if_asking),
        about=asking,
    ),
    Question(
        "can-come-to-rest",
        Kind.POSSIBLE,
        "SES-7 SES-12",
        "From every state there is a way back to where every controller is IDLE.",
        rest,
    ),
    Question(
        "a-message-arrives",
        Kind.REACHABLE,
        "SES-2 SES-3",
        "A message can get through: whole, with its close_notify before the receiver.",
        some(_message_before_receiver),
    ),
    Question(
        "a-device-registers",
        Kind.REACHABLE,
        "REG-1 CRT-5",
        "A device can get registered.",
        some(registered),
    ),
    Question(
        "no-split-fleet",
        Kind.ALWAYS,
        "REG-1 CRT-3",
        "Two registered SEDs accept each other's certificates.",
        zero("split"),
        each(registered),
    ),
    Question(
        "registration-is-granted",
        Kind.ALWAYS,
        "REG-5 REG-1",
        "The SSS never refuses to register a device that has no runtime set.",
        zero("locked"),
        some(in_mode(Mode.TALKING_TO_SSS)),
    ),
)
"""Asked of the scopes that name them."""


def properties_of(layout: Layout) -> tuple[Property, ...]:
    """The properties that are asked of a layout."""
    named = {question.name: question for question in BY_NAME}
    questions = (*ALWAYS, *(named[name] for name in layout.scope.properties))
    return tuple(question.of(layout) for question in questions if question.about(layout))
