"""The report as one page: no external resource, everything escaped, worst cases first.

The page's content security policy allows nothing but its own style and script, by their hashes. A hostile string in a
result (evidence is what a device wrote) therefore could not run even if it slipped through the escaping.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from conformance.report.console import deadline_text, summary, worst_first
from conformance.report.ladder import around, lay_out, seconds, svg_ladder
from conformance.report.matrices import matrices
from conformance.report.requirements import Requirement
from conformance.results import CaseResult, Report
from model.verdict import Verdict

_FOLDER = Path(__file__).parent
_FRAMES = 300
"""Frames that the page draws of one case; the trace has all."""
_OPEN = 3
"""Cases that did not pass and stand open from the start."""


_DRAWN = 500
"""Cases with a ladder: all that did not pass, then as many of the others. The page of thousands has to open."""


def render_page(
    report: Report, known: Mapping[str, Requirement], previous: Report | None = None, *, selected: bool = False
) -> str:
    """The page's text, with what differs from the `previous` run. The same reports give the same page.

    `selected`: only some cases were run, and the others are not missed.
    """
    css = (_FOLDER / "page.css").read_text("utf-8") + (_FOLDER / "matrices.css").read_text("utf-8")
    script = (_FOLDER / "page.js").read_text("utf-8")
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ordered = worst_first(report.cases)
    counts = Counter(case.standing for case in ordered)
    bar, x = [], 0
    for standing in dict.fromkeys(case.standing for case in ordered):
        bar.append({"verdict": standing, "x": x, "width": counts[standing]})
        x += counts[standing]
    return environment.get_template("page.html.j2").render(
        report=report,
        summary=summary(report),
        facts=_facts(report),
        bar=bar,
        bar_width=max(1, x),
        cases=[_case(case, known, is_open=index < _OPEN, drawn=index < _DRAWN) for index, case in enumerate(ordered)],
        **matrices(report, known, previous, selected),
        css=Markup(css),
        script=Markup(script),
        policy=f"default-src 'none'; style-src '{_hash(css)}'; script-src '{_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'",
    )


def write_page(
    report: Report,
    path: Path,
    known: Mapping[str, Requirement],
    previous: Report | None = None,
    *,
    selected: bool = False,
) -> None:
    """Write the page. Raises OSError if the file cannot be written."""
    path.write_text(render_page(report, known, previous, selected=selected), "utf-8")


def _hash(text: str) -> str:
    """As a content security policy wants it: of exactly what stands between the tags."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _facts(report: Report) -> list[tuple[str, str]]:
    facts = [("Target", report.target), ("Profile", report.profile), ("Seed", str(report.seed))]
    facts.append(("Virtual time", f"{sum(case.virtual_ms for case in report.cases) / 1000:.1f} s"))
    facts.append(("Wall time", f"{sum(case.wall_s for case in report.cases):.1f} s"))
    firmware = [
        (f"Firmware {key}", f"{value:,} B" if isinstance(value, int) else str(value))
        for key, value in sorted(report.firmware.items())
    ]
    return facts + sorted(firmware, key=lambda fact: len(fact[1]))


def _case(case: CaseResult, known: Mapping[str, Requirement], *, is_open: bool, drawn: bool) -> dict[str, Any]:
    diff = case.divergence
    step = diff.step if diff is not None else None
    shown = around(case.ladder, step, _FRAMES) if drawn or case.verdict is not Verdict.PASS else []
    return {
        "result": case,
        "open": is_open and case.counted > Verdict.PASS,
        "text": " ".join((case.case, case.title, case.standing, case.reason, case.known, *case.requirements)).lower(),
        "virtual": seconds(case.virtual_ms),
        "at": seconds(diff.time) if diff is not None else "",
        "deadline": deadline_text(diff.observed_deadline) if diff is not None else "",
        "deadlines": " or ".join(dict.fromkeys(map(deadline_text, diff.allowed_deadlines))) if diff is not None else "",
        "deadline_wrong": diff is not None and diff.observed_deadline not in diff.allowed_deadlines,
        "broken": [_rule(rule, known) for rule in (diff.requirements if diff is not None else case.requirements)],
        "ladder": Markup(svg_ladder(lay_out(shown, case.iut), mark=step, title=f"Frames of {case.case}"))
        if shown
        else "",
        "shown": len(shown),
        # "./" keeps a name with a colon from being read as a scheme.
        "capture": "./" + quote(case.capture),
        "trace": "./" + quote(case.trace),
    }


def _rule(requirement: str, known: Mapping[str, Requirement]) -> dict[str, str]:
    rule = known.get(requirement)
    return {"id": requirement, "text": rule.text if rule else "", "historic": rule.historic if rule else ""}
