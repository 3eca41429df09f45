"""One controller by itself: its states as a diagram, and how long one session can keep it busy.

Both are made from the transitions of explored systems, seen through a controller's mode and step. They are those of the
scope with one controller, where that is among those explored. Without it the diagram is drawn from all scopes that are
small enough together, and no time is measured: among honest peers a frame that arrives is nobody's free choice, as
`model.bounds` takes it to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.checking.backend import Scope, Tick
from conformance.checking.ladder import parse_name
from conformance.checking.paths import controllers, show, state_of
from conformance.checking.results import BoundRow, EdgeResult, StateResult
from model.bounds import longest
from model.explore import Explorer
from model.profile import PROFILES
from model.state import Mode
from model.system.alone import OPENS
from model.system.base import System, Values, Variables
from model.terms import Term
from model.walk import Graph

LIMIT = 100_000
"""States of a system that is looked at here: about a tenth of a millisecond and a kilobyte each."""
SMALL = 20_000
"""States of a scope that is taken where no scope has one controller alone."""

SSS_PREFIX = "SSS "
"""How actions mark a rule of the SSS."""

ALONE = ("mode", "step")
"""The variables of one controller alone; where there are several, each one's bear its id."""

STAYS = {
    Mode.SENDING_MESSAGE: "one session as sender",
    Mode.RECEIVING_MESSAGE: "one session as receiver",
    Mode.TALKING_TO_SSS: "one session with the SSS",
}
"""What is measured: how long one session of a mode can last."""


@dataclass
class Picture:
    """What is known of controllers so far."""

    states: dict[str, StateResult] = field(default_factory=dict)
    rules: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    """From one state of the diagram to another: by which rules."""
    bounds: list[BoundRow] = field(default_factory=list)

    @property
    def edges(self) -> list[EdgeResult]:
        """The diagram's edges, in order."""
        order = list(self.states)
        pairs = sorted(self.rules, key=lambda pair: (order.index(pair[0]), order.index(pair[1])))
        return [EdgeResult(start, end, sorted(self.rules[start, end])) for start, end in pairs]

    def draw(self, graph: Graph) -> None:
        """Add the transitions of a system."""
        system = graph.system
        for mode, step in controllers(system):
            number = _number(mode)
            at = _Projection(system, mode, step)
            for source in range(graph.expanded):
                before = at(graph.states[source])
                self.states.setdefault(before.id, before)
                for taken, target in graph.ways(source):
                    action, after = system.actions[taken], at(graph.states[target])
                    name = parse_name(action.name)
                    rules = [rule for rule in action.rules if not rule.startswith(SSS_PREFIX)]
                    if before != after or (rules and number in ("", name.actor)):
                        self.states.setdefault(after.id, after)
                        self.rules.setdefault((before.id, after.id), set()).update(rules or [name.rule])

    def measure(self, graph: Graph, profile: str, scope: str) -> None:
        """Add the longest sessions of one controller alone."""
        begins = {a.name for a in graph.system.actions if set(OPENS) & set(a.rules)}
        rows = (_longest(graph, mode, begins, BoundRow(profile, what, scope)) for mode, what in STAYS.items())
        self.bounds += [row for row in rows if row is not None]


class _Projection:
    """From states of a system to those of the diagram, for one controller."""

    def __init__(self, system: System, mode: str, step: str) -> None:
        self.mode, self.step = system.names.index(mode), system.names.index(step)
        self.known: dict[tuple[int, int], StateResult] = {}

    def __call__(self, values: Values) -> StateResult:
        key = values[self.mode], values[self.step]
        if key not in self.known:
            self.known[key] = state_of(*key)
        return self.known[key]


def describe_controller(
    scopes: Sequence[Scope], sizes: Mapping[str, int], profile: str, progress: Callable[[Tick], None]
) -> Picture:
    """The picture from the scopes whose number of states is in `sizes`; time bounds for the run's profile first.

    Raises what a scope or the compiler raises.
    """
    picture = Picture()
    systems = {s.name: s.build(PROFILES[profile]) for s in scopes if s.name in sizes}
    alone = [s for s in scopes if s.name in sizes and ALONE in controllers(systems[s.name])]
    for scope in alone[:1] or [s for s in scopes if sizes.get(s.name, SMALL + 1) <= SMALL]:
        graph = graph_of(systems[scope.name], progress)
        picture.draw(graph)
        if scope in alone:
            picture.measure(graph, profile, scope.name)
    for other in PROFILES.keys() - {profile}:
        for scope in alone[:1]:
            picture.measure(graph_of(scope.build(PROFILES[other]), progress), other, scope.name)
    return picture


def graph_of(system: System, progress: Callable[[Tick], None]) -> Graph:
    """All transitions of a system, computed by compiled code; of `LIMIT` states at most."""

    class Compiled(System):
        def successors(self, values: Values) -> Iterator[tuple[int, Values]]:
            return iter(explorer.successors(values))

    with Explorer(system, properties=()) as explorer:
        compiled = Compiled(system.name, system.variables, system.actions, system.properties, system.unit)
        return Graph.of(compiled, LIMIT, lambda states, depth: progress(Tick(states, depth)))


def _longest(graph: Graph, mode: Mode, begins: Collection[str], row: BoundRow) -> BoundRow | None:
    """The row with what was found; None if the mode does not occur."""

    def inside(v: Variables) -> Term:
        return v.mode == mode

    if not graph.exhausted:
        row.error = f"{row.scope} has more than {LIMIT:,} states"
    elif next(graph.where(inside), None) is None:
        return None
    else:
        bound = longest(graph, graph.system, inside, begins)
        row.milliseconds, row.path = bound.milliseconds, show(graph.system, bound.path, bound.loop)
    return row


def _number(variable: str) -> str:
    """The id in a variable's name; empty if it has none, as where there is one controller only."""
    found = re.search(r"\d+", variable)
    return found[0] if found else ""
