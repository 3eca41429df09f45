"""The controller's diagram, drawn by Graphviz: states are links to what the page says of them."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from conformance.checking.results import EdgeResult, StateResult

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
_SHOWN = 3
"""Rules that an edge names; where there are more, the page tells them below."""
_SECONDS = 30
"""Graphviz takes a fraction of one."""


class NoDiagram(Exception):
    """There is no diagram. The message says why."""


def anchor(state: str) -> str:
    """The id of a state on the page: `state-sending-message-hello`."""
    return "state-" + re.sub(r"[^a-z0-9]+", "-", state.lower())


def render_diagram(states: Sequence[StateResult], edges: Sequence[EdgeResult]) -> str:
    """An `<svg>` element without any style of its own. Raises NoDiagram if Graphviz is missing or fails."""
    source = dot_source(states, edges)
    try:
        done = subprocess.run(
            ["dot", "-Tsvg"], input=source.encode(), capture_output=True, timeout=_SECONDS, check=True
        )
    except FileNotFoundError:
        raise NoDiagram("Graphviz is not installed; `make check` installs it (package graphviz).") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise NoDiagram(f"Graphviz failed: {error}") from error
    return _restyled(done.stdout)


def dot_source(states: Sequence[StateResult], edges: Sequence[EdgeResult]) -> str:
    """The graph in Graphviz's language. Rules that leave the controller in its state are not drawn."""
    lines = [
        "digraph controller {",
        'rankdir=TB nodesep=0.45 ranksep=0.55 bgcolor="transparent"',
        'node [shape=box style="rounded" fontname="Helvetica" fontsize=12 margin="0.16,0.08"]',
        'edge [fontname="Helvetica" fontsize=9 arrowsize=0.7]',
    ]
    for state in states:
        label = f"{state.mode}\\n{state.step}" if state.step else state.mode
        where = f'"{state.id}" [label="{label}" URL="#{anchor(state.id)}" id="node-{anchor(state.id)}"'
        lines.append(f'{where} class="{_class(state)}"]')
    for edge in edges:
        if edge.start != edge.end:
            shown = edge.rules[:_SHOWN] + ([f"and {len(edge.rules) - _SHOWN} more"] if len(edge.rules) > _SHOWN else [])
            label = "\\l".join([*shown, ""])
            of = f"from-{anchor(edge.start)} to-{anchor(edge.end)}"
            lines.append(f'"{edge.start}" -> "{edge.end}" [label="{label}" class="{of}"]')
    return "\n".join([*lines, "}"])


def _class(state: StateResult) -> str:
    return f"mode-{re.sub(r'[^a-z0-9]+', '-', state.mode.lower())}"


def _restyled(svg: bytes) -> str:
    """Graphviz's drawing without its own colours, fonts and tooltips, which the page sets through the classes."""
    ET.register_namespace("", _SVG)
    ET.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ET.fromstring(svg)
    for element in root.iter():
        for name in ("fill", "stroke", "font-family", "font-size", "style"):
            if element.get(name) != "none":
                element.attrib.pop(name, None)
        for title in element.findall(f"{{{_SVG}}}title"):
            element.remove(title)
        element.attrib.pop("{http://www.w3.org/1999/xlink}title", None)
        if href := element.attrib.pop(_LINK, None):
            element.set("href", href)
    root.set("class", "diagram")
    root.set("role", "group")
    root.set("aria-label", "States of one controller")
    for name in ("width", "height"):
        root.set(name, root.get(name, "").removesuffix("pt"))
    return ET.tostring(root, encoding="unicode")
