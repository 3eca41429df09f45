"""Small systems with properties of every kind, and a plain breadth-first search to compare with."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

from model.system.base import Action, Kind, Property, Step, System, Values, Variable
from model.terms import And, If, Max, Min, Not, Or, Term, one_of


def action(
    name: str, body: Callable[[SimpleNamespace], Step], when: Callable[[SimpleNamespace], Term] | None = None
) -> Action:
    return Action(name, "cpu", (), name, body, when) if when else Action(name, "cpu", (), name, body)


def prop(
    name: str,
    kind: Kind,
    holds: Callable[[SimpleNamespace], Term],
    premise: Callable[[SimpleNamespace], Term] | None = None,
) -> Property:
    return Property(name, kind, (), name, holds, premise)


EMPTY = -1


def courier(messages: int, tries: int) -> System:
    """Stop and wait with numbers modulo 2 over a lossy line each way; who sends gives up after some tries in a row.

    `tries` 0: it never gives up. Values below zero, a constant and a time of 7 units are there on purpose.
    """

    def send(v: SimpleNamespace) -> Step:
        return Step(
            And(v.timer == 0, v.sent < messages, Or(tries == 0, v.tried < tries), Not(v.line != EMPTY)),
            {"line": If(v.parity == 1, v.one, 0), "timer": 7, "tried": Min(v.tried + 1, max(tries, 1))},
        )

    def receive(v: SimpleNamespace) -> Step:
        new = v.line == v.expect
        return Step(
            v.line >= 0,
            {
                "line": EMPTY,
                "back": v.line,
                "got": If(new, v.got + 1, v.got),
                "expect": If(new, 1 - v.expect, v.expect),
            },
        )

    def acknowledged(v: SimpleNamespace) -> Step:
        good = And(v.back == v.parity, v.sent < messages)
        update = {"sent": v.sent + 1, "parity": 1 - v.parity, "timer": 0, "tried": 0}
        return Step(v.back > EMPTY, {"back": EMPTY, **{n: If(good, t, getattr(v, n)) for n, t in update.items()}})

    return System(
        "courier",
        (
            Variable("sent", 0, messages),
            Variable("got", 0, messages),
            Variable("parity", 0, 1),
            Variable("expect", 0, 1),
            Variable("one", 1, 1, 1),
            Variable("line", EMPTY, 1, EMPTY),
            Variable("back", EMPTY, 1, EMPTY),
            Variable("timer", 0, 7),
            Variable("tried", 0, max(tries, 1)),
        ),
        (
            action("send", send),
            action("receive", receive),
            action("acknowledged", acknowledged),
            action("lose", lambda v: Step(True, {"line": EMPTY}), lambda v: v.line != EMPTY),
            action("lose back", lambda v: Step(v.back != EMPTY, {"back": EMPTY})),
            action("tick", lambda v: Step(v.timer > 0, {"timer": Max(v.timer - 1, 0)})),
            action("look", lambda v: Step(one_of(v.line, 0, 1))),
            action("never", lambda v: Step(v.one != 1, {"sent": 0})),
        ),
        (
            prop("in order", Kind.ALWAYS, lambda v: And(v.sent <= v.got, v.got <= v.sent + 1), lambda v: v.got > 0),
            prop("one at most", Kind.ALWAYS, lambda v: v.got < 2),
            prop("unmet", Kind.ALWAYS, lambda v: Or(v.one == 1, v.got == 0), lambda v: v.one == 0),
            prop("all arrive", Kind.REACHABLE, lambda v: v.got == messages),
            prop("too many", Kind.REACHABLE, lambda v: v.got > v.sent + 1),
            prop("can arrive", Kind.POSSIBLE, lambda v: v.got == messages),
            prop("can fall silent", Kind.POSSIBLE, lambda v: And(v.timer == 0, v.line == EMPTY, v.back == EMPTY)),
            prop("does arrive", Kind.EVENTUALLY, lambda v: v.got == messages),
            prop("does stop", Kind.EVENTUALLY, lambda v: v.timer == 0),
        ),
        unit=10,
    )


def crowd(size: int, turns: int, *, dull: int = 0) -> System:
    """Clients of one lock, all alike. `dull` variables in each make the states wider."""
    actions = []
    for i in range(size):
        own = {n: f"{n}{i}" for n in ("want", "turn")}

        def ask(v: SimpleNamespace, i: int = i, own: dict[str, str] = own) -> Step:
            marks = {f"dull{i}_{k}": 1 - getattr(v, f"dull{i}_{k}") for k in range(dull)}
            return Step(And(getattr(v, own["want"]) == 0, getattr(v, own["turn"]) < turns), {own["want"]: 1, **marks})

        def take(v: SimpleNamespace, own: dict[str, str] = own) -> Step:
            return Step(And(getattr(v, own["want"]) == 1, v.free == 1), {own["want"]: 2, "free": 0})

        def leave(v: SimpleNamespace, own: dict[str, str] = own) -> Step:
            return Step(
                getattr(v, own["want"]) == 2, {own["want"]: 0, "free": 1, own["turn"]: getattr(v, own["turn"]) + 1}
            )

        actions += [action(f"ask {i}", ask), action(f"take {i}", take), action(f"leave {i}", leave)]
    actions.append(
        action(
            "again",
            lambda v: Step(
                And(*(getattr(v, f"turn{i}") == turns for i in range(size))), {f"turn{i}": 0 for i in range(size)}
            ),
        )
    )
    names = ["want", "turn", *(f"dull{{}}_{k}" for k in range(dull))]

    def name(pattern: str, i: int) -> str:
        return pattern.format(i) if "{}" in pattern else f"{pattern}{i}"

    swaps = tuple({name(p, a): name(p, b) for p in names for a, b in ((i, i + 1), (i + 1, i))} for i in range(size - 1))
    pairs = list(itertools.combinations(range(size), 2))
    return System(
        "crowd",
        (
            *(Variable(f"want{i}", 0, 2) for i in range(size)),
            *(Variable(f"turn{i}", 0, turns) for i in range(size)),
            *(Variable(f"dull{i}_{k}", 0, 15) for i in range(size) for k in range(dull)),
            Variable("free", 0, 1, 1),
        ),
        tuple(actions),
        (
            prop(
                "one holds it",
                Kind.ALWAYS,
                lambda v: And(*(Not(And(getattr(v, f"want{i}") == 2, getattr(v, f"want{j}") == 2)) for i, j in pairs)),
            ),
            prop("not all want", Kind.ALWAYS, lambda v: Or(*(getattr(v, f"want{i}") == 0 for i in range(size)))),
            prop("all done", Kind.REACHABLE, lambda v: And(*(getattr(v, f"turn{i}") == turns for i in range(size)))),
            prop("free again", Kind.POSSIBLE, lambda v: v.free == 1),
            prop("freed", Kind.EVENTUALLY, lambda v: v.free == 1),
            prop("someone waits", Kind.EVENTUALLY, lambda v: Or(*(getattr(v, f"want{i}") == 1 for i in range(size)))),
        ),
        symmetries=swaps,
    )


def stages() -> System:
    """Actions under different guards that compute the same terms."""

    def turn(v: SimpleNamespace, to: int) -> dict[str, Term]:
        total = v.x + v.y + 1
        return {"stage": to, "x": If(total > 4, v.y, v.x + 1), "y": If(total > 4, 0, Min(total, 3))}

    return System(
        "stages",
        (Variable("stage", 0, 2), Variable("x", 0, 5), Variable("y", 0, 3)),
        tuple(
            action(f"{of} to {to}", lambda v, of=of, to=to: Step(v.stage == of, turn(v, to)))
            for of in range(3)
            for to in range(3)
            if of != to
        ),
        (),
    )


@dataclass
class Searched:
    """What a plain search found: the states with their distance, and all steps."""

    distance: dict[Values, int] = field(default_factory=dict)
    steps: dict[Values, list[tuple[int, Values]]] = field(default_factory=dict)

    @classmethod
    def of(cls, system: System) -> Searched:
        found = cls({system.initial: 0})
        queue = [system.initial]
        for state in queue:
            found.steps[state] = list(system.successors(state))
            for _, after in found.steps[state]:
                if after not in found.distance:
                    found.distance[after] = found.distance[state] + 1
                    queue.append(after)
        return found

    def nearest(self, wanted: Callable[[Values], object]) -> int | None:
        """The least distance of a state that is wanted."""
        return min((d for s, d in self.distance.items() if wanted(s)), default=None)
