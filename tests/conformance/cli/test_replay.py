from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.targets.base import HarnessError
from model.verdict import Verdict


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "register.jsonl"
    path.touch()
    return path


def test_verdict_and_ladder_are_shown(campaign, scewl, trace: Path, tmp_path: Path) -> None:
    ended = scewl("replay", trace, "--out", tmp_path / "out")
    assert ended.code == 0
    assert ended.out.startswith("PASS register: Register\n")
    assert "request: register" in ended.out and f"{tmp_path / 'out' / 'register.pcapng'}" in ended.out
    assert campaign.asked == [{"trace": trace, "target": None, "firmware": None}]


def test_exit_code_and_json(campaign, scewl, trace: Path, tmp_path: Path) -> None:
    campaign.verdicts["register"] = Verdict.FAIL
    ended = scewl("replay", trace, "--out", tmp_path / "out", "--json")
    data = json.loads(ended.out)
    assert ended.code == 1 and (data["case"], data["verdict"]) == ("register", "FAIL")


def test_a_firmware_means_qemu(campaign, scewl, trace: Path, tmp_path: Path) -> None:
    scewl("replay", trace, "--firmware", trace, "--out", tmp_path / "out")
    assert campaign.asked[0]["target"] == "qemu"


def test_no_trace(campaign, scewl, tmp_path: Path) -> None:
    ended = scewl("replay", tmp_path / "none.jsonl")
    assert ended.code == 2 and "no trace at" in ended.err and campaign.asked == []


def test_not_a_trace(campaign, scewl, trace: Path, tmp_path: Path) -> None:
    campaign.error = HarnessError(f"{trace}: not a trace")
    ended = scewl("replay", trace, "--out", tmp_path / "out")
    assert ended.code == 3 and ended.err == f"scewl: {trace}: not a trace\n"
