"""What has to be shown for an induction: a question per goal and action, where the action touches the goal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, TypeAlias

import z3

from model.prove.cti import Cti
from model.prove.lemmas import Lemma
from model.prove.query import Query, Reply
from model.prove.unroll import boolean, holds_at, replay, selectors, state_at, transition, update
from model.system.base import Property, System

Goal: TypeAlias = Lemma | Property


class Obligations:
    """The questions about some goals of a system, by goal and action."""

    def __init__(self, system: System, goals: Sequence[Goal]) -> None:
        self.system = system
        self.goals = {goal.name: goal for goal in goals}
        if len(self.goals) != len(goals):
            raise ValueError(f"{system.name}: lemmas and properties need different names")
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
        system = self.system
        older = [state_at(system, time) for time in range(depth - 1)]
        states = [*older, {name: getattr(system.symbols, name) for name in system.names}]
        fixed = [boolean(system.symbolic[number].guard)]
        taken = [selectors(system, time) for time in range(depth - 1)]
        for before, after, chosen in zip(states, states[1:], taken, strict=False):
            fixed += transition(system, before, after, chosen)

        def throughout(goal: Goal) -> Any:
            return z3.And(*(holds_at(system, goal.holds, state) for state in states))

        asserted = [*fixed, *map(throughout, lemmas)]
        for name in names:
            asserted += [throughout(self.goals[name]), z3.Not(self.touched[number][name])]
        constants = [c for state in states for c in state.values()] + [c for chosen in taken for c in chosen]
        return Query(
            text="\n".join([*(_declared(c) for c in constants), *(f"(assert {term.sexpr()})" for term in asserted)]),
            fixed=len(fixed),
            lemmas=len(lemmas),
            goals=len(names),
            initial=tuple((str(states[0][v.name]), v.init) for v in system.variables),
            actions=tuple(tuple(str(c) for c in chosen) for chosen in taken),
        )

    def cti(self, name: str, number: int, reply: Reply) -> Cti | None:
        """The counterexample in a reply, carried out on integers; None where Z3 gave up."""
        if reply.state is None or reply.actions is None:
            return None
        path = replay(self.system, reply.state, (*reply.actions, number))
        if self.goals[name].holds(self.system.bind(path[-1].state)):
            raise RuntimeError(f"{self.system.name}: {name} holds on integers where Z3 says that it does not")
        return Cti(name, reply.state, path)


def _constants(term: Any) -> set[str]:
    """The names of the constants in a term."""
    return {str(c) for c in z3.z3util.get_vars(term)}


def _declared(constant: Any) -> str:
    return f"(declare-fun {constant.sexpr()} () {constant.sort().sexpr()})"
