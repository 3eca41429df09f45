"""Ladders of paths: which component did what, in which order, as text for a console and as SVG for a page.

A path is made of actions, whose names have the form `ACTOR.RULE(arguments)`: `3.SES-3.open(hello-cookie from 4)`. An
action stands on its actor's lane; a message that arrives comes as an arrow from its sender, or from the adversary if
that replays or forges it; one that is lost ends in a cross. What has no actor, such as time, is a note across all
lanes.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from html import escape

from conformance.checking.results import PathResult, StepResult
from conformance.report.ladder import seconds
from model.alphabet import SSS_ID

ADVERSARY = "adversary"

_NAME = re.compile(r"(?P<actor>\d+)\.(?P<rule>[^()]+?)(?:\((?P<arguments>.*)\))?")
_FROM = re.compile(r"\bfrom (\d+)")
_MOVES = ("deliver", "lose")

_ROW, _LINE, _HEAD, _TIME, _MARGIN, _LOOP = 20, 14, 40, 66, 76, 26
"""SVG units: height of a rung without its label, of a line of the label, of the heading; width of the time column,
beside the outer lanes, and of the column where a loop is drawn."""
_CHAR = 7.3
"""SVG units that a character of a label takes, at most."""
_GAP = 210
"""SVG units between two lanes."""


@dataclass(frozen=True, slots=True)
class Name:
    """An action's name, taken apart. What is not there is empty."""

    actor: str
    rule: str
    arguments: str
    source: str
    """Whose message it is, where the arguments say so."""


def parse_name(name: str) -> Name:
    """Take an action's name apart; one of another form is all rule, without an actor. The only place that knows."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Name("", name, "", "")
    arguments = match["arguments"] or ""
    source = _FROM.search(arguments)
    return Name(match["actor"], match["rule"], arguments, source[1] if source else "")


@dataclass(frozen=True, slots=True)
class Rung:
    """One step, placed. `start` and `end` are lanes by index; both None for a note across all lanes."""

    step: StepResult
    start: int | None
    end: int | None
    label: str
    """The message or event, or the rule where there is none."""
    rule: str
    """The rule beside the message; empty where the label says it."""
    time: int
    """Milliseconds since the path began, before the step."""
    first: bool
    """True where the time is written: at the first step of its instant."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """Lanes, left to right, and rungs, in order; the rungs from `loop` on repeat for ever."""

    lanes: tuple[str, ...]
    rungs: tuple[Rung, ...]
    loop: int | None


def lay_out(path: PathResult) -> Ladder:
    """Place a path's steps on lanes."""
    ends = [_ends(step) for step in path.steps]
    lanes = sorted({lane for pair in ends for lane in pair if lane}, key=_rank)
    rungs, time, before = [], 0, -1
    for step, (left, reached) in zip(path.steps, ends, strict=True):
        start, end = (lanes.index(left), lanes.index(reached)) if left else (None, None)
        rungs.append(Rung(step, start, end, *_label(step), time, time != before))
        before, time = time, time + step.elapsed
    return Ladder(tuple(lanes), tuple(rungs), None if path.loop is None else path.loop + 1)


def _ends(step: StepResult) -> tuple[str, str]:
    """The lanes that a step's arrow leaves and reaches; the same one where nothing moves; empty without an actor."""
    name = parse_name(step.action)
    if not name.actor:
        return "", ""
    here = lane_of(name.actor)
    if step.kind in ("replay", "forge"):
        return ADVERSARY, here
    if step.kind in _MOVES and name.source:
        return lane_of(name.source), here
    return here, here


def lane_of(actor: str) -> str:
    """The name of a component's lane, by its id."""
    return "SSS" if int(actor) == SSS_ID else f"SED {int(actor)}"


def _rank(lane: str) -> tuple[int, int]:
    """Left to right: the SEDs by id, the SSS, the adversary."""
    return {"SSS": (1, 0), ADVERSARY: (2, 0)}.get(lane) or (0, int(lane.removeprefix("SED ")))


