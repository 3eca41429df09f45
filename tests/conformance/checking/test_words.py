from __future__ import annotations

import pytest

from conformance.checking.results import (
    AnswerResult,
    BoundRow,
    CheckReport,
    CheckResult,
    DefectRow,
    PropertyResult,
)
from conformance.checking.words import (
    about_defects,
    bound_text,
    counted,
    defect_text,
    noted,
    size,
    summary,
    verdict,
    where_text,
)
from model.system.base import Kind
from model.system.outcome import Finding


def made(*answers: tuple[str, str, Finding]) -> CheckReport:
    """A report about one property `p`; answers are scope, engine and finding."""
    checks = [CheckResult(s, e, states=1_000, answers=[AnswerResult("p", finding)]) for s, e, finding in answers]
    return CheckReport("", "hardened", properties=[PropertyResult("p", Kind.ALWAYS, [], "")], checks=checks)


HOLDS, FALSE, OPEN, PROVED = Finding.HOLDS, Finding.FALSE, Finding.OPEN, Finding.PROVED


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        ([("a", "explore", HOLDS), ("b", "explore", FALSE), ("c", "spin", FALSE)], "explore: b; spin: c"),
        ([("a", "explore", HOLDS), ("b", "explore", OPEN)], "explore: b"),
        ([(s, "explore", HOLDS) for s in "abc"], "explore: a, b, c"),
        ([*((s, "explore", HOLDS) for s in "abcd"), ("e", "prove", PROVED)], "explore: 4 scopes; prove: e"),
        ([], ""),
    ],
)
def test_where_what_is_known_comes_from(answers: list[tuple[str, str, Finding]], text: str) -> None:
    assert where_text(made(*answers), "p") == text


def test_a_proof_and_a_question_that_is_open() -> None:
    proved = made(("a", "explore", HOLDS), ("a", "spin", HOLDS), ("b", "prove", PROVED))
    assert (verdict(proved), counted(proved)) == ("true", "1 proved without bound")
    assert summary(proved)[0] == "Of 1 property in the hardened profile, 1 is proved without any bound."
    open_ = made(("a", "explore", OPEN))
    assert (verdict(open_), counted(open_)) == ("open", "1 not exhausted")
    assert summary(open_)[0] == "Of 1 property in the hardened profile, 1 is not exhausted (p)."


def test_figures_as_people_read_them() -> None:
    assert [size(n) for n in (0, 999, 282_200, 40_500_000, 2_700_000_000)] == [
        "",
        "1.0 kB",
        "282.2 kB",
        "40.5 MB",
        "2.7 GB",
    ]
    texts = [bound_text(BoundRow("", "", "", ms)) for ms in (493_000, 1_500, None, 1_071_993, 2_000_000)]
    assert (
        texts == ["493 s", "1.500 s", "for ever", "1,071.993 s", "2,000 s"]
        and bound_text(BoundRow("", "", "", error="x")) == "an unknown time"
    )
    endless = BoundRow("hardened", "it", "", None, note="others")
    assert noted(endless) == "for ever (others)"
    assert summary(CheckReport("", "hardened", bounds=[endless]))[1] == "At the longest, it lasts for ever (others)."


@pytest.mark.parametrize(
    ("finding", "steps", "historic", "hardened"),
    [
        (FALSE, 3, "Shown: p is false in s, after 3 steps.", "Still there: p is false in s, after 3 steps."),
        (FALSE, 0, "Shown: p is false in s.", "Still there: p is false in s."),
        (HOLDS, 0, "Not reproduced: p holds in s.", "Mended: p holds in s."),
        (PROVED, 0, "Not reproduced: p holds in s.", "Mended: p holds in s."),
        (OPEN, 0, "Not known: p is not exhausted in s.", "Not known: p is not exhausted in s."),
        (Finding.VACUOUS, 0, "Not known: p is vacuous in s.", "Not known: p is vacuous in s."),
        (None, 0, "Not looked at: no answer about p in s.", "Not looked at: no answer about p in s."),
    ],
)
def test_what_was_found_of_a_defect(finding: Finding | None, steps: int, historic: str, hardened: str) -> None:
    row = DefectRow(1, "", "s", "p", "", finding, "explore", steps)
    assert (defect_text(row, "historic"), defect_text(row, "hardened")) == (historic, hardened)


def test_defects_in_short(report: CheckReport, historic: CheckReport) -> None:
    assert about_defects(historic) == "Of 7 defects of 2021 this run shows 3."
    assert about_defects(report) == "The same questions asked of the hardened profile: 5 answers, 1 of them false."
