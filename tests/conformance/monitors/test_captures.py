"""Monitors on captures: silent on honest devices whatever the links and the attacker do, loud on wrong ones."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.campaign import load_purposes
from conformance.capture import CapturedFrame
from conformance.case import Case, Outcome, run_case
from conformance.judge import Diverged, Judge
from conformance.monitors import CATALOGUE, Alarm, Basis, Monitors, Need
from conformance.monitors import watch as watching
from conformance.monitors.ledger import MAX_PAIRS, MAX_SESSIONS
from conformance.monitors.watch import MAX_INSTANCES
from conformance.purpose import FOLDER, load
from conformance.sessions.track import Tracker
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from conformance.wire.secrets import KeyLog
from model.alphabet import Link

PURPOSES = {p.id: p for p in load_purposes()}
HONEST = {path.stem for path in FOLDER.glob("*.toml")}
"""The purposes in which every device is honest; the others have a peer that deviates by script."""
ME = 10


@cache
def honest(name: str) -> Outcome:
    return run_case(PURPOSES[name], ReferenceTarget, profile="hardened", seed=0)


def watch(
    outcome: Outcome,
    frames: Iterable[CapturedFrame] | None = None,
    *,
    vouched: bool = True,
    secrets: bool = True,
    **options: Any,
) -> tuple[list[Alarm], Monitors]:
    """Track and watch an outcome's frames, or those of them that are given, numbered from 1."""
    keylog = KeyLog()
    for client_random, master in outcome.secrets if secrets else ():
        keylog.add(client_random, master)
    assert outcome.context is not None
    tracker = Tracker(keylog)
    monitors = Monitors(boots=outcome.context.boots if vouched else {}, **options)
    chosen = outcome.frames if frames is None else frames
    alarms = [a for n, f in enumerate(chosen, 1) for a in monitors.feed(tracker.feed(replace(f, number=n)))]
    return alarms + monitors.end(), monitors


def told(alarms: list[Alarm]) -> list[tuple[str, int]]:
    return [(a.monitor, a.party) for a in alarms]


@pytest.mark.parametrize("name", PURPOSES)
def test_honest_devices_raise_no_alarm(name: str) -> None:
    """Losses, repeats, reordering, glare, replays, junk, spoofed frames, power cycles; peers that deviate by script."""
    outcome = honest(name)
    for options in ({}, {"secrets": False}, {"claims": True, "vouched": False})[: 3 if name in HONEST else 1]:
        alarms, _ = watch(outcome, **options)
        alarms = [a for a in alarms if name in HONEST or a.party == ME]
        assert alarms == [], (options, [a.text for a in alarms])


@pytest.mark.parametrize(
    "name",
    ["glare-lower", "replayed-session", "lost-flight-4-thrice", "records-swapped", "overheard"],
)
def test_frames_that_the_capture_lost_raise_no_alarm(name: str) -> None:
    """Each frame left out, each two in a row, and a beginning at each frame."""
    outcome = honest(name)
    frames = outcome.frames
    for n in range(len(frames)):
        for rest in (frames[:n] + frames[n + 1 :], frames[:n] + frames[n + 2 :], frames[n:]):
            alarms, _ = watch(outcome, rest, vouched=False)
            assert alarms == [], (n, [a.text for a in alarms])


class TestWrongFrames:
    """An honest capture with frames changed as a wrong device would."""

    def frames(self, name: str) -> tuple[Outcome, list[CapturedFrame]]:
        outcome = honest(name)
        return outcome, list(outcome.frames)

    def test_a_repeated_boot_repeats_its_random(self) -> None:
        """Historic defect 12: after a power cycle everything is drawn anew, and is the same."""
        outcome, frames = self.frames("unregistered-16")
        first = [f for f in frames if f.link is Link.RADIO]
        again = [replace(f, time_us=f.time_us + 10**9) for f in first]
        alarms, _ = watch(outcome, [*first, *again], vouched=False)
        assert ("client-random-repeated", ME) in told(alarms)

    def test_a_frame_that_leaves_twice(self) -> None:
        outcome, frames = self.frames("unregistered-16")
        hello = next(n for n, f in enumerate(frames) if f.link is Link.RADIO and not f.towards)
        alarms, _ = watch(outcome, [*frames[: hello + 1], frames[hello], *frames[hello + 1 :]])
        assert ("record-sent-again-under-its-number", ME) in told(alarms)
        assert all(a.basis is Basis.OWN and a.party == ME for a in alarms)

    def test_the_same_record_for_the_controller_twice_is_the_links_doing(self) -> None:
        outcome, frames = self.frames("unregistered-16")
        towards = next(n for n, f in enumerate(frames) if f.link is Link.RADIO and f.towards)
        alarms, _ = watch(outcome, [*frames[: towards + 1], frames[towards], *frames[towards + 1 :]])
        assert alarms == []

    def test_a_changed_delivery(self) -> None:
        outcome, frames = self.frames("unregistered-16")
        deliver = max(n for n, f in enumerate(frames) if f.link is Link.CPU and not f.towards)
        frame = frames[deliver].frame
        frames[deliver] = replace(frames[deliver], frame=frame[:-1] + bytes([frame[-1] ^ 1]))
        alarms, _ = watch(outcome, frames)
        assert told(alarms) == [("delivered-differs", ME)]
        alarms, _ = watch(outcome, [*outcome.frames, outcome.frames[deliver]])
        assert told(alarms) == [("delivered-twice", ME), ("delivered-without-session", ME)]

    def test_a_message_that_only_a_plaintext_record_held(self) -> None:
        outcome, frames = self.frames("unregistered-16")
        header = b"SC" + bytes([10, 0, 11, 0, 16, 0])
        record = b"\x17\xfe\xfd" + bytes(8) + b"\0\3abc"
        plain = CapturedFrame(10**9, Link.RADIO, True, ME, header + record)
        delivery = CapturedFrame(10**9, Link.CPU, False, ME, b"SC\x0a\0\x0b\0\3\0abc")
        alarms, _ = watch(outcome, [*frames, plain, delivery])
        assert ("plaintext-data-delivered", ME) in told(alarms)


