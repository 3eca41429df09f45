"""The transition relation between two states, for proofs that need more than one step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import z3

from model.system.base import Step, System, Values, Variables
from model.system.outcome import PathStep
from model.terms import Term


def boolean(term: Term) -> Any:
    """A Z3 term of sort Bool, of a term that may be Python's."""
    return z3.BoolVal(term) if isinstance(term, bool) else term


def integer(term: Term) -> Any:
    """A Z3 term of sort Int, of a term that may be Python's or a truth value."""
    if isinstance(term, int):
        return z3.IntVal(int(term))
    return z3.If(term, z3.IntVal(1), z3.IntVal(0)) if z3.is_bool(term) else term


def update(system: System, step: Step) -> list[tuple[Any, Any]]:
    """The variables that a step may change, with their new values: what to substitute to see what it leaves."""
    return [(getattr(system.symbols, name), integer(value)) for name, value in step.update.items()]


def state_at(system: System, time: int) -> dict[str, Any]:
    """Z3 constants for the state at a time, by variable."""
    return {name: z3.Int(f"{name}@{time}") for name in system.names}


def selectors(system: System, time: int) -> list[Any]:
    """Z3 constants that say which action is taken at a time."""
    return [z3.Bool(f"taken@{time}@{number}") for number in range(len(system.actions))]


def holds_at(system: System, holds: Callable[[Variables], Term], state: dict[str, Any]) -> Any:
    """A predicate on other constants than the system's own."""
    return boolean(holds(SimpleNamespace(**{name: state[name] for name in system.names})))


def transition(system: System, before: dict[str, Any], after: dict[str, Any], taken: Sequence[Any]) -> Any:
    """A constraint: exactly one action of `taken` is, can be, and leads from one state to the other."""
    new = {name: z3.Int(f"{name}'") for name in system.names}
    constraints: list[Any] = [z3.Or(*taken), z3.AtMost(*taken, 1)]
    touching: dict[str, list[Any]] = {name: [] for name in system.names}
    for selected, step in zip(taken, system.symbolic, strict=True):
        effects = [new[str(variable)] == value for variable, value in update(system, step)]
        constraints.append(z3.Implies(selected, z3.And(boolean(step.guard), *effects)))
        for name in step.update:
            touching[name].append(selected)
    for name, touched in touching.items():
        constraints.append(z3.Or(*touched, new[name] == getattr(system.symbols, name)))
    # One substitution for all: Z3's Python looks at every pair in each.
    renaming = [(getattr(system.symbols, name), before[name]) for name in system.names]
    renaming += [(new[name], after[name]) for name in system.names]
    return z3.substitute(z3.And(*constraints), *renaming)


def replay(system: System, first: Values, numbers: Sequence[int]) -> tuple[PathStep, ...]:
    """Take actions by their indices, on integers. Raises RuntimeError where one cannot happen: Z3 and Python differ."""
    path = []
    state = first
    for number in numbers:
        action = system.actions[number]
        step = action.step(system.bind(state))
        if not step.guard:
            raise RuntimeError(f"{system.name}: {action.name} cannot happen in {state}, though Z3 says that it can")
        state = tuple(int(step.update.get(name, old)) for name, old in zip(system.names, state, strict=True))
        path.append(PathStep(action.name, state))
    return tuple(path)


def carried_out(system: System, first: Values, numbers: Sequence[int]) -> tuple[PathStep, ...]:
    """Take actions by their indices, on Z3's terms: the state need not be reachable, so that Python might object."""
    path = []
    state = first
    for number in numbers:
        values = [(getattr(system.symbols, name), z3.IntVal(x)) for name, x in zip(system.names, state, strict=True)]
        changed = {str(x): z3.substitute(value, *values) for x, value in update(system, system.symbolic[number])}
        new = {name: z3.simplify(value).as_long() for name, value in changed.items()}
        state = tuple(new.get(name, old) for name, old in zip(system.names, state, strict=True))
        path.append(PathStep(system.actions[number].name, state))
    return tuple(path)
