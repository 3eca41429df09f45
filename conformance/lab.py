"""The world around one IUT: the other SEDs, the SSS, the links with their faults, and virtual time.

Everything here is deterministic: frames move in the order of their sending, time moves from deadline to deadline, and
whoever is first in id order acts first. The IUT takes one stimulus at a time and is judged after each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from conformance.faults import Content
from conformance.judge import Judge
from conformance.links import Delivery, Links
from conformance.results import LadderFrame
from conformance.targets.base import IutFault, Reaction, Target
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.secrets import KeyLog
from model.alphabet import BROADCAST, LOWEST_SED_ID, SSS_ID, Event, Link

STEP_LIMIT = 20_000
"""Steps of one run: beyond it something answers something for ever."""
TIME_LIMIT = 3_600_000
"""Virtual milliseconds of one run."""


class Node(Protocol):
    """A device that the harness plays."""

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Bytes come in."""

    def on_time(self, now: int) -> None:
        """A deadline has come."""

    def deadline(self) -> int | None:
        """The next deadline in milliseconds, if any."""

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """Frames to send; drains."""

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New client randoms and master secrets; drains."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A frame at the IUT's boundary."""

    time: int
    step: int
    link: Link
    towards: bool
    data: bytes
    label: str
    fate: str
    peer: int
    """Who sent it or is meant to get it; 0 for the IUT's own CPU."""


