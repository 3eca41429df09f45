"""What is asked of the systems (protocol page, section 11): each property with its requirement ids."""

from __future__ import annotations

from collections.abc import Callable

from model.alphabet import SSS_ID
from model.state import Mode, Step, Waiting
from model.system.base import Kind, Property, Variables
from model.system.layout import Layout, Proof
from model.system.parts import settled
from model.terms import And, If, Not, Or, Term, one_of

Make = Callable[[Layout], Property | None]
"""A property of a layout; None where the layout lacks what it is about."""


def _all(layout: Layout, holds: Callable[[Variables, int], Term]) -> Callable[[Variables], Term]:
    """It holds of each SED."""
    return lambda v: And(*(holds(layout.draft(v), i) for i in layout.scope.seds))


def _some(layout: Layout, holds: Callable[[Variables, int], Term]) -> Callable[[Variables], Term]:
    return lambda v: Or(*(holds(layout.draft(v), i) for i in layout.scope.seds))


def _never(
    name: str,
    monitor: str,
    needs: str,
    says: str,
    premise: Callable[[Layout], Callable[[Variables], Term]],
    about: Callable[[Layout], bool] = lambda _: True,
) -> Make:
    """A monitor stays 0, in scopes that have what it is about."""

    def make(layout: Layout) -> Property | None:
        if not about(layout):
            return None
        return Property(
            name, Kind.ALWAYS, tuple(needs.split()), says, lambda v: getattr(v, monitor) == 0, premise(layout)
        )

    return make


def _mode(mode: Mode) -> Callable[[Layout], Callable[[Variables], Term]]:
    return lambda layout: _some(layout, lambda d, i: d[f"s{i}_mode"] == mode)


def _step(step: Step) -> Callable[[Layout], Callable[[Variables], Term]]:
    return lambda layout: _some(layout, lambda d, i: d[f"s{i}_step"] == step)


def _anything(_: Layout) -> Callable[[Variables], Term]:
    return lambda _: True


def busy(d: Variables, i: int) -> Term:
    """A session of SED `i` runs."""
    return one_of(d[f"s{i}_mode"], Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE, Mode.TALKING_TO_SSS)


def receives(layout: Layout) -> bool:
    """Some SED can be a server."""
    return bool(layout.scope.sends) or layout.scope.forging


def sends(layout: Layout) -> bool:
    """Some SED can be a client of another."""
    return bool(layout.scope.sends)


def rest(layout: Layout) -> Callable[[Variables], Term]:
    """Every controller is IDLE and stays so unless something reaches it."""
    idle = _all(layout, lambda d, i: d[f"s{i}_mode"] == Mode.IDLE)
    return lambda v: And(settled(layout, v), idle(v))


# --- always ----------------------------------------------------------------------------------------------------------


def timers_armed(layout: Layout) -> Property:
    def holds(d: Variables, i: int) -> Term:
        return If(busy(d, i), d[f"s{i}_timer"] != 0, d[f"s{i}_timer"] == 0)

    return Property(
        "timers-armed",
        Kind.ALWAYS,
        ("SES-7", "SES-11", "SES-1"),
        "A timer is armed exactly while a session runs: nothing ever waits for ever.",
        _all(layout, holds),
        _some(layout, busy),
    )


def one_session(layout: Layout) -> Property:
    def holds(d: Variables, i: int) -> Term:
        mode, step, peer = d[f"s{i}_mode"], d[f"s{i}_step"], d[f"s{i}_peer"]
        sending = And(one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS), peer != 0, peer != SSS_ID)
        talking = And(one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS, Step.READ), peer == SSS_ID)
        receiving = And(one_of(step, Step.ACCEPT, Step.LISTEN), peer != 0, peer != SSS_ID)
        none = And(step == Step.NONE, peer == 0)
        return Or(
            And(mode == Mode.SENDING_MESSAGE, sending),
            And(mode == Mode.TALKING_TO_SSS, talking),
            And(mode == Mode.RECEIVING_MESSAGE, receiving),
            And(one_of(mode, Mode.IDLE, Mode.FATAL_ERROR), none),
        )

    return Property(
        "one-session",
        Kind.ALWAYS,
        ("SES-1", "SES-5"),
        "A controller is in one of its five states, with at most one session, of the kind that the state says.",
        _all(layout, holds),
        _some(layout, busy),
    )


def no_fatal_error(layout: Layout) -> Property:
    return Property(
        "no-fatal-error",
        Kind.ALWAYS,
        ("SES-12", "CRT-5"),
        "No input leads to FATAL_ERROR.",
        _all(layout, lambda d, i: d[f"s{i}_mode"] != Mode.FATAL_ERROR),
        lambda _: True,
    )


