"""The harmonised W-method (HSI, a form of Wp for partial machines), k = 0 and k = 1.

For each transition of a machine there are the way to it, the transition, and then, each after a new start, the words
that identify the state where it must lead. With k = 1 the same for each two transitions in a row: then an
implementation may have one state more than the machine.

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


def sequences(more: int = 0) -> Iterator[tuple[Sequence, list[Sequence]]]:
    """Per piece its sequences from boot: the shortest way to it, the piece, a word of the state where it must lead.

    A piece is at most `more` transitions and one in a row; the empty one, at boot, comes first. All together are the
    suite for an implementation with that many states more than the machine.
    """
    m, to = machine(), ways()
    yield (), [_spelt(0, word) for word in identifiers()[0]]
    for t in m.transitions:
        for rest in _any(t.target, more):
            piece, end = (t, *rest), (rest[-1] if rest else t).target
            yield piece, [(*to[t.source], *piece, *_spelt(end, word)) for word in identifiers()[end]]


def w() -> Iterator[Purpose]:
    """k = 0: one purpose per transition, with a power cycle before each of its sequences."""
    for piece, found in sequences():
        yield _purpose("w", piece, found)


def w1() -> Iterator[Purpose]:
    """What k = 1 has beyond that: one purpose per two transitions in a row, likewise."""
    for piece, found in sequences(1):
        if len(piece) == 2:
            yield _purpose("w1", piece, found)


def _purpose(name: str, piece: Sequence, found: list[Sequence]) -> Purpose:
    inputs = [t.input.name for t in piece]
    title = f"{', then '.join(inputs)} in {machine().states[piece[0].source].describe()}" if piece else "Boot"
    ident = "-".join((name, f"{piece[0].source:02}", *inputs)) if piece else f"{name}-boot"
    return purpose(ident, f"W-method: {title}", [[*prelude(), *s] for s in found])


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
