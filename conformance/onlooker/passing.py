"""Time over candidates: power-ups, timers, and outputs that nobody waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from conformance.onlooker.candidate import Candidate, Due, take
from conformance.onlooker.doubts import clock
from model.alphabet import Event, Link
from model.profile import Setting
from model.state import Mode, State, Step, Waiting


@dataclass(frozen=True, slots=True)
class Terrain:
    """What a capture says of one device beforehand."""

    boots: tuple[int, ...] = ()
    """Its power-ups, microseconds, if all of its frames are there; else empty."""
    lossless: bool = False
    """Whether every frame on the links that the capture has is in it."""
    tolerance_us: int = 500_000
    aside: bool = False
    """Whether it has no tap of its own: its frames were seen at others'."""

    @property
    def exact(self) -> bool:
        """Whether times are."""
        return self.tolerance_us == 0

    def late(self, due: Due, time: int) -> bool:
        """Whether an output should have been seen by now."""
        return due.at + self.tolerance_us < time


def hide(c: Candidate, time: int, unseen: frozenset[Link], terrain: Terrain) -> Candidate:
    """Outputs on links that are not captured are not waited for; how far such a session comes cannot be known."""
    hidden = [d for d in c.due if d.output.link in unseen and terrain.late(d, time)]
    if not hidden:
        return c
    mode = c.state.mode
    link = Link.SSS if mode == Mode.TALKING_TO_SSS else Link.RADIO if mode != Mode.IDLE else Link.CPU
    state = c.state._replace(timer=0) if any(d.output.link is link is not Link.CPU for d in hidden) else c.state
    return replace(c, state=state, due=tuple(d for d in c.due if d not in hidden))


def power_ups(c: Candidate, time: int, towards: bool, terrain: Terrain) -> list[Candidate]:
    """With and without the power-ups that may have been before a frame. Each leaves nothing of what was."""
    ways, boots = [c], terrain.boots
    while ways[-1].boots < len(boots) and boots[ways[-1].boots] <= time + terrain.tolerance_us:
        last, at = ways[-1], boots[ways[-1].boots]
        surely = at < time - terrain.tolerance_us
        if (at >= time and not towards) or any(d.at < at for d in last.due):
            break  # a controller says nothing when it starts; and it owes what was due before it lost power
        ways.append(replace(last, state=State(), clock=at, due=(), queue=(), boots=last.boots + 1))
        if surely:
            del ways[:-1]
    return ways


def elapse(
    candidates: list[Candidate], time: int, unseen: frozenset[Link], terrain: Terrain, setting: Setting
) -> list[Candidate]:
    """Timers fire up to a time. Within the tolerance one may or may not have fired."""
    done: list[Candidate] = []
    waiting = list(candidates)
    while waiting:
        c = waiting.pop()
        due = c.deadline
        if due is None or due > time + terrain.tolerance_us:
            done.append(c.until(time))
            continue
        if due >= time - terrain.tolerance_us and not terrain.exact:
            done.append(c.until(time))
        fired = replace(c, clock=min(due, time))
        event = Event("time", (c.state.timer,))
        waiting += take(fired, event, setting, 0)
        if Link.CPU in unseen and c.state.step == Step.ACCEPT and c.state.waiting == Waiting.NONE:
            waiting += take(held(fired, clock(fired.clock)), event, setting, 0)
    return done


def held(c: Candidate, when: str) -> Candidate:
    """The same, with a CPU frame that nobody saw (SES-5, ADV-1)."""
    waits = c.assuming(f"a CPU frame was waiting at {when}", Link.CPU, hidden=1)
    return replace(waits, state=waits.state._replace(waiting=Waiting.OTHER))
