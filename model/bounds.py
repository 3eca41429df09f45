"""How long something can last: the longest time that a system can stay in certain states.

It is computed from the graph of all states: strongly connected components (Tarjan, 1972), then the longest path through
what is left, which has no cycles in which time passes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from model.system.base import System, Variables
from model.system.outcome import PathStep
from model.terms import Term
from model.walk import Graph

FORCED = frozenset({"urgent", "timer", "time"})
"""Kinds of actions that happen without anybody's choice; nobody has to do any of the others."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The longest stay: milliseconds, None for ever; and a path that ends with one that long.

    For ever, the path ends where nothing forces the stay to end, or returns to the state of step `loop`.
    """

    milliseconds: int | None
    path: tuple[PathStep, ...]
    loop: int | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A transition from within a stay: its number in the graph, the units of time that pass, and whether it goes on."""

    action: int
    target: int
    time: int
    stays: bool


def longest(
    graph: Graph, system: System, inside: Callable[[Variables], Term], begins: Collection[str] = frozenset()
) -> Bound:
    """The longest time that a path can stay within the states where `inside` holds.

    A stay begins with each entry, and anew with each action named in `begins`; the time of the step that ends it
    counts. It can last for ever if time passes in a cycle of such states, or in a state from which only the environment
    leads away (no action of a kind in `FORCED` changes it): no timer runs there and the environment may fall silent.

    Raises ValueError if the graph is not whole, if no reachable state is inside, or if `begins` names no action.
    """
    if not graph.exhausted:
        raise ValueError(f"{system.name}: not all states are known, so no bound is")
    if unknown := set(begins) - {a.name for a in system.actions}:
        raise ValueError(f"{system.name}: no such actions: {sorted(unknown)}")
    stays = _ways(graph, system, inside, begins)
    if not stays:
        raise ValueError(f"{system.name}: no reachable state is inside, so there is no stay to measure")
    component = _components(stays)
    for state, ways in stays.items():
        if not any(system.actions[w.action].kind in FORCED and w.target != state for w in ways):
            return Bound(None, graph.steps(graph.way_to(state)))
        for way in ways:
            if way.time and way.stays and component[way.target] == component[state]:
                path = graph.way_to(state)
                cycle = [(way.action, way.target), *_between(stays, way.target, state)]
                if path:
                    return Bound(None, graph.steps(path + cycle), len(path) - 1)
                return Bound(None, graph.steps(cycle + cycle[:1]), 0)  # a path does not hold the first state
    time, path = _longest_path(graph, stays, component)
    return Bound(time * system.unit, graph.steps(path))


def _ways(
    graph: Graph, system: System, inside: Callable[[Variables], Term], begins: Collection[str]
) -> dict[int, list[Way]]:
    """The ways from every state that is inside, in order of states."""
    anew = {n for n, a in enumerate(system.actions) if a.name in begins}
    within = set(graph.where(inside))
    found: dict[int, list[Way]] = {}
    for state in sorted(within):
        v = system.bind(graph.states[state])
        found[state] = ways = []
        for action, target in graph.ways(state):
            elapsed = system.actions[action].elapsed
            time = int(elapsed(v)) if elapsed else 0
            ways.append(Way(action, target, time, target in within and action not in anew))
    return found


def _longest_path(
    graph: Graph, stays: dict[int, list[Way]], component: dict[int, int]
) -> tuple[int, list[tuple[int, int]]]:
    """The longest time, and a path that ends with a stay of that length; no time passes within a component."""
    time = [0] * (max(component.values()) + 1)
    exits: dict[int, tuple[int, Way]] = {}
    for state in sorted(stays, key=lambda s: component[s]):  # ways lead to lower numbers
        own = component[state]
        for way in stays[state]:
            if way.stays and component[way.target] == own:
                continue
            total = way.time + (time[component[way.target]] if way.stays else 0)
            if own not in exits or total > time[own]:
                time[own], exits[own] = total, (state, way)
    # The first state with the longest time to come: a path to it that were inside for longer would make a longer stay.
    most = max(time)
    state = next(s for s in stays if time[component[s]] == most)
    path = graph.way_to(state)
    while component[state] in exits:
        source, way = exits[component[state]]
        path += [*_between(stays, state, source), (way.action, way.target)]
        if not way.stays:
            break
        state = way.target
    return most, path


def _between(stays: dict[int, list[Way]], state: int, target: int) -> list[tuple[int, int]]:
    """A shortest way within the stays from one state to another, which there is."""
    came: dict[int, tuple[int, int]] = {}
    queue = deque([state])
    while target != state and target not in came:
        source = queue.popleft()
        for way in stays[source]:
            if way.stays and way.target not in came:
                came[way.target] = source, way.action
                queue.append(way.target)
    path = []
    while target != state:
        source, action = came[target]
        path.append((action, target))
        target = source
    return path[::-1]


def _components(stays: dict[int, list[Way]]) -> dict[int, int]:
    """Strongly connected components of the stays, numbered so that a way never leads to a higher number."""
    low: dict[int, int] = {}
    number: dict[int, int] = {}
    stack: list[int] = []
    count = 0
    for root in stays:
        if root in low:
            continue
        low[root] = len(low)
        stack.append(root)
        work: list[tuple[int, int, Iterator[Way]]] = [(root, low[root], iter(stays[root]))]
        while work:
            state, order, ways = work[-1]
            for way in ways:
                if not way.stays:
                    continue
                if way.target not in low:
                    low[way.target] = len(low)
                    stack.append(way.target)
                    work.append((way.target, low[way.target], iter(stays[way.target])))
                    break
                if way.target not in number:
                    low[state] = min(low[state], low[way.target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[state])
                if low[state] == order:
                    while state not in number:
                        number[stack.pop()] = count
                    count += 1
    return number
