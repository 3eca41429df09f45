from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conformance.checking.markdown import render_markdown
from conformance.checking.results import CheckReport, CheckResult, MatrixRow, PropertyResult
from conformance.report.requirements import load_requirements
from model.profile import Profile
from model.system.base import Kind


@pytest.fixture
def text(report: CheckReport) -> str:
    return render_markdown(report, load_requirements(), Path())


def test_it_begins_with_the_verdict_and_three_sentences(text: str) -> None:
    lines = text.splitlines()
    assert lines[0] == "# DTLS over SCEWL: model checking, false"
    assert lines[2] == (
        "Of 9 properties in the hardened profile, 7 hold in every state within bounds (107 states), "
        "1 is false (all-delivered) and 1 is vacuous (sss-timer). "
        "At the longest, one session as sender lasts 19 s and one session as receiver lasts 66 s. "
        f"Switched off alone, 2 of {len(dataclasses.fields(Profile))} hardening rules break a property."
    )


def test_every_table_has_rows_of_its_width(text: str) -> None:
    width = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = line.replace("\\|", "").count("|") - 1
        assert cells == (width or cells)
        width = cells


def test_what_is_in_it(text: str) -> None:
    for needed in (
        "| **false** | `all-delivered` | Both messages arrive. | eventually | SES-2 | pair, run: false |",
        "| **vacuous** | `sss-timer` |",
        "`alone` | One controller, which sends to and hears one peer. | peers: 1 | run | 89 | 266 | 61 |",
        "| SES-7 | Whatever arrives, a controller is IDLE again within a bound. | Without it, armed is false in alone,",
        "| historic | one session as receiver | for ever |",
        "### all-delivered in pair, found by run",
        "### at-most-once in pair without SES-8",
        "message 1  [SES-2.records]",
        "| SENDING_MESSAGE/KEYS | IDLE | DTL-6.timeout, SES-2.records |",
        "| `SES-3.deliver` | controller |",
        "rules are taken in this run's scopes",
    ):
        assert needed in text


def test_defects_link_to_the_headings_of_their_paths(historic: CheckReport) -> None:
    lines = render_markdown(historic, {}, Path()).splitlines()
    (row,) = [line for line in lines if line.startswith("| 1 |")]
    assert row == (
        "| 1 | A replay is delivered again. | Shown: at-most-once is false in pair, after 3 steps. "
        "[Path](#at-most-once-in-pair-found-by-run) |"
    )
    assert "### at-most-once in pair, found by run" in lines
    assert "Of 7 defects of 2021 this run shows 3." in lines
    assert "| 4 | It breaks. | Not reproduced: no-fatal holds in alone. |" in lines


def test_a_bound_has_its_note(report: CheckReport) -> None:
    bounds = [dataclasses.replace(report.bounds[0], milliseconds=None, note="by others")]
    text = render_markdown(dataclasses.replace(report, bounds=bounds, defects=[]), {}, Path())
    assert "| hardened | one session as sender | for ever (by others) |" in text and "Historic defects" not in text


def test_a_cell_cannot_end_its_row(report: CheckReport) -> None:
    hostile = PropertyResult("p", Kind.ALWAYS, [], "a | b\n| c")
    text = render_markdown(dataclasses.replace(report, properties=[hostile]), {}, Path())
    assert "a \\| b \\| c" in text


def test_an_interrupted_run_says_so() -> None:
    report = CheckReport("scewl check", "hardened", missing=["explore: pair", "without SES-9"])
    text = render_markdown(report, {}, Path())
    assert "**Incomplete: the run was interrupted before explore: pair, without SES-9.**" in text
    assert "No property was checked. How long a controller can be busy was not asked." in text


def test_errors_and_lemmas_stand_in_the_table_of_scopes() -> None:
    checks = [
        CheckResult("a", "spin", error="EngineError: no spin"),
        CheckResult("a", "prove", note="3 of 4 lemmas proved"),
    ]
    matrix = [MatrixRow("ses_9", "SES-9", reason="No scope was explored.", known=False)]
    text = render_markdown(CheckReport("", "hardened", checks=checks, matrix=matrix), {}, Path())
    assert "EngineError: no spin" in text and "3 of 4 lemmas proved" in text and "No scope was explored." in text
    assert "Switched off alone, 0 of 1 hardening rules break a property, and of 1 this is not known." in text
