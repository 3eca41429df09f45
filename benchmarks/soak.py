"""Ten thousand sessions in one QEMU without a reboot: does anything grow?

The firmware is the build with -DSCEWL_REPORT_MEMORY, which says after each session how much of its stack and its heap
was ever in use, and how much of the heap is in use now. Its world: the reference SSS, an honest SED with a higher id,
one with a lower id that is never registered, one of another deployment, an absent one, and an attacker. The kinds of
session in KINDS come in turn; after each, every CPU must have got what it should have, and every timer must be off.

The bytes of heap in use must be the same after every session, and the peaks those of the first ten, but for
PEAK_SLACK: how long a signature or a number is depends on its value, and longer ones come later.

    python benchmarks/soak.py [--sessions 10000] [--output reports/soak.json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from memory import build

from conformance.targets.base import HarnessError, IutFault, Reaction
from conformance.targets.qemu import QemuTarget
from model.alphabet import BROADCAST, DEREGISTER, FAA_ID, MAX_MESSAGE, REFUSED, REGISTER, SSS_ID, Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.frame import Frame, FrameReader
from reference.registration import Request
from reference.sss import Sss

LOW, ME, PEER, STRANGER, ABSENT = 4, 10, 11, 12, 13
"""SCEWL ids: one that stays unregistered, the firmware, an honest peer, one of another deployment, nobody."""
SIZES = (16, MAX_MESSAGE, 0, 963, 964, 2_889, 100)
"""Bytes of the messages, in turn. The second is the longest, so that the first ten sessions reach the peaks."""
FIRST = 10
"""Sessions after which nothing may grow."""
SEED = b"benchmarks/soak"
"""Of all keys and messages."""
PEAK_SLACK = 128
"""Bytes by which the heap's peak may still rise."""
MEMORY = re.compile(r"scewl: memory: stack_peak=(\d+) heap_peak=(\d+) heap_used=(\d+)")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes, as the firmware reports them at a session's end."""

    stack_peak: int
    heap_peak: int
    heap_used: int


@dataclass
class World:
    """The firmware, and everybody around it, on one virtual clock (milliseconds)."""

    target: QemuTarget
    now: int = 0
    deadline: int | None = None
    memory: Memory | None = None
    guest: list[Frame] = field(default_factory=list)
    """What the firmware's CPU has got."""
    heard: list[bytes] = field(default_factory=list)
    """The latest radio frames to the firmware, for the attacker."""

    def __post_init__(self) -> None:
        deployment = Deployment.create((LOW, ME, PEER, ABSENT), seed=SEED)
        foreign = Deployment.create((STRANGER,), seed=SEED + b"/foreign")
        self.peers = {
            i: Controller(d.image(i)) for i, d in ((LOW, deployment), (PEER, deployment), (STRANGER, foreign))
        }
        self.sss = Sss(deployment, seed=SEED)
        for wire in (ME, PEER):
            self.sss.connect(wire)
        self.peer_got: list[Frame] = []
        self._readers = {link: FrameReader(0xFFFF) for link in Link}
        self.take(self.target.boot(deployment.image(ME)))

    def give(self, link: Link, data: bytes) -> None:
        """Bytes for the firmware, and all that follows at this time."""
        self.take(self.target.send(link, data))
        self.settle()

    def cpu(self, target: int, payload: bytes) -> None:
        """The firmware's CPU sends."""
        self.give(Link.CPU, Frame(target, ME, payload).encode())

    def peer_cpu(self, peer: int, target: int, payload: bytes) -> None:
        """A peer's CPU sends."""
        self.peers[peer].receive(Link.CPU, Frame(target, peer, payload).encode(), self.now)
        self.settle()

    def settle(self) -> None:
        """Carry frames until nothing moves."""
        moved = True
        while moved:
            moved = False
            for node, peer in self.peers.items():
                for link, data in peer.outgoing():
                    moved = True
                    if link is Link.SSS:
                        self.sss.receive(node, data, self.now)
                    elif link is Link.CPU:
                        self.peer_got += _frames(data)
                    else:
                        self.heard = [*self.heard[-40:], data]
                        self.take(self.target.send(Link.RADIO, data))
            for wire, data in self.sss.outgoing():
                moved = True
                if wire == ME:
                    self.take(self.target.send(Link.SSS, data))
                else:
                    self.peers[wire].receive(Link.SSS, data, self.now)

    def rest(self) -> None:
        """Let time pass until nobody waits for anything. Raises IutFault if that takes an hour."""
        started = self.now
        while True:
            dues = [self.deadline, self.sss.deadline(), *(p.deadline() for p in self.peers.values())]
            due = min((d for d in dues if d is not None), default=None)
            if due is None:
                return
            if due - started > 3_600_000:
                raise IutFault(f"not at rest an hour after {started} ms")
            self.take(self.target.advance(due - self.now))
            self.now = due
            self.sss.on_time(due)
            for peer in self.peers.values():
                peer.on_time(due)
            self.settle()

    def take(self, reaction: Reaction) -> None:
        """Note what the firmware did, and carry its frames."""
        self.deadline = reaction.deadline
        for line in reaction.debug:
            told = MEMORY.fullmatch(line)
            if told:
                self.memory = Memory(*map(int, told.groups()))
            elif line != f"scewl: ready: id={ME}" or self.now:
                raise IutFault(f"on the debug channel: {line}")
        for link, data in reaction.chunks:
            reader = self._readers[link]
            reader.feed(data)
            while (frame := reader.next()) is not None:
                if link is Link.CPU:
                    self.guest.append(frame)
                elif link is Link.SSS:
                    self.sss.receive(ME, frame.encode(), self.now)
                else:
                    for peer in self.peers.values():
                        peer.receive(Link.RADIO, frame.encode(), self.now)


