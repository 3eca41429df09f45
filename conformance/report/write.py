"""A report's three files, written together: `report.json`, `junit.xml`, `index.html`."""

from __future__ import annotations

from pathlib import Path

from conformance.report.html import write_page
from conformance.report.junit import write_junit
from conformance.report.requirements import load_requirements, load_standards
from conformance.results import Report


def write_report(report: Report, folder: Path, previous: Report | None = None, *, selected: bool = False) -> Path:
    """Write the three files into an existing folder; returns the page's path. Raises OSError if that fails.

    The page compares the run with the `previous` one; if only some cases were `selected`, it misses no others.
    """
    known = load_requirements() | load_standards()
    (folder / "report.json").write_text(report.to_json(), "utf-8")
    write_junit(report, folder / "junit.xml", known)
    page = folder / "index.html"
    write_page(report, page, known, previous, selected=selected)
    return page
