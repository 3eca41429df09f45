from __future__ import annotations

import io
from pathlib import Path

import pytest

from conformance.report import console
from conformance.report.console import Style, details, progress_line, summary, table, worst_first
from conformance.report.requirements import load_requirements
from conformance.results import KNOWN, STALE, Report
from model.verdict import Verdict

PLAIN = Style()


class Terminal(io.TextIOWrapper):
    """A stream that says whether it is a terminal."""

    def __init__(self, encoding: str, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),  # no-color.org: only when not empty
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour_only_where_it_is_wanted(terminal: bool, environment: dict[str, str], colour: bool) -> None:
    style = Style.of(Terminal("utf-8", terminal), environment)
    assert style.colour is colour
    assert ("\x1b" in style.verdict(Verdict.FAIL)) is colour


def test_a_stream_without_unicode_gets_ascii(report: Report) -> None:
    style = Style.of(Terminal("latin-1", False), {})
    assert style.ascii_only and not Style.of(Terminal("utf-8", False), {}).ascii_only
    fail = report.cases[1]
    fail.evidence = []
    fail.requirements *= 20
    text = "\n".join([*details(fail, {}, style), *table(report, style)])
    assert "..." in text
    text.encode("ascii")


def test_progress_says_how_far_and_how_long(report: Report) -> None:
    line = progress_line(3, 27, report.cases[0], PLAIN)
    assert line == "[ 3/27] PASS register-then-send  virtual 28.0 s  wall 0.8 s"


def test_worst_first_and_otherwise_as_run(report: Report) -> None:
    assert [case.case for case in worst_first(report.cases)] == [
        "glare-lower-yields",
        "qemu-gone",
        "faa-while-busy",
        "register-then-send",
        "loss-flight-5",
    ]
    assert summary(report) == "1 failed, 1 error, 1 inconclusive, 2 passed"
    assert summary(Report("", "reference", "hardened", 0)) == "no case"


def test_table_has_both_times_and_the_verdict_of_all(report: Report) -> None:
    lines = list(table(report, PLAIN))
    assert lines[0] == "verdict       case                 virtual s   wall s  requirements"
    assert lines[1] == "FAIL          glare-lower-yields      28.000      0.8  SES-9 SES-12"
    assert lines[-1] == ("ERROR         1 failed, 1 error, 1 inconclusive, 2 passed; 277.000 s virtual, 5.4 s wall")
    assert len(lines) == 7


def test_table_of_nothing_is_inconclusive() -> None:
    lines = list(table(Report("", "reference", "hardened", 0), PLAIN))
    assert lines[-1] == "INCONCLUSIVE  no case; 0.000 s virtual, 0.0 s wall"


def test_a_failure_says_all_that_is_needed(report: Report) -> None:
    text = "\n".join(details(report.cases[1], load_requirements(), PLAIN, folder=Path("out")))
    for needed in (
        "FAIL glare-lower-yields: Title of glare-lower-yields",
        "at step 8, 7.400 s, after forged(source=11):",
        "observed: alert(to=11)\n    allowed:  nothing\n         or:  hello(to=11), faa-cpu(size=16, intact=1)\n",
        "deadline: no timer, allowed: 7.000 s or 14.000 s\n",
        "rules:    ignore-forged",
        "requirement SES-12: No network input leads to FATAL_ERROR.",
        "requirement XYZ-1\n",
        "frames (12 of 14):",
        "▸     7.400",
        "scewl: session 11 closed",
        "capture:   out/glare-lower-yields.pcapng",
        "trace:     out/glare-lower-yields.jsonl",
        "reproduce: scewl conform glare-lower-yields --target reference --seed 7",
    ):
        assert needed in text


def test_an_explanation_is_not_said_twice(report: Report) -> None:
    fail = report.cases[1]
    assert fail.divergence is not None
    explanation = fail.divergence.explanation
    assert "\n".join(details(fail, {}, PLAIN)).count(explanation) == 1
    fail.reason = explanation
    assert "\n".join(details(fail, {}, PLAIN)).count(explanation) == 1


def test_an_allowed_deadline_is_not_mentioned(report: Report) -> None:
    fail = report.cases[1]
    assert fail.divergence is not None
    fail.divergence.observed_deadline = 14_000
    assert "deadline" not in "\n".join(details(fail, {}, PLAIN))


def test_many_possibilities_are_cut_and_counted(report: Report) -> None:
    fail = report.cases[1]
    assert fail.divergence is not None
    fail.divergence.allowed = [[f"data(to={n})"] for n in range(20)]
    text = "\n".join(details(fail, {}, PLAIN))
    assert "data(to=7)" in text and "data(to=8)" not in text and "and 12 more" in text
    fail.divergence.allowed = []
    assert "no continuation at all" in "\n".join(details(fail, {}, PLAIN))


def test_what_a_device_wrote_cannot_drive_the_terminal(report: Report) -> None:
    text = "\n".join(details(report.cases[1], {}, Style(colour=False)))
    assert "\x1b" not in text and "\x00" not in text
    assert "r0 " in text and "  r1   2" in text


def test_lines_keep_to_the_width(report: Report) -> None:
    for case in report.cases:
        case.reproduce = ""  # to be copied, so never cut
        lines = list(details(case, load_requirements(), Style(width=72)))
        assert max(map(len, lines)) <= 72, max(lines, key=len)


def test_the_order_of_words_covers_every_verdict() -> None:
    assert set(console._WORDS) == {verdict.name for verdict in Verdict} | {KNOWN, STALE}
