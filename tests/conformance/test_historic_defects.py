"""The historic defects: each has cases, which our firmware passes; page, table and wrong firmwares agree."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from conformance.case import run_case
from conformance.purpose import FOLDER, load, load_purposes
from conformance.targets.qemu import QemuTarget
from conformance.wire.frames import Frame, FrameReader
from model.system.defects import DEFECTS
from model.verdict import Verdict

ROOT = Path(__file__).parents[2]
TABLE: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("historic.toml").read_text("utf-8"))["defect"]
PAGE = (ROOT / "docs/historic-defects.md").read_text("utf-8")
MUTANTS = {m["id"]: m for m in tomllib.loads((ROOT / "tests/firmware/mutants.toml").read_text("utf-8"))["mutant"]}
CASES = sorted({case for defect in TABLE for case in defect["cases"]} - {m["case"] for m in MUTANTS.values()})
"""That our firmware passes the others is shown by tests/firmware/test_mutants.py, which runs each that catches one."""


def run(case: str) -> Any:
    (path,) = FOLDER.rglob(f"{case}.toml")
    return run_case(load(path), lambda: QemuTarget(ROOT / "build/firmware/controller.elf"), profile="hardened", seed=0)


def test_every_defect_of_the_suite_has_cases() -> None:
    assert [d["number"] for d in TABLE] == list(range(1, 17))
    known = {p.id for p in load_purposes()}
    assert all(d["cases"] and set(d["cases"]) <= known for d in TABLE)


@pytest.mark.parametrize("defect", TABLE, ids=[str(d["number"]) for d in TABLE])
def test_the_page_says_what_the_table_says(defect: dict[str, Any]) -> None:
    (row,) = (line for line in PAGE.splitlines() if line.startswith(f"| {defect['number']} |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    model = DEFECTS[defect["number"] - 1]
    assert cells == [
        str(defect["number"]),
        defect["says"],
        ", ".join(f"`{c}`" for c in defect["cases"]),
        ", ".join(defect["rules"]),
        defect["seen"],
        f"`{model.scope}`, `{model.property}`" if model.scope else "-",
    ]


@pytest.mark.parametrize("defect", TABLE, ids=[str(d["number"]) for d in TABLE])
def test_a_wrong_firmware_or_a_test_of_the_sss_shows_each_defect(defect: dict[str, Any]) -> None:
    """That its case fails on the wrong firmware is for tests/firmware/test_mutants.py."""
    assert defect["mutants"] or defect["tests"]
    for name in defect["mutants"]:
        assert MUTANTS[name]["case"] in defect["cases"], name
    for test in defect.get("tests", ()):
        file, name = test.split("::")
        assert f"def {name}(" in (ROOT / file).read_text("utf-8"), test


@pytest.mark.parametrize("case", CASES)
def test_our_firmware_has_none_of_them(case: str) -> None:
    result = run(case).result
    assert result.verdict is Verdict.PASS, result.reason


def test_a_registration_is_agreed_on_by_an_ephemeral_key() -> None:
    """Defect 8: the SSS chooses ECDHE and sends a ServerKeyExchange, so a key that leaks later opens nothing."""
    suites, exchanges = [], 0
    for captured in run("register").frames:
        for frame in FrameReader().feed(captured.frame):
            if not isinstance(frame, Frame) or frame.source != 1:
                continue
            at = 0
            while at + 25 <= len(frame.payload):  # handshake records in the clear: header 13, message header 12
                length = int.from_bytes(frame.payload[at + 11 : at + 13], "big")
                if frame.payload[at] == 22 and frame.payload[at + 3 : at + 5] == b"\0\0":
                    kind, body = frame.payload[at + 13], frame.payload[at + 25 : at + 13 + length]
                    if kind == 2:
                        after = 35 + body[34]
                        suites.append(int.from_bytes(body[after : after + 2], "big"))
                    exchanges += kind == 12
                at += 13 + length
    assert (suites, exchanges) == ([0xC02C], 1)
