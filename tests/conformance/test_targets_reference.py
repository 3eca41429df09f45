"""The reference controller as a target."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from conformance.targets.base import HarnessError, IutFault, Reaction
from conformance.targets.reference import ReferenceTarget
from model.alphabet import Link
from reference.deployment import Deployment

DEPLOYMENT = Deployment.create([10, 11], seed=b"tests/conformance/targets")
HANDSHAKE_SENDS = [0, 7_000, 21_000, 49_000, 105_000]
GIVES_UP = 165_000


def frame(target: int, source: int, payload: bytes) -> bytes:
    return struct.pack("<2sHHH", b"SC", target, source, len(payload)) + payload


@pytest.fixture
def target() -> ReferenceTarget:
    target = ReferenceTarget()
    assert target.boot(DEPLOYMENT.image(10)) == Reaction(0, None, (), ("scewl: ready: id=10",))
    return target


def test_a_bad_image_is_reported_once() -> None:
    target = ReferenceTarget()
    assert target.boot(b"") == Reaction(0, None, (), ("scewl: fatal: provisioning-magic",))
    assert target.send(Link.CPU, frame(2, 10, b"dead")) == Reaction(0, None)
    assert target.advance(5) == Reaction(5, None)


def test_a_frame_in_pieces(target: ReferenceTarget) -> None:
    data = frame(2, 10, b"to the tower")
    assert target.send(Link.CPU, data[:9]) == Reaction(0, None)
    assert target.send(Link.CPU, data[9:]) == Reaction(0, None, ((Link.RADIO, data),))


def test_timers_fire_at_their_deadlines_even_if_several_fall_into_one_advance(target: ReferenceTarget) -> None:
    first = target.send(Link.CPU, frame(11, 10, b"hello"))
    assert (first.now, first.deadline) == (0, 7_000)
    assert target.advance(6_999) == Reaction(6_999, 7_000)
    second = target.advance(1)
    assert (second.now, second.deadline) == (7_000, 21_000)
    assert len(second.chunks) == 1
    rest = target.advance(GIVES_UP - 7_000)
    assert (rest.now, rest.deadline) == (GIVES_UP, None)
    assert len(rest.chunks[0][1]) == (len(HANDSHAKE_SENDS) - 2) * len(second.chunks[0][1])


def test_booting_again_starts_afresh(target: ReferenceTarget) -> None:
    target.send(Link.CPU, frame(11, 10, b"hello"))
    target.advance(100)
    assert target.boot(DEPLOYMENT.image(11)) == Reaction(0, None, (), ("scewl: ready: id=11",))


def test_a_crash_is_the_iuts_fault_with_its_traceback(target: ReferenceTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(*_: Any) -> None:
        raise RuntimeError("broken on purpose")

    monkeypatch.setattr(target.controller, "receive", receive)
    with pytest.raises(IutFault, match="crashed at 0 ms: RuntimeError: broken on purpose") as caught:
        target.send(Link.RADIO, b"x")
    assert any("in receive" in line for line in caught.value.evidence)


def test_a_timer_that_stays_due_is_never_quiescent(target: ReferenceTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target.controller, "deadline", lambda: 3)
    monkeypatch.setattr(target.controller, "on_time", lambda _: None)
    with pytest.raises(IutFault, match="never quiescent: at 3 ms"):
        target.advance(10)


def test_use_before_boot_and_after_close(target: ReferenceTarget) -> None:
    target.close()
    target.close()
    for call in (lambda: target.send(Link.CPU, b""), lambda: target.advance(1)):
        with pytest.raises(HarnessError, match="call boot"):
            call()
    target.boot(DEPLOYMENT.image(10))
    with pytest.raises(HarnessError, match="back"):
        target.advance(-1)
