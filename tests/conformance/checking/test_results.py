from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.checking.results import (
    AnswerResult,
    BoundRow,
    CheckReport,
    CheckResult,
    MatrixRow,
    PropertyResult,
    Standing,
)
from model.system.base import Kind
from model.system.outcome import Finding


def test_a_report_survives_its_file(report: CheckReport, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(report.to_json(), "utf-8")
    assert CheckReport.load(path) == report
    assert any(a.path and a.path.steps[0].changed for c in report.checks for a in c.answers)


def change(report: CheckReport, **changes: object) -> str:
    return json.dumps(json.loads(report.to_json()) | changes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"command": 3, "profile": "hardened"}',
        '{"command": "", "profile": "", "version": 99}',
        '{"command": "", "profile": "", "checks": [{"scope": "x"}]}',
        '{"command": "", "profile": "", "checks": 3}',
        '{"command": "", "profile": "", "checks": [{"scope": "x", "engine": "run", "states": "many"}]}',
        '{"command": "", "profile": "", "properties": [{"name": "p", "kind": "never", "needs": [], "says": ""}]}',
        '{"command": "", "profile": "", "surplus": 1}',
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(tmp_path: Path, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match=r"report\.json is (not )?a report"):
        CheckReport.load(path)


def made(*answers: tuple[str, str, Finding]) -> CheckReport:
    """A report about one property `p`; answers are scope, engine and finding."""
    checks = [CheckResult(s, e, answers=[AnswerResult("p", finding)]) for s, e, finding in answers]
    return CheckReport("", "hardened", properties=[PropertyResult("p", Kind.ALWAYS, [], "")], checks=checks)


@pytest.mark.parametrize(
    ("answers", "standing", "code"),
    [
        ([("a", "explore", Finding.HOLDS)], Standing.BOUNDED, 0),
        ([("a", "explore", Finding.HOLDS), ("b", "prove", Finding.PROVED)], Standing.PROVED, 0),
        ([("a", "explore", Finding.HOLDS), ("a", "prove", Finding.OPEN)], Standing.BOUNDED, 0),
        ([("a", "explore", Finding.HOLDS), ("b", "prove", Finding.OPEN)], Standing.OPEN, 3),
        ([("a", "explore", Finding.VACUOUS)], Standing.VACUOUS, 3),
        ([("a", "explore", Finding.VACUOUS), ("b", "explore", Finding.HOLDS)], Standing.BOUNDED, 0),
        ([("a", "prove", Finding.PROVED), ("b", "explore", Finding.FALSE)], Standing.FALSE, 1),
        ([("a", "explore", Finding.OPEN)], Standing.OPEN, 3),
        ([("a", "explore", Finding.OPEN), ("b", "explore", Finding.FALSE)], Standing.FALSE, 1),
        ([], Standing.UNCHECKED, 3),
    ],
)
def test_what_is_known_of_a_property_and_the_exit_code(
    answers: list[tuple[str, str, Finding]], standing: Standing, code: int
) -> None:
    report = made(*answers)
    assert (report.standing("p"), report.exit_code) == (standing, code)


@pytest.mark.parametrize(
    "trouble",
    [
        {"checks": [CheckResult("a", "spin", error="no spin")]},
        {"matrix": [MatrixRow("ses_9", "SES-9", known=False)]},
        {"bounds": [BoundRow("hardened", "x", "a", error="too large")]},
        {"missing": ["explore: a"]},
    ],
)
def test_whatever_is_not_known_is_not_passed_over(trouble: dict[str, list[object]]) -> None:
    report = made(("a", "explore", Finding.HOLDS))
    for name, rows in trouble.items():
        getattr(report, name).extend(rows)
    assert report.exit_code == 3
