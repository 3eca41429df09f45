"""Bounded model checking: a shortest path to where a predicate does not hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import z3

from model.prove.query import RLIMIT
from model.prove.unroll import holds_at, replay, selectors, state_at, transition
from model.system.base import Kind, Property, System, Variables
from model.system.outcome import Answer, Finding, PathStep
from model.terms import Term


@dataclass(frozen=True, slots=True)
class Search:
    """What was found: a path to a violation, or that there is none of up to `free` steps, and why no more was done."""

    path: tuple[PathStep, ...] | None = None
    free: int = -1
    reason: str = ""


def search(system: System, holds: Callable[[Variables], Term], depth: int) -> Search:
    """Look for a shortest path of at most `depth` steps to where a predicate does not hold; it is replayed on integers.

    A context of its own and Z3's own count of work as the limit: the same on every run.
    """
    context = z3.Context()
    solver = z3.SimpleSolver(ctx=context)
    solver.set("rlimit", RLIMIT)
    states = [state_at(system, 0)]
    solver.add([(states[0][v.name] == v.init).translate(context) for v in system.variables])
    for length in range(depth + 1):
        expected = holds_at(system, holds, states[length]).translate(context)
        solver.push()
        solver.add(z3.Not(expected))
        verdict = solver.check()
        if verdict == z3.sat:
            return Search(_path(system, holds, solver.model(), length))
        if verdict == z3.unknown:
            return Search(free=length - 1, reason=solver.reason_unknown())
        solver.pop()
        states.append(state_at(system, length + 1))
        step = transition(system, states[length], states[length + 1], selectors(system, length))
        solver.add(expected, step.translate(context))
    return Search(free=depth)


def bounded(system: System, what: Property, depth: int) -> Answer:
    """A shortest path of at most `depth` steps to where an `always` property does not hold; else the answer is open.

    Raises ValueError for another kind of property.
    """
    if what.kind is not Kind.ALWAYS:
        raise ValueError(f"{what.name} is not an `always` property")
    found = search(system, what.holds, depth)
    if found.path is not None:
        return Answer(what.name, Finding.FALSE, "bounded model checking", found.path)
    gave_up = f", then Z3 gave up ({found.reason})" if found.reason else ""
    return Answer(what.name, Finding.OPEN, f"no violation within {found.free} steps{gave_up}")


def _path(system: System, holds: Callable[[Variables], Term], model: z3.ModelRef, length: int) -> tuple[PathStep, ...]:
    numbers = []
    for time in range(length):
        chosen = (s.translate(model.ctx) for s in selectors(system, time))
        numbers.append(next(n for n, s in enumerate(chosen) if z3.is_true(model.eval(s))))
    path = replay(system, system.initial, numbers)
    if holds(system.bind(path[-1].state if path else system.initial)):
        raise RuntimeError(f"{system.name}: a predicate holds on integers where Z3 says that it does not")
    return path
