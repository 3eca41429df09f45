"""kill -9 at every step of a request: nobody is locked out, counted twice, or told what is not kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OPENING = [
    "sql PRAGMA journal_mode =",
    "sql PRAGMA synchronous =",
    "sql PRAGMA user_version",
]
MAKING = [
    "sql BEGIN IMMEDIATE",
    "sql PRAGMA user_version",
    "sql CREATE TABLE authority",
    "sql CREATE TABLE registered",
    "sql CREATE TABLE removed",
    "sql PRAGMA user_version =",
    "sql COMMIT",
]
READING = [
    "sql PRAGMA quick_check(1)",
    "sql SELECT device, since",
    "sql SELECT deployment, certificate,",
    "sql SELECT device, serial,",
]
FOUNDING = ["sql BEGIN IMMEDIATE", "sql INSERT INTO authority", "sql COMMIT"]
HANDSHAKE = ["take", "send"] * 3 + ["take"]


def keeping(change: str) -> list[str]:
    return ["sql BEGIN IMMEDIATE", change, "sql COMMIT", "kept", "send", "take", "send"]


def crash(folder: Path, op: int, prepared: Path | None = None) -> list[dict[str, Any]]:
    """The rounds of `crashing.py`."""
    program = [sys.executable, str(Path(__file__).with_name("crashing.py")), str(folder), str(op)]
    ran = subprocess.run(
        [*program, *([str(prepared)] if prepared else [])], capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def check(rounds: list[dict[str, Any]], op: int) -> None:
    for round_ in rounds:
        assert round_["again"] == 0, f"locked out: {round_}"
        assert round_["finally"] == [10], f"counted twice, or not: {round_}"
        if round_["told"] != -1:
            assert round_["kept"] == ([10] if op == 0 else []), f"the device was told what was lost: {round_}"
        before, after = round_["authority"]
        assert before in (None, after), f"another runtime CA splits the fleet: {round_}"
        assert before or round_["told"] == -1
    assert rounds[-1]["told"] == op


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A deployment whose device is registered, and the rounds in which it became so."""
    folder = tmp_path_factory.mktemp("crashes") / "deployment"
    return folder, crash(folder, 0)


def test_a_first_registration(registered: tuple[Path, list[dict[str, Any]]]) -> None:
    _, rounds = registered
    insert = keeping("sql INSERT OR REPLACE")
    check(rounds, 0)
    assert [r["step"] for r in rounds] == [*OPENING, *MAKING, *READING, *FOUNDING, *HANDSHAKE, *insert, ""]


@pytest.mark.parametrize(("op", "change"), [(0, "sql INSERT OR REPLACE"), (1, "sql DELETE FROM registered")])
def test_a_registered_device(
    registered: tuple[Path, list[dict[str, Any]]], tmp_path: Path, op: int, change: str
) -> None:
    """It asks to be registered anew (REG-5), or to be registered no more."""
    rounds = crash(tmp_path / "deployment", op, registered[0])
    check(rounds, op)
    assert [r["step"] for r in rounds] == [*OPENING, *READING, *HANDSHAKE, *keeping(change), ""]
