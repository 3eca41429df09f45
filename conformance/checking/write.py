"""A report's three files, written together: `report.json`, `report.md`, `index.html`."""

from __future__ import annotations

from pathlib import Path

from conformance.checking.html import render_page
from conformance.checking.markdown import render_markdown
from conformance.checking.results import CheckReport
from conformance.report.requirements import load_requirements


def write_report(report: CheckReport, folder: Path) -> Path:
    """Write the files into an existing folder; returns the page's path. Raises OSError if that fails."""
    known = load_requirements()
    (folder / "report.json").write_text(report.to_json(), "utf-8")
    (folder / "report.md").write_text(render_markdown(report, known, folder), "utf-8")
    page = folder / "index.html"
    page.write_text(render_page(report, known, folder), "utf-8")
    return page
