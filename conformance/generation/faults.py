"""Every fault that a link can do to an honest scenario, and every two of them.

Which transmissions there are is not assumed but seen: the scenario runs on the reference, and after each fault again,
since a fault causes further transmissions. A second fault is always later than the first, so no two are tried twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from conformance.case import Case
from conformance.generation.scenarios import Scenario
from conformance.purpose import Purpose
from conformance.targets.reference import ReferenceTarget

TIMEOUT_MS: Final = 7_000
"""The first retransmission timeout (DTL-6)."""
ACTIONS: Final[dict[str, dict[str, int]]] = {
    "lose": {},
    "duplicate": {},
    "delay": {"ms": TIMEOUT_MS + 1},
    "cut": {},
}
"""What a link does to a datagram, and the step's further arguments."""


@dataclass(frozen=True, slots=True)
class Transmission:
    """One transmission of a flight, or one record: the `nth` of its kind and sender since the scenario began."""

    by: int
    flight: int
    record: str
    nth: int

    def __str__(self) -> str:
        return f"{self.record or f'flight{self.flight}'}-{self.by}" + (f".{self.nth}" if self.nth > 1 else "")

    def alike(self, other: Transmission) -> bool:
        """Whether they are counted together."""
        return (self.by, self.flight, self.record) == (other.by, other.flight, other.record)

    def step(self, action: str, **more: int) -> dict[str, Any]:
        """A purpose's step that does something to it."""
        what: dict[str, Any] = {"record": self.record} if self.record else {"flight": self.flight}
        return {"do": action, **what, "by": self.by, "nth": self.nth, **more}


@dataclass(frozen=True, slots=True)
class _Fault:
    action: str
    on: Transmission
    place: int
    """Where its transmission stands among those of the run."""
    ms: int = 0

    def __str__(self) -> str:
        return f"{self.action}{self.ms or ''}-{self.on}"

    def step(self) -> dict[str, Any]:
        return self.on.step(self.action, **({"ms": self.ms} if self.ms else {}))


def single(scenario: Scenario) -> Iterator[Purpose]:
    """Each transmission of the undisturbed scenario suffers each fault."""
    for fault in _faults(transmissions(scenario), 0):
        yield _purpose(scenario, fault)


def transmissions(scenario: Scenario) -> list[Transmission]:
    """What is transmitted where nothing disturbs it, in order."""
    return _transmissions(scenario, ())


def double(scenario: Scenario) -> Iterator[Purpose]:
    """Each fault of `single`, and with it each fault of what is transmitted afterwards, repeated flights included."""
    for first in _faults(transmissions(scenario), 0):
        for second in _faults(_transmissions(scenario, (first,)), first.place + 1):
            yield _purpose(scenario, first, second)


def boundaries(scenario: Scenario) -> Iterator[Purpose]:
    """Each transmission comes a millisecond before, at, and a millisecond after the others' first timeout."""
    for place, on in enumerate(transmissions(scenario)):
        for ms in (TIMEOUT_MS - 1, TIMEOUT_MS, TIMEOUT_MS + 1):
            yield _purpose(scenario, _Fault("delay", on, place, ms))


def _faults(transmissions: list[Transmission], start: int) -> Iterator[_Fault]:
    for place in range(start, len(transmissions)):
        for action, more in ACTIONS.items():
            yield _Fault(action, transmissions[place], place, more.get("ms", 0))


def _purpose(scenario: Scenario, *faults: _Fault) -> Purpose:
    said = " and ".join(f"{fault.action} {fault.on}" for fault in faults)
    name = "-".join([scenario.id, *map(str, faults)])
    return scenario.purpose(name, f"{scenario.title}: {said}", _steps(faults))


def _steps(faults: tuple[_Fault, ...]) -> tuple[dict[str, Any], ...]:
    """A later entry of the schedule does not count what an earlier one strikes."""
    steps = []
    for place, fault in enumerate(faults):
        step = fault.step()
        step["nth"] -= sum(fault.on.alike(earlier.on) for earlier in faults[:place])
        steps.append(step)
    return tuple(steps)


def _transmissions(scenario: Scenario, faults: tuple[_Fault, ...]) -> list[Transmission]:
    """What is transmitted, in order, on the reference, under these faults."""
    skipped = 0
    if scenario.before:
        quiet = Scenario(scenario.id, scenario.title, scenario.requirements, (), scenario.before, scenario.peers)
        skipped = len(_run(quiet.purpose("quiet", "", (), alone=True)))
    sent = _run(scenario.purpose("seen", "", _steps(faults), alone=True))[skipped:]
    counts: Counter[tuple[int, int, str]] = Counter()
    found = []
    for by, flight, record in sent:
        counts[by, flight, record] += 1
        found.append(Transmission(by, flight, record, counts[by, flight, record]))
    return found


def _run(purpose: Purpose) -> list[tuple[int, int, str]]:
    target = ReferenceTarget()
    try:
        case = Case(purpose, target, profile="hardened", seed=0)
        case.run()
        return [(by, content.flight, content.record) for by, content in case.lab.transmissions]
    finally:
        target.close()