def _frames(data: bytes) -> list[Frame]:
    reader = FrameReader(0xFFFF)
    reader.feed(data)
    frames = []
    while (frame := reader.next()) is not None:
        frames.append(frame)
    return frames


# --- kinds of session: each returns what the firmware's CPU and the peers' CPUs must have got -------------------------


@dataclass(frozen=True, slots=True)
class Expected:
    """Frames, in order."""

    at_me: tuple[Frame, ...] = ()
    at_peers: tuple[Frame, ...] = ()


def register(world: World, _chance: random.Random, _size: int) -> Expected:
    """Both SEDs register, or register again (REG-5)."""
    world.peer_cpu(PEER, SSS_ID, Request(PEER, REGISTER).encode())
    world.cpu(SSS_ID, Request(ME, REGISTER).encode())
    answers = [Frame(i, SSS_ID, Request(i, REGISTER).encode()) for i in (ME, PEER)]
    return Expected(tuple(answers[:1]), tuple(answers[1:]))


def unicast_out(world: World, chance: random.Random, size: int) -> Expected:
    """A message of our CPU's."""
    payload = chance.randbytes(size)
    world.cpu(PEER, payload)
    return Expected(at_peers=(Frame(PEER, ME, payload),))


def unicast_in(world: World, chance: random.Random, size: int) -> Expected:
    """A peer's message."""
    payload = chance.randbytes(size)
    world.peer_cpu(PEER, ME, payload)
    return Expected((Frame(ME, PEER, payload),))


def broadcast(world: World, chance: random.Random, size: int) -> Expected:
    """FRM-6: dropped. An FAA frame to all (FRM-5) passes."""
    payload = chance.randbytes(size)
    world.cpu(BROADCAST, chance.randbytes(size))
    world.give(Link.RADIO, Frame(BROADCAST, FAA_ID, payload).encode())
    return Expected((Frame(BROADCAST, FAA_ID, payload),))


def refused_by_us(world: World, chance: random.Random, size: int) -> Expected:
    """A peer of another deployment: one alert."""
    world.peer_cpu(STRANGER, ME, chance.randbytes(size))
    return Expected()


def refused_by_peer(world: World, chance: random.Random, size: int) -> Expected:
    """We call a peer of another deployment."""
    world.cpu(STRANGER, chance.randbytes(size))
    return Expected()


def nobody_there(world: World, chance: random.Random, size: int) -> Expected:
    """165 s of flights 1."""
    world.cpu(ABSENT, chance.randbytes(size))
    return Expected()


def damaged(world: World, chance: random.Random, size: int) -> Expected:
    """Hostile: what the peer has sent comes again, damaged, from anybody, while nothing runs."""
    for _ in range(20):
        data = bytearray(chance.choice(world.heard)) if world.heard else bytearray(b"SC")
        for _ in range(chance.choice((1, 2, 5))):
            data[chance.randrange(8, len(data)) if len(data) > 8 else 0] ^= 1 << chance.randrange(8)
        data[4:6] = chance.choice((PEER, LOW, STRANGER)).to_bytes(2, "little")
        world.give(Link.RADIO, bytes(data))
    world.give(Link.RADIO, chance.randbytes(size))
    world.give(Link.RADIO, bytes(0xFFFF + 8))  # whatever the noise began ends here
    return Expected()


def half_open(world: World, _chance: random.Random, _size: int) -> Expected:
    """Hostile: a peer that echoes its cookie and says no more; its session goes after 165 s."""
    hellos = [d for d in world.heard if len(d) > 100 and d[8] == 22 and d[21] == 1]
    for source in (PEER, LOW):
        for hello in hellos[-2:]:
            world.give(Link.RADIO, hello[:4] + source.to_bytes(2, "little") + hello[6:])
    return Expected()


