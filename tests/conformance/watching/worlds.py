"""Controllers and an SSS under a virtual clock, on links that somebody else delivers: one frame, all, or otherwise.

Every controller has the model beside it; `check` is what must be so after each step.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from conformance.report.console import Style, details
from conformance.report.requirements import load_requirements
from conformance.watching import Alarm, WatchedController, WatchedSss, watch
from model.alphabet import BROADCAST, FAA_ID, SSS_ID, Link
from reference import dtls
from reference.controller import Controller, State
from reference.deployment import Deployment
from reference.frame import Frame, FrameReader
from reference.registration import Request
from reference.sss import Sss

IDS = (3, 4, 7)
DEPLOYMENT = Deployment.create(IDS, seed=b"refinement")
FOREIGN = Deployment.create(IDS, seed=b"refinement of others")
MOST_DELIVERIES = 2_000
"""Of one settling: beyond it something answers something for ever."""


class Flight(NamedTuple):
    """A frame on its way to a party."""

    to: int
    link: Link
    data: bytes


@dataclass
class Party:
    """A controller and what its CPU has seen."""

    node: WatchedController
    counters: dict[str, int] = field(default_factory=dict)
    answers: int = 0
    asked: int = 0


class World:
    """The controllers 3, 4 and 7 and the SSS."""

    def __init__(self, make: Callable[[bytes, bytes], Controller] | None = None, foreign: bool = False) -> None:
        """`make` gives a controller of an image and of what is mixed with its boot seed; `foreign` makes 7 one of
        another deployment."""
        self._make = make or (lambda image, entropy: Controller(image, boot_entropy=entropy))
        self._foreign = foreign
        self._sessions = {id(f) for f in _live_sessions()}
        self.alarms: list[Alarm] = []
        self.now = 0
        self.boots = 0
        self.flying: list[Flight] = []
        self.seen: list[Flight] = []
        self.sent: list[tuple[int, int, bytes]] = []
        self.delivered: list[int] = []
        """What was delivered, by its place in `sent`."""
        self.parties = {i: Party(self._boot(i)) for i in IDS}
        self.sss: Sss = self._start_sss()
        for i in IDS:
            self.sss.connect(i)

    def _boot(self, sed: int) -> WatchedController:
        self.boots += 1
        deployment = FOREIGN if self._foreign and sed == IDS[-1] else DEPLOYMENT
        entropy = self.boots.to_bytes(4, "big")
        return watch(self._make(deployment.image(sed), entropy), self.alarms.append, boot_entropy=entropy)

    def _start_sss(self, state: bytes | None = None) -> Sss:
        seed = b"refinement" + self.boots.to_bytes(4, "big")
        return WatchedSss(DEPLOYMENT, alarm=self.alarms.append, seed=seed, state=state)

    # --- what is done

    def cpu(self, sed: int, frame: Frame) -> None:
        if frame.target in IDS and frame.target != sed and len(frame.payload) <= 16_384:
            self.sent.append((sed, frame.target, frame.payload))
        if frame.target == SSS_ID and len(frame.payload) <= 16_384:
            self.parties[sed].asked += 1
        self.give(Flight(sed, Link.CPU, frame.encode()))

    def give(self, flight: Flight) -> None:
        """Deliver a frame, or what is left of one."""
        if flight.to == SSS_ID:
            reader = FrameReader(0xFFFF)
            reader.feed(flight.data)
            frame = reader.next()
            if frame is not None and frame.source in IDS:
                self.sss.receive(frame.source, flight.data, self.now)
        else:
            self.parties[flight.to].node.receive(flight.link, flight.data, self.now)
        self.collect()

    def collect(self) -> None:
        """Put on the links what everybody has to say."""
        for sed, party in self.parties.items():
            for link, data in party.node.outgoing():
                self._route(sed, link, data)
        for wire, data in self.sss.outgoing():
            self.flying.append(Flight(wire, Link.SSS, data))

    def _route(self, sed: int, link: Link, data: bytes) -> None:
        reader = FrameReader(0xFFFF)
        reader.feed(data)
        frame = reader.next()
        assert frame is not None and frame.encode() == data
        if link is Link.CPU:
            self._hear(sed, frame)
        elif link is Link.SSS:
            self.flying.append(Flight(SSS_ID, link, data))
        else:
            self.flying += [Flight(i, link, data) for i in IDS if frame.target in (i, BROADCAST) and i != sed]

    def _hear(self, sed: int, frame: Frame) -> None:
        if frame.source == FAA_ID:
            return
        if frame.source == SSS_ID:
            self.parties[sed].answers += 1
            assert len(frame.payload) == 4 and frame.payload[:2] == sed.to_bytes(2, "little"), "not its own answer"
            return
        message = (frame.source, sed, frame.payload)
        places = [n for n, given in enumerate(self.sent) if given == message and n not in self.delivered]
        assert places, f"{sed} got {frame.payload[:20]!r} from {frame.source}, which was not sent, or came before"
        if frame.payload:  # those without content are all alike
            later = [n for n in self.delivered if self.sent[n][:2] == message[:2] and n > places[0] and self.sent[n][2]]
            assert not later, f"{sed} got {frame.payload[:20]!r} after a message that was sent later"
        self.delivered.append(places[0])

    def deliver(self, place: int = 0) -> None:
        flight = self.flying.pop(place)
        self.seen.append(flight)
        self.give(flight)

    def settle(self) -> None:
        for _ in range(MOST_DELIVERIES):
            if not self.flying:
                return
            self.deliver()
        raise AssertionError("frames without end")

    def deadline(self) -> int | None:
        dues = (*(p.node.deadline() for p in self.parties.values()), self.sss.deadline())
        return min((due for due in dues if due is not None), default=None)

    def wait(self, until: int) -> None:
        """Time passes, over the deadlines on the way, and nothing is delivered."""
        while (due := self.deadline()) is not None and due < until:
            self._tick(due)
        self._tick(until)

    def _tick(self, now: int) -> None:
        self.now = max(self.now, now)
        for party in self.parties.values():
            party.node.on_time(self.now)
        self.sss.on_time(self.now)
        self.collect()

    def power_cycle(self, sed: int) -> None:
        self.parties[sed] = Party(self._boot(sed))

    def restart(self) -> None:
        """The SSS starts again with what it keeps (REG-1)."""
        self.boots += 1
        self.sss.goodbye()
        self.collect()
        self.sss = self._start_sss(self.sss.state())
        for i in IDS:
            self.sss.connect(i)

    def request(self, sed: int, op: int) -> None:
        self.cpu(sed, Frame(SSS_ID, sed, Request(sed, op).encode()))

    # --- what must be so

    def check(self) -> None:
        """After each step."""
        assert not self.alarms, "\n".join(details(self.alarms[0].result, load_requirements(), Style(120), frames=60))
        running = 0
        for sed, party in self.parties.items():
            node = party.node.node
            running += node._session is not None
            assert (node._session is None) == (node.state is State.IDLE)
            if node.state is State.IDLE:
                rest = (node._collected, node._message, node._aside, any(node._response._buffer), node._peer)
                assert not any(rest), f"{sed} is IDLE and keeps something of a session"
            states = party.node._judge.oracle.states
            assert {bool(s.registered) for s in states} == {node.registered}
            assert node._runtime is None or any(node._runtime.key)
            counters = node.counters
            assert all(count >= party.counters.get(name, 0) for name, count in counters.items())
            party.counters = counters
            assert party.answers <= party.asked, "an answer that nobody asked for (REG-4)"
        running += sum(w.session is not None for w in self.sss._wires.values())
        live = [f for f in _live_sessions() if id(f) not in self._sessions]
        assert len(live) == running, "a session's memory was not freed, with its keys in it"

    def check_end(self) -> None:
        """Left alone, everybody comes to rest (SES-7, REG-4); then devices can be registered and talk."""
        for _ in range(200):
            self.settle()
            due = self.deadline()
            if due is None:
                break
            self._tick(due)
        self.check()
        assert {str(p.node.state) for p in self.parties.values()} == {"IDLE"}
        for party in self.parties.values():
            assert party.answers == party.asked, "no answer (REG-4)"
        for sed in IDS[:2]:
            self.request(sed, 0)
            self.settle()
            assert self.parties[sed].node.registered, "a device can always get registered again"
        before = len(self.delivered)
        self.cpu(3, Frame(4, 3, b"the last message"))
        self.settle()
        assert len(self.delivered) == before + 1
        self.check()


def _live_sessions() -> list[object]:
    """The sessions whose memory the C library holds."""
    registry: dict[object, object] = weakref.finalize._registry  # type: ignore[attr-defined]
    return [f for f, info in registry.items() if info.func is dtls._free]  # type: ignore[attr-defined]
