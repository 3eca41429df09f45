"""Whatever arrives (SES-7, SES-12): no fault, no FATAL_ERROR, IDLE again within the bound, and service afterwards."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench import DEPLOYMENT, LOW, ME, PEER, Bench, build

from conformance.targets.qemu import QemuTarget
from model.alphabet import Link
from reference.controller import Controller
from reference.frame import Frame

BOUND_MS = 2 * (165_000 + 60_000)
"""A served session and the own message after it, each with the longest handshake and the idle time."""
SEEDS = range(int(os.environ.get("SCEWL_HOSTILE_SEEDS", "8")))
"""`make fuzz-firmware` asks for more."""


def damaged(chance: random.Random, payload: bytes) -> bytes:
    """A datagram with a few of its bits, fields, lengths or records changed."""
    data = bytearray(payload)
    for _ in range(chance.choice((1, 1, 2, 5))):
        match chance.randrange(6):
            case 0 if data:
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[chance.randrange(min(len(data), 30))] = chance.choice((0, 1, 2, 20, 21, 22, 23, 253, 254, 255))
            case 2:
                del data[chance.randrange(len(data) + 1) :]
            case 3:
                data += chance.randbytes(chance.randrange(60))
            case 4 if data:
                start = chance.randrange(len(data))
                del data[start : start + chance.randrange(1, 40)]
            case _:
                data += data[: 13 + int.from_bytes(data[11:13], "big")]
    return bytes(data[:1_100])


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("hostile"))


@pytest.fixture
def bench(elf: Path) -> Iterator[Bench]:
    made = Bench(QemuTarget(elf), {i: Controller(DEPLOYMENT.image(i)) for i in (LOW, PEER)})
    yield made.boot()
    made.target.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_traffic_does_no_lasting_harm(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    seen: list[Frame] = []

    def interfere(frame: Frame) -> bool:
        """Lose some of the traffic; add damaged and repeated frames to what the firmware hears."""
        if frame.source == ME:
            return chance.random() < 0.05
        seen.append(frame)
        if chance.random() < 0.3:
            victim = chance.choice((frame, chance.choice(seen)))
            source = chance.choice((victim.source, LOW, PEER, 12, 1))
            forged = Frame(ME, source, damaged(chance, victim.payload))
            bench.take(bench.target.send(Link.RADIO, forged.encode()))
        return chance.random() < 0.05

    bench.lose = interfere
    for _ in range(6):
        if chance.random() < 0.5:
            bench.cpu(chance.choice((LOW, PEER)), chance.randbytes(chance.randrange(3_000)))
        else:
            bench.peer_cpu(chance.choice((LOW, PEER)), ME, chance.randbytes(chance.randrange(3_000)))
        if chance.random() < 0.7:
            bench.advance(BOUND_MS)
    bench.lose = lambda _frame: False
    bench.advance(6 * BOUND_MS)
    assert bench.deadline is None
    assert bench.debug == [f"scewl: ready: id={ME}"]
    bench.heard.clear()
    bench.peer_cpu(LOW, ME, b"still in service")
    assert bench.heard == [Frame(ME, LOW, b"still in service")]


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_on_every_link_has_no_effect(bench: Bench, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(40):
        payload = chance.choice((b"\x16\xfe\xfd", b"")) + chance.randbytes(
            chance.choice((0, 20, 60, 1_000, 1_001, 6_000))
        )
        frame = Frame(ME, chance.choice((1, LOW, PEER, 12)), payload).encode()
        if chance.random() < 0.3:  # cut short, or out of step; what it swallows of the zeros is nobody's
            frame = frame[chance.randrange(3) : chance.randrange(len(frame))] + bytes(len(frame))
            # Noise with the magic in it begins a frame of up to 65,535 bytes, and swallows the message at the end.
            frame = frame[:2] + frame[2:].replace(b"SC", b"sc")
        bench.give(chance.choice((Link.RADIO, Link.SSS)), frame)
    assert (bench.heard, bench.radio, bench.wire, bench.deadline) == ([], [], [], None)
    assert bench.debug == [f"scewl: ready: id={ME}"]
    bench.peer_cpu(LOW, ME, b"still in service")
    assert bench.heard == [Frame(ME, LOW, b"still in service")]
