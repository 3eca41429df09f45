"""One controller by itself: its states as a diagram, how long one session can keep it busy, and how long things wait.

Both are made from the transitions of explored systems, seen through a controller's mode and step. They are those of the
scope with one controller, where that is among those explored. Without it the diagram is drawn from all scopes that are
small enough together, and no time is measured: among honest peers a frame that arrives is nobody's free choice, as
`model.bounds` takes it to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.checking.backend import Scope, Tick
from conformance.checking.ladder import parse_name
from conformance.checking.paths import controllers, show, state_of
from conformance.checking.results import BoundRow, EdgeResult, StateResult
from conformance.checking.words import time_text
from model.bounds import Bound, longest
from model.explore import Explorer
from model.profile import PROFILES
from model.state import Mode, Step, Waiting
from model.system.alone import OPENS
from model.system.base import System, Values, Variables
from model.terms import And, Term
from model.walk import Graph

LIMIT = 100_000
"""States of a system that is looked at here: about a tenth of a millisecond and a kilobyte each."""
SMALL = 20_000
"""States of a scope that is taken where no scope has one controller alone."""

SSS_PREFIX = "SSS "
"""How actions mark a rule of the SSS."""

ALONE = ("mode", "step")
"""The variables of one controller alone; where there are several, each one's bear its id."""


@dataclass(frozen=True, slots=True)
class Stay:
    """Something of which it is measured how long it can last: being in the states where `inside` holds."""

    what: str
    inside: Callable[[Variables], Term]
    begins: tuple[str, ...] = ()
    """Rules with which it begins anew."""


def _waits(v: Variables) -> Term:
    return v.waiting != Waiting.NONE


STAYS = (
    Stay("one session as sender", lambda v: v.mode == Mode.SENDING_MESSAGE, OPENS),
    Stay("one session as receiver", lambda v: v.mode == Mode.RECEIVING_MESSAGE, OPENS),
    Stay("one session with the SSS", lambda v: v.mode == Mode.TALKING_TO_SSS, OPENS),
    Stay("the wait of a CPU frame", _waits),
    Stay(
        "the wait of a CPU frame for an unproved peer",
        lambda v: And(_waits(v), v.mode == Mode.RECEIVING_MESSAGE, v.step == Step.ACCEPT),
    ),
    Stay("the wait of a message put aside", lambda v: v.aside != 0),
)
"""What is measured."""

YIELDS, PROVES = "SES-9.yield", "SES-3.finish"
"""What starves one's own messages: to give way to a lower id, and a peer that proves itself."""


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
        """Add the longest sessions and waits of one controller alone."""
        rows = (_longest(graph, stay, BoundRow(profile, stay.what, scope)) for stay in STAYS)
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


def _longest(graph: Graph, stay: Stay, row: BoundRow) -> BoundRow | None:
    """The row with what was found; None if there is no such stay."""
    if not graph.exhausted:
        row.error = f"{row.scope} has more than {LIMIT:,} states"
    elif next(graph.where(stay.inside), None) is None:
        return None
    else:
        bound = _bound(graph, stay, *stay.begins)
        row.milliseconds, row.path = bound.milliseconds, show(graph.system, bound.path, bound.loop)
        if bound.milliseconds is None:
            row.note = _starved(graph, stay)
    return row


def _starved(graph: Graph, stay: Stay) -> str:
    """Who makes a stay endless, if it is only those who prove themselves again and again, and have lower ids.

    So it is if the stay ends when it is taken to begin anew with each proof, and when with each time that one yields.
    """
    yields, proves = (_bound(graph, stay, *stay.begins, rule).milliseconds for rule in (YIELDS, PROVES))
    if yields is None or proves is None:
        return ""
    return f"authenticated lower peers can starve it; from one's proof to the next it lasts {time_text(proves)} at most"


def _bound(graph: Graph, stay: Stay, *begins: str) -> Bound:
    return longest(
        graph, graph.system, stay.inside, {a.name for a in graph.system.actions if set(begins) & set(a.rules)}
    )


def _number(variable: str) -> str:
    """The id in a variable's name; empty if it has none, as where there is one controller only."""
    found = re.search(r"\d+", variable)
    return found[0] if found else ""
