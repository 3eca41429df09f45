"""What has to be shown for an induction: a question per goal and action, where the action touches the goal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from itertools import pairwise
from typing import Any, TypeAlias

import z3

from model.prove.cti import Cti
from model.prove.lemmas import Lemma
from model.prove.query import Query, Reply
from model.prove.unroll import boolean, carried_out, holds_at, selectors, state_at, transition, update
from model.system.base import Property, System

Goal: TypeAlias = Lemma | Property


class Obligations:
    """The questions about some goals of a system, by goal and action."""

    def __init__(self, system: System, goals: Sequence[Goal]) -> None:
        self.system = system
        self.goals = {goal.name: goal for goal in goals}
        if len(self.goals) != len(goals):
            raise ValueError(f"{system.name}: lemmas and properties need different names")
        self._earlier = cache(self._render_earlier)
        self._throughout = cache(self._render_throughout)
        self._terms = {goal.name: boolean(goal.holds(system.symbols)) for goal in goals}

    def first(self, name: str) -> Cti | None:
        """A counterexample where a goal does not hold in the first state."""
        initial = self.system.initial
        return None if self.goals[name].holds(self.system.bind(initial)) else Cti(name, initial, ())

    @cached_property
    def touched(self) -> dict[int, dict[str, Any]]:
        """By action: the goals that it can change, each as a predicate on the state before the action."""
        read = {name: _constants(term) for name, term in self._terms.items()}
        found = {}
        for number, step in enumerate(self.system.symbolic):
            changed = update(self.system, step)
            after = {
                name: z3.substitute(term, *changed)
                for name, term in self._terms.items()
                if not read[name].isdisjoint(step.update)
            }
            found[number] = {name: term for name, term in after.items() if not term.eq(self._terms[name])}
        return found

    def query(self, number: int, names: Sequence[str], lemmas: Sequence[Lemma], depth: int) -> Query:
        """One question per named goal: it held in `depth` states in a row, does it hold after the action?"""
        declared, earlier = self._earlier(depth)
        asserted = [_asserted(boolean(self.system.symbolic[number].guard)), *earlier]
        fixed = len(asserted)
        asserted += [self._throughout(lemma, depth) for lemma in lemmas]
        for name in names:
            asserted.append(self._throughout(self.goals[name], depth))
            asserted.append(_asserted(z3.Not(self.touched[number][name])))
        return Query(
            text="\n".join([*declared, *asserted]),
            fixed=fixed,
            lemmas=len(lemmas),
            goals=len(names),
            initial=tuple((str(self._states(depth)[0][v.name]), v.init) for v in self.system.variables),
            actions=tuple(tuple(str(c) for c in selectors(self.system, time)) for time in range(depth - 1)),
        )

    def _states(self, depth: int) -> list[dict[str, Any]]:
        """The constants of the states before the action, the last of them the system's own."""
        older = [state_at(self.system, time) for time in range(depth - 1)]
        return [*older, {name: getattr(self.system.symbols, name) for name in self.system.names}]

    def _render_earlier(self, depth: int) -> tuple[list[str], list[str]]:
        """Declarations, and the steps before the action."""
        states = self._states(depth)
        declared = [c for state in states for c in state.values()]
        steps = []
        for time, (before, after) in enumerate(pairwise(states)):
            taken = selectors(self.system, time)
            declared += taken
            steps.append(transition(self.system, before, after, taken))
        return [f"(declare-fun {c.sexpr()} () {c.sort().sexpr()})" for c in declared], [*map(_asserted, steps)]

    def _render_throughout(self, goal: Goal, depth: int) -> str:
        """That something holds in all states before the action."""
        return _asserted(z3.And(*(holds_at(self.system, goal.holds, state) for state in self._states(depth))))

    def cti(self, name: str, number: int, reply: Reply) -> Cti | None:
        """The counterexample in a reply; None where Z3 gave up."""
        if reply.state is None or reply.actions is None:
            return None
        return Cti(name, reply.state, carried_out(self.system, reply.state, (*reply.actions, number)))


def _constants(term: Any) -> set[str]:
    """The names of the constants in a term."""
    return {str(c) for c in z3.z3util.get_vars(term)}


def _asserted(term: Any) -> str:
    return f"(assert {term.sexpr()})"
