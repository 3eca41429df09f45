from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from conformance.checking.diagram import NoDiagram, anchor, dot_source, render_diagram
from conformance.checking.results import CheckReport, EdgeResult, StateResult

SVG = "{http://www.w3.org/2000/svg}"


def test_every_state_is_a_link_and_every_edge_names_its_ends(report: CheckReport) -> None:
    root = ET.fromstring(render_diagram(report.states, report.edges))
    assert {a.get("href") for a in root.iter(f"{SVG}a")} == {f"#{anchor(state.id)}" for state in report.states}
    edges = [g.get("class") for g in root.iter(f"{SVG}g") if (g.get("class") or "").startswith("edge")]
    assert len(edges) == sum(1 for edge in report.edges if edge.start != edge.end)
    assert "edge from-state-idle to-state-sending-message-hello" in edges


def test_the_drawing_has_no_colour_font_or_style_of_its_own(report: CheckReport) -> None:
    root = ET.fromstring(render_diagram(report.states, report.edges))
    for element in root.iter():
        assert not element.attrib.keys() & {"style", "font-family", "font-size", "stroke"}
        assert element.get("fill", "none") == "none"
    assert not [e for e in root.iter() if e.tag == f"{SVG}title"]


def test_an_edge_names_three_rules_and_counts_the_others() -> None:
    states = [StateResult("A", "A", ""), StateResult("B/C", "B", "C")]
    source = dot_source(states, [EdgeResult("A", "B/C", list("vwxyz")), EdgeResult("A", "A", ["self"])])
    assert "v\\lw\\lx\\land 2 more\\l" in source and "self" not in source


def test_without_graphviz_there_is_a_reason(
    report: CheckReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoDiagram, match="not installed"):
        render_diagram(report.states, report.edges)
    (tmp_path / "dot").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(NoDiagram, match="Graphviz failed"):
        render_diagram(report.states, report.edges)
