"""The report as one page: no external resource, everything escaped, worst first, a diagram to click on.

Like the page of `scewl conform`, whose colours and type it shares, its content security policy allows nothing but its
own style and script, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import conformance.report
from conformance.checking.diagram import NoDiagram, anchor, render_diagram
from conformance.checking.ladder import changes, lay_out, steps_text, svg_ladder
from conformance.checking.results import CheckReport, PathResult, Standing
from conformance.checking.words import (
    KINDS,
    VIOLATIONS,
    about_defects,
    bound_text,
    counted,
    defect_text,
    finding_text,
    matrix_text,
    never_taken,
    replay_command,
    size,
    summary,
    verdict,
    worst_first,
)
from conformance.report.requirements import Requirement
from model.system.outcome import Finding

_FOLDER = Path(__file__).parent
_SHARED = Path(conformance.report.__file__).parent / "page.css"
_STEPS = 200
"""Steps of a path that the page draws; report.json has all."""

TONES = {
    Standing.PROVED: "pass",
    Standing.BOUNDED: "pass",
    Standing.FALSE: "fail",
    Standing.OPEN: "inconclusive",
    Standing.VACUOUS: "inconclusive",
    Standing.UNCHECKED: "inconclusive",
}
_PLAIN = (Finding.HOLDS, Finding.VACUOUS)
"""Findings of which the text says all."""
_VERDICTS = {"true": "pass", "false": "fail", "open": "inconclusive"}


def render_page(report: CheckReport, known: Mapping[str, Requirement], folder: Path) -> str:
    """The page's text. The same report gives the same page. `folder` is where its traces lie, for their commands."""
    css = _SHARED.read_text("utf-8") + (_FOLDER / "page.css").read_text("utf-8")
    script = (_FOLDER / "page.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    paths = _Paths(folder)
    properties = _properties(report, known, paths)
    matrix = _matrix(report, known, paths)
    bounds = _bounds(report, paths)
    diagram, no_diagram = _diagram(report)
    return environment.get_template("page.html.j2").render(
        report=report,
        verdict=verdict(report),
        tone=_VERDICTS[verdict(report)],
        counted=counted(report),
        summary=summary(report),
        facts=_facts(report),
        properties=properties,
        scopes=_scopes(report),
        matrix=matrix,
        bounds=bounds,
        about_defects=about_defects(report),
        defects=_defects(report, properties),
        diagram=Markup(diagram),
        no_diagram=no_diagram,
        states=_states(report, paths),
        rules=_rules(report),
        absent=len(never_taken(report.rules, report.profile)),
        taken=sum(1 for rule in report.rules if rule.scopes),
        css=Markup(css),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


class _Paths:
    """The paths of the page, each with an id that links can name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[dict[str, Any]] = []

    def add(self, path: PathResult | None, title: str) -> dict[str, Any] | None:
        """Enter a path and give what the template draws of it."""
        if path is None:
            return None
        shown = PathResult(path.steps[:_STEPS], path.loop if len(path.steps) <= _STEPS else None)
        drawn = {
            "id": f"path-{len(self.all) + 1}",
            "title": title,
            "says": steps_text(path),
            "left": len(path.steps) - len(shown.steps),
            "ladder": Markup(svg_ladder(lay_out(shown), title=title)),
            "steps": [{"step": step, "changes": changes(step)} for step in shown.steps],
            "visits": path.visits,
            "command": replay_command(path, self.folder),
            "no_trace": path.no_trace,
        }
        self.all.append(drawn)
        return drawn


def _hash(text: str) -> str:
    """As a content security policy wants it: of exactly what stands between the tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(report: CheckReport) -> list[tuple[str, str]]:
    return [
        ("Profile", report.profile),
        ("Properties", str(len(report.properties))),
        ("Scopes", str(len(report.scopes))),
        ("States", f"{report.states_looked_at:,}"),
        ("Time", f"{sum(check.seconds for check in report.checks):.1f} s"),
    ]


def _properties(report: CheckReport, known: Mapping[str, Requirement], paths: _Paths) -> list[dict[str, Any]]:
    rows = []
    for p, standing in worst_first(report):
        answers = []
        for check, answer in report.answers(p.name):
            false = answer.finding is Finding.FALSE
            title = f"{p.name} in {check.scope}, {'counterexample' if false else 'an example'} found by {check.engine}"
            found: dict[str, Any] = {"scope": check.scope, "engine": check.engine, "text": finding_text(check, answer)}
            answers.append(
                found
                | {
                    "how": "" if answer.finding in _PLAIN else answer.how,
                    "false": false,
                    "path": paths.add(answer.path, title),
                }
            )
        row = {"property": p, "standing": standing.value, "tone": TONES[standing], "solid": standing is Standing.PROVED}
        row |= {"open": standing is Standing.FALSE, "kind": KINDS[p.kind], "violation": VIOLATIONS[p.kind]}
        rows.append(row | {"answers": answers, "needs": [_requirement(need, known) for need in p.needs]})
    return rows


def _requirement(name: str, known: Mapping[str, Requirement]) -> dict[str, str]:
    rule = known.get(name)
    return {"id": name, "text": rule.text if rule else "", "historic": rule.historic if rule else ""}


def _scopes(report: CheckReport) -> list[dict[str, Any]]:
    return [
        {
            "scope": scope,
            "checks": [
                {
                    "check": c,
                    "memory": size(c.memory),
                    "speed": f"{c.states / c.seconds:,.0f}" if c.states and c.seconds else "",
                }
                for c in report.checks
                if c.scope == scope.name
            ],
        }
        for scope in report.scopes
    ]


def _matrix(report: CheckReport, known: Mapping[str, Requirement], paths: _Paths) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "rule": _requirement(row.requirement, known),
            "line": known[row.requirement].line if row.requirement in known else "",
            "text": matrix_text(row),
            "path": paths.add(row.path, f"{row.property} in {row.scope} without {row.requirement}"),
        }
        for row in report.matrix
    ]


