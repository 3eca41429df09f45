"""The readings of one system agree: in every reachable state they take the same actions to the same states.

`run` evaluates the rules on integers, `explore` runs C that is generated from their Z3 terms, and here Z3 itself
evaluates those terms. SPIN reads the same terms as Promela; it counts the same states in `test_spin.py`.
"""

from dataclasses import replace

import pytest
import z3
from toys import links, session, shuffle

from model.explore import Explorer
from model.profile import HARDENED, HISTORIC
from model.system.base import System
from model.system.build import build
from model.system.scopes import SCOPES
from model.terms import symbolic
from model.walk import Graph

PROFILES = {"hardened": HARDENED, "historic": HISTORIC}
TOYS = [links(2), links(alternating=False), shuffle(), session(start_over=True)]
SCOPES_WHOLE = [
    *(("hardened", name) for name in ("reader", "controller", "pair", "lossy", "failures", "oversize")),
    *(("historic", name) for name in ("reader", "pair", "lossy", "lost-response")),
]
"""Scopes that are quick enough for every day: about 1 ms a state."""


class Evaluated:
    """The steps of a system as Z3 evaluates them: values for variables, then `simplify`.

    The parts of a guard and the new values are remembered by the values of the variables that they mention, of which
    there are few combinations: that makes whole systems affordable.
    """

    def __init__(self, system: System) -> None:
        self._names = system.names
        self._symbols = [z3.Int(name) for name in system.names]
        self._known: dict[tuple[int, tuple[int, ...]], int] = {}
        self._terms: list = []
        self._mentions: list[tuple[int, ...]] = []
        self._numbers: dict[int, int] = {}
        index = {name: n for n, name in enumerate(system.names)}
        self._steps = [
            (
                [self._number(part) for part in conjuncts(step.guard)],
                [(index[name], self._number(term)) for name, term in step.update.items()],
            )
            for step in system.symbolic
        ]

    def _number(self, term) -> int:
        """A term's number in `_terms`; equal terms have the same."""
        term = term if symbolic(term) else z3.IntVal(int(term))
        if term.get_id() not in self._numbers:
            self._numbers[term.get_id()] = len(self._terms)
            found = mentioned(term)
            self._terms.append(term)
            self._mentions.append(tuple(n for n, name in enumerate(self._names) if name in found))
        return self._numbers[term.get_id()]

    def _value(self, number: int, values: tuple[int, ...]) -> int:
        used = self._mentions[number]
        key = number, tuple(values[n] for n in used)
        if key not in self._known:
            pairs = [(self._symbols[n], z3.IntVal(values[n])) for n in used]
            result = z3.simplify(z3.substitute(self._terms[number], *pairs))
            self._known[key] = int(z3.is_true(result)) if z3.is_bool(result) else result.as_long()
        return self._known[key]

    def successors(self, values: tuple[int, ...]) -> list[tuple[int, tuple[int, ...]]]:
        found = []
        for action, (guard, update) in enumerate(self._steps):
            if all(self._value(part, values) for part in guard):
                after = list(values)
                for variable, term in update:
                    after[variable] = self._value(term, values)
                found.append((action, tuple(after)))
        return found


def conjuncts(term) -> list:
    if symbolic(term) and z3.is_and(term):
        return [part for child in term.children() for part in conjuncts(child)]
    return [term]


def mentioned(term) -> set[str]:
    seen, names, todo = set(), set(), [term]
    while todo:
        t = todo.pop()
        if t.get_id() not in seen:
            seen.add(t.get_id())
            todo.extend(t.children())
            if t.decl().kind() == z3.Z3_OP_UNINTERPRETED:
                names.add(t.decl().name())
    return names


def compare(system: System) -> int:
    """Hold the readings against each other in every state that the compiled explorer reaches; how many there are.

    With the first state that is every reachable state: what each one leads to is the same, and was reached.
    """
    evaluated = Evaluated(system)
    with Explorer(system, jobs=1, symmetry=False, properties=()) as explorer:
        explorer.run()
        reached = set(explorer.states())
        assert system.initial in reached
        for state in reached:
            plain = list(system.successors(state))
            assert explorer.successors(state) == plain, state
            assert evaluated.successors(state) == plain, state
            assert all(after in reached for _, after in plain)
        return len(reached)


@pytest.mark.parametrize("system", TOYS, ids=lambda s: s.name)
def test_small_systems(system):
    assert compare(system) == len(Graph.of(system).states)


@pytest.mark.parametrize(("profile", "name"), SCOPES_WHOLE)
def test_scopes(profile, name):
    assert compare(build(SCOPES[name], PROFILES[profile])) > 1


def test_a_hundred_thousand_states():
    """A scope with free links and an adversary, whole; the longest test of all, about two minutes."""
    scope = replace(SCOPES["radio"], messages=1, sends={3: (4,)})
    assert compare(build(scope, HARDENED)) == 104_762
