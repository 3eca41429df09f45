"""The tables of the page that look across cases: requirements, coverage, wrong firmwares, and the run before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.mutation.page import bar
from conformance.mutation.results import Matrix, Result
from conformance.report.console import worst_first
from conformance.report.drift import drift
from conformance.report.requirements import PROTOCOL_PAGE, Requirement
from conformance.report.traceability import load_beyond_model, load_ledger, model_rules
from conformance.results import CaseResult, Report
from model.rules import RULES
from model.state import Mode, Step

MUTANTS = PROTOCOL_PAGE.parents[1] / "reports/mutants.json"
"""What `make mutants` left in this checkout."""
CITED = 40
"""Cases that a requirement names, the worst first."""
_NAMED = 3
"""Cases that a cell of the heat-map names."""
_LEVELS = (1, 3, 10, 30, 100)
"""Cases from which a cell is warmer."""
_DRIFTS = 200
"""Differences from the run before that the page shows."""


def matrices(
    report: Report, known: Mapping[str, Requirement], previous: Report | None, selected: bool
) -> dict[str, Any]:
    """What the template `matrices.html.j2` shows."""
    rows = requirement_rows(report, known)
    return {
        "requirements": rows,
        "cited": sum(1 for row in rows if row["cases"]),
        "heat": heat(report),
        "taken": rule_rows(report),
        "mutants": mutant_rows(MUTANTS, {case.case for case in report.cases}),
        "compared": compared(previous, report, selected),
    }


def requirement_rows(report: Report, known: Mapping[str, Requirement]) -> list[dict[str, Any]]:
    """Each requirement that is known or cited: its rules of the model, its cases, where to see it, its worst verdict;
    those with the worst verdicts first, else in the order of their pages."""
    citing: dict[str, list[CaseResult]] = {requirement: [] for requirement in known}
    for case in report.cases:
        for requirement in case.requirements:
            citing.setdefault(requirement, []).append(case)
    rules, ledger, beyond = model_rules(), load_ledger(), load_beyond_model()
    order = {case.case: number for number, case in enumerate(worst_first(report.cases))}
    rows = []
    for requirement, cases in citing.items():
        cases.sort(key=lambda case: order[case.case])
        entry = ledger.get(requirement)
        witness = _witness(cases, rules.get(requirement, []))
        rows.append(
            {
                "id": requirement,
                "line": known[requirement].line if requirement in known else "",
                "rules": rules.get(requirement, []),
                "beyond": beyond.get(requirement, ""),
                "verdict": max(case.verdict for case in cases).name if cases else "",
                "cases": [case.case for case in cases[:CITED]],
                "more": max(0, len(cases) - CITED),
                "witness": witness[0].case if witness else "",
                "frame": witness[1] if witness else 0,
                "tests": entry.tests if entry else (),
                "reason": entry.reason if entry else "",
                "order": (0, order[cases[0].case]) if cases and cases[0].verdict.exit_code else (1, 0),
            }
        )
    return sorted(rows, key=lambda row: row["order"])


def _witness(cases: Sequence[CaseResult], rules: Sequence[str]) -> tuple[CaseResult, int] | None:
    """A case, the worst if it can be, and the frame of its capture that shows what the requirement is about."""
    for case in cases:
        frames = [case.rules[rule] for rule in rules if case.rules.get(rule)]
        if case.shown or frames:
            return case, case.shown or min(frames)
    return (cases[0], 0) if cases else None


def heat(report: Report) -> dict[str, Any]:
    """Events by the state in which they came: in how many cases, and in which, for example."""
    cells: dict[tuple[str, str], list[str]] = {}
    for case in report.cases:
        for met in case.met:
            state, _, event = met.partition(" ")
            cells.setdefault((state, event), []).append(case.case)
    kinds = dict.fromkeys(rule.on for rule in RULES if rule.on)
    events = [kind for kind in kinds if any(e == kind for _, e in cells)]
    events += sorted({event for _, event in cells} - set(events))
    known = [f"{mode.name}/{step.name}" if step else mode.name for mode in Mode for step in Step]
    states = [state for state in known if any(s == state for s, _ in cells)]
    states += sorted({state for state, _ in cells} - set(states))
    return {
        "events": events,
        "rows": [
            {"state": state, "cells": [_cell(cells.get((state, event), [])) for event in events]} for state in states
        ],
        "met": len(cells),
    }


def rule_rows(report: Report) -> list[dict[str, Any]]:
    """The model's rules: how many cases took each, and the first of them with its frame."""
    rows = []
    for rule in RULES:
        taking = [case for case in report.cases if rule.id in case.rules]
        first = next((case for case in taking if case.rules[rule.id]), taking[0] if taking else None)
        rows.append(
            _cell([case.case for case in taking])
            | {
                "id": rule.id,
                "says": rule.says,
                "first": first.case if first else "",
                "frame": first.rules[rule.id] if first else 0,
            }
        )
    return rows


