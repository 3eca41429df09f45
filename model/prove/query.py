"""One task for a process of its own: what one action leaves of the goals, asked of Z3.

A task is text (SMT-LIB 2), so that it can be handed to another process. It is read into a context of its own, and what
limits it is Z3's count of its own work, not the clock: the reply depends on the text alone.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

import z3

RLIMIT = 40_000_000
"""Most work on one question, in Z3's own units: some ten seconds."""


@dataclass(frozen=True, slots=True)
class Query:
    """Questions that share their hypotheses.

    `text` asserts, in order: `fixed` hypotheses (the guard and earlier steps); `lemmas` hypotheses that are named in a
    reply where it rests on them; two for each of `goals` goals: that it holds before, that it does not hold after.
    `initial` are variables with the values that a counterexample should have where it may; `actions` are the Bool
    constants of which one is true in each earlier step, the earliest first.
    """

    text: str
    fixed: int
    lemmas: int
    goals: int
    initial: tuple[tuple[str, int], ...]
    actions: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """About one goal: whether it is `shown`, on which lemmas that rests (by index), or where it fails.

    `state` are the values of `Query.initial` in order, `actions` indices into each of `Query.actions`. Both are None
    where it is shown and where Z3 gave up, for which `reason` is why.
    """

    shown: bool
    used: tuple[int, ...] = ()
    state: tuple[int, ...] | None = None
    actions: tuple[int, ...] | None = None
    reason: str = ""


def decide(query: Query) -> tuple[Reply, ...]:
    """A reply for each goal, in order."""
    context = z3.Context()
    asserted = list(z3.parse_smt2_string(query.text, ctx=context))
    solver = z3.SimpleSolver(ctx=context)
    solver.set("rlimit", RLIMIT)
    solver.add(asserted[: query.fixed])
    first = query.fixed + query.lemmas
    literals = [z3.Bool(f"lemma!{n}", ctx=context) for n in range(query.lemmas)]
    for literal, lemma in zip(literals, asserted[query.fixed : first], strict=True):
        solver.add(z3.Implies(literal, lemma))
    replies = []
    for before, violated in zip(asserted[first::2], asserted[first + 1 :: 2], strict=True):
        solver.push()
        solver.add(before, violated)
        replies.append(_reply(solver, literals, query))
        solver.pop()
    return tuple(replies)


def _reply(solver: Any, literals: list[Any], query: Query) -> Reply:
    if solver.check() == z3.unsat:
        return Reply(True)
    verdict = solver.check(*literals)
    if verdict == z3.unsat:
        return Reply(True, _used(solver, literals))
    if verdict == z3.unknown:
        return Reply(False, reason=solver.reason_unknown())
    return _counterexample(solver, literals, query)


def _used(solver: Any, literals: list[Any]) -> tuple[int, ...]:
    """Lemmas that are enough, none of which can be left out; those that were given first are preferred.

    No unsatisfiable core is asked for: which one Z3 happens to find would show in the answer.
    """
    enough = bisect_left(range(len(literals)), True, key=lambda n: solver.check(*literals[:n]) == z3.unsat)
    used = list(range(enough))
    for number in reversed(range(enough)):
        fewer = [n for n in used if n != number]
        if solver.check(*(literals[n] for n in fewer)) == z3.unsat:
            used = fewer
    return tuple(used)


def _counterexample(solver: Any, literals: list[Any], query: Query) -> Reply:
    """One that differs from the initial state in few variables: what an unsatisfiable core asks for, one by one."""
    variables = [z3.Int(name, ctx=solver.ctx) for name, _ in query.initial]
    model = solver.model()
    as_first = [variable == value for variable, (_, value) in zip(variables, query.initial, strict=True)]
    while (verdict := solver.check(*literals, *as_first)) == z3.unsat:
        core = {term.get_id() for term in solver.unsat_core()}
        del as_first[max(n for n, term in enumerate(as_first) if term.get_id() in core)]
    if verdict == z3.sat:
        model = solver.model()
    state = []
    for variable, (_, value) in zip(variables, query.initial, strict=True):
        found = model.eval(variable, model_completion=False)
        state.append(found.as_long() if z3.is_int_value(found) else value)
    actions = tuple(
        next(n for n, name in enumerate(step) if z3.is_true(model.eval(z3.Bool(name, ctx=solver.ctx))))
        for step in query.actions
    )
    return Reply(False, state=tuple(state), actions=actions)
