"""Covers of the observable controller machine as purposes: every transition, every pair."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import cache
from typing import Any, Final

from conformance.generation.observable import Machine, Transition, place
from conformance.generation.tours import Tours
from conformance.purpose import Purpose, parse
from model.rules import RULES
from model.system.alone import ME

APART: Final = {"do": "wait", "ms": 1}
"""Between two inputs: a timer that is set again shows only if time has passed."""
BOOT: Final = {"do": "boot"}
_NEEDS: Final = {rule.id: rule.needs for rule in RULES}


@cache
def machine() -> Machine:
    """The machine of all inputs."""
    return Machine()


def transitions() -> Iterator[Purpose]:
    """Walks that take every transition."""
    yield from _purposes("transitions", Tours(machine(), lambda _, b: b.number).walks())


def places() -> Iterator[Purpose]:
    """Walks that take every transition between places at least once: a part of the others, for every day."""
    yield from _purposes("places", Tours(machine(), lambda _, b: between(b)).walks())


def pairs() -> Iterator[Purpose]:
    """Walks that take every pair of consecutive transitions between places."""
    yield from _purposes("pairs", Tours(machine(), pair).walks())


def pair(first: Transition | None, second: Transition) -> Hashable:
    """What two consecutive transitions count as."""
    return (None if first is None else between(first)), between(second)


def between(t: Transition) -> Hashable:
    """What a transition counts as between places."""
    states = machine().states
    return place(states[t.source]), t.input.name, t.rules, place(states[t.target])


def _purposes(cover: str, walks: Sequence[Sequence[Transition]]) -> Iterator[Purpose]:
    width = len(str(len(walks)))
    for number, walk in enumerate(walks, 1):
        yield purpose(f"{cover}-{number:0{width}}", f"Walk {number} of {len(walks)} for {cover}", [walk])


def purpose(name: str, title: str, walks: Sequence[Sequence[Transition]]) -> Purpose:
    """Walks as a purpose, with a power cycle between them; it says by which rule each saying has to be taken."""
    steps: list[dict[str, Any]] = []
    for walk in walks:
        steps += [BOOT] if steps else []
        for transition in walk:
            steps.append(APART)
            steps += [_checked(step, transition) for step in transition.input.steps]
    needs = dict.fromkeys(need for walk in walks for t in walk for rule in t.rules for need in _NEEDS[rule])
    return parse(name, {"title": title, "requirements": list(needs), "iut": ME, "voice": True, "steps": steps})


def _checked(step: dict[str, Any], transition: Transition) -> dict[str, Any]:
    if step["do"] != "say":
        return step
    choice = {"choice": True} if transition.input.chooses in transition.rules else {}
    taken = [rule for rule in transition.rules if rule not in _URGENT]
    return {**step, "takes": taken[-1], **choice}


_URGENT: Final = {rule.id for rule in RULES if rule.on is None}