def secrets_gone(layout: Layout) -> Property | None:
    if not layout.scope.asks:
        return None

    def holds(d: Variables, i: int) -> Term:
        return Not(And(d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, d[f"s{i}_registered"] == 1))

    return Property(
        "secrets-gone",
        Kind.ALWAYS,
        ("CRT-4", "REG-6"),
        "While a controller talks to the SSS, it has no runtime set any more.",
        _all(layout, holds),
        _mode(Mode.TALKING_TO_SSS)(layout),
    )


def registered_is_known(layout: Layout) -> Property | None:
    if not layout.scope.asks:
        return None

    def holds(d: Variables, i: int) -> Term:
        return Or(d[f"s{i}_registered"] == 0, d[f"w{i}_registered"] == 1)

    return Property(
        "registered-is-known",
        Kind.ALWAYS,
        ("REG-1", "REG-6", "CRT-4"),
        "Who has a runtime set counts as registered at the SSS.",
        _all(layout, holds),
        _some(layout, lambda d, i: d[f"s{i}_registered"] == 1),
    )


def one_answer(layout: Layout) -> Property | None:
    if not layout.scope.asks:
        return None

    def holds(d: Variables, i: int) -> Term:
        talking = If(d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, 1, 0)
        waiting = If(d[f"s{i}_waiting"] == Waiting.REQUEST, 1, 0)
        return d[f"s{i}_owed"] == talking + waiting

    return Property(
        "one-answer",
        Kind.ALWAYS,
        ("REG-4",),
        "The CPU gets exactly one answer per request: it is owed one only while its request waits or is under way.",
        _all(layout, holds),
        _mode(Mode.TALKING_TO_SSS)(layout),
    )


def at_most_once(layout: Layout) -> Property | None:
    pairs = [n for n in layout.variables if n.startswith("sent")]
    if not pairs:
        return None
    return Property(
        "delivered-at-most-once",
        Kind.ALWAYS,
        ("ADV-3", "SES-8", "CRT-7"),
        "No CPU gets more messages from a SED than that SED has sent to it.",
        lambda v: And(*(getattr(v, n) >= 0 for n in pairs)),
        lambda v: Or(*(getattr(v, n) > 0 for n in pairs)),
    )


def cpu_first(layout: Layout) -> Property | None:
    if not receives(layout):
        return None

    def holds(d: Variables, i: int) -> Term:
        unproved = And(d[f"s{i}_mode"] == Mode.RECEIVING_MESSAGE, d[f"s{i}_step"] == Step.ACCEPT)
        late = d[f"s{i}_timeout"] > layout.first
        return Not(And(unproved, late, Or(d[f"s{i}_aside"] == 1, d[f"s{i}_waiting"] != Waiting.NONE)))

    return Property(
        "cpu-first",
        Kind.ALWAYS,
        ("ADV-1",),
        "A peer that has not proved itself holds up the own CPU for one retransmission period at the most.",
        _all(layout, holds),
        _some(layout, lambda d, i: d[f"s{i}_step"] == Step.ACCEPT),
    )


def faa_never_waits(layout: Layout) -> Property | None:
    if "faa" not in layout.scope.faults:
        return None
    return Property(
        "faa-always-passes",
        Kind.ALWAYS,
        ("FRM-5",),
        "FAA frames pass at any time.",
        lambda v: And(v.faa_lost == 0, _all(layout, lambda d, i: d[f"s{i}_waiting"] != Waiting.FAA)(v)),
        _some(layout, busy),
    )


def all_delivered(layout: Layout) -> Property | None:
    pairs = [n for n in layout.variables if n.startswith("sent")]
    at_rest = rest(layout)
    return Property(
        "all-delivered",
        Kind.ALWAYS,
        ("SES-2", "SES-3", "SES-9", "CRT-7", "CRT-3"),
        "When everything has come to rest, every message that was sent has been delivered.",
        lambda v: Or(
            Not(at_rest(v)),
            And(*(getattr(v, n) == 0 for n in pairs), _all(layout, _nothing_lost)(v)),
        ),
        lambda v: And(at_rest(v), _all(layout, _spent)(v)),
    )


def _nothing_lost(d: Variables, i: int) -> Term:
    return d[f"s{i}_lost"] == 0


def _spent(d: Variables, i: int) -> Term:
    return d[f"s{i}_todo"] == 0


