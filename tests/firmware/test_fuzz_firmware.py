"""The fuzzer of the firmware's C: a short run finds nothing, and what is wrong on purpose is found as quickly."""

from __future__ import annotations

import fcntl
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/fuzz"))
from fuzz_firmware import Outcome, build, fuzz, replay, unpack  # noqa: E402

FRAMES = 10_000


@dataclass(frozen=True, slots=True)
class Planted:
    """A wrong firmware, and words of what the fuzzer must say of it."""

    id: str
    file: str
    old: str
    new: str
    finding: str


PLANTED = (
    Planted(
        "a-vector-one-byte-too-long",
        "hello.c",
        "if (*length > *left - width) {",
        "if (*length > *left - width + 1) {",
        "buffer-overflow",
    ),
    Planted(
        "a-record-longer-than-its-datagram",
        "record.c",
        " || body > *left - RECORD_HEADER) {",
        " || body > *left) {",
        "buffer-overflow",
    ),
    Planted(
        "no-idle-timeout",
        "machine.c",
        "ON_DONE, 0, 0, {DO_ESTABLISH, DO_WATCH}",
        "ON_DONE, 0, 0, {DO_ESTABLISH}",
        "finding: SES-7: a session without a timer",
    ),
    Planted(
        "an-alert-is-fatal",
        "dtls.c",
        "        take(inputs[kind], &cause);",
        '        if (kind == SESSION_FATAL_ALERT) { dtls_fatal_error("memory"); }\n        take(inputs[kind], &cause);',
        "finding: SES-12",
    ),
)
"""Two that the sanitizers see, two that the oracle of firmware/fuzz/world.c sees."""


@pytest.fixture(scope="session")
def program(testrun_uid: str) -> Path:
    """Built by the first of the processes that run the tests: a program that runs cannot be written."""
    folder = ROOT / "build/firmware-fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "built-for.txt").open("a+", encoding="utf-8") as note:
        fcntl.flock(note, fcntl.LOCK_EX)
        note.seek(0)
        if note.read() != testrun_uid:
            build(folder=folder)
            note.truncate(0)
            note.write(testrun_uid)
        return folder / "fuzz"


def plant(bug: Planted, folder: Path) -> Path:
    """The fuzzer of a wrong firmware. Only the changed file is compiled anew."""
    source = folder / "src"
    shutil.copytree(ROOT / "firmware/src", source)
    path = source / bug.file
    text = path.read_text("utf-8")
    assert text.count(bug.old) == 1
    path.write_text(text.replace(bug.old, bug.new), "utf-8")
    shutil.copytree(ROOT / "build/firmware-fuzz", folder / "build")
    return build(folder=folder / "build", src=source)


def short(program: Path, folder: Path) -> Outcome:
    (outcome,) = fuzz(program, folder / "out", unpack(folder / "corpus"), FRAMES, seed=1)
    return outcome


def test_ten_thousand_frames_show_nothing(program: Path, tmp_path: Path) -> None:
    outcome = short(program, tmp_path)
    assert not outcome.finding, outcome.text
    assert outcome.frames >= FRAMES


@pytest.mark.parametrize("bug", PLANTED, ids=[b.id for b in PLANTED])
def test_a_planted_bug_is_found_and_found_again(bug: Planted, program: Path, tmp_path: Path) -> None:
    wrong = plant(bug, tmp_path)
    outcome = short(wrong, tmp_path)
    assert bug.finding in outcome.finding, outcome.text[-2_000:]
    if outcome.artifact is None:  # on the way to the places that inputs start from: no input is needed
        assert bug.finding in replay(wrong, tmp_path / "again", []).finding
        return
    assert bug.finding in replay(wrong, tmp_path / "again", [outcome.artifact]).finding
    assert not replay(program, tmp_path / "right", [outcome.artifact]).finding
