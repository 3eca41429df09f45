"""The model's controller, explored: its states, and its transitions by rule and by what happens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from model.alphabet import Event
from model.profile import HARDENED, Setting
from model.rules import Rule
from model.state import State, Step
from model.system.alone import BEFORE, ME, UNTIL, Happening, alone, happenings
from model.walk import Graph

SETTING = Setting(ME, HARDENED)
HAPPENINGS = (*happenings(), BEFORE, UNTIL)
"""Everything that can reach the controller of the scope `controller`."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A transition of the model: the state that it leaves, and its action."""

    node: int
    action: int


@dataclass
class Machine:
    """All states that the scope `controller` reaches, numbered, and all its transitions; or a part, for a short tour.

    Transitions are known of the first states only, if the graph was limited.
    """

    graph: Graph = field(default_factory=lambda: Graph.of(alone(HARDENED)))

    def __post_init__(self) -> None:
        self.states = [State(*values) for values in self.graph.states]
        self.number = {state: n for n, state in enumerate(self.states)}
        names = [action.name.split(".", 1)[1] for action in self.graph.system.actions]
        self.labels = [(name.split("(")[0], name.split("(", 1)[1][:-1]) for name in names]
        """Per action its rule's id, and what happens; nothing for what the controller does by itself."""
        self.happenings = HAPPENINGS
        self._ways = [{self.labels[a]: (a, t) for a, t in self.graph.ways(n)} for n in range(self.graph.expanded)]
        self._ways += [{}] * (len(self.states) - self.graph.expanded)

    def all(self) -> Iterator[Taken]:
        """Every transition."""
        for node in range(self.graph.expanded):
            for action, _ in self.graph.ways(node):
                yield Taken(node, action)

    def can_happen(self, node: int) -> list[Happening]:
        """What can reach the controller in a state; nothing while it has something to do by itself."""
        said = {label[1] for label in self._ways[node]}
        return [h for h in HAPPENINGS if h.said in said]

    def event(self, node: int, happening: Happening) -> Event:
        """What happens, as an event in this state."""
        return Event(happening.event, tuple(int(v) for v in happening.values(self.states[node])))

    def follow(self, node: int, events: tuple[Event, ...], rules: tuple[Rule, ...]) -> tuple[list[Taken], int | None]:
        """The transitions that are events taken by rules, urgent ones included, and the state where they lead.

        None, and the transitions so far, where they leave the scope, which bounds what a peer can have sent.
        """
        taken: list[Taken] = []
        left = list(rules)
        for event in events:
            rule = left.pop(0)
            if event.kind == "data" and self.states[node].step == Step.READ:
                # Of a response no rule looks at the size; in the scope every record counts as one byte.
                event = Event("data", (*event.args[:2], 1))
            same = (h.said for h in self.can_happen(node) if h.event == event.kind and self.event(node, h) == event)
            way = next((w for said in same if (w := self._ways[node].get((rule.id, said)))), None)
            if way is None:
                return taken, None
            taken.append(Taken(node, way[0]))
            node = way[1]
            while left and left[0].on is None:
                way = self._ways[node].get((left.pop(0).id, ""))
                if way is None:
                    return taken, None
                action, target = way
                taken.append(Taken(node, action))
                node = target
        return taken, node
