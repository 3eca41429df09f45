"""Why a transition of the model cannot be made of bytes: by name, where that is so, and what its bytes are instead.

A tour tries these too, and what came of it is judged as what it was. So a reason that does not hold shows: its
transition is taken, or its bytes are read as something that the reason does not name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from conformance.transitions.machine import SETTING, Machine, Taken
from conformance.transitions.tour import Covered
from model.alphabet import MAX_MESSAGE, PLAINTEXT, REGISTER, Event
from model.state import Mode, State, Step


@dataclass(frozen=True, slots=True)
class Reason:
    """`when` says for a state and an event; `reads` are the kinds of events that its bytes may be."""

    name: str
    says: str
    when: Callable[[State, Event], bool]
    reads: frozenset[str]


_HANDSHAKE: Final = (Step.HELLO, Step.COOKIE, Step.KEYS, Step.ACCEPT)
_TURN: Final = {
    "flight4": (Step.COOKIE,),
    "flight5": (Step.ACCEPT,),
    "flight6": (Step.KEYS,),
    "certificate": (Step.COOKIE, Step.ACCEPT),
}
"""Where the handshake has room for them."""
_REPEATED: Final = {4: (Step.KEYS, Step.READ), 5: (Step.LISTEN,), 6: (Step.READ,)}
"""Where a flight can have come before."""


def _too_early(s: State, e: Event) -> bool:
    if e.kind == "alert":
        return e.args[1] != PLAINTEXT and s.step in (Step.HELLO, Step.COOKIE)
    return e.kind in ("data", "close") and s.step in _HANDSHAKE


def _out_of_turn(s: State, e: Event) -> bool:
    if e.kind == "repeat":
        return s.step not in _REPEATED[e.args[1]]
    return e.kind in _TURN and s.step not in _TURN[e.kind]


def _without_data(s: State, e: Event) -> bool:
    just_came = s.step == Step.READ and s.began == 1 and s.timer == SETTING.idle_timeout
    return e.kind == "response" and not just_came


def _of_no_use(s: State, e: Event) -> bool:
    return e.kind == "response" and e.args[2] == 1 and (e.args[0], s.op) != (REGISTER, REGISTER)


REASONS: Final = (
    Reason(
        "too-early",
        "Before the peer's Finished nothing else counts under its keys, and before the key exchange there are none.",
        _too_early,
        frozenset({"noise"}),
    ),
    Reason(
        "out-of-turn",
        "A certificate, a flight or its repetition is one only where the handshake has room for it; elsewhere the same "
        "messages are forged, repetitions, noise, or the beginning of something else.",
        _out_of_turn,
        frozenset({"forged", "repeat", "noise", "certificate", "flight4"}),
    ),
    Reason(
        "old-epoch",
        "A plaintext alert after the handshake is of an epoch that is over.",
        lambda s, e: e.kind == "alert" and e.args[1] == PLAINTEXT and s.step in (Step.READ, Step.LISTEN),
        frozenset({"noise"}),
    ),
    Reason(
        "without-data",
        "A response comes with the record that completes or spoils it, and that record arms the idle timer.",
        _without_data,
        frozenset({"noise", "data", "response"}),
    ),
    Reason(
        "of-no-use",
        "Only credentials that were asked for can be usable.",
        lambda s, e: _of_no_use(s, e) and not _without_data(s, e),
        frozenset({"data", "response"}),
    ),
    Reason(
        "spoiled-before",
        "A response beyond 16,384 bytes is spoiled by its header.",
        lambda s, e: e.kind == "data" and e.args[2] > MAX_MESSAGE and s.step == Step.READ,
        frozenset({"data", "response", "noise"}),
    ),
    Reason(
        "no-start",
        "While a session runs none is started that could fail to.",
        lambda s, e: e.kind == "start-failure" and s.mode != Mode.IDLE,
        frozenset(),
    ),
    Reason(
        "waits-like-others",
        "On the bus an oversize frame is one that will be dropped, and waits like any other (SES-5).",
        lambda s, e: e.kind == "cpu-oversize" and s.mode != Mode.IDLE,
        frozenset({"cpu-other"}),
    ),
)


@dataclass
class Account:
    """A tour's transitions, each in one place."""

    taken: Counter[str] = field(default_factory=Counter)
    """By kind of event; likewise the next."""
    series: Counter[str] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By reason and kind of event."""
    unaccounted: list[str] = field(default_factory=list)
    """Not taken without a reason, taken in spite of one, or read as what the reason does not name."""

    @property
    def total(self) -> int:
        """All transitions."""
        return self.taken.total() + self.series.total() + self.reasons.total() + len(self.unaccounted)


def account(machine: Machine, found: Covered) -> Account:
    """Every transition of the states that the tour visited, and those by which a controller goes on by itself."""
    out = Account()
    kinds = {h.said: h.event for h in machine.happenings}
    for transition in machine.all():
        node, (rule, said) = transition.node, machine.labels[transition.action]
        if said and node not in found.visited:
            continue
        if not said:
            if transition in found.taken:
                out.taken["by itself"] += 1
            elif found.whole:
                out.unaccounted.append(f"not taken: {rule} in {machine.states[node].describe()}")
            continue
        _enter(out, machine, found, transition, kinds[said])
    return out


def _enter(out: Account, machine: Machine, found: Covered, transition: Taken, kind: str) -> None:
    node, (rule, said) = transition.node, machine.labels[transition.action]
    state = machine.states[node]
    event = machine.event(node, next(h for h in machine.happenings if h.said == said))
    fitting = [r for r in REASONS if r.when(state, event)]
    where = f"{rule} ({said}) in {state.describe()}"
    if transition in found.taken or transition in found.series:
        if fitting:
            out.unaccounted.append(f"taken, though {fitting[0].name}: {where}")
        else:
            (out.taken if transition in found.taken else out.series)[kind] += 1
    elif len(fitting) != 1:
        out.unaccounted.append(f"not taken, {len(fitting)} reasons: {where}")
    elif not set(found.read_as.get((node, said), ())) <= fitting[0].reads:
        out.unaccounted.append(f"{fitting[0].name}, but read as {found.read_as[node, said]}: {where}")
    else:
        out.reasons[fitting[0].name, kind] += 1
