"""Random walks through scopes that are too large to look at whole: integers and generated C take the same steps.

`tests/model/test_agreement_engines.py` compares all readings in every state of the small scopes with prompt links.
"""

from __future__ import annotations

import random
from functools import cache
from typing import TypeAlias

import pytest

from model.explore import Explorer
from model.profile import HARDENED, HISTORIC, Profile
from model.system.base import KINDS, System, Values
from model.system.build import build
from model.system.scopes import SCOPES

STATES = 100
WALKS = [
    ("unregistered-device", HARDENED),
    ("wire", HARDENED),
    ("power-cycles", HISTORIC),
    ("fleet", HISTORIC),
    ("registration-lossy", HARDENED),
]
Visited: TypeAlias = list[tuple[Values, list[tuple[int, Values]]]]
"""States with their successors."""


def walk(system: System, seed: int) -> Visited:
    """Goes on to a state that is new, else to one that was passed by."""
    choice = random.Random(seed)
    visited: Visited = []
    known, left = {system.initial}, [system.initial]
    while left and len(visited) < STATES:
        state = left.pop()
        steps = list(system.successors(state))
        visited.append((state, steps))
        new = sorted({after for _, after in steps} - known)
        known.update(new)
        choice.shuffle(left)
        left += choice.sample(new, len(new))
    return visited


@cache
def walked(name: str, profile: Profile) -> tuple[System, Visited]:
    system = build(SCOPES[name], profile)
    return system, walk(system, seed=1)


@pytest.mark.parametrize(("name", "profile"), WALKS, ids=[name for name, _ in WALKS])
def test_integers_and_generated_c_agree(name: str, profile: Profile) -> None:
    system, visited = walked(name, profile)
    assert len(visited) == STATES
    with Explorer(system, jobs=1, memory=128 << 20, symmetry=False, properties=()) as explorer:
        for state, steps in visited:
            assert explorer.successors(state) == steps


def test_every_kind_of_action_is_among_the_steps() -> None:
    taken = set()
    for name, profile in WALKS:
        system, visited = walked(name, profile)
        taken |= {system.actions[number].kind for _, steps in visited for number, _ in steps}
    assert taken == set(KINDS)
