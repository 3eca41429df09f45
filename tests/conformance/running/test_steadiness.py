"""The suite says the same twice, under load, cold and warm, with more and with fewer workers."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conformance.campaign import load_purposes, run_campaign
from conformance.results import Report
from model.verdict import Verdict

CASES = ["faa-idle", "lost-flight-2", "register", "glare-lower"]


def load() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "steadiness.py"
    spec = importlib.util.spec_from_file_location("steadiness", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


steadiness = load()


def test_twice_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert steadiness.main([*CASES, "--output", str(tmp_path / "steady.json")]) == 0
    assert capsys.readouterr().out.endswith("all the same\n")
    record = json.loads((tmp_path / "steady.json").read_text())
    assert (record["cases"], record["all the same"], len(record["runs"])) == (4, True, 2)
    assert record["runs"][0]["verdict"] == "PASS"


def run(out: Path) -> Report:
    out.mkdir(exist_ok=True)
    purposes = [purpose for purpose in load_purposes() if purpose.id == "register"]
    return run_campaign(purposes, target="reference", firmware=None, profile="hardened", seed=0, out=out, jobs=1,
                        progress=lambda *_: None)  # fmt: skip


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"wall_s": 77.0}, True), ({"verdict": Verdict.FAIL}, False), ({"steps": 1}, False)],
)
def test_what_counts_in_the_report(tmp_path: Path, change: dict[str, Any], same: bool) -> None:
    report = run(tmp_path)
    other = replace(report, cases=[replace(report.cases[0], **change)])
    assert (steadiness.digest(report, tmp_path) == steadiness.digest(other, tmp_path)) is same


@pytest.mark.parametrize("name", ["register.jsonl", "register.pcapng"])
def test_one_byte_of_a_file_is_a_difference(tmp_path: Path, name: str) -> None:
    report = run(tmp_path)
    before = steadiness.digest(report, tmp_path)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)
    assert steadiness.digest(report, tmp_path) != before


def test_two_outcomes_are_told_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    outcomes = iter("ab")
    monkeypatch.setattr(steadiness, "digest", lambda *_: next(outcomes))
    assert steadiness.main(["faa-idle"]) == 1
    assert capsys.readouterr().out.endswith("2 different outcomes\n")


def test_a_name_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert steadiness.main(["regsiter"]) == 3
    assert "no purpose regsiter" in capsys.readouterr().err
