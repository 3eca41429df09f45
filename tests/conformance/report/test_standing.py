"""Cases that were skipped, and known deviations: what they count for, and that each report says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import Failure, JUnitXml, Skipped

from conformance.report.console import Style, asides, details, summary, table
from conformance.report.drift import drift
from conformance.report.html import render_page
from conformance.report.junit import write_junit
from conformance.results import CaseResult, Report
from model.verdict import Verdict

COMMENT = "Ticket 17 <b>."


def case(name: str, verdict: Verdict, expected: str = "", reason: str = "") -> CaseResult:
    known = COMMENT if expected else ""
    return CaseResult(
        name,
        name.title(),
        "",
        10,
        "qemu",
        "hardened",
        ["SES-9"],
        verdict,
        reason,
        0,
        0.0,
        0,
        expected=expected,
        known=known,
    )


PASSED = case("passed", Verdict.PASS)
SKIPPED = case("skipped", Verdict.SKIPPED, reason="The firmware does not claim SES-9.")
KNOWN = case("known", Verdict.FAIL, "FAIL", "Something else came.")
STALE = case("stale", Verdict.PASS, "FAIL")
OTHERWISE = case("otherwise", Verdict.ERROR, "FAIL", "No QEMU.")


def report(*cases: CaseResult) -> Report:
    return Report("scewl conform", "qemu", "hardened", 0, cases=list(cases))


@pytest.mark.parametrize(
    ("cases", "verdict", "code"),
    [
        ([PASSED, SKIPPED, KNOWN], Verdict.PASS, 0),
        ([SKIPPED, SKIPPED], Verdict.SKIPPED, 4),
        ([KNOWN], Verdict.PASS, 0),
        ([PASSED, STALE], Verdict.FAIL, 1),
        ([PASSED, OTHERWISE], Verdict.ERROR, 3),
        ([case("worse", Verdict.FAIL, "INCONCLUSIVE")], Verdict.FAIL, 1),
        ([case("as-known", Verdict.INCONCLUSIVE, "INCONCLUSIVE")], Verdict.PASS, 0),
    ],
)
def test_what_they_count_for(cases: list[CaseResult], verdict: Verdict, code: int) -> None:
    made = report(*cases)
    assert (made.verdict, made.verdict.exit_code) == (verdict, code)


def test_the_console_has_a_word_for_each() -> None:
    made = report(PASSED, SKIPPED, KNOWN, STALE, SKIPPED)
    assert summary(made) == "1 stale, 1 known deviations, 1 passed, 2 skipped"
    assert [line.split()[0] for line in table(made, Style())][1:-1] == ["STALE", "KNOWN", "PASS", "SKIPPED", "SKIPPED"]
    assert list(asides(made, Style())) == [
        f"known: known, FAIL: {COMMENT}",
        "skipped: 2 cases: The firmware does not claim SES-9.",
    ]
    told = "\n".join(details(STALE, {}, Style()))
    assert told.startswith("STALE stale: Stale") and f"known deviation (FAIL): {COMMENT}" in told
    assert "It passes now: take the entry out" in told


def test_junit_skips_them_and_fails_on_stale_ones(tmp_path: Path) -> None:
    write_junit(report(PASSED, SKIPPED, KNOWN, STALE), tmp_path / "junit.xml", {})
    document = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (document.tests, document.failures, document.errors, document.skipped) == (4, 1, 0, 2)
    (suite,) = document
    kinds = {c.name: [(type(r), r.type, r.message) for r in c.result] for c in suite}
    assert kinds == {
        "passed": [],
        "skipped": [(Skipped, "SKIPPED", "The firmware does not claim SES-9.")],
        "known": [(Skipped, "KNOWN", f"known deviation (FAIL): {COMMENT}")],
        "stale": [(Failure, "STALE", f"passes, but is a known deviation (FAIL): {COMMENT}")],
    }


def test_the_page_names_and_counts_them() -> None:
    page = render_page(report(PASSED, SKIPPED, KNOWN, STALE), {})
    for name, standing in (("skipped", "SKIPPED"), ("known", "KNOWN"), ("stale", "STALE")):
        assert f'<details class="case {standing.lower()}" id="{name}" data-verdict="{standing}"' in page
        assert f'<button type="button" data-verdict="{standing}"' in page
    assert "Known deviation (FAIL): Ticket 17 &lt;b&gt;." in page and COMMENT not in page
    assert page.count("It passes now") == 1


def test_the_report_keeps_them(tmp_path: Path) -> None:
    made = report(SKIPPED, KNOWN, STALE)
    (tmp_path / "report.json").write_text(made.to_json())
    assert Report.load(tmp_path / "report.json") == made
    assert drift(made, made) == [] and drift(report(), report(SKIPPED)) == []
    assert [str(d) for d in drift(report(PASSED), report(case("passed", Verdict.SKIPPED)))] == [
        "passed: PASS -> SKIPPED"
    ]
