"""A bench for one firmware: built by make, run in QEMU on virtual time, with reference nodes as its peers."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from conformance.targets.base import Reaction
from conformance.targets.qemu import QemuTarget
from model.alphabet import Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.frame import Frame, FrameReader
from reference.sss import Sss

FIRMWARE = Path(__file__).parents[2] / "firmware"
ME, PEER, LOW = 10, 11, 4
"""The firmware's id, a higher one and a lower one."""
DEPLOYMENT = Deployment.create((LOW, ME, PEER), seed=b"tests/firmware")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the firmware's makefile. The lock keeps test processes from building the shared library at once."""
    with (FIRMWARE / "Makefile").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return subprocess.run(
            ["make", "-C", str(FIRMWARE), *arguments], capture_output=True, text=True, check=False, timeout=300
        )


def build(folder: Path, *settings: str) -> Path:
    """The controller's ELF, built into a folder."""
    done = make(f"BUILD={folder}", *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "controller.elf"


def change(folder: Path, file: str, old: str, new: str) -> Path:
    """A copy of the firmware's sources in `folder`, with one place changed."""
    shutil.copytree(FIRMWARE / "src", folder / "src", dirs_exist_ok=True)
    path = folder / "src" / file
    text = path.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    path.write_text(text.replace(old, new), "utf-8")
    return folder / "src"


def whole(data: bytes) -> Frame:
    """The frame that these bytes are."""
    reader = FrameReader(0xFFFF)
    reader.feed(data)
    frame = reader.next()
    assert frame is not None
    return frame


@dataclass
class Bench:
    """The firmware and reference controllers in reach of its radio. `heard` is what the firmware's CPU got."""

    target: QemuTarget
    peers: dict[int, Controller] = field(default_factory=dict)
    now: int = 0
    deadline: int | None = None
    debug: list[str] = field(default_factory=list)
    heard: list[Frame] = field(default_factory=list)
    radio: list[Frame] = field(default_factory=list)
    """All that the firmware sent on the radio."""
    wire: list[Frame] = field(default_factory=list)
    """All that the firmware sent to the SSS."""
    lose: Callable[[Frame], bool] = lambda _frame: False
    """Whether a frame of anyone, on the radio or the SSS wire, is lost."""
    sss: Sss | None = None
    """The firmware is its wire 0; a peer's wire has the peer's id."""
    _readers: dict[Link, FrameReader] = field(default_factory=lambda: {link: FrameReader(0xFFFF) for link in Link})

    def boot(self, image: bytes | None = None) -> Bench:
        self.take(self.target.boot(DEPLOYMENT.image(ME) if image is None else image))
        return self

    def take(self, reaction: Reaction) -> None:
        """Note what the firmware did, and let its peers hear it."""
        self.deadline = reaction.deadline
        self.debug += reaction.debug
        for link, data in reaction.chunks:
            reader = self._readers[link]
            reader.feed(data)
            while (frame := reader.next()) is not None:
                {Link.CPU: self.heard, Link.RADIO: self.radio, Link.SSS: self.wire}[link].append(frame)
                if link is Link.CPU or self.lose(frame):
                    continue
                if link is Link.SSS and self.sss:
                    self.sss.receive(0, frame.encode(), self.now)
                elif link is Link.RADIO:
                    for peer in self.peers.values():
                        peer.receive(Link.RADIO, frame.encode(), self.now)

    def give(self, link: Link, data: bytes) -> None:
        """Bytes to the firmware, then whatever follows at this time."""
        self.take(self.target.send(link, data))
        self.settle()

    def cpu(self, target: int, payload: bytes) -> None:
        """A frame of the firmware's CPU."""
        self.give(Link.CPU, Frame(target, ME, payload).encode())

    def peer_cpu(self, peer: int, target: int, payload: bytes) -> None:
        """A frame of a peer's CPU."""
        self.peers[peer].receive(Link.CPU, Frame(target, peer, payload).encode(), self.now)
        self.settle()

    def settle(self) -> None:
        """Carry the peers' frames to the firmware until nothing moves."""
        moved = True
        while moved:
            moved = False
            for peer in self.peers.values():
                for link, data in peer.outgoing():
                    moved = True
                    if link is Link.SSS and self.sss:
                        self.sss.receive(peer.sed_id, data, self.now)
                    elif link is Link.RADIO and not self.lose(whole(data)):
                        self.take(self.target.send(link, data))
            for wire, data in self.sss.outgoing() if self.sss else ():
                moved = True
                if wire:
                    self.peers[wire].receive(Link.SSS, data, self.now)
                elif not self.lose(whole(data)):
                    self.take(self.target.send(Link.SSS, data))

    def advance(self, ms: int) -> None:
        """Let time pass, deadline by deadline."""
        until = self.now + ms
        while True:
            nodes: list[Controller | Sss] = [*self.peers.values(), *([self.sss] if self.sss else [])]
            deadlines = [d for d in (self.deadline, *(n.deadline() for n in nodes)) if d is not None]
            step = min([until, *deadlines])
            self.take(self.target.advance(step - self.now))
            self.now = step
            for node in nodes:
                node.on_time(step)
            self.settle()
            if step == until and not any(d <= until for d in deadlines):
                return
