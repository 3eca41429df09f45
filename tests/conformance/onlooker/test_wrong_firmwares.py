"""Captures of wrong firmwares in QEMU: the onlooker names the rule, without being told which it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from conformance.case import Outcome, run_case
from conformance.judge import Diverged, Judge
from conformance.onlooker import Standing, judge_capture
from conformance.purpose import FOLDER, Peer, Purpose, Step, load
from conformance.targets.qemu import QemuTarget
from conformance.wire.secrets import KeyLog

ROOT = Path(__file__).parents[3]
FIRMWARE = ROOT / "firmware"
MUTANTS = {m["id"]: m for m in tomllib.loads((ROOT / "tests/firmware/mutants.toml").read_text("utf-8"))["mutant"]}
IUT = 10

SILENT_AFTER_THE_HANDSHAKE = Purpose(
    "silent-after-the-handshake",
    "A client that falls silent after its handshake",
    ("SES-7",),
    "",
    (
        Step("lose", {"record": "data", "nth": 1, "by": 11}),
        Step("lose", {"record": "close", "nth": 1, "by": 11}),
        Step("send", {"by": 11, "to": 10, "size": 16}),
        Step("wait", {"ms": 70_000}),
        Step("send", {"by": 11, "to": 10, "size": 16}),
    ),
    peers=(Peer(11),),
)
"""`conform` sees that no timer is armed; a capture shows it a minute later."""

WRONG = [
    ("no-idle-timeout", SILENT_AFTER_THE_HANDSHAKE),
    ("no-name-check", None),
    ("no-contiguity", None),
    ("credentials-kept", None),
    ("timeout-not-doubled", None),
]
"""Mutants of the firmware and what to run; None: the case that catches the mutant in `conform`."""


def build(mutant: dict[str, str], folder: Path) -> Path:
    """The mutant's ELF. The library is the one that the main build has made."""
    shutil.copytree(FIRMWARE / "src", folder / "src")
    path = folder / "src" / mutant["file"]
    text = path.read_text("utf-8")
    assert text.count(mutant["old"]) == 1
    path.write_text(text.replace(mutant["old"], mutant["new"]), "utf-8")
    mbedtls = os.environ.get("MBEDTLS_DIR") or "../build/mbedtls"
    command = ["make", "-C", str(FIRMWARE), f"SRC={folder / 'src'}", f"BUILD={folder / 'out'}"]
    made = subprocess.run([*command, f"MBEDTLS_DIR={mbedtls}"], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder / "out/controller.elf"


def capture(elf: Path, purpose: Purpose) -> Outcome:
    return run_case(purpose, lambda: QemuTarget(elf), profile="hardened", seed=0)


def verdict(outcome: Outcome):
    keylog = KeyLog()
    for client_random, master in outcome.secrets:
        keylog.add(client_random, master)
    return next(v for v in judge_capture(outcome.frames, keylog, outcome.context) if v.sed == IUT)


@pytest.fixture
def judge_says_nothing(monkeypatch):
    """A run goes on after `conform`'s judge has found it wrong: an onlooker's capture would, too."""
    step = Judge.step

    def quietly(self, *arguments):
        with contextlib.suppress(Diverged):
            step(self, *arguments)

    monkeypatch.setattr(Judge, "step", quietly)


@pytest.mark.parametrize(("name", "purpose"), WRONG, ids=[name for name, _ in WRONG])
@pytest.mark.usefixtures("judge_says_nothing")
def test_a_wrong_firmware_is_not_allowed_and_the_rule_is_named(name, purpose, tmp_path):
    mutant = MUTANTS[name]
    purpose = purpose or load(FOLDER / f"{mutant['case']}.toml")
    found = verdict(capture(build(mutant, tmp_path), purpose))
    assert found.standing is Standing.NOT_ALLOWED, found
    assert mutant["rule"] in found.requirements, found
    assert found.frames and found.time_us is not None and mutant["rule"] in found.text


@pytest.mark.parametrize(
    "purpose", ["registered-964", "glare-ring-middle", "lost-flight-5", SILENT_AFTER_THE_HANDSHAKE]
)
def test_the_firmware_itself_is_allowed(purpose):
    purpose = load(FOLDER / f"{purpose}.toml") if isinstance(purpose, str) else purpose
    found = verdict(capture(ROOT / "build/firmware/controller.elf", purpose))
    assert found.standing is Standing.ALLOWED and found.assumptions == (), found
