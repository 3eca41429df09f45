"""SPIN as an engine: one breadth-first run that counts all states and finds a shortest path to whatever is asked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from model.spin.pan import SpinError, compiled, options_of, run, trails
from model.spin.promela import promela, questions
from model.system.base import Kind, System, Values
from model.system.outcome import Answer, Finding, Outcome, PathStep

OPTIONS = ("-O1", "-DSAFETY", "-DBFS", "-DNOREDUCE")
"""Breadth-first, so that paths are shortest; and no state left out by partial order reduction."""
DEPTH = 10**9
"""Far beyond any; SPIN's default would stop at 10,000."""
ASKED = (Kind.ALWAYS, Kind.REACHABLE)
"""Kinds of properties that SPIN is asked about; the others are about paths and left to other engines."""


def check(
    system: System,
    *,
    memory_mb: int = 4096,
    properties: Sequence[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Explore and answer the properties of the kinds in `ASKED`, all or those named; of the others nothing is said.

    `memory_mb` bounds SPIN's memory, of which 128 MiB are its hash table. `progress` is told the number of states and
    the depth. `seconds` is SPIN's own figure, without generating and compiling. Every path is replayed on the rules.

    Raises SpinError if spin or gcc is missing, if a variable leaves its range, and if a path is not one of the system;
    TermError for a term that there is no Promela for; KeyError for a property that the system does not have.
    """
    named = system.properties if properties is None else [system.property(name) for name in properties]
    asked = [p for p in named if p.kind in ASKED]
    queries = questions(system, asked)
    with tempfile.TemporaryDirectory(prefix="spin-") as folder:
        pan = compiled(Path(folder), promela(system, asked), [*OPTIONS, f"-DMEMLIM={memory_mb}"])
        number = {transition: n for n, transition in enumerate(options_of(pan))}
        if len(number) != len(system.actions) + len(queries):
            raise SpinError(f"SPIN sees {len(number)} options, not {len(system.actions)} + {len(queries)}")
        # One report per question: one more means that something else was reported, and then it is enough.
        told = run(pan, ["-e", f"-c{len(queries) + 1}", f"-m{DEPTH}"], progress)
        paths = {}
        for trail in trails(pan, told.reports):
            *steps, last = (number[transition] for transition in trail)
            if last < len(system.actions):
                raise SpinError(_out_of_range(system, [*steps, last]))
            query = queries[last - len(system.actions)]
            paths[query.property, query.premise] = replayed(system, steps)
    looked = f"{'all' if told.whole else 'the first'} {told.states:,} states"
    answers = []
    for p in asked:
        path = paths.get((p.name, False))
        finding = Finding.HOLDS if told.whole else Finding.OPEN
        if path is not None:
            finding = Finding.HOLDS if p.kind is Kind.REACHABLE else Finding.FALSE
        elif told.whole and p.kind is Kind.REACHABLE:
            finding = Finding.FALSE
        elif told.whole and p.premise and (p.name, True) not in paths:
            finding = Finding.VACUOUS
        answers.append(Answer(p.name, finding, looked if path is None else "a shortest path", path or ()))
    return Outcome(
        system=system.name,
        engine="spin",
        answers=tuple(answers),
        states=told.states,
        transitions=told.transitions,
        depth=told.depth,
        seconds=told.seconds,
        memory=told.memory,
        exhausted=told.whole,
    )


def replayed(system: System, steps: Sequence[int]) -> tuple[PathStep, ...]:
    """The path of these actions, by number, computed by the rules themselves. Raises SpinError if there is none."""
    path: list[PathStep] = []
    state = system.initial
    for action in steps:
        name = system.actions[action].name
        after = dict(system.successors(state)).get(action)
        if after is None:
            raise SpinError(f"{system.name}: SPIN takes {name} after {len(path)} steps, which the rules do not allow")
        state = after
        path.append(PathStep(name, state))
    return tuple(path)


def _out_of_range(system: System, steps: Sequence[int]) -> str:
    """Which action gives which variable a value that it must not have."""
    path = replayed(system, steps)
    values: Values = path[-1].state
    wrong = [
        f"{v.name} the value {n}" for v, n in zip(system.variables, values, strict=True) if not v.low <= n <= v.high
    ]
    given = " and ".join(wrong) or "no variable a value"
    return f"{system.name}: {path[-1].action} gives {given} out of its range, after {len(path) - 1} steps"