def _label(step: StepResult) -> tuple[str, str]:
    name = parse_name(step.action)
    if step.elapsed:
        return f"{seconds(step.elapsed)} s pass", name.rule if name.actor else ""
    if not name.actor:
        return name.rule, ""
    arguments = name.arguments
    if step.kind in _MOVES:  # an arrow shows where it comes from
        arguments = " ".join(_FROM.sub("", arguments, count=1).replace(" ,", ",").split())
    return (arguments, name.rule) if arguments else (name.rule, "")


def changes(step: StepResult) -> str:
    """`a_mode = 1, a_step = 2`: what a step changed."""
    return ", ".join(f"{name} = {value}" for name, value in step.changed.items())


def steps_text(path: PathResult) -> str:
    """`12 steps, 14.000 s`, and that it never ends."""
    count = f"{len(path.steps)} step{'' if len(path.steps) == 1 else 's'}"
    elapsed = sum(step.elapsed for step in path.steps)
    text = f"{count}, {seconds(elapsed)} s" if elapsed else count
    return text if path.loop is None else f"{text}, the last {len(path.steps) - path.loop - 1} for ever"


# Text


_UNICODE = tuple("│─┼◀▶├┤●┄\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}")
_ASCII = tuple("|-+<>||*.X")
_TEXT_TIME = 13
"""Columns that time and spaces take."""


