"""The report as Markdown: the page's twin, for reading in a terminal or a repository."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from conformance.checking.ladder import lay_out, steps_text, text_ladder
from conformance.checking.results import CheckReport, CheckResult, DefectRow, PathResult
from conformance.checking.words import (
    about_defects,
    defect_text,
    finding_text,
    matrix_text,
    never_taken,
    noted,
    replay_command,
    size,
    summary,
    verdict,
    worst_first,
)
from conformance.report.requirements import Requirement
from model.system.outcome import Finding

_STEPS = 100
"""Steps of a path that are drawn."""


def render_markdown(report: CheckReport, known: Mapping[str, Requirement], folder: Path) -> str:
    """The text of `report.md`. The same report gives the same text. `folder` is where its traces lie."""
    return "\n".join(_lines(report, known, folder)) + "\n"


def _lines(report: CheckReport, known: Mapping[str, Requirement], folder: Path) -> Iterator[str]:
    yield f"# DTLS over SCEWL: model checking, {verdict(report)}"
    yield ""
    if report.missing:
        yield f"**Incomplete: the run was interrupted before {', '.join(report.missing)}.**"
        yield ""
    yield " ".join(summary(report))
    yield ""
    yield f"    {report.command}"
    yield from _section("Properties")
    rows = [
        (
            f"**{standing}**",
            f"`{p.name}`",
            p.says,
            p.kind.value,
            ", ".join(p.needs),
            "; ".join(
                f"{check.scope}, {check.engine}: {finding_text(check, a)}" for check, a in report.answers(p.name)
            ),
        )
        for p, standing in worst_first(report)
    ]
    yield from _table(("", "property", "says", "kind", "requirements", "found"), rows)
    yield from _section("Scopes")
    says = {s.name: (s.says, ", ".join(f"{what}: {bound}" for what, bound in s.bounds.items())) for s in report.scopes}
    yield from _table(
        ("scope", "is", "bounds", "engine", "states", "transitions", "depth", "time", "memory"),
        [
            (
                f"`{c.scope}`",
                *says.get(c.scope, ("", "")),
                c.engine,
                *_sizes(c),
            )
            for c in report.checks
        ],
    )
    if report.matrix:
        yield from _section("What each hardening rule buys")
        yield from _table(
            ("rule", "asks for", "switched off alone"),
            [
                (row.requirement, known[row.requirement].line if row.requirement in known else "", matrix_text(row))
                for row in report.matrix
            ],
        )
    if report.defects:
        yield from _section("Historic defects")
        yield about_defects(report)
        yield ""
        yield from _table(
            ("number", "defect", "found"),
            [(str(row.number), row.says, _defect(row, report.profile)) for row in report.defects],
        )
    if report.bounds:
        yield from _section("Time bounds")
        yield from _table(
            ("profile", "what", "at the longest"),
            [(b.profile, b.what, b.error or noted(b)) for b in report.bounds],
        )
    yield from _paths(report, folder)
    if report.edges:
        yield from _section("States of one controller")
        yield from _table(
            ("from", "to", "rules"), [(e.start, e.end, ", ".join(e.rules)) for e in report.edges if e.start != e.end]
        )
    yield from _rules(report)


def _defect(row: DefectRow, profile: str) -> str:
    """With a link to the heading that its path stands under."""
    text = defect_text(row, profile)
    if row.finding is not Finding.FALSE or not row.steps:
        return text
    heading = _found_by(row.property, row.scope, row.engine)
    return f"{text} [Path](#{heading.replace(',', '').replace(' ', '-')})"


def _found_by(name: str, scope: str, engine: str) -> str:
    return f"{name} in {scope}, found by {engine}"


def _sizes(check: CheckResult) -> tuple[str, ...]:
    if check.error:
        return check.error, "", "", "", ""
    counts = (f"{check.states:,}", f"{check.transitions:,}", str(check.depth)) if check.states else (check.note, "", "")
    return (*counts, f"{check.seconds:.1f} s", size(check.memory))


def _paths(report: CheckReport, folder: Path) -> Iterator[str]:
    """The counterexamples, then what breaks without each hardening rule."""
    found = [
        (_found_by(a.property, check.scope, check.engine), a.how, a.path)
        for check in report.checks
        for a in check.answers
        if a.path is not None and a.finding is Finding.FALSE
    ]
    found += [(f"{r.property} in {r.scope} without {r.requirement}", "", r.path) for r in report.matrix if r.path]
    if found:
        yield from _section("Counterexamples")
    for title, how, path in found:
        yield f"### {title}"
        yield ""
        yield f"{steps_text(path)}{': ' + how if how else ''}"
        yield ""
        yield from _drawn(path)
        if command := replay_command(path, folder):
            yield f"Run it again: `{command}`"
        elif path.no_trace:
            yield f"No trace: {path.no_trace}"
        yield ""


def _drawn(path: PathResult) -> Iterator[str]:
    lines = text_ladder(lay_out(path), width=120)
    yield "```"
    yield from lines[: _STEPS + 1]
    if len(lines) > _STEPS + 1:
        yield f"... {len(lines) - _STEPS - 1} more lines"
    yield "```"
    yield ""


def _rules(report: CheckReport) -> Iterator[str]:
    if not report.rules:
        return
    yield from _section("Rules")
    absent = never_taken(report.rules, report.profile)
    taken = sum(1 for rule in report.rules if rule.scopes)
    yield f"{taken} of {len(report.rules)} rules are taken in this run's scopes; {len(absent)} should be and are not."
    yield ""
    yield from _table(
        ("rule", "party", "says", "taken in"),
        [
            (f"`{r.id}`", r.party, r.says, ", ".join(r.scopes) or ("**never**" if r in absent else "never (historic)"))
            for r in report.rules
        ],
    )


def _section(title: str) -> Iterator[str]:
    yield from ("", f"## {title}", "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    """A cell's text must not end the cell or the line."""
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"
