"""One thing that may be true of a controller: its state, what it has yet to show, and what was assumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import lru_cache

from model.alphabet import Event, Link, Output
from model.profile import Setting
from model.rules import Rule
from model.run import Reaction, react
from model.state import State, Waiting

MS = 1_000
"""Microseconds in a millisecond."""


class Known(Enum):
    """How much of a session's data the capture has."""

    ALL = "all"
    PART = "part"
    """Record numbers are missing: there must be more than what was seen."""
    NOTHING = "nothing"
    """Nothing can be said: what came was assumed."""


@dataclass(frozen=True, slots=True)
class Due:
    """An output that the rules emitted and that has not been seen yet."""

    output: Output
    at: int
    """When it was emitted, microseconds."""
    known: Known
    """What is known of the peer's data, which it may tell of."""
    rules: tuple[Rule, ...] = field(compare=False)
    cause: int = field(compare=False)
    """Number of the frame that caused it; 0 for a timer."""


@dataclass(frozen=True, slots=True)
class Assumption:
    """Something that the capture does not show, in words; the latest, with those before it."""

    text: str
    link: Link | None
    """The link on which it would have been seen, for frames that are assumed."""
    hidden: bool
    """Whether that link was not captured, as far as was known."""
    before: Assumption | None

    def all(self) -> list[Assumption]:
        """In the order in which they were made."""
        found, one = [self], self.before
        while one is not None:
            found.append(one)
            one = one.before
        return found[::-1]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Candidates are the same if they have the same future; the cheapest of those is kept."""

    state: State
    clock: int
    """The time of `state`, microseconds: its timer fires `state.timer` ms later."""
    due: tuple[Due, ...] = ()
    queue: tuple[Event, ...] = ()
    """CPU frames behind one whose body has not been read (SES-5)."""
    boots: int = 0
    """Power-ups so far."""
    loose_message: bool = False
    """Whether the size and bytes of the message being sent are unknown: the CPU frame was assumed."""
    loose_request: bool = False
    """The same of the registration request."""
    content: Known = Known.ALL
    """What is known of the data that the peer sends."""
    excused: int = -1
    """Until when what goes to the CPU may be of a session before, of which nothing is known; microseconds."""
    losses: int = field(default=0, compare=False)
    """Frames that the capture must have lost."""
    hidden: int = field(default=0, compare=False)
    """Frames that moved on links that the capture does not have, and other things that cannot be seen."""
    assumed: Assumption | None = field(default=None, compare=False)
    step: tuple[Output, ...] = field(default=(), compare=False)
    """All outputs of the last reaction."""
    rules: tuple[Rule, ...] = field(default=(), compare=False)
    """The rules of the last reaction."""
    timer: tuple[str, ...] = field(default=(), compare=False)
    """Requirement ids behind the timer as it is armed, or not armed."""

    @property
    def price(self) -> tuple[int, int]:
        """What must be assumed for it."""
        return self.losses, self.hidden

    @property
    def deadline(self) -> int | None:
        """When its timer fires, microseconds; None if none is armed."""
        return self.clock + self.state.timer * MS if self.state.timer else None

    def until(self, time: int) -> Candidate:
        """Time passes and no timer fires (DTL-6.wait). The clock moves by whole milliseconds, so that none is lost."""
        if not self.state.timer:
            return replace(self, clock=max(time, self.clock))
        ms = min((time - self.clock) // MS, self.state.timer - 1)
        if ms <= 0:
            return self
        return replace(self, state=self.state._replace(timer=self.state.timer - ms), clock=self.clock + ms * MS)

    def assuming(self, text: str, link: Link | None, *, losses: int = 0, hidden: int = 0) -> Candidate:
        """The same at a price."""
        return replace(
            self,
            losses=self.losses + losses,
            hidden=self.hidden + hidden,
            assumed=Assumption(text, link, hidden > 0, self.assumed),
        )


@lru_cache(maxsize=8_192)
def _reactions(state: State, event: Event, setting: Setting) -> list[Reaction]:
    """The rules are a function; most frames of a capture meet a state that met its like before."""
    return react(state, event, setting)


def take(candidate: Candidate, event: Event, setting: Setting, cause: int) -> list[Candidate]:
    """Every way to take an event now. A CPU frame behind one that waits, waits too (SES-5)."""
    if event.kind.startswith("cpu-") and candidate.state.waiting != Waiting.NONE:
        return [replace(candidate, queue=(*candidate.queue, event))]
    taken = [_after(candidate, event, setting, cause)]
    done: list[Candidate] = []
    for each in (c for ways in taken for c in ways):
        if each.queue and each.state.waiting == Waiting.NONE:
            step, rules = each.step, each.rules
            for c in take(replace(each, queue=each.queue[1:]), each.queue[0], setting, cause):
                done.append(replace(c, step=step + c.step, rules=rules + c.rules))
        else:
            done.append(each)
    return done


def _after(candidate: Candidate, event: Event, setting: Setting, cause: int) -> list[Candidate]:
    ways = []
    for r in _reactions(candidate.state, event, setting):
        told = tuple(dict.fromkeys(i for rule in r.rules for i in rule.timer))
        rearmed = bool(told) or r.state.timer != candidate.state.timer
        due = tuple(Due(o, candidate.clock, candidate.content, r.rules, cause) for o in r.outputs)
        ways.append(
            replace(
                candidate,
                state=r.state,
                due=candidate.due + due,
                step=r.outputs,
                rules=r.rules,
                timer=told if rearmed else candidate.timer,
                content=candidate.content if r.state.peer == candidate.state.peer else Known.ALL,
            )
        )
    return ways


def cheapest(candidates: Iterable[Candidate], limit: int) -> tuple[list[Candidate], bool]:
    """Each future once, the cheapest first, at most `limit`; and whether any had to go."""
    best: dict[Candidate, Candidate] = {}
    for c in candidates:
        held = best.get(c)
        if held is None or c.price < held.price:
            best[c] = c
    ranked = sorted(best.values(), key=lambda c: c.price)
    return ranked[:limit], len(ranked) > limit