class Lab:
    """One IUT and its world."""

    def __init__(self, iut: int, target: Target, judge: Judge, nodes: dict[int, Node], keylog: KeyLog) -> None:
        """`nodes` are the devices that the harness plays, by id; the SSS is 1 and has the ids of wires as targets."""
        self.iut = iut
        self.target = target
        self.judge = judge
        self.nodes = nodes
        self.keylog = keylog
        self.secrets: list[tuple[bytes, bytes]] = []
        self.now = 0
        self.overhear = False
        self._links = Links()
        self.faults = self._links.faults
        self.silent: set[int] = set()
        self.inbox: dict[int, list[Frame]] = {}
        """Frames that each CPU got and nobody has asked about yet."""
        self.sightings: list[Sighting] = []
        self.towards_iut: list[tuple[Content, Frame]] = []
        """Radio datagrams for the IUT, as the attacker saw them."""
        self.transmissions: list[tuple[int, Content]] = []
        """The flights and records that were sent, and by whom, whatever became of them."""
        self._cpu_frames: deque[bytes] = deque()
        self._towards = {link: FrameReader() for link in Link}
        self._from = {link: FrameReader() for link in Link}
        self._deadline: int | None = None
        self._booted = 0
        """When the IUT's own time began."""

    # --- what a purpose does

    def boot(self, image: bytes) -> None:
        """Start the IUT, or start it again. Raises Diverged if it says or does anything but wait."""
        self._booted = self.now
        self._towards = {link: FrameReader() for link in Link}
        self._from = {link: FrameReader() for link in Link}
        self.judge.forget()
        events = (Event("boot"),) if self.judge.steps else ()
        self._react({"boot": True}, events, self.target.boot(image))

    def from_cpu(self, device: int, frame: bytes) -> None:
        """A device's CPU sends a frame."""
        if device == self.iut:
            self._cpu_frames.append(frame)
        else:
            self.nodes[device].receive(Link.CPU, frame, self.now)
            self._drain(device)

    def inject(self, link: Link, data: bytes) -> None:
        """Bytes appear on one of the IUT's links."""
        if link is Link.CPU:
            self._cpu_frames.append(data)
        else:
            self._links.fly(self.iut, link, data, "injected", self.now)

    def settle(self) -> None:
        """Deliver all that is due now, and all that follows from it."""
        while True:
            if (delivery := self._links.take(self.now)) is not None:
                self._deliver(delivery)
            elif self._cpu_frames and not self.judge.holds_cpu_frame:
                self._give(Link.CPU, self._cpu_frames.popleft(), "delivered")
            else:
                return

    def run(self, until: int | None = None, stop: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, from event to event, up to `until` (None: until nothing more can happen) or until `stop`."""
        self.settle()
        while not stop():
            due = min(self._dues(), default=None)
            if until is not None:
                due = until if due is None else min(due, until)
            if due is None or (due <= self.now and due == until):
                return
            if due > TIME_LIMIT:
                raise IutFault(f"not idle after {TIME_LIMIT} ms of virtual time")
            self._pass(due)
            self.settle()

    def idle(self) -> bool:
        """Whether no device waits for anything."""
        return not list(self._dues())

    def next_deadline(self) -> int | None:
        """The IUT's, in milliseconds."""
        return self._deadline

    # --- time

    def _dues(self) -> Iterable[int]:
        if self._deadline is not None:
            yield self._deadline
        if (due := self._links.due()) is not None:
            yield due
        for device in self._speaking():
            deadline = self.nodes[device].deadline()
            if deadline is not None:
                yield deadline

    def _speaking(self) -> list[int]:
        return [d for d in sorted(self.nodes) if d not in self.silent]

    def _pass(self, due: int) -> None:
        if due > self.now:
            ms = due - self.now
            self.now = due
            self._react({"ms": ms}, (Event("time", (ms,)),), self.target.advance(ms))
        elif self._deadline is not None and self._deadline <= self.now:
            raise IutFault(f"its timer is due at {self._deadline} ms again and again while it is {self.now} ms")
        for device in self._speaking():
            deadline = self.nodes[device].deadline()
            if deadline is not None and deadline <= self.now:
                self.nodes[device].on_time(self.now)
                self._drain(device)

    # --- the IUT

    def _give(self, link: Link, data: bytes, fate: str) -> None:
        """One stimulus: bytes for the IUT."""
        self._see_given(link, data, fate)
        events = self.judge.events(link, data)
        self._react({"link": link.name.lower(), "hex": data.hex()}, events, self.target.send(link, data))

    def _see_given(self, link: Link, data: bytes, fate: str) -> None:
        for frame in self._towards[link].feed(data):
            if isinstance(frame, Frame):
                peer = 0 if link is Link.CPU else frame.source
                self._see(link, True, frame, fate, peer)

    def _react(self, stimulus: dict[str, object], events: tuple[Event, ...], reaction: Reaction) -> None:
        if len(self.judge.steps) >= STEP_LIMIT:
            raise IutFault(f"not done after {STEP_LIMIT} steps")
        due = reaction.deadline
        reaction = replace(
            reaction, now=self._booted + reaction.now, deadline=None if due is None else self._booted + due
        )
        self._deadline = reaction.deadline
        for link, data in reaction.chunks:
            for frame in self._from[link].feed(data):
                if isinstance(frame, Frame):
                    self._from_iut(link, frame)
        self.judge.step(stimulus, events, reaction)

    def _from_iut(self, link: Link, frame: Frame) -> None:
        if link is Link.CPU:
            self._see(link, False, frame, "delivered", 0)
            self.inbox.setdefault(self.iut, []).append(frame)
            return
        fate = self._route(self.iut, link, frame)
        self._see(link, False, frame, fate, frame.target)

    def _see(self, link: Link, towards: bool, frame: Frame, fate: str, peer: int) -> None:
        label = self.judge.abstraction.label(link, frame)
        self.sightings.append(
            Sighting(self.now, len(self.judge.steps), link, towards, frame.encode(), label, fate, peer)
        )

    # --- the links

    def _drain(self, device: int) -> None:
        """Send what a node has to send."""
        node = self.nodes[device]
        for client_random, master in node.secrets():
            self.keylog.add(client_random, master)
            self.secrets.append((client_random, master))
        for link, data in node.outgoing():
            for frame in FrameReader().feed(data):
                if not isinstance(frame, Frame):
                    raise AssertionError(f"device {device} sent bytes that are no frame")
                if link is Link.CPU:
                    self.inbox.setdefault(device, []).append(frame)
                elif device not in self.silent:
                    self._route(device, link, frame)

    def _route(self, sender: int, link: Link, frame: Frame) -> str:
        """Put a frame on a link, under the schedule of faults; returns its fate."""
        content = self._links.content(frame)
        if link is Link.RADIO and frame.target == self.iut:
            self.towards_iut.append((content, frame))
        if content.first and (content.flight or content.record):
            self.transmissions.append((frame.source, content))
        return self._links.send(
            sender, link, frame, content, self._hearers(sender, link, frame), self.now, lost_at=self.iut
        )

    def _hearers(self, sender: int, link: Link, frame: Frame) -> list[int]:
        if link is Link.SSS:
            to = frame.target if sender == SSS_ID else SSS_ID
            return [to] if to == self.iut or to in self.nodes else []
        heard = [d for d in sorted(self.nodes) if d >= LOWEST_SED_ID and frame.target in (d, BROADCAST)]
        if self.overhear or frame.target in (self.iut, BROADCAST):
            heard.append(self.iut)
        return [d for d in heard if d != sender or self.overhear]

    def _deliver(self, delivery: Delivery) -> None:
        if delivery.fate == "lost":
            for frame in FrameReader().feed(delivery.data):
                if isinstance(frame, Frame):
                    self._see(delivery.link, True, frame, "lost", frame.source)
        elif delivery.to == self.iut:
            self._give(delivery.link, delivery.data, delivery.fate)
        elif delivery.to not in self.silent:
            self.nodes[delivery.to].receive(delivery.link, delivery.data, self.now)
            self._drain(delivery.to)

    # --- for people

    def ladder(self) -> list[LadderFrame]:
        """All that was seen at the IUT's boundary."""
        return [
            LadderFrame(
                time=s.time,
                step=s.step,
                link=s.link.name.lower(),
                source=s.peer if s.towards else self.iut,
                target=self.iut if s.towards else s.peer,
                label=s.label,
                size=len(s.data) - 8,
                fate=s.fate,
            )
            for s in self.sightings
        ]
