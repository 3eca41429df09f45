"""What `scewl` prints about cases: a line as each ends, the details of those that did not pass, and a table."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from conformance.report.ladder import around, lay_out, seconds, text_ladder
from conformance.report.requirements import Requirement, describe
from conformance.results import KNOWN, STALE, CaseResult, Divergence, Report
from model.verdict import Verdict

_COLOURS = {"PASS": "32", "INCONCLUSIVE": "33", "FAIL": "31", "ERROR": "35", "SKIPPED": "2", KNOWN: "33", STALE: "31"}
_WORDS = {
    "FAIL": "failed",
    STALE: "stale",
    "ERROR": "error",
    "INCONCLUSIVE": "inconclusive",
    KNOWN: "known deviations",
    "PASS": "passed",
    "SKIPPED": "skipped",
}
"""What a summary calls them, in the order in which people want to read."""
_NARROW, _WIDE = 60, 140
_EVIDENCE = 30
"""Lines of evidence that a console shows; the page shows all."""
_ALLOWED = 8
"""Possibilities that a console shows; the page shows all."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a stream takes text: its width in columns, whether it shows colour, whether it can only encode ASCII."""

    width: int = 100
    colour: bool = False
    ascii_only: bool = False

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] | None = None) -> Style:
        """The style for a stream. Colour only on a terminal, never with `NO_COLOR` set or `TERM=dumb`."""
        environment = os.environ if environment is None else environment
        terminal = stream.isatty()
        columns = shutil.get_terminal_size((100, 24)).columns if terminal else 100
        colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        try:
            "─▶│".encode(stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls(min(max(columns, _NARROW), _WIDE), colour, ascii_only=True)
        return cls(min(max(columns, _NARROW), _WIDE), colour)

    def verdict(self, verdict: Verdict | str, width: int = 0) -> str:
        """The name of a verdict, or a case's standing, padded to `width`, in its colour."""
        standing = verdict.name if isinstance(verdict, Verdict) else verdict
        return self._paint(standing.ljust(width), _COLOURS[standing])

    def strong(self, text: str) -> str:
        """A text that stands out."""
        return self._paint(text, "1")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text


def progress_line(done: int, total: int, case: CaseResult, style: Style) -> str:
    """One line for a case that has just ended, such as `[ 3/27] PASS register-then-send  virtual 0.0 s  wall 0.8 s`."""
    count = f"[{done:>{len(str(total))}}/{total}]"
    times = f"virtual {case.virtual_ms / 1000:.1f} s  wall {case.wall_s:.1f} s"
    return f"{count} {style.verdict(case.standing)} {case.case}  {times}"


def worst_first(cases: Iterable[CaseResult]) -> list[CaseResult]:
    """In the order in which people want to read: what failed first, what was skipped last, each as they were run."""
    return sorted(cases, key=lambda case: list(_WORDS).index(case.standing))


def summary(report: Report) -> str:
    """`1 failed, 3 passed`."""
    counts = Counter(case.standing for case in report.cases)
    return ", ".join(f"{counts[standing]} {word}" for standing, word in _WORDS.items() if counts[standing]) or "no case"


def table(report: Report, style: Style) -> Iterator[str]:
    """The lines of the final table, the worst cases first, and the summary below."""
    cases = worst_first(report.cases)
    name = max([len("case"), *(len(case.case) for case in cases)])
    requirements = max(12, style.width - 14 - name - 24)
    heading = f"{'verdict':<12}  {'case':<{name}}  {'virtual s':>10}  {'wall s':>7}  requirements"
    yield style.strong(heading)
    for case in cases:
        times = f"{seconds(case.virtual_ms):>10}  {case.wall_s:>7.1f}"
        shown = textwrap.shorten(" ".join(case.requirements), requirements, placeholder=_ellipsis(style))
        yield f"{style.verdict(case.standing, 12)}  {case.case:<{name}}  {times}  {shown}".rstrip()
    virtual = seconds(sum(case.virtual_ms for case in cases))
    wall = f"{sum(case.wall_s for case in cases):.1f}"
    yield f"{style.verdict(report.verdict.name, 12)}  {summary(report)}; {virtual} s virtual, {wall} s wall"


def asides(report: Report, style: Style) -> Iterator[str]:
    """The lines about what did not fail the run but is no pass: known deviations, and why cases were skipped."""
    for case in report.cases:
        if case.standing == KNOWN:
            yield from _wrapped(f"known: {case.case}, {case.expected}: {case.known}", style, "", "  ")
    for reason, count in Counter(case.reason for case in report.cases if case.verdict is Verdict.SKIPPED).most_common():
        yield from _wrapped(f"skipped: {count} case{'s' * (count > 1)}: {reason}", style, "", "  ")


def details(
    case: CaseResult, known: Mapping[str, Requirement], style: Style, *, folder: Path | None = None, frames: int = 12
) -> Iterator[str]:
    """The lines about one case that a person needs: what differed, what it breaks, where, and how to see it again.

    `folder` is where trace and capture lie; without it their names are shown as the case has them. `frames` is how many
    the ladder has at most.
    """
    yield f"{style.verdict(case.standing)} {style.strong(case.case)}: {case.title}"
    if case.reason:
        yield from _wrapped(case.reason, style)
    if case.known:
        yield from _wrapped(f"known deviation ({case.expected}): {case.known}", style)
    if case.standing == STALE:
        yield from _wrapped("It passes now: take the entry out of the IUT's file, or narrow its pattern.", style)
    if case.divergence is not None:
        yield from _difference(case, case.divergence, known, style)
    elif case.verdict > Verdict.PASS and case.requirements:
        yield from _requirements(case.requirements, known, style)
    yield from _ladder_lines(case, style, frames)
    if case.evidence and case.verdict is not Verdict.PASS:
        yield "  evidence:"
        yield from (f"    {_printable(line)}"[: style.width] for line in case.evidence[-_EVIDENCE:])
    where = folder or Path()
    if case.capture:
        yield f"  capture:   {where / case.capture}"
    if case.trace:
        yield f"  trace:     {where / case.trace}"
    if case.reproduce:
        yield f"  reproduce: {case.reproduce}"


def _ladder_lines(case: CaseResult, style: Style, count: int) -> Iterator[str]:
    """The ladder of the `count` frames around the divergence, or of the last ones; nothing if no frame moved."""
    if not case.ladder:
        return
    step = case.divergence.step if case.divergence is not None else None
    shown = around(case.ladder, step, count)
    yield f"  frames ({len(shown)} of {len(case.ladder)}):" if len(shown) < len(case.ladder) else "  frames:"
    ladder = lay_out(shown, case.iut)
    yield from text_ladder(ladder, width=style.width, mark=step, ascii_only=style.ascii_only)


def deadline_text(deadline: int | None) -> str:
    """A deadline as it is shown: `12.345 s`, or `no timer`."""
    return "no timer" if deadline is None else f"{seconds(deadline)} s"


def _difference(
    case: CaseResult, divergence: Divergence, known: Mapping[str, Requirement], style: Style
) -> Iterator[str]:
    yield f"  at step {divergence.step}, {seconds(divergence.time)} s, after {divergence.stimulus}:"
    yield f"    observed: {_outputs(divergence.observed)}"
    possibilities = divergence.allowed[:_ALLOWED]
    for index, outputs in enumerate(possibilities):
        yield f"    {'allowed: ' if index == 0 else '     or: '} {_outputs(outputs)}"
    if not possibilities:
        yield "    allowed:  no continuation at all"
    if len(divergence.allowed) > _ALLOWED:
        yield f"          and {len(divergence.allowed) - _ALLOWED} more"
    if divergence.observed_deadline not in divergence.allowed_deadlines:
        allowed = " or ".join(dict.fromkeys(deadline_text(d) for d in divergence.allowed_deadlines)) or "none"
        yield f"    deadline: {deadline_text(divergence.observed_deadline)}, allowed: {allowed}"
    if divergence.rules:
        yield f"    rules:    {', '.join(divergence.rules)}"
    if divergence.explanation != case.reason:
        yield from _wrapped(divergence.explanation, style, "    ")
    yield from _requirements(divergence.requirements, known, style)


def _requirements(ids: list[str], known: Mapping[str, Requirement], style: Style) -> Iterator[str]:
    for requirement in ids:
        yield from _wrapped(describe(requirement, known), style, "  requirement ", " " * 14)


def _outputs(outputs: list[str]) -> str:
    return ", ".join(outputs) or "nothing"


def _printable(text: str) -> str:
    """With escapes for control characters, so that what a device wrote cannot drive the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.expandtabs())


def _ellipsis(style: Style) -> str:
    return "..." if style.ascii_only else "…"


def _wrapped(text: str, style: Style, first: str = "  ", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        style.width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    )
