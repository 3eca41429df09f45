"""The run reading as an engine: every reachable state by breadth-first search, in plain Python on plain integers.

It is the slow engine and the one that is plain enough to be believed; the others are held against it. What it keeps,
states and transitions by number, is a `Graph`, from which `model.bounds` computes how long something can last.
"""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from model.system.base import Kind, Property, System, Values, Variables
from model.system.outcome import Answer, Finding, Outcome, PathStep
from model.terms import Term


@dataclass
class Graph:
    """Reachable states, numbered in breadth-first order from 0, and the transitions between them.

    Transitions are known of the first `expanded` states: of all of them, unless a limit stopped the search.
    """

    system: System
    states: list[Values]
    came: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    """Per state the number of a state before it, and of the action between, on a shortest path; nothing for state 0."""
    actions: array[int] = field(default_factory=lambda: array("H"))
    targets: array[int] = field(default_factory=lambda: array("I"))
    """Per transition its action and the state after it, in order of the states before."""
    ends: array[int] = field(default_factory=lambda: array("Q", [0]))
    """Transitions of state `n` are those from `ends[n]` to `ends[n + 1]`."""
    depth: int = 0

    @classmethod
    def of(cls, system: System, limit: int | None = None, progress: Callable[[int, int], None] | None = None) -> Graph:
        """Explore; at most `limit` states. `progress` is told the number of states and the depth, level by level."""
        graph = cls(system, [system.initial])
        number = {system.initial: 0}
        level = 1  # number of states up to the current level, whose last is expanded next
        while graph.expanded < len(graph.states):
            if graph.expanded == level:
                graph.depth += 1
                level = len(graph.states)
                if progress:
                    progress(level, graph.depth)
            source = graph.expanded
            known = len(graph.targets)
            for action, after in system.successors(graph.states[source]):
                target = number.setdefault(after, len(graph.states))
                if target == limit:
                    del graph.actions[known:], graph.targets[known:]
                    return graph
                if target == len(graph.states):
                    graph.states.append(after)
                    graph.came.append((source, action))
                graph.actions.append(action)
                graph.targets.append(target)
            graph.ends.append(len(graph.targets))
        return graph

    @property
    def expanded(self) -> int:
        """How many states, the first ones, have all their transitions here."""
        return len(self.ends) - 1

    @property
    def exhausted(self) -> bool:
        """Whether that is all of them."""
        return self.expanded == len(self.states)

    def ways(self, state: int) -> Iterator[tuple[int, int]]:
        """Action and next state of every transition of an expanded state."""
        for n in range(self.ends[state], self.ends[state + 1]):
            yield self.actions[n], self.targets[n]

    def where(self, test: Callable[[Variables], Term]) -> Iterator[int]:
        """The states that pass a test, in order."""
        return (n for n, values in enumerate(self.states) if test(self.system.bind(values)))

    def steps(self, ways: Sequence[tuple[int, int]]) -> tuple[PathStep, ...]:
        """Transitions one after the other, for an answer."""
        return tuple(PathStep(self.system.actions[action].name, self.states[state]) for action, state in ways)

    def way_to(self, state: int) -> list[tuple[int, int]]:
        """Action and next state of each transition on a shortest path from state 0."""
        found = []
        while state:
            before, action = self.came[state]
            found.append((action, state))
            state = before
        return found[::-1]


def walk(
    system: System,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    properties: Sequence[str] | None = None,
) -> Outcome:
    """Explore and answer every property, or those named. `limit` and `progress` are those of `Graph.of`.

    Memory is not measured. Raises KeyError for a property that the system does not have.
    """
    started = time.perf_counter()
    asked = system.properties if properties is None else [system.property(name) for name in properties]
    graph = Graph.of(system, limit, progress)
    answers = tuple(answer(graph, p) for p in asked)
    taken = dict.fromkeys((a.name for a in system.actions), 0)
    for action in graph.actions:
        taken[system.actions[action].name] += 1
    return Outcome(
        system=system.name,
        engine="run",
        answers=answers,
        states=len(graph.states),
        transitions=len(graph.actions),
        depth=graph.depth,
        seconds=time.perf_counter() - started,
        exhausted=graph.exhausted,
        taken=taken,
    )


def answer(graph: Graph, asked: Property) -> Answer:
    """What a graph says of a property. Only what is in the graph counts as a counterexample."""
    looked = f"{'all' if graph.exhausted else 'the first'} {len(graph.states):,} states"
    otherwise = Finding.HOLDS if graph.exhausted else Finding.OPEN
    match asked.kind:
        case Kind.ALWAYS:
            bad = next(graph.where(lambda v: not asked.holds(v)), None)
            if bad is not None:
                return Answer(asked.name, Finding.FALSE, "a shortest path", graph.steps(graph.way_to(bad)))
            if graph.exhausted and asked.premise and next(graph.where(asked.premise), None) is None:
                otherwise = Finding.VACUOUS
        case Kind.REACHABLE:
            good = next(graph.where(asked.holds), None)
            if good is not None:
                return Answer(asked.name, Finding.HOLDS, "a shortest path", graph.steps(graph.way_to(good)))
            if graph.exhausted:
                otherwise = Finding.FALSE
        case Kind.POSSIBLE:
            bad = attracted(graph, asked.holds, every=False).find(0)
            if bad >= 0:
                return Answer(asked.name, Finding.FALSE, "a shortest path", graph.steps(graph.way_to(bad)))
        case Kind.EVENTUALLY:
            inside = attracted(graph, asked.holds, every=True)
            bad = inside.find(0)
            if bad >= 0:
                ways, loop = endless(graph, inside, bad)
                how = "a shortest path to a dead end" if loop is None else "a path that goes on for ever"
                return Answer(asked.name, Finding.FALSE, how, graph.steps(ways), loop)
    return Answer(asked.name, otherwise, looked)


def attracted(graph: Graph, holds: Callable[[Variables], Term], *, every: bool) -> bytearray:
    """Per state 1 if it passes the test, or if one of its ways (or `every`, and there is one) leads to such a state.

    A way back to the state itself is none. States that were not expanded count as 1: nothing is known against them.
    """
    inside = bytearray(len(graph.states))
    sources: list[list[int]] = [[] for _ in graph.states]
    left = array("I", [0]) * len(graph.states)
    for source in range(graph.expanded):
        for _, target in graph.ways(source):
            if target != source:
                sources[target].append(source)
                left[source] += 1
    queue = deque({*graph.where(holds), *range(graph.expanded, len(graph.states))})
    for state in queue:
        inside[state] = 1
    while queue:
        for source in sources[queue.popleft()]:
            left[source] -= 1
            if not inside[source] and (not every or left[source] == 0):
                inside[source] = 1
                queue.append(source)
    return inside


def endless(graph: Graph, inside: bytearray, state: int) -> tuple[list[tuple[int, int]], int | None]:
    """A shortest path to a state, and on for ever outside of `inside`: to a dead end, or round a loop.

    Of the ways on, that to the state found first is taken: it leads back soonest. The loop is given as in
    `Answer.loop`: the last step comes to the state of that step. Where a loop goes through the first state, which a
    path does not hold, the path is one step longer.
    """
    path = graph.way_to(state)
    where = {state: len(path) - 1} if path else {}
    while True:
        onward = [(t, a) for a, t in graph.ways(state) if t != state and not inside[t]]
        if not onward:
            return path, None
        state, action = min(onward)
        path.append((action, state))
        if state in where:
            return path, where[state]
        where[state] = len(path) - 1
