"""A run in real time: the same passes, and whatever differs is seen. Small firmwares with timers of a second."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign import Job, load_purposes
from conformance.cli import main
from conformance.running import real_time
from conformance.running.real_time import SAMPLE, Differs, Timing, Unsuitable, rerun
from conformance.targets.base import HarnessError
from model.verdict import Verdict

Build = Callable[[str], Path]
PURPOSES = {purpose.id: purpose for purpose in load_purposes()}


def step(t: int, stimulus: dict[str, Any], deadline: int | None, *chunks: str) -> dict[str, Any]:
    links = [["radio", chunk.encode().hex()] for chunk in chunks]
    return {"t": t, "stimulus": stimulus, "deadline": deadline, "chunks": links, "debug": []}


BYTE = {"link": "radio", "hex": b"x".hex()}
A_SECOND = [
    step(0, {"boot": True}, 60_000),
    step(0, BYTE, 1_000),
    step(400, {"ms": 400}, 1_000),
    step(1_000, {"ms": 600}, None, "T"),
]
"""What the firmware `timer` does: a second after a byte it says T."""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried here does not depend on how busy the machine is."""
    monkeypatch.setattr(real_time, "TOLERANCE_MS", 30_000)


def on_time(steps: list[dict[str, Any]], elf: Path) -> Timing:
    """A run in which this process was not kept from acting in time: that is told apart, and is no result."""
    while True:
        try:
            return rerun(trace(steps), elf, b"A")
        except Unsuitable as error:
            assert "too slow" in error.why


def trace(steps: list[dict[str, Any]]) -> str:
    lines: list[dict[str, Any]] = [{"trace": 1}, *({"n": n} | s for n, s in enumerate(steps)), {"verdict": "PASS"}]
    return "".join(json.dumps(line) + "\n" for line in lines)


def test_the_same_steps_and_the_same_timer(build: Build) -> None:
    found = on_time(A_SECOND, build("timer"))
    assert (found.steps, found.deadlines) == (4, 1)
    assert str(found).startswith("in real time: 4 steps the same, 1 timers at most ")


@pytest.mark.parametrize(
    ("number", "change", "says"),
    [
        (3, {"chunks": [["radio", b"U".hex()]]}, "Step 3: not the bytes of virtual time, radio link."),
        (3, {"chunks": [["radio", b"TT".hex()]]}, "Step 3: less than in virtual time."),
        (3, {"chunks": []}, "Step 3: not the bytes of virtual time, radio link."),
        (1, {"chunks": [["cpu", b"x".hex()]]}, "Step 1: less than in virtual time."),
        (0, {"debug": ["timer: ready"]}, "Step 0: less than in virtual time."),
    ],
)
def test_other_output_is_seen(
    build: Build, monkeypatch: pytest.MonkeyPatch, number: int, change: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr(real_time, "ANSWER_S", 0.5)
    steps = [dict(s) for s in A_SECOND]
    steps[number] |= change
    with pytest.raises(Differs) as caught:
        on_time(steps, build("timer"))
    assert caught.value.why == says


def test_a_timer_that_is_late_is_seen(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after 60 s, and should after 0.7 s."""
    monkeypatch.setattr(real_time, "TOLERANCE_MS", 100)
    with pytest.raises(Differs, match="Step 1: no answer to a timer within 100 ms after it was due"):
        on_time([step(0, {"boot": True}, 700), step(700, {"ms": 700}, None, "T")], build("timer"))


def test_a_timer_that_is_early_is_seen(build: Build) -> None:
    """It comes after a second, and should after 29."""
    steps = [A_SECOND[0], step(0, BYTE, 29_000), step(29_000, {"ms": 29_000}, None, "T")]
    with pytest.raises(Differs, match="Step 2: not the bytes of virtual time, radio link"):
        on_time(steps, build("timer"))


def test_a_firmware_that_ends_is_seen(build: Build) -> None:
    with pytest.raises(Differs, match="Step 1: the firmware ended QEMU"):
        rerun(trace([step(0, {"boot": True}, None), step(0, BYTE, None, "Bx")]), build("exits"), b"A")


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ([*A_SECOND, step(1_000, {"boot": True}, None)], "boots more than once"),
        ([*A_SECOND, step(31_000, {"ms": 30_000}, None)], "it takes 31 s; the limit is 30 s"),
        ([A_SECOND[0], A_SECOND[1], step(999, {"ms": 999}, 1_000)], "step 2 comes 1 ms before a timer"),
    ],
)
def test_what_cannot_be_done_in_real_time_is_said(build: Build, steps: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(Unsuitable) as caught:
        rerun(trace(steps), build("timer"), b"A")
    assert says in caught.value.why


def test_without_qemu(build: Build) -> None:
    with pytest.raises(HarnessError, match="apt install qemu-system-arm"):
        rerun(trace(A_SECOND), build("timer"), b"A", qemu="qemu-of-nowhere")


class TestCampaign:
    def job(self, out: Path, case: str = "unregistered-16") -> Job:
        return Job(PURPOSES[case], "qemu", None, "hardened", 0, out, real_time=True)

    def test_a_handshake_of_the_firmware(self, tmp_path: Path) -> None:
        result = self.job(tmp_path).run()
        assert result.verdict is Verdict.PASS, result.reason
        assert result.evidence == ["in real time: 11 steps the same"]
        assert result.reproduce.endswith(" --real-time")

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (Differs("Step 1: other bytes."), Verdict.FAIL),
            (Unsuitable("it boots twice"), Verdict.INCONCLUSIVE),
            (HarnessError("no QEMU"), Verdict.ERROR),
        ],
    )
    def test_what_is_found_is_the_verdict(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, verdict: Verdict
    ) -> None:
        def found(*_: object) -> None:
            raise error

        monkeypatch.setattr("conformance.campaign.rerun", found)
        result = self.job(tmp_path, "faa-idle").run()
        assert result.verdict is verdict and str(getattr(error, "why", "no QEMU")) in result.reason

    def test_the_sample_is_of_purposes_that_are_suitable(self) -> None:
        assert len(set(SAMPLE)) == len(SAMPLE) > 20
        assert set(SAMPLE) <= PURPOSES.keys()

    def test_without_names_the_sample_is_run(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["conform", "--real-time", "--list", "--json"]) == 0
        assert [row["id"] for row in json.loads(capsys.readouterr().out)] == list(SAMPLE)

    def test_only_qemu_has_a_clock(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["conform", "--real-time", "--target", "reference"]) == 2
        assert "--real-time goes with --target qemu" in capsys.readouterr().err
