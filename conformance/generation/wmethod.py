"""The harmonised W-method (HSI, a form of Wp for partial machines), k = 0.

For each transition of a machine there are the way to it, the transition, and then, each after a new start, the words
that identify the state where it must lead.

The machine is a part of the observable one in which all states can be told apart: no CPU frame waits, whatever the
rules leave to choice is left out, and so are Finished messages that come again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from functools import cache

from conformance.generation.covers import purpose
from conformance.generation.observable import INPUTS, Machine, Transition, canonical
from conformance.generation.telling import Word, harmonised
from conformance.generation.tours import PRELUDE
from conformance.purpose import Purpose
from model.state import State, Waiting

LEFT_OUT = ("flight5-again", "flight6-again")
"""Inputs that need to know whether data has come, by which alone two states would differ."""
Sequence = tuple[Transition, ...]


@cache
def machine() -> Machine:
    """The machine of the W-method."""
    return Machine(
        tuple(i for i in INPUTS if not i.chooses and i.name not in LEFT_OUT),
        lambda s: s.waiting == Waiting.NONE,
        _without_data,
    )


def _without_data(s: State) -> State:
    """Whether data has come shows only where a Finished can come again."""
    return canonical(s)._replace(began=0, expect=0)


@cache
def identifiers() -> tuple[tuple[Word, ...], ...]:
    """Per state the words that identify it, in a fixed order."""
    return tuple(tuple(sorted(words)) for words in harmonised(machine()))


def ways() -> list[Sequence]:
    """Per state a shortest way to it from boot."""
    m = machine()
    found: dict[int, Sequence] = {0: ()}
    queue = deque([0])
    while queue:
        state = queue.popleft()
        for t in m.out[state].values():
            if t.target not in found:
                found[t.target] = (*found[state], t)
                queue.append(t.target)
    return [found[state] for state in range(len(m.states))]


def sequences(more: int = 0) -> Iterator[tuple[Transition | None, list[Sequence]]]:
    """Per transition its sequences from boot, first those of boot itself; with `more` for that many further states."""
    m, to = machine(), ways()
    yield None, [_spelt(0, word) for word in identifiers()[0]]
    for t in m.transitions:
        yield (
            t,
            [
                (*to[t.source], t, *between, *_spelt(between[-1].target if between else t.target, word))
                for between in _any(t.target, more)
                for word in identifiers()[between[-1].target if between else t.target]
            ],
        )


def w() -> Iterator[Purpose]:
    """One purpose per transition, with a power cycle before each of its sequences."""
    for t, found in sequences():
        name = "w-boot" if t is None else f"w-{t.source:02}-{t.input.name}"
        title = "Boot" if t is None else f"{t.input.name} in {machine().states[t.source].describe()}"
        yield purpose(name, f"W-method: {title}", [[*prelude(), *s] for s in found])


def prelude() -> Sequence:
    """What comes first after each power cycle."""
    return _spelt(0, PRELUDE)


def _spelt(state: int, word: Word) -> Sequence:
    """The transitions that a word takes from a state."""
    found = []
    for name in word:
        found.append(machine().out[state][name])
        state = found[-1].target
    return tuple(found)


def _any(state: int, length: int) -> Iterator[Sequence]:
    """All sequences of at most so many transitions from a state."""
    yield ()
    if length:
        for t in machine().out[state].values():
            for rest in _any(t.target, length - 1):
                yield (t, *rest)
