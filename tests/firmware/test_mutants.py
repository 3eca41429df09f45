"""The mutation matrix: wrong firmwares, each built and run, each caught by a named case with the right rule."""

from __future__ import annotations

import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.case import run_case
from conformance.purpose import FOLDER, load
from conformance.results import CaseResult
from conformance.targets.qemu import QemuTarget
from model.verdict import Verdict

ROOT = Path(__file__).parents[2]
FIRMWARE = ROOT / "firmware"
MUTANTS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text("utf-8"))["mutant"]


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def build(mutant: dict[str, Any], folder: Path) -> Path:
    """The mutant's ELF. The library is the one that the main build has made."""
    source = folder / "src"
    shutil.copytree(FIRMWARE / "src", source)
    path = source / mutant["file"]
    text = change(path.read_text("utf-8"), mutant["old"], mutant["new"])
    if "also_old" in mutant:
        text = change(text, mutant["also_old"], mutant["also_new"])
    path.write_text(text, "utf-8")
    mbedtls = os.environ.get("MBEDTLS_DIR") or "../build/mbedtls"  # relative: make would split a path with blanks
    command = ["make", "-C", str(FIRMWARE), f"SRC={source}", f"BUILD={folder / 'out'}", f"MBEDTLS_DIR={mbedtls}"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return folder / "out/controller.elf"


def run(elf: Path, case: str) -> CaseResult:
    (path,) = FOLDER.rglob(f"{case}.toml")
    return run_case(load(path), lambda: QemuTarget(elf), profile="hardened", seed=0).result


@pytest.mark.parametrize("mutant", MUTANTS, ids=[m["id"] for m in MUTANTS])
def test_a_wrong_firmware_is_caught_by_its_case_with_its_rule(mutant: dict[str, Any], tmp_path: Path) -> None:
    result = run(build(mutant, tmp_path), mutant["case"])
    if not mutant["rule"]:
        assert result.verdict is Verdict.PASS, result.reason
        return
    assert result.verdict is Verdict.FAIL, (result.verdict, result.reason)
    assert result.divergence is not None, result.reason
    assert mutant["rule"] in result.divergence.requirements, result.divergence


def test_the_firmware_itself_passes_every_case_that_catches_a_mutant() -> None:
    for case in sorted({m["case"] for m in MUTANTS}):
        result = run(ROOT / "build/firmware/controller.elf", case)
        assert result.verdict is Verdict.PASS, (case, result.reason)
