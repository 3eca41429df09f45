"""From an exploration to an outcome: findings, shortest paths and lassos."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model.explore.explorer import Explorer, Progress
from model.system.base import Kind, Property, System
from model.system.outcome import Answer, Finding, Outcome, PathStep

ENGINE = "explore"


def explore(
    system: System,
    *,
    jobs: int | None = None,
    memory: int | None = None,
    symmetry: bool = True,
    progress: Callable[[Progress], None] | None = None,
    properties: Sequence[str] | None = None,
) -> Outcome:
    """Look at every reachable state and answer all properties. The arguments are those of `Explorer`.

    `progress` is called about twice a second. `seconds` of the outcome leave out the generating and compiling of code.
    Raises RangeError where a variable leaves its range, and what `Explorer` raises.
    """
    with Explorer(system, jobs=jobs, memory=memory, symmetry=symmetry, properties=properties) as explorer:
        explorer.run(progress)
        states, _, depth, held = explorer.engine.progress()
        return Outcome(
            system=system.name,
            engine=ENGINE,
            answers=tuple(_answer(explorer, p, states) for p in explorer.properties),
            states=states,
            transitions=sum(explorer.taken),
            depth=depth,
            seconds=explorer.seconds,
            memory=held,
            exhausted=explorer.exhausted,
            taken={a.name: n for a, n in zip(system.actions, explorer.taken, strict=True)},
        )


def _answer(explorer: Explorer, p: Property, states: int) -> Answer:
    looked = f"all {states:,} states" if explorer.exhausted else f"{states:,} states, then memory was full"
    silent = Finding.HOLDS if explorer.exhausted else Finding.OPEN
    if p in explorer.goals:
        found = explorer.engine.unreached(explorer.goals.index(p)) if explorer.exhausted else None
    else:
        found = explorer.engine.first(list(explorer.questions).index((p.name, "found")))
    if p.kind is Kind.REACHABLE:
        if found is None:
            return Answer(p.name, Finding.FALSE if explorer.exhausted else Finding.OPEN, looked)
        return Answer(p.name, Finding.HOLDS, "a shortest path", tuple(explorer.path(found)))
    if found is None:
        premise = (p.name, "premise")
        if premise in explorer.questions and silent is Finding.HOLDS:
            met = explorer.engine.first(list(explorer.questions).index(premise))
            silent = Finding.VACUOUS if met is None else silent
        return Answer(p.name, silent, looked)
    path = explorer.path(found)
    if p.kind is Kind.EVENTUALLY:
        loop = _endless(explorer, path, explorer.goals.index(p))
        how = "a shortest path to a dead end" if loop is None else "a path that goes on for ever"
        return Answer(p.name, Finding.FALSE, how, tuple(path), loop)
    return Answer(p.name, Finding.FALSE, "a shortest path", tuple(path))


def _endless(explorer: Explorer, path: list[PathStep], goal: int) -> int | None:
    """Prolong a path within the states that can avoid a goal, until one comes again (its index) or nothing goes on.

    Of the ways on, that to the state found first is taken: it leads back soonest.
    """
    actions = explorer.system.actions
    now = path[-1].state if path else explorer.system.initial
    seen = {now: len(path) - 1} if path else {}
    while True:
        ways = []
        for action, after in explorer.successors(now):
            index = explorer.index(after)
            if index is None:
                raise RuntimeError(f"{explorer.system.name}: a state was not reached: {after}")
            if after != now and not explorer.engine.reaches(index, goal):
                ways.append((index, action, after))
        if not ways:
            return None
        _, action, now = min(ways)
        path.append(PathStep(actions[action].name, now))
        if now in seen:
            return seen[now]
        seen[now] = len(path) - 1
