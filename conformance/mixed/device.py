"""One SED of a mixed deployment: its controller, what the model says of it, and what it was seen to do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from conformance.judge import Diverged, Judge
from conformance.results import LadderFrame
from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from conformance.targets.elf import Elf
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import Event, Link
from model.state import Mode, State, Step

_LADDER: Final = 60
"""Frames that a device remembers for people."""
_MODES: Final = tuple(mode.name for mode in Mode)


Said = tuple[Link, Frame, str]
"""A frame that a device sent, and what it is in words."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame at a device's boundary, at a time in milliseconds."""

    time: int
    step: int
    link: Link
    towards: bool
    frame: Frame
    label: str
    fate: str


@dataclass
class Device:
    """One SED. Its target's time follows the world's: it is let go on only where something happens to it."""

    number: int
    kind: str
    """`firmware` or `python`."""
    target: Target
    judge: Judge | None
    """The model beside it, if it is watched."""
    image: Callable[[int], bytes]
    """Its provisioning image, given how often it was powered up before (ADV-3)."""
    told: Callable[[dict[str, Any]], None] = lambda _step: None
    """Is given each judged step, for a trace."""
    saw: Callable[[Sighting], None] = lambda _sighting: None
    """Is given each frame at its boundary."""
    gave: Callable[[Frame], None] = lambda _frame: None
    """Is given each frame of its CPU that its controller takes."""
    now: int = 0
    """Up to when its controller has come, milliseconds of the world's time."""
    deadline: int | None = None
    """When its next timer is due."""
    steps: int = 0
    boots: int = 0
    waiting: deque[bytes] = field(default_factory=deque)
    """What its CPU has to say and its controller cannot take yet (SES-5)."""
    ladder: deque[LadderFrame] = field(default_factory=lambda: deque(maxlen=_LADDER))
    secrets: Callable[[list[tuple[Link, Frame]]], None] = lambda _frames: None
    """Is given the frames of a step before they are judged: what opens them must be known by then."""
    _booted: int = 0
    _towards: dict[Link, FrameReader] = field(default_factory=dict)
    _from: dict[Link, FrameReader] = field(default_factory=dict)
    _debug: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    _symbols: tuple[int, int] | None = None

    # --- what happens to it; each returns the frames that came of it

    def boot(self, now: int) -> list[Said]:
        """Power up, or lose power and have it again. Raises Diverged, IutFault."""
        self.pass_time(now)
        self._booted = now
        self._towards = {link: FrameReader() for link in Link}
        self._from = {link: FrameReader() for link in Link}
        self.waiting.clear()
        events = (Event("boot"),) if self.boots else ()
        if self.judge:
            self.judge.forget()
        image = self.image(self.boots)
        self.boots += 1
        return self._react({"boot": True}, lambda: events, self.target.boot(image))

    def pass_time(self, now: int) -> list[Said]:
        """Let its time pass up to `now`; a timer that is due by then fires. Raises Diverged, IutFault."""
        if now <= self.now:
            if self.deadline is not None and self.deadline <= self.now:
                raise IutFault(f"its timer is due at {self.deadline} ms again and again while it is {self.now} ms")
            return []
        ms = now - self.now
        self.now = now
        if not self.boots:
            return []
        return self._react({"ms": ms}, lambda: (Event("time", (ms,)),), self.target.advance(ms))

    def give(self, link: Link, data: bytes, fate: str = "delivered") -> list[Said]:
        """Bytes come on a link, now. Raises Diverged, IutFault."""
        for frame in self._towards[link].feed(data):
            if isinstance(frame, Frame):
                self.see(link, True, frame, fate, self._label(link, frame))
                if link is Link.CPU:
                    self.gave(frame)
        reaction = self.target.send(link, data)
        judge = self.judge
        events = partial(judge.events, link, data) if judge else tuple
        return self._react({"link": link.name.lower(), "hex": data.hex()}, events, reaction)

    def speak(self) -> list[Said]:
        """Its controller takes the next frame of its CPU. Raises Diverged, IutFault."""
        return self.give(Link.CPU, self.waiting.popleft())

    @property
    def can_speak(self) -> bool:
        """Whether its CPU has a frame that its controller can take now."""
        return bool(self.waiting) and not (self.judge and self.judge.holds_cpu_frame)

    def _react(
        self, stimulus: dict[str, Any], events: Callable[[], tuple[Event, ...]], reaction: Reaction
    ) -> list[Said]:
        """`events` says what the stimulus was, once the secrets are known that open it: a server that is Python itself
        has those only after it has read the client's Finished."""
        due = reaction.deadline
        reaction = replace(
            reaction, now=self._booted + reaction.now, deadline=None if due is None else self._booted + due
        )
        self.deadline = reaction.deadline
        if reaction.now != self.now:
            raise IutFault(f"its clock shows {reaction.now} ms where it is {self.now} ms")
        self._debug += reaction.debug
        frames: list[tuple[Link, Frame]] = []
        junk = b""
        for link, data in reaction.chunks:
            for found in self._from[link].feed(data):
                if isinstance(found, Frame):
                    frames.append((link, found))
                else:
                    junk = junk or found.data
        self.secrets(frames)
        self.steps += 1
        happened = events()
        said = [(link, frame, self._label(link, frame)) for link, frame in frames]
        if self.judge:
            self._judged(stimulus, happened, reaction)
        elif junk:
            raise IutFault(f"it wrote bytes that are no frame: {junk[:16].hex()}", list(self._debug))
        elif any("fatal:" in line or "fault:" in line for line in reaction.debug):
            raise IutFault(f"it says on its debug channel: {reaction.debug[-1]}", list(self._debug))
        return said

    def _judged(self, stimulus: dict[str, Any], events: tuple[Event, ...], reaction: Reaction) -> None:
        """Let the model judge a step; of the steps before it, the judge keeps nothing."""
        assert self.judge is not None
        try:
            self.judge.step(stimulus, events, reaction)
        except Diverged as error:
            error.divergence.step = self.steps - 1
            raise
        finally:
            for step in self.judge.steps:
                self.told(step | {"n": self.steps - 1})
            self.judge.steps.clear()

    # --- what is seen of it

    def see(self, link: Link, towards: bool, frame: Frame, fate: str, label: str) -> None:
        """Note a frame at its boundary."""
        step = self.steps if towards else self.steps - 1
        self.saw(Sighting(self.now, step, link, towards, frame, label, fate))
        peer = 0 if link is Link.CPU else frame.source if towards else frame.target
        ends = (peer, self.number) if towards else (self.number, peer)
        self.ladder.append(LadderFrame(self.now, step, link.name.lower(), *ends, label, len(frame.payload), fate))

    def see_lost(self, link: Link, frame: Frame) -> None:
        """Note a frame that did not come."""
        self.see(link, True, frame, "lost", self._label(link, frame))

    def _label(self, link: Link, frame: Frame) -> str:
        """What a frame is; who does not watch has no keys."""
        if self.judge:
            return self.judge.abstraction.label(link, frame)
        return f"{len(frame.payload)} B" if link is Link.CPU else describe(frame.payload)

    @property
    def evidence(self) -> list[str]:
        """The last lines of its debug channel."""
        return [f"debug: {line}" for line in self._debug]

    def model_state(self) -> str:
        """Where the model says that it is; empty if nobody watches."""
        return " or ".join(dict.fromkeys(map(_words, self.judge.oracle.states))) if self.judge else ""

    def real_state(self) -> str:
        """Where it is: a Python SED says so, of a firmware the two variables `state` and `registered` are read if its
        ELF names them, as ours does. Empty if that cannot be known."""
        if isinstance(self.target, ReferenceTarget):
            controller = self.target.controller
            return f"{controller.state.name} {'registered' if controller.registered else 'unregistered'}"
        if not isinstance(self.target, QemuTarget) or self._symbols is None:
            return ""
        try:
            state, registered = (self.target.memory(address, 1)[0] for address in self._symbols)
        except HarnessError:  # it has broken, and its QEMU is gone
            return "broken"
        return f"{_MODES[state]} {'registered' if registered else 'unregistered'}" if state < len(_MODES) else ""

    def know(self, elf: Elf) -> None:
        """Find the variables that `real_state` reads."""
        state, registered = elf.symbol("state"), elf.symbol("registered")
        if state and registered and state[1] == registered[1] == 1:
            self._symbols = state[0], registered[0]


def _words(state: State) -> str:
    """A state without what changes by the millisecond."""
    text = Mode(state.mode).name + (f"/{Step(state.step).name} with {state.peer}" if state.step else "")
    parts = ["registered" if state.registered else "unregistered"]
    if state.aside:
        parts.append(f"message for {state.aside_to} put aside")
    if state.waiting:
        parts.append("CPU frame waiting")
    return f"{text} {', '.join(parts)}"
