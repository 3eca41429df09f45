"""What a device's own time is, and which window its timers have, on a clock that the test moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.case import Case
from conformance.purpose import load_purposes, parse
from conformance.targets.base import Reaction
from conformance.targets.reference import ReferenceTarget
from conformance.targets.streams import target as streams
from conformance.targets.streams.target import RealTime, StreamsTarget, Whole
from model.alphabet import Link
from model.verdict import Verdict

PURPOSES = {p.id: p for p in load_purposes()}
KEYS = {"quiet_ms": 100, "tolerance_ms": 500, "patience_s": 5, "reset": [], "baud": 115_200, "settle_ms": 0}


class Scripted(StreamsTarget):
    """A device that says things at given moments, milliseconds since the test began."""

    def __init__(self, says: list[tuple[int, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
        self.ms, self._says = 0.0, list(says)
        monkeypatch.setattr(streams.time, "monotonic", lambda: self.ms / 1_000)
        super().__init__(KEYS, Path())

    def _open(self) -> None:
        pass

    def _write(self, link: Link, data: bytes) -> None:
        pass

    def _read(self, timeout_ms: float) -> dict[Link, bytes]:
        due = self._says[0][0] if self._says else float("inf")
        if due > self.ms + timeout_ms:
            self.ms += timeout_ms
            return {}
        self.ms = max(self.ms, due)
        return {Link.RADIO: self._says.pop(0)[1]}


def anything(_: object) -> bool:
    return True


@pytest.mark.parametrize(
    ("at", "timer", "now", "said"),
    [
        (6_499, True, 6_499, b"x"),  # too early for the timer: it speaks by itself
        (6_500, True, 7_000, b"x"),
        (7_000, True, 7_000, b"x"),
        (7_499, True, 7_000, b"x"),
        (7_501, True, 7_000, b""),  # too late: nothing came
        (6_999, False, 6_999, b"x"),
        (7_001, False, 7_000, b""),
    ],
)
def test_the_window_of_a_timer(monkeypatch: pytest.MonkeyPatch, at: int, timer: bool, now: int, said: bytes) -> None:
    reaction = Scripted([(at, b"x")], monkeypatch).wait_until(7_000, timer, anything)
    assert (reaction.now, b"".join(data for _, data in reaction.chunks)) == (now, said)


def test_time_goes_on_from_the_moment_at_which_a_timer_was_due(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted([(7_400, b"late"), (7_450, b"more")], monkeypatch)
    assert device.wait_until(7_000, True, anything).chunks == ((Link.RADIO, b"latemore"),)
    assert (device.ms, device.now()) == (7_550, 7_100)  # its last byte, and the silence behind it


def test_an_answer_takes_no_time_but_the_silence_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted([(900, b"a"), (950, b"b"), (1_051, b"c")], monkeypatch)
    device.ms = 300
    reaction = device.answer(Link.CPU, b"?", lambda chunks: chunks == ((Link.RADIO, b"ab"),))
    assert (reaction.now, reaction.chunks) == (300, ((Link.RADIO, b"ab"),))
    assert device.now() == 400


def test_an_answer_that_is_not_whole_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Scripted([(900, b"a"), (4_000, b"b")], monkeypatch)
    assert device.answer(Link.CPU, b"?", lambda chunks: chunks == ((Link.RADIO, b"ab"),)).chunks[0][1] == b"ab"
    device = Scripted([(900, b"a"), (9_000, b"b")], monkeypatch)
    assert device.answer(Link.CPU, b"?", lambda chunks: chunks == ((Link.RADIO, b"ab"),)).chunks[0][1] == b"a"
    assert device.ms == 5_900  # `patience_s` after the last of it


class Drifting(RealTime):
    """The reference on a clock that runs fast or slow, and stands for a device: each look at it takes its silence."""

    def __init__(self, drift: float) -> None:
        """Its clock runs `drift` times as fast as the suite's."""
        self.name, self.tolerance_ms, self.quiet_ms = "drifting", 300, 200
        self._inner, self._drift, self._ms = ReferenceTarget(), drift, 0.0

    def boot(self, image: bytes) -> Reaction:
        self._ms, self._own = 0.0, 0.0
        return self._inner.boot(image)

    def close(self) -> None:
        self._inner.close()

    def now(self) -> int:
        return int(self._ms)

    def _pass(self, ms: float) -> tuple[tuple[Link, bytes], ...]:
        """Let the suite's time pass; the device lives so much of its own."""
        self._ms += ms
        self._own += ms * self._drift
        return self._inner.advance(int(self._own) - self._inner._now).chunks

    def answer(self, link: Link, data: bytes, whole: Whole) -> Reaction:
        began, reaction = self.now(), self._inner.send(link, data)
        assert self._pass(self.quiet_ms) == ()
        return Reaction(began, None, reaction.chunks)

    def wait_until(self, moment: int, timer: bool, whole: Whole) -> Reaction:
        end = moment + self.tolerance_ms if timer else moment
        while self.now() < end:
            if chunks := self._pass(10):
                fired = timer and self.now() >= moment - self.tolerance_ms
                self._ms = moment if fired else self._ms
                return Reaction(self.now(), None, chunks)
        return Reaction(moment, None)


@pytest.mark.parametrize(
    ("drift", "verdict"),
    [(1.0, Verdict.PASS), (1.03, Verdict.PASS), (0.97, Verdict.PASS), (1.08, Verdict.FAIL), (0.92, Verdict.FAIL)],
)
def test_a_clock_may_be_off_by_the_tolerance(drift: float, verdict: Verdict) -> None:
    """7 s at 3 % are 210 ms, within 300 ms; at 8 % 560 ms, which is not."""
    result = Case(PURPOSES["lost-flight-2"], Drifting(drift), profile="hardened", seed=0).run().result
    assert result.verdict is verdict, result.reason


def test_the_silence_behind_many_answers_is_time() -> None:
    """Thirty-two frames go to the device, each with 200 ms of silence behind it: nothing is early or late for that."""
    result = Case(PURPOSES["registered-16384"], Drifting(1.0), profile="hardened", seed=0).run().result
    assert (result.verdict, result.virtual_ms) == (Verdict.PASS, 32 * 200), result.reason


@pytest.mark.parametrize("drift", [1.0, 1.004, 0.996])
def test_nothing_is_given_to_a_device_around_its_timer(drift: float) -> None:
    """Forty frames come while it waits for a peer that is not there; its first timer falls among them."""
    steps = [{"do": "silence", "who": 11}, {"do": "send", "to": 11, "size": 16}]
    steps += [{"do": "faa", "to": "cpu", "size": 16}] * 40
    steps += [{"do": "expect", "what": "message", "from": 2}] * 40
    purpose = parse("among", {"title": "x", "requirements": [], "peers": [{"id": 11}], "steps": steps})
    result = Case(purpose, Drifting(drift), profile="hardened", seed=0).run().result
    assert result.verdict is Verdict.PASS, result.reason