def _defects(report: CheckReport, properties: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A row for each defect, with the id of the path that shows it, which stands with the property."""
    drawn = {
        (row["property"].name, answer["scope"], answer["engine"]): answer["path"]["id"]
        for row in properties
        for answer in row["answers"]
        if answer["false"] and answer["path"]
    }
    return [
        {
            "row": row,
            "text": defect_text(row, report.profile),
            "false": row.finding is Finding.FALSE,
            "path": drawn.get((row.property, row.scope, row.engine)),
        }
        for row in report.defects
    ]


def _bounds(report: CheckReport, paths: _Paths) -> list[dict[str, Any]]:
    """A row for each thing that is measured, with a column per profile; the report's own profile first."""
    profiles = list(dict.fromkeys(row.profile for row in report.bounds))
    rows: dict[str, dict[str, Any]] = {}
    for bound in report.bounds:
        title = f"{bound.what} in the {bound.profile} profile"
        row = rows.setdefault(bound.what, {"what": bound.what, "of": dict.fromkeys(profiles)})
        text = bound.error or bound_text(bound)
        endless = bound.milliseconds is None
        path = paths.add(bound.path, title)
        if path and endless and bound.path and bound.path.loop is None:
            path["says"] += ", and then nothing makes it end"
        row["of"][bound.profile] = {"text": text, "note": bound.note, "endless": endless, "path": path}
    return list(rows.values())


def _diagram(report: CheckReport) -> tuple[str, str]:
    if not report.states:
        return "", ""
    try:
        return render_diagram(report.states, report.edges), ""
    except NoDiagram as reason:
        return "", str(reason)


def _states(report: CheckReport, paths: _Paths) -> list[dict[str, Any]]:
    """What the page says of each state: its rules and where they lead, and the paths through it."""
    rules = {r.id: r for r in reversed(report.rules) if r.party != "SSS"}
    anchors = {state.id: anchor(state.id) for state in report.states}
    return [
        {
            "state": state,
            "anchor": anchors[state.id],
            "edges": [
                {
                    "end": edge.end,
                    "anchor": anchors[edge.end],
                    "stays": edge.end == state.id,
                    "rules": [{"id": rule, "rule": rules.get(rule)} for rule in edge.rules],
                }
                for edge in sorted(report.edges, key=lambda edge: edge.end == state.id)
                if edge.start == state.id
            ],
            "paths": [path for path in paths.all if state.id in path["visits"]],
        }
        for state in report.states
    ]


def _rules(report: CheckReport) -> list[dict[str, Any]]:
    absent = never_taken(report.rules, report.profile)
    rows = [{"rule": rule, "absent": rule in absent} for rule in report.rules]
    return sorted(rows, key=lambda row: not row["absent"])
