from __future__ import annotations

import pytest

from conformance.checking.results import AnswerResult, BoundRow, CheckReport, CheckResult, PropertyResult
from conformance.checking.words import bound_text, counted, size, summary, verdict, where_text
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
    texts = [bound_text(BoundRow("", "", "", ms)) for ms in (493_000, 1_500, None)]
    assert (
        texts == ["493 s", "1.500 s", "for ever"] and bound_text(BoundRow("", "", "", error="x")) == "an unknown time"
    )