def _cell(cases: Sequence[str]) -> dict[str, Any]:
    more = f" and {len(cases) - _NAMED} more" if len(cases) > _NAMED else ""
    return {
        "count": len(cases),
        "level": sum(len(cases) >= least for least in _LEVELS),
        "cases": ", ".join(cases[:_NAMED]) + more,
    }


def mutant_rows(path: Path, cases: set[str]) -> dict[str, Any] | None:
    """The mutation matrix, with links to the cases that are in this report; None if there is none that can be read."""
    try:
        matrix = Matrix.load(path)
    except (OSError, ValueError):
        return None
    sample = matrix.automatic
    return {
        "of": matrix.cases,
        "killed": sum(r.killed for r in matrix.written),
        "written": [_mutant(r, cases) for r in sorted(matrix.written, key=lambda r: r.killed)],
        "automatic": None
        if sample is None
        else {
            "judged": len(sample.judged),
            "killed": sum(r.killed for r in sample.judged),
            "bar": f"{bar(sample):.1%}",
            "survivors": [
                {"id": r.id, "at": f"{r.file}:{r.line}", "says": r.says, "why": _why(sample.explained, r.id)}
                for r in sample.judged
                if not r.killed
            ],
        },
    }


def _mutant(result: Result, cases: set[str]) -> dict[str, Any]:
    kill = result.cheapest
    return {
        "id": result.id,
        "says": result.says,
        "count": len(result.killers),
        "of": result.run,
        "case": kill.case if kill else "",
        "linked": kill is not None and kill.case in cases,
        "seconds": f"{kill.virtual_ms / 1000:.3f}" if kill else "",
        "broke": sorted(kill.requirements, key=lambda rule: rule != result.rule)[:4] if kill else [],
        "reason": kill.reason if kill else "",
    }


def _why(explained: Sequence[Any], name: str) -> str:
    return next((f"{e.kind}: {e.because}{f' ({e.test})' if e.test else ''}" for e in explained if e.id == name), "")


def compared(previous: Report | None, report: Report, selected: bool) -> dict[str, Any] | None:
    """What differs from the run before; None if there was none. If only some cases were `selected`, others are not
    missed."""
    if previous is None:
        return None
    now = {case.case for case in report.cases}
    before = {case.case for case in previous.cases}
    changes = drift(previous, report, selected)
    rank = {name: (change.now is None, -(change.now or 0)) for change in changes for name in [change.case]}
    return {
        "command": previous.command,
        "other": _other(previous, report),
        "same": len(now & before) - sum(c.was is not None and c.now is not None for c in changes),
        "new": len(now - before),
        "gone": len(before - now),
        "changes": [
            {
                "case": change.case,
                "was": change.was.name if change.was is not None else "",
                "now": change.now.name if change.now is not None else "",
                "reason": change.reason,
            }
            for change in sorted(changes, key=lambda c: (rank[c.case], c.case))[:_DRIFTS]
        ],
        "more": max(0, len(changes) - _DRIFTS),
    }


def _other(previous: Report, report: Report) -> list[str]:
    """What was another one then: two runs of one firmware differ for other reasons than runs of two."""
    pairs = [("target", previous.target, report.target), ("profile", previous.profile, report.profile)]
    pairs += [("seed", str(previous.seed), str(report.seed))]
    pairs += [("firmware", str(previous.firmware.get("sha256", ""))[:12], str(report.firmware.get("sha256", ""))[:12])]
    return [f"{name} {was or 'unknown'}, now {now or 'unknown'}" for name, was, now in pairs if was != now]
