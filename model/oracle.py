"""The oracle: given this history, these observations are allowed, and this is the next deadline.

It keeps every state in which a conforming controller can be after what was seen. A step is a list of events (one frame
can carry several) and all outputs up to quiescence; what came must equal, link by link, the outputs of at least one way
through the rules, and the deadline must be that way's deadline.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from model.alphabet import Event, Link, Output
from model.profile import Setting
from model.recall import Recall
from model.rules import Rule
from model.run import react
from model.state import State

Taken = tuple[tuple[Output, ...], tuple[Rule, ...]]
"""The outputs of one way to take an event, and the rules that were taken."""


@lru_cache(16)
def _recalled(setting: Setting) -> Recall[State, Taken]:
    """`react` for a setting; all that judge by it remember together."""

    def rules(state: State, kind: str, arguments: tuple[int, ...]) -> list[tuple[State, Taken]]:
        return [(r.state, (r.outputs, r.rules)) for r in react(state, Event(kind, arguments), setting)]

    return Recall(State, rules)


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen ones take long to make
class Possibility:
    """One way in which a conforming controller can have taken the last step."""

    state: State
    outputs: tuple[Output, ...] = ()
    rules: tuple[Rule, ...] = ()
    timer: tuple[str, ...] = ()
    """Requirement ids behind the timer as it is now armed, or not armed."""

    def deadline(self, now: int) -> int | None:
        """The next deadline in milliseconds since boot."""
        return now + self.state.timer if self.state.timer else None


@dataclass(frozen=True, slots=True)
class Disagreement:
    """What came is not allowed."""

    allowed: tuple[Possibility, ...]
    requirements: tuple[str, ...]
    """Ids of the protocol page that were broken, the most telling first."""
    explanation: str


class Oracle:
    """Judges one controller, step by step."""

    def __init__(self, setting: Setting, state: State | None = None) -> None:
        self.setting = setting
        self._recall = _recalled(setting)
        self.now = 0
        self.possible: tuple[Possibility, ...] = (Possibility(state or State()),)

    @property
    def states(self) -> tuple[State, ...]:
        """The states in which a conforming controller can be, most likely one."""
        return tuple(dict.fromkeys(p.state for p in self.possible))

    def deadlines(self) -> tuple[int | None, ...]:
        """The allowed next deadlines, in milliseconds since boot."""
        return tuple(dict.fromkeys(p.deadline(self.now) for p in self.possible))

    def foresee(self, events: tuple[Event, ...]) -> tuple[Possibility, ...]:
        """Every way to take a step, without taking it."""
        ways = tuple([Possibility(p.state, (), (), p.timer) for p in self.possible])
        for event in events:
            found = [
                Possibility(after, w.outputs + outputs, w.rules + rules, _timer(w, after, rules))
                for w in ways
                for after, (outputs, rules) in self._recall.ways(w.state, event.kind, event.args)
            ]
            ways = tuple(dict.fromkeys(found) if len(found) > 1 else found)
        return ways

    def step(
        self, events: tuple[Event, ...], outputs: tuple[Output, ...], deadline: int | None, *, told: bool = True
    ) -> Disagreement | None:
        """Take a step that was seen. `deadline` is milliseconds since boot; not `told`, any is allowed.

        Events of kind `time` move the oracle's clock. After a disagreement the oracle goes on from what was allowed.
        """
        allowed = self.foresee(events)
        for event in events:
            if event.kind == "time":
                self.now += event.args[0]
        same_outputs = tuple([w for w in allowed if w.outputs == outputs or by_link(w.outputs) == by_link(outputs)])
        agreeing = tuple([w for w in same_outputs if not told or w.deadline(self.now) == deadline])
        self.possible = agreeing or same_outputs or allowed
        if agreeing:
            return None
        if same_outputs:
            return self._wrong_deadline(same_outputs, deadline)
        return self._wrong_outputs(allowed, outputs)

    def _wrong_deadline(self, ways: tuple[Possibility, ...], deadline: int | None) -> Disagreement:
        wanted = " or ".join(_at(w.deadline(self.now)) for w in ways)
        requirements = tuple(dict.fromkeys(i for w in ways for i in w.timer)) or ("SES-1",)
        return Disagreement(
            ways,
            requirements,
            f"All that came is allowed, but the next timer is {_at(deadline)} where the rules want {wanted}.",
        )

    def _wrong_outputs(self, ways: tuple[Possibility, ...], outputs: tuple[Output, ...]) -> Disagreement:
        requirements = tuple(dict.fromkeys(i for w in ways for r in w.rules for i in r.needs)) or ("SES-1",)
        wanted = " or ".join(sorted({_list(w.outputs) for w in ways}))
        rules = ", ".join(dict.fromkeys(f"{r.id} ({r.says})" for w in ways for r in w.rules))
        return Disagreement(
            ways, requirements, f"Came: {_list(outputs)}. Allowed: {wanted}. Rules: {rules or 'none apply'}"
        )


def by_link(outputs: tuple[Output, ...]) -> dict[Link, tuple[Output, ...]]:
    """Outputs in order, link by link; between links no order is observable."""
    return {link: tuple(o for o in outputs if o.link == link) for link in Link}


def _timer(before: Possibility, state: State, rules: tuple[Rule, ...]) -> tuple[str, ...]:
    """Which requirements stand behind the timer after these rules."""
    told = tuple([i for r in rules for i in r.timer])
    if told or state.timer != before.state.timer:
        return tuple(dict.fromkeys(told))
    return before.timer


def _list(outputs: tuple[Output, ...]) -> str:
    return ", ".join(str(o) for o in outputs) or "nothing"


def _at(deadline: int | None) -> str:
    return "not armed" if deadline is None else f"due at {deadline} ms"
