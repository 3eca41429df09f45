"""A small world in memory: controllers on one radio, an SSS, virtual time, and a hook that sees and drops frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from model.alphabet import Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.frame import Frame, FrameReader
from reference.registration import Request
from reference.sss import Sss

DEPLOYMENT = Deployment.create(range(3, 8), seed=b"tests/reference")
FOREIGN = Deployment.create(range(3, 8), seed=b"another authority")

Judge = Callable[[str, Frame], bool]
"""Told the medium (`radio` or `sss`) and a frame; False loses it."""


def frame_of(data: bytes) -> Frame:
    reader = FrameReader(0xFFFF)
    reader.feed(data)
    frame = reader.next()
    assert frame is not None
    assert frame.encode() == data
    return frame


@dataclass
class World:
    """`sent` lists (time, medium, frame) of all that nodes sent; `heard` what each CPU got."""

    nodes: dict[int, Controller]
    sss: Sss | None = None
    judge: Judge = lambda _medium, _frame: True
    now: int = 0
    sent: list[tuple[int, str, Frame]] = field(default_factory=list)
    heard: dict[int, list[Frame]] = field(default_factory=dict)

    @classmethod
    def of(cls, *ids: int, deployment: Deployment = DEPLOYMENT, with_sss: bool = True) -> World:
        nodes = {i: Controller(deployment.image(i)) for i in ids}
        return cls(nodes, Sss(deployment, seed=b"sss") if with_sss else None)

    # --- what CPUs do

    def cpu(self, node: int, target: int, payload: bytes) -> None:
        self.nodes[node].receive(Link.CPU, Frame(target, node, payload).encode(), self.now)
        self.settle()

    def request(self, node: int, op: int) -> int | None:
        """Ask for the SSS; the answer's op, or None if none came by itself."""
        before = len(self.heard.get(node, []))
        self.cpu(node, 1, Request(node, op).encode())
        answers = self.heard.get(node, [])[before:]
        if not answers:
            return None
        assert len(answers) == 1
        assert answers[0].source == 1
        answer = Request.decode(answers[0].payload)
        assert answer is not None
        assert answer.dev_id == node
        return answer.op

    def messages(self, node: int) -> list[tuple[int, bytes]]:
        return [(f.source, f.payload) for f in self.heard.get(node, [])]

    def inject(self, node: int, link: Link, data: bytes) -> None:
        self.nodes[node].receive(link, data, self.now)
        self.settle()

    # --- how the world moves

    def settle(self) -> None:
        """Carry frames until nobody has anything to say."""
        moved = True
        while moved:
            moved = False
            for name in sorted(self.nodes):
                for link, data in self.nodes[name].outgoing():
                    moved = True
                    self._carry(name, link, frame_of(data))
            if self.sss:
                for wire, data in self.sss.outgoing():
                    moved = True
                    frame = frame_of(data)
                    self.sent.append((self.now, "sss", frame))
                    if wire in self.nodes and self.judge("sss", frame):
                        self.nodes[wire].receive(Link.SSS, data, self.now)

    def _carry(self, name: int, link: Link, frame: Frame) -> None:
        if link is Link.CPU:
            self.heard.setdefault(name, []).append(frame)
        elif link is Link.SSS:
            self.sent.append((self.now, "sss", frame))
            if self.sss and self.judge("sss", frame):
                self.sss.receive(name, frame.encode(), self.now)
        else:
            self.sent.append((self.now, "radio", frame))
            if self.judge("radio", frame):
                for node in self.nodes.values():
                    node.receive(Link.RADIO, frame.encode(), self.now)

    def next_deadline(self) -> int | None:
        parties: Iterable[Controller | Sss] = [*self.nodes.values(), *([self.sss] if self.sss else [])]
        return min((d for p in parties if (d := p.deadline()) is not None), default=None)

    def run(self, until: int | None = None) -> None:
        """Let time pass: from deadline to deadline up to `until`, or until no timer is armed."""
        while (deadline := self.next_deadline()) is not None and (until is None or deadline <= until):
            self.now = max(self.now, deadline)
            for node in self.nodes.values():
                node.on_time(self.now)
            if self.sss:
                self.sss.on_time(self.now)
            self.settle()
        self.now = max(self.now, until or 0)

    def states(self) -> list[str]:
        return [str(n.state) for n in self.nodes.values()]
