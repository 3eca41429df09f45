from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from conformance.checking.backend import Backend
from conformance.checking.console import explanation, listing, properties_of, tables
from conformance.checking.results import CheckReport, CheckResult
from conformance.report.console import Style
from conformance.report.requirements import load_requirements
from model.profile import HARDENED


def test_a_report(report: CheckReport) -> None:
    lines = list(tables(report, Style(), Path("out")))
    text = "\n".join(lines)
    for needed in (
        "  alone  run         89          266     61",
        "  false                  all-delivered  eventually       run: pair",
        "  checked within bounds  armed          always           run: alone",
        "  hardened  one session as sender    19 s",
        "  historic  one session as receiver  for ever",
        "  SES-7   Without it, armed is false in alone, after 2 steps.",
        "  The same questions asked of the hardened profile: 5 answers, 1 of them false.",
        "  2  The radio loses messages. Still there: all-delivered is false in pair, after 6 steps.",
        "all-delivered is false in pair (run)",
        "from here on again and again:",
    ):
        assert needed in text, needed
    assert max(map(len, lines)) <= 100


def test_a_bound_has_its_note_and_no_defects_no_table(report: CheckReport) -> None:
    bounds = [dataclasses.replace(report.bounds[0], milliseconds=None, note="by others")]
    text = "\n".join(tables(dataclasses.replace(report, bounds=bounds, defects=[]), Style(), Path("out")))
    assert "  hardened  one session as sender  for ever (by others)" in text and "historic defects" not in text


@pytest.mark.parametrize("width", [60, 140])
def test_lines_fit_the_terminal_and_its_letters(report: CheckReport, width: int) -> None:
    lines = list(tables(report, Style(width, ascii_only=True), Path("out")))
    assert max(map(len, lines)) <= max(width, 70)  # the table of scopes takes what it needs
    assert "\n".join(lines).isascii()


def test_a_trace_comes_with_its_command(report: CheckReport) -> None:
    check = report.checks[1]
    (answer,) = [a for a in check.answers if a.path]
    assert answer.path is not None
    for change, needed in (
        ({"trace": "x.jsonl"}, "  run it again: scewl replay out/x.jsonl"),
        ({"no_trace": "Because."}, "  no trace: Because."),
    ):
        answers = [dataclasses.replace(answer, path=dataclasses.replace(answer.path, **change))]
        shown = dataclasses.replace(report, checks=[dataclasses.replace(check, answers=answers)])
        assert needed in list(tables(shown, Style(), Path("out")))


def test_errors_and_what_was_not_exhausted_are_said(report: CheckReport) -> None:
    checks = [CheckResult("a", "spin", error="E: " + "no " * 99), CheckResult("b", "explore", states=1_234)]
    text = "\n".join(tables(dataclasses.replace(report, checks=checks), Style(), Path()))
    assert "error: E: no no" in text and " ..." in text and "1,234, not all" in text


def test_lists(backend: Backend) -> None:
    lines = list(listing(backend, HARDENED))
    assert "  alone  One controller, which sends to and hears one peer. [run, explore]" in lines
    assert any(line.endswith("(only by name)") for line in lines)
    assert "  armed          A busy controller has a timer. (DTL-6, SES-7)" in lines


def test_an_explanation(backend: Backend) -> None:
    p, scopes = properties_of(backend, HARDENED)["sss-timer"]
    text = "\n".join(explanation(p, scopes, load_requirements(), 100))
    for needed in (
        "sss-timer: A timer runs with the SSS.",
        "of the kind `always`. It holds in every state that can be reached.",
        "It has a premise",
        "SES-4: SSS: a CPU frame for id 1 while IDLE",
        "alone: One controller",
        "explore: every reachable state is looked at, by compiled code",
        "A violation would be: a shortest path",
    ):
        assert needed in text, needed
    p, scopes = properties_of(backend, HARDENED)["at-most-once"]
    text = "\n".join(explanation(p, scopes, {}, 100))
    assert "premise" not in text and "  SES-8" in text and "large: The same" in text
