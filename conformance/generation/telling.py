"""What tells states apart: distinguishing inputs, and for each state a set of them that no other state answers alike.

The machine is partial: an input fits only some states. So two states are told apart by inputs that fit both, one after
the other, up to the first that is answered otherwise. The sets are harmonised: for every two states there are inputs
that tell them apart and stand, as a beginning at least, in the sets of both.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from conformance.generation.observable import Machine, Transition

Word = tuple[str, ...]
"""Names of inputs, one after the other."""


def answer(t: Transition) -> Hashable:
    """What shows of a transition: what comes, in order on each link, and the next deadline."""
    return t.outputs, t.timer


def distinctions(machine: Machine) -> dict[tuple[int, int], str]:
    """For every two states that can be told apart, the lower first, the first input of a shortest way to do so."""
    count = len(machine.states)
    first: dict[tuple[int, int], str] = {}
    before: dict[tuple[int, int], list[tuple[tuple[int, int], str]]] = {}
    for a in range(count):
        for b in range(a + 1, count):
            for name, one in machine.out[a].items():
                other = machine.out[b].get(name)
                if other is None:
                    continue
                if answer(one) != answer(other):
                    first[a, b] = name
                    break
                after = min(one.target, other.target), max(one.target, other.target)
                if after[0] != after[1] and after != (a, b):
                    before.setdefault(after, []).append(((a, b), name))
    queue = deque(first)
    while queue:
        for pair, name in before.get(queue.popleft(), ()):
            if pair not in first:
                first[pair] = name
                queue.append(pair)
    return first


def word(machine: Machine, first: dict[tuple[int, int], str], a: int, b: int) -> Word:
    """The inputs that tell two states apart."""
    found: list[str] = []
    while True:
        name = first[min(a, b), max(a, b)]
        found.append(name)
        one, other = machine.out[a][name], machine.out[b][name]
        if answer(one) != answer(other):
            return tuple(found)
        a, b = one.target, other.target


def harmonised(machine: Machine) -> list[set[Word]]:
    """Per state the words that identify it. Raises AssertionError for two states that nothing tells apart."""
    first = distinctions(machine)
    sets: list[set[Word]] = [set() for _ in machine.states]
    for a in range(len(machine.states)):
        for b in range(a):
            if not any(tells(machine, w, a, b) for w in sets[a] & sets[b]):
                found = word(machine, first, b, a)
                sets[a].add(found)
                sets[b].add(found)
    return [_longest(words) for words in sets]


def tells(machine: Machine, inputs: Word, a: int, b: int) -> bool:
    """Whether two states answer these inputs otherwise, as far as they fit both."""
    for name in inputs:
        one, other = machine.out[a].get(name), machine.out[b].get(name)
        if one is None or other is None:
            return False
        if answer(one) != answer(other):
            return True
        a, b = one.target, other.target
    return False


def _longest(words: set[Word]) -> set[Word]:
    """Those that are not the beginning of another."""
    return {w for w in words if not any(v != w and v[: len(w)] == w for v in words)}