class TestBlindness:
    """What could not be looked at is said."""

    def needs(self, monitors: Monitors) -> dict[Need, set[tuple[int, ...]]]:
        found: dict[Need, set[tuple[int, ...]]] = {}
        for blind in monitors.blind():
            assert blind.need in CATALOGUE[blind.monitor].needs
            found.setdefault(blind.need, set()).add(blind.sessions)
        return found

    def test_nothing_is_hidden_in_a_whole_capture_with_secrets(self) -> None:
        _, monitors = watch(honest("unregistered-16"))
        assert monitors.blind() == []

    def test_without_secrets_the_sealed_sessions_are_named(self) -> None:
        _, monitors = watch(honest("unregistered-16"), secrets=False)
        assert self.needs(monitors) == {Need.PLAINTEXT: {(1, 2)}}

    def test_without_a_context_nothing_is_told_from_absence(self) -> None:
        _, monitors = watch(honest("unregistered-16"), vouched=False)
        assert self.needs(monitors) == {Need.ALL: {()}}

    def test_without_the_cpu_link_deliveries_are_not_seen(self) -> None:
        outcome = honest("unregistered-16")
        _, monitors = watch(outcome, [f for f in outcome.frames if f.link is not Link.CPU])
        assert self.needs(monitors) == {Need.CPU: {()}}

    def test_one_direction_is_half_of_it(self) -> None:
        outcome = honest("unregistered-16")
        _, monitors = watch(outcome, [f for f in outcome.frames if f.towards])
        assert self.needs(monitors)[Need.BOTH] == {(1, 2)}


class TestBounds:
    """Whatever is fed, memory is bounded and nothing is raised."""

    def test_times_that_are_void_are_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Time may stand still in a hostile capture, and none of them ever comes."""
        monkeypatch.setattr(watching, "MAX_DUE", 8)
        outcome = honest("register")
        monitors, tracker = Monitors(boots={ME: (0,)}), Tracker()
        for _ in range(40):
            for frame in outcome.frames:
                monitors.feed(tracker.feed(replace(frame, time_us=0)))
                assert all(len(due) <= 8 for due in monitors._due.values())
        assert monitors._due[ME]

    @settings(derandomize=True, deadline=None, max_examples=60)
    @given(st.data())
    def test_damaged_frames(self, data: st.DataObject) -> None:
        outcome = honest("registered-16")
        frames = []
        for frame in outcome.frames:
            raw = bytearray(frame.frame)
            if data.draw(st.booleans()):
                raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
            frames.append(replace(frame, frame=bytes(raw)))
        watch(outcome, frames, claims=True)

    def test_many_sessions(self) -> None:
        hello = next(f for f in honest("unregistered-16").frames if f.link is Link.RADIO and not f.towards)
        monitors, tracker = Monitors(claims=True), Tracker(KeyLog())
        for n in range(MAX_INSTANCES + 500):
            frame = bytearray(hello.frame)
            frame[35:39] = n.to_bytes(4, "big")  # within the random: each hello is a session
            frame[4:6] = (n % 3000 + 20).to_bytes(2, "little")
            towards = replace(hello, towards=True, frame=bytes(frame), number=n + 1)
            monitors.feed(tracker.feed(towards))
        assert max(len(w.instances) for w in monitors._watched.values()) == MAX_INSTANCES
        book = monitors._reader._book
        assert len(book._ledgers) == MAX_SESSIONS
        assert max(len(book._received), len(book._given), len(book._plain)) <= MAX_PAIRS
        assert len(monitors._ways) <= MAX_INSTANCES


# --- wrong firmwares, built and run in QEMU: about 4 s each

FIRMWARE_TESTS = Path(__file__).parents[2] / "firmware"


@pytest.mark.parametrize(
    ("mutant", "monitor", "rule"),
    [
        ("cookie-for-anyone", "cookie-not-bound", "DTL-3"),
        ("no-client-certificate", "client-certificate-not-requested", "DTL-1"),
        ("no-contiguity-at-the-end", "delivered-with-a-gap", "SES-8"),
        ("timeout-not-doubled", "flight-1-resent-early", "DTL-6"),
    ],
)
def test_a_wrong_firmware_shows_on_the_wire(
    mutant: str, monitor: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(FIRMWARE_TESTS))
    from test_mutants import MUTANTS, build

    chosen = next(m for m in MUTANTS if m["id"] == mutant)
    monkeypatch.setattr(Judge, "step", _undeterred(Judge.step))
    target = QemuTarget(build(chosen, tmp_path))
    try:
        outcome = Case(load(FOLDER / f"{chosen['case']}.toml"), target, profile="hardened", seed=0).run()
    finally:
        target.close()
    alarms, _ = watch(outcome)
    assert {(a.party, a.basis) for a in alarms} == {(ME, Basis.OWN)}
    assert rule in next(a.requirements for a in alarms if a.monitor == monitor)


def _undeterred(step: Any) -> Any:
    """A judge's step that lets the run go on after a divergence: the monitors want to see what follows."""

    def go_on(judge: Judge, *arguments: Any) -> None:
        try:
            step(judge, *arguments)
        except Diverged:
            return

    return go_on