def text_ladder(ladder: Ladder, *, width: int = 100, ascii_only: bool = False) -> list[str]:
    """Lines of at most `width` characters; labels stand at the right, cut with an ellipsis where they do not fit."""
    lane, line, cross, left, right, from_left, from_right, dot, across, lost = _ASCII if ascii_only else _UNICODE
    ellipsis = "..." if ascii_only else "…"
    gap = max([9, *(len(name) + 2 for name in ladder.lanes)])
    at = [gap // 2 + gap * index for index in range(len(ladder.lanes))]
    lines = ["time (s)".rjust(11) + "  " + "".join(name.center(gap) for name in ladder.lanes)]
    for index, rung in enumerate(ladder.rungs):
        if index == ladder.loop:
            lines.append(" " * _TEXT_TIME + "from here on again and again:")
        cells = [across if rung.start is None else " "] * (gap * len(at))
        for column in at:
            cells[column] = lane
        if rung.start is not None and rung.end is not None:
            start, end = at[rung.start], at[rung.end]
            way = 1 if end >= start else -1
            for column in range(start + way, end, way):
                cells[column] = cross if column in at else line
            cells[start] = dot if start == end else from_left if way == 1 else from_right
            if start != end:
                cells[end - way] = lost if rung.step.kind == "lose" else right if way == 1 else left
        time = seconds(rung.time) if rung.first else ""
        lines.append(f"{time:>11}  {''.join(cells)} {rung.label}{f'  [{rung.rule}]' if rung.rule else ''}")
    return [text if len(text) <= width else text[: width - len(ellipsis)] + ellipsis for text in map(str.rstrip, lines)]


# SVG


def svg_ladder(ladder: Ladder, *, title: str) -> str:
    """An `<svg>` element without any style of its own: the page colours it through the classes."""
    lanes = max(1, len(ladder.lanes))
    looping = _LOOP if ladder.loop is not None else 0
    width = _TIME + 2 * _MARGIN + _GAP * (lanes - 1) + looping
    labels = [_lines(rung, _room(rung, lanes)) for rung in ladder.rungs]
    tops, y = [], _HEAD
    for label in labels:
        tops.append(y)
        y += _ROW + _LINE * len(label)
    bottom = y + 10
    parts = [
        f'<svg class="ladder" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + 8}"',
        f' width="{width}" height="{bottom + 8}"><title>{escape(title)}</title>',
    ]
    for index, lane in enumerate(ladder.lanes):
        of = "lane adversary" if lane == ADVERSARY else "lane"
        parts.append(f'<g class="{of}"><line x1="{_x(index)}" y1="{_HEAD - 8}" x2="{_x(index)}" y2="{bottom}"/>')
        parts.append(_text(_x(index), _HEAD - 16, lane) + "</g>")
    for rung, label, top in zip(ladder.rungs, labels, tops, strict=True):
        parts.append(_rung(rung, label, top + _ROW + _LINE * len(label) - 8, lanes))
    if ladder.loop is not None and ladder.loop < len(tops):
        parts.append(_loop(width - _LOOP, tops[ladder.loop] + 6, bottom - 4))
    return "".join([*parts, "</svg>"])


def _room(rung: Rung, lanes: int) -> int:
    """Characters that a line of a label may have."""
    span = lanes - 1 if rung.start is None or rung.end is None else abs(rung.end - rung.start)
    return int(max(_GAP * span, 2 * _MARGIN + (24 if lanes == 1 else 0)) / _CHAR)


def _lines(rung: Rung, room: int) -> list[tuple[str, str]]:
    """The lines above a rung, each with the rule where that stands on it."""
    lines = [(line, "") for line in textwrap.wrap(rung.label, room)] or [("", "")]
    if rung.rule and len(lines[-1][0]) + 2 + len(rung.rule) <= room:
        lines[-1] = (lines[-1][0], rung.rule)
    elif rung.rule:
        lines.append(("", rung.rule))
    return lines


def _x(lane: int) -> int:
    return _TIME + _MARGIN + _GAP * lane


def _text(x: int, y: int, text: str, rule: str = "") -> str:
    beside = f'<tspan class="rule">{"  " if text else ""}{escape(rule)}</tspan>' if rule else ""
    return f'<text x="{x}" y="{y}" text-anchor="middle">{escape(text)}{beside}</text>'


def _rung(rung: Rung, label: list[tuple[str, str]], y: int, lanes: int) -> str:
    step = rung.step
    hint = f"{step.action}: {step.says} {changes(step)}".strip()
    parts = [f'<g class="rung {escape(step.kind)}"><title>{escape(hint)}</title>']
    if rung.first:
        parts.append(f'<text class="time" x="{_TIME - 10}" y="{y + 4}" text-anchor="end">{seconds(rung.time)}</text>')
    if rung.start is None or rung.end is None:
        left, right = _x(0) - _MARGIN // 2, _x(lanes - 1) + _MARGIN // 2
        middle, above = (left + right) // 2, 0
        parts.append(f'<line class="across" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
    elif rung.start == rung.end:
        middle, above = _x(rung.start), 4
        parts.append(f'<circle cx="{middle}" cy="{y}" r="4.5"/>')
    else:
        start, end = _x(rung.start), _x(rung.end)
        way = 1 if end > start else -1
        middle, above = (start + end) // 2, 0
        lost = step.kind == "lose"
        head = start + (end - start) * 7 // 10 if lost else end - 2 * way
        parts.append(f'<line x1="{start}" y1="{y}" x2="{head if lost else head - 4 * way}" y2="{y}"/>')
        tip = f'class="cross" d="M{head - 5} {y - 5}l10 10m0 -10l-10 10"'
        parts.append(f"<path {tip}/>" if lost else f'<path class="tip" d="M{head} {y}l{-8 * way} -4v8z"/>')
    parts += [_text(middle, y - 6 - above - _LINE * up, *line) for up, line in enumerate(reversed(label))]
    return "".join(parts) + "</g>"


def _loop(x: int, top: int, bottom: int) -> str:
    """A bracket beside the rungs that repeat, with an arrow back to the first of them."""
    return (
        f'<g class="loop"><title>From here on again and again</title>'
        f'<path d="M{x} {bottom}h10V{top}h-6"/><path class="tip" d="M{x} {top}l8 -4v8z"/></g>'
    )
