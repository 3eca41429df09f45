"""The world around a device in real time: the same as around any other, but time is the device's.

The model says when the device's next timer is due. Around that moment nothing is given to the device until the timer
has fired, or its window is over, so that whatever the device says can be attributed.
"""

from __future__ import annotations

from dataclasses import replace

from conformance.lab import Lab
from conformance.targets.base import Reaction
from conformance.targets.streams import margin_ms
from conformance.targets.streams.target import RealTime, Whole
from model.alphabet import Event, Link
from model.oracle import by_link


class RealTimeLab(Lab):
    """A lab whose target is `RealTime`."""

    @property
    def _device(self) -> RealTime:
        assert isinstance(self.target, RealTime)
        return self.target

    def _margin(self) -> int:
        return margin_ms(self._device.tolerance_ms, self._device.quiet_ms)

    def _give(self, link: Link, data: bytes, fate: str) -> None:
        self._catch_up()
        while self._deadline is not None and self._deadline - self.now <= self._margin():
            self._pass(self._deadline)
            self._catch_up()
        self._see_given(link, data, fate)
        events = self.judge.events(link, data)
        reaction = self._device.answer(link, data, self._allowed(events))
        self._react({"link": link.name.lower(), "hex": data.hex()}, events, reaction)

    def _allowed(self, events: tuple[Event, ...]) -> Whole:
        """Whether what the device said after these events is what the rules allow."""
        allowed = [by_link(way.outputs) for way in self.judge.oracle.foresee(events)]
        return lambda chunks: by_link(self.judge.abstraction.fork().observe(chunks)) in allowed

    def _catch_up(self) -> None:
        """Let the model know what time it is: the harness has been listening for a while."""
        now = self._booted + self._device.now()
        if self._deadline is not None and now >= self._deadline:
            self._pass(self._deadline)
            now = self._booted + self._device.now()
        if now > self.now:
            self._time_is(now, Reaction(now - self._booted, None))

    def _pass(self, due: int) -> None:
        timer = self._deadline is not None and self._deadline <= due + self._margin()
        if timer:
            assert self._deadline is not None
            due = self._deadline
        if timer or due > self.now:
            ms = due - self.now
            whole = self._allowed((Event("time", (ms,)),) if ms > 0 else ())
            reaction = self._device.wait_until(due - self._booted, timer, whole)
            self._time_is(self._booted + reaction.now, reaction)
        for device in self._speaking():
            deadline = self.nodes[device].deadline()
            if deadline is not None and deadline <= self.now:
                self.nodes[device].on_time(self.now)
                self._drain(device)

    def _time_is(self, now: int, reaction: Reaction) -> None:
        ms = max(0, now - self.now)
        self.now += ms
        self._react({"ms": ms}, (Event("time", (ms,)),) if ms else (), reaction)

    def _react(self, stimulus: dict[str, object], events: tuple[Event, ...], reaction: Reaction) -> None:
        super()._react(stimulus, events, replace(reaction, told=False))
        told = [d for d in self.judge.oracle.deadlines() if d is not None]
        self._deadline = min(told, default=None)