def interrupted(world: World, chance: random.Random, _size: int) -> Expected:
    """Hostile: an authenticated session whose second half is damaged is not delivered (SES-8)."""
    peer = world.peers[PEER]
    peer.receive(Link.CPU, Frame(ME, PEER, chance.randbytes(3_000)).encode(), world.now)
    data = 0
    moved = True
    while moved:
        moved = False
        for link, frame in peer.outgoing():
            moved = True
            if link is Link.RADIO and frame[8] == 23:
                data += 1
                if data == 2:
                    frame = frame[:-1] + bytes((frame[-1] ^ 1,))
            if link is Link.RADIO:
                world.take(world.target.send(Link.RADIO, frame))
    return Expected()


def register_elsewhere(world: World, _chance: random.Random, _size: int) -> Expected:
    """A request in another device's name: refused, and the runtime set is gone (CRT-4)."""
    world.cpu(SSS_ID, Request(PEER, REGISTER).encode())
    return Expected((Frame(ME, SSS_ID, Request(ME, REFUSED).encode()),))


def deregister(world: World, _chance: random.Random, _size: int) -> Expected:
    """Our CPU asks to be deregistered."""
    world.cpu(SSS_ID, Request(ME, DEREGISTER).encode())
    return Expected((Frame(ME, SSS_ID, Request(ME, DEREGISTER).encode()),))


def unregistered_in(world: World, chance: random.Random, size: int) -> Expected:
    """A message under the provisioning set."""
    payload = chance.randbytes(size)
    world.peer_cpu(LOW, ME, payload)
    return Expected((Frame(ME, LOW, payload),))


def unregistered_out(world: World, chance: random.Random, size: int) -> Expected:
    """The same, ours."""
    payload = chance.randbytes(size)
    world.cpu(LOW, payload)
    return Expected(at_peers=(Frame(LOW, ME, payload),))


KINDS: tuple[Callable[[World, random.Random, int], Expected], ...] = (
    register,
    unicast_out,
    unicast_in,
    refused_by_us,
    refused_by_peer,
    interrupted,
    register,
    unicast_in,
    unicast_out,
    deregister,
    unregistered_in,
    unregistered_out,
    damaged,
    half_open,
    broadcast,
    register,
    unicast_in,
    nobody_there,
    register_elsewhere,
    unregistered_in,
)
"""In this order, again and again; a device that the SSS counts as registered may register again (REG-5)."""


def soak(elf: Path, sessions: int, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """Run so many sessions. Returns the figures. Raises IutFault if anything is not as it should be."""
    target = QemuTarget(elf)
    try:
        world = World(target)
        chance = random.Random(0)
        kinds: Counter[str] = Counter()
        told: list[Memory] = []
        began = time.monotonic()
        for number in range(sessions):
            kind = KINDS[number % len(KINDS)]
            size = SIZES[number % len(SIZES)]
            expected = kind(world, chance, size)
            world.rest()
            got = Expected(tuple(world.guest), tuple(world.peer_got))
            if got != expected:
                raise IutFault(f"session {number}, {kind.__name__}", [f"expected {expected}"[:400], f"got {got}"[:400]])
            if world.deadline is not None:
                raise IutFault(f"session {number}, {kind.__name__}: a timer runs at rest")
            world.guest.clear()
            world.peer_got.clear()
            kinds[kind.__name__] += 1
            if world.memory is None:
                raise HarnessError("the firmware reports no memory: build it with -DSCEWL_REPORT_MEMORY")
            told.append(world.memory)
            progress(number + 1)
        first, last = told[min(FIRST, sessions) - 1], told[-1]
        return {
            "sessions": sessions,
            "kinds": dict(kinds),
            "virtual_s": world.now / 1000,
            "wall_s": round(time.monotonic() - began, 1),
            "after_the_first_ten": asdict(first),
            "at_the_end": asdict(last),
            "heap_used_after_a_session": sorted({m.heap_used for m in told}),
            "grew_at": [n for n, (a, b) in enumerate(itertools.pairwise(told), 2) if a != b],
            "same": first.stack_peak == last.stack_peak
            and last.heap_peak - first.heap_peak <= PEAK_SLACK
            and len({m.heap_used for m in told}) == 1,
        }
    finally:
        target.close()


def main() -> int:
    """Exit codes: 0 nothing grew, 1 something did or the firmware broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sessions", type=int, default=10_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--firmware", type=Path, metavar="ELF", help="a reporting build (default: made)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here as JSON")
    args = parser.parse_args()
    if args.sessions < FIRST:
        parser.error(f"--sessions needs at least {FIRST}")

    def progress(done: int) -> None:
        if done % 1_000 == 0:
            print(f"{done:,} sessions", file=sys.stderr, flush=True)

    try:
        figures = soak(args.firmware or build(), args.sessions, progress)
    except (IutFault, HarnessError) as error:
        print(f"soak: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 1 if isinstance(error, IutFault) else 3
    print(json.dumps(figures, indent=1))
    if args.output:
        args.output.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0 if figures["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