def no_timeout(layout: Layout) -> Property:
    return Property(
        "no-needless-timeout",
        Kind.ALWAYS,
        ("REG-3", "REG-7", "SES-4"),
        "Where no frame is lost, no controller waits until it gives up.",
        lambda v: v.spurious == 0,
        _some(layout, busy),
    )


ALWAYS: tuple[Make, ...] = (
    one_session,
    timers_armed,
    no_fatal_error,
    secrets_gone,
    registered_is_known,
    one_answer,
    at_most_once,
    cpu_first,
    faa_never_waits,
    _never(
        "authentic",
        "fake",
        "CRT-7 CRT-3 SES-3",
        "What a CPU gets as a message from a SED was sent by that SED; nobody can speak in its name.",
        _step(Step.LISTEN),
        sends,
    ),
    _never(
        "confidential",
        "leak",
        "CRT-7 CRT-3 DTL-1",
        "A message goes only to the device that it is for; nobody else can read it.",
        _step(Step.KEYS),
        sends,
    ),
    _never(
        "same-bytes-or-nothing",
        "broken",
        "SES-8 FRM-2 SES-10",
        "A CPU gets a message whole and unchanged, or not at all.",
        _step(Step.LISTEN),
        sends,
    ),
    _never(
        "no-session-across-cas",
        "cross",
        "CRT-9 CRT-3",
        "No session completes between certificates of different CAs.",
        _step(Step.LISTEN),
        sends,
    ),
    _never(
        "right-certificate-set",
        "wrong",
        "CRT-2 CRT-3 CRT-4",
        "Each session shows the set that it must: provisioning to the SSS and while unregistered, else runtime.",
        _step(Step.KEYS),
    ),
)
"""Safety, asked of every scope that has what they are about."""


def idle_again(layout: Layout) -> Property:
    return Property(
        "idle-again",
        Kind.EVENTUALLY,
        ("SES-7", "SES-11", "SES-12"),
        "Whatever happens, everything comes to rest: every controller IDLE, with nothing under way.",
        rest(layout),
    )


def can_register(layout: Layout) -> Property | None:
    if not layout.scope.asks:
        return None
    return Property(
        "can-register",
        Kind.POSSIBLE,
        ("REG-5", "REG-1"),
        "From every state every device can get registered (again).",
        _all(layout, lambda d, i: d[f"s{i}_registered"] == 1 if layout.scope.asks.get(i) else True),
    )


def can_rest(layout: Layout) -> Property:
    return Property(
        "can-come-to-rest",
        Kind.POSSIBLE,
        ("SES-7", "SES-12"),
        "From every state there is a way back to where every controller is IDLE.",
        rest(layout),
    )


def message_arrives(layout: Layout) -> Property:
    def holds(d: Variables, i: int) -> Term:
        whole = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_size"] == layout.scope.records, d[f"s{i}_c"] == 1)
        return And(whole, d[f"s{i}_f5"] != Proof.ADVERSARY)

    return Property(
        "a-message-arrives",
        Kind.REACHABLE,
        ("SES-2", "SES-3"),
        "A message can get through: whole, with its close_notify before the receiver.",
        _some(layout, holds),
    )


def device_registers(layout: Layout) -> Property:
    return Property(
        "a-device-registers",
        Kind.REACHABLE,
        ("REG-1", "CRT-5"),
        "A device can get registered.",
        _some(layout, lambda d, i: d[f"s{i}_registered"] == 1),
    )


NAMED: dict[str, Make] = {
    "all-delivered": all_delivered,
    "no-needless-timeout": no_timeout,
    "idle-again": idle_again,
    "can-register": can_register,
    "can-come-to-rest": can_rest,
    "a-message-arrives": message_arrives,
    "a-device-registers": device_registers,
    "no-split-fleet": _never(
        "no-split-fleet",
        "split",
        "REG-1 CRT-3",
        "Two registered SEDs accept each other's certificates.",
        lambda layout: _all(layout, lambda d, i: d[f"s{i}_registered"] == 1),
    ),
    "registration-is-granted": _never(
        "registration-is-granted",
        "locked",
        "REG-5 REG-1",
        "The SSS never refuses to register a device that has no runtime set.",
        _mode(Mode.TALKING_TO_SSS),
    ),
}
"""Properties that a scope asks by name."""


def properties_of(layout: Layout) -> tuple[Property, ...]:
    """The properties that are asked of a layout."""
    makes = [*ALWAYS, *(NAMED[name] for name in layout.scope.properties)]
    made = (make(layout) for make in makes)
    return tuple(p for p in made if p is not None)
