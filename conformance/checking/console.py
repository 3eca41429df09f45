"""What `scewl check` prints: tables of scopes and properties, what is false as ladders, and explanations."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from conformance.checking.backend import Backend, Scope
from conformance.checking.ladder import lay_out, steps_text, text_ladder
from conformance.checking.results import CheckReport, CheckResult, PathResult
from conformance.checking.words import (
    ASKED,
    KINDS,
    METHODS,
    VIOLATIONS,
    about_defects,
    defect_text,
    matrix_text,
    never_taken,
    noted,
    replay_command,
    size,
    summary,
    where_text,
    worst_first,
)
from conformance.report.console import Style
from conformance.report.requirements import Requirement, describe
from model.profile import Profile
from model.system.base import Kind, Property
from model.system.outcome import Finding

_STEPS = 60
"""Steps of a path that are printed; the page has more."""


def tables(report: CheckReport, style: Style, folder: Path) -> Iterator[str]:
    """The lines of a report. `folder` is where its traces lie, for the commands that replay them."""
    yield style.strong("scopes")
    yield from _columns([("scope", "engine", "states", "transitions", "depth", "time", "memory"), *_scopes(report)])
    yield ""
    yield style.strong("properties")
    rows = [(known.value, p.name, p.kind.value, where_text(report, p.name)) for p, known in worst_first(report)]
    yield from _columns(rows, style.width)
    if report.bounds:
        yield ""
        yield style.strong("time bounds")
        yield from _columns([(b.profile, b.what, b.error or noted(b)) for b in report.bounds], style.width)
    if report.matrix:
        yield ""
        yield style.strong("hardening rules, each switched off alone")
        yield from _columns([(row.requirement, matrix_text(row)) for row in report.matrix], style.width)
    if report.defects:
        yield ""
        yield style.strong("historic defects")
        yield from textwrap.wrap(about_defects(report), style.width, initial_indent="  ", subsequent_indent="  ")
        found = [(str(row.number), f"{row.says} {defect_text(row, report.profile)}") for row in report.defects]
        yield from _columns(found, style.width)
    if absent := never_taken(report.rules, report.profile):
        yield ""
        yield style.strong(f"rules that no scope of this run takes: {len(absent)} of {len(report.rules)}")
    for check in report.checks:
        for answer in check.answers:
            if answer.finding is Finding.FALSE:
                yield ""
                yield style.strong(f"{answer.property} is false in {check.scope} ({check.engine})")
                says = next(p.says for p in report.properties if p.name == answer.property)
                yield from textwrap.wrap(
                    f"{says} {answer.how}", style.width, initial_indent="  ", subsequent_indent="  "
                )
                if answer.path is not None:
                    yield from path_lines(answer.path, style, folder)
    yield ""
    for sentence in summary(report):
        yield from textwrap.wrap(sentence, style.width)


def path_lines(path: PathResult, style: Style, folder: Path) -> Iterator[str]:
    """A path as a ladder, and how to run it again."""
    yield f"  {steps_text(path)}:"
    lines = text_ladder(lay_out(path), width=style.width, ascii_only=style.ascii_only)
    yield from lines[: _STEPS + 1]
    if len(lines) > _STEPS + 1:
        yield f"  and {len(lines) - _STEPS - 1} more lines; the page has them"
    if command := replay_command(path, folder):
        yield f"  run it again: {command}"
    elif path.no_trace:
        yield f"  no trace: {path.no_trace}"


def _scopes(report: CheckReport) -> Iterator[tuple[str, ...]]:
    for c in report.checks:
        if c.error:
            yield c.scope, c.engine, textwrap.shorten(f"error: {c.error}", 100, placeholder=" ...")
        else:
            yield c.scope, c.engine, *_counts(c), f"{c.seconds:.1f} s", size(c.memory)


def _counts(check: CheckResult) -> tuple[str, str, str]:
    if not check.states:
        return check.note, "", ""
    states = f"{check.states:,}" if check.exhausted else f"{check.states:,}, not all"
    return states, f"{check.transitions:,}", str(check.depth)


def _columns(rows: Sequence[Sequence[str]], width: int = 0) -> Iterator[str]:
    """Rows with their columns aligned, numbers to the right; a last column is wrapped where a width is given."""
    widths: dict[int, int] = {}
    for row in rows:
        for n, cell in enumerate(row[:-1]):
            widths[n] = max(widths.get(n, 0), len(cell))
    for row in rows:
        first = "  " + "".join(f"{_padded(cell, widths[n])}  " for n, cell in enumerate(row[:-1]))
        if width:
            yield from textwrap.wrap(row[-1], width, initial_indent=first, subsequent_indent=" " * len(first)) or [
                first
            ]
        else:
            yield f"{first}{row[-1]}".rstrip()


def _padded(cell: str, width: int) -> str:
    return cell.rjust(width) if cell[:1].isdecimal() else cell.ljust(width)


# Lists and explanations


def listing(backend: Backend, profile: Profile) -> Iterator[str]:
    """All scopes and all properties, a line each."""
    yield "scopes:"
    width = max(map(len, backend.scopes), default=0)
    for scope in backend.scopes.values():
        rare = "" if scope.standard else " (only by name)"
        yield f"  {scope.name:<{width}}  {scope.says} [{', '.join(scope.engines)}]{rare}"
    yield "properties:"
    asked = properties_of(backend, profile)
    width = max(map(len, asked), default=0)
    for name, (p, _) in asked.items():
        yield f"  {name:<{width}}  {p.says} ({', '.join(p.needs)})"


def properties_of(backend: Backend, profile: Profile) -> dict[str, tuple[Property, list[Scope]]]:
    """All properties by name, each with the scopes that ask it."""
    found: dict[str, tuple[Property, list[Scope]]] = {}
    for scope in backend.scopes.values():
        for p in scope.build(profile).properties:
            found.setdefault(p.name, (p, []))[1].append(scope)
    return found


def explanation(p: Property, scopes: Sequence[Scope], known: Mapping[str, Requirement], width: int) -> Iterator[str]:
    """What a property says, what it comes from, where and how it is checked, and what a violation looks like."""
    yield f"{p.name}: {p.says}"
    yield ""
    yield from _paragraph(f"It is a property of the kind `{p.kind}`. {KINDS[p.kind]}", width)
    if p.kind is Kind.ALWAYS and p.premise is not None:
        yield from _paragraph(
            "It has a premise: where that is never met, the property is reported as vacuous, not as true.",
            width,
        )
    yield ""
    yield "Requirements:"
    for need in p.needs:
        text = f"{need}: {known[need].text}" if need in known else describe(need, known)
        yield from _paragraph(text, width, "  ", "    ")
        if need in known and known[need].historic:
            yield from _paragraph(f"Historic: {known[need].historic}", width, "    ", "    ")
    yield ""
    yield "Checked in:"
    for scope in scopes:
        yield from _paragraph(f"{scope.name}: {scope.says}", width, "  ", "    ")
        for engine in scope.engines:
            if p.kind in ASKED.get(engine, (p.kind,)):
                yield from _paragraph(f"{engine}: {METHODS.get(engine, engine)}", width, "    ", "      ")
    yield ""
    yield from _paragraph(f"A violation would be: {VIOLATIONS[p.kind][:1].lower()}{VIOLATIONS[p.kind][1:]}", width)


def _paragraph(text: str, width: int, first: str = "", rest: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)
