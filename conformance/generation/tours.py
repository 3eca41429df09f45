"""Tours of the observable controller machine: few walks from boot that take all of something.

Each walk is one case. It goes to the nearest transition that brings something new, from where it is or from boot,
whichever is shorter, until it is long enough.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

from conformance.generation.observable import Machine, Transition

Goal = Callable[[Transition | None, Transition], Hashable]
"""What it brings to take a transition after another one, None at boot."""
PRELUDE: Final = ("hello-3", "hello-5")
"""How each walk begins: both strangers learn a cookie, which leaves nothing behind (SES-6)."""
LONGEST: Final = 200
"""Inputs after which a walk ends where it next would have to look for something new."""
LONGEST_MS: Final = 3_000_000
"""Virtual time after which it ends anywhere; a run of a case ends at an hour."""


class Tours:
    """Walks until every goal is met."""

    def __init__(self, machine: Machine, goal: Goal) -> None:
        self.machine, self._goal = machine, goal
        self.goals = {self._goal(a, b) for a in machine.transitions for b in machine.after(a)}
        first = [machine.out[0][name] for name in PRELUDE]
        self.goals |= {self._goal(None, first[0])}
        self._left = set(self.goals)
        self._useful: dict[int, bool] = {}
        self._after = [sorted(out.values(), key=lambda t: t.source != t.target) for out in machine.out]
        """Per state its transitions, those first that stay there: nothing has to lead back from them."""

    def walks(self) -> list[list[Transition]]:
        """The walks; together they meet every goal."""
        found = []
        while self._left:
            found.append(self._walk())
        return found

    def _walk(self) -> list[Transition]:
        walk: list[Transition] = []
        for name in PRELUDE:
            self._take(walk, self.machine.out[walk[-1].target if walk else 0][name])
        before = len(self._left)
        ms = 0
        while self._left and ms < LONGEST_MS:
            last = walk[-1]
            new = next((t for t in self._after[last.target] if self._goal(last, t) in self._left), None)
            if new is not None:
                self._take(walk, new)
                ms += new.ms
                continue
            way = self._nearest(last.target)
            if len(walk) > LONGEST or way is None or (len(self._left) < before and len(way) > self._from_boot()):
                break
            for transition in way:
                self._take(walk, transition)
                ms += transition.ms
        if len(self._left) == before:
            raise AssertionError(f"{len(self._left)} goals cannot be met, such as {next(iter(self._left))}")
        return walk

    def _take(self, walk: list[Transition], transition: Transition) -> None:
        self._left.discard(self._goal(walk[-1] if walk else None, transition))
        walk.append(transition)

    def _from_boot(self) -> int:
        """How far it is from a fresh start to something new."""
        way = self._nearest(0)
        return len(PRELUDE) + (len(way) if way is not None else 0)

    def _nearest(self, state: int) -> list[Transition] | None:
        """The shortest way from a state after which something new can be taken."""
        came: dict[int, Transition | None] = {state: None}
        queue = deque([state])
        while queue:
            at = queue.popleft()
            for transition in self.machine.out[at].values():
                if self._brings(transition):
                    return [*_way(came, at), transition]
                if transition.target not in came:
                    came[transition.target] = transition
                    queue.append(transition.target)
        return None

    def _brings(self, transition: Transition) -> bool:
        """Whether something new can follow it; once it cannot, it never can."""
        if not self._useful.get(transition.number, True):
            return False
        useful = any(self._goal(transition, t) in self._left for t in self.machine.after(transition))
        self._useful[transition.number] = useful
        return useful


def _way(came: dict[int, Transition | None], state: int) -> list[Transition]:
    way = []
    while (transition := came[state]) is not None:
        way.append(transition)
        state = transition.source
    return way[::-1]
