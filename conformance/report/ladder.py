"""Ladders: who sent what to whom and when, as text for a console and as SVG for a page.

Both are drawn from the same rungs. A ladder has a lane for each party: the CPU, the SED under test (IUT), its peers,
the FAA, the SSS, and the bare radio, where broadcasts end and injected frames begin.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from conformance.results import LadderFrame
from model.alphabet import BROADCAST, FAA_ID, SSS_ID

_CPU, _IUT, _SSS, _RADIO = "CPU", "IUT", "SSS", "radio"

_ROW, _LINE, _HEAD, _TIME, _MARGIN, _FOOT = 20, 14, 40, 66, 52, 14
"""SVG units: height of a rung without its label, of a line of the label, of the heading; width of the time column and
beside the outer lanes; space below."""
_CHAR = 7.3
"""SVG units that a character of a label takes, at most."""
_NARROWEST, _WIDEST, _COMFORT = 150, 230, 1060
"""SVG units between two lanes, where the words of a label must fit, and the width that a ladder keeps to if it can."""
_MANY = 24
"""Rungs from which the lanes are named at the foot, too."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One frame, placed: the lanes it leaves and reaches, by index, and what to write beside it."""

    frame: LadderFrame
    start: int
    end: int
    label: str
    tags: tuple[str, ...]
    """Its fate unless delivered, the source it claims, its note."""
    first: bool
    """True if it is the first of its instant, where the time is written."""

    @property
    def lost(self) -> bool:
        """True if it never arrived."""
        return self.frame.fate == "lost"


@dataclass(frozen=True, slots=True)
class Ladder:
    """Lanes, left to right, and rungs, in order."""

    lanes: tuple[str, ...]
    rungs: tuple[Rung, ...]
    counted: str = "step"
    """What the `step` of its frames is the number of."""


def lay_out(frames: Sequence[LadderFrame], iut: int) -> Ladder:
    """Place frames on lanes. `iut` is the id of the SED under test."""
    ends = [_ends(frame, iut) for frame in frames]
    used = {lane for pair in ends for lane in pair} | {_IUT}
    order = sorted(used, key=_rank)
    lanes = tuple(f"SED {iut} (IUT)" if lane == _IUT else str(lane) for lane in order)
    rungs = []
    before: int | None = None
    for frame, (start, end) in zip(frames, ends, strict=True):
        rungs.append(Rung(frame, order.index(start), order.index(end), frame.label, _tags(frame), frame.time != before))
        before = frame.time
    return Ladder(lanes, tuple(rungs))


def around(frames: Sequence[LadderFrame], step: int | None, count: int = 12, after: int = 3) -> list[LadderFrame]:
    """At most `count` frames up to a step and `after` of them behind it; the last ones if `step` is None."""
    end = len(frames)
    if step is not None:
        end = min(end, sum(1 for frame in frames if frame.step <= step) + after)
    return list(frames[max(0, end - count) : end])


def seconds(milliseconds: int) -> str:
    """Virtual time as people read it: `12.345`, in seconds, exact."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03}"


def _ends(frame: LadderFrame, iut: int) -> tuple[str, str]:
    if frame.link == "cpu":
        return (_CPU, _IUT) if frame.source == BROADCAST else (_IUT, _CPU)
    if frame.link == "sss":
        return (_IUT, _SSS) if frame.source == iut else (_SSS, _IUT)
    # What is injected comes from the attacker, whatever id it claims. A broadcast reaches the IUT unless it sent it.
    start = _RADIO if frame.fate == "injected" else _party(frame.source, iut)
    if frame.target == BROADCAST:
        return start, _RADIO if start == _IUT else _IUT
    return start, _party(frame.target, iut)


def _party(scewl_id: int, iut: int) -> str:
    return _IUT if scewl_id == iut else _name(scewl_id)


def _name(scewl_id: int) -> str:
    return {BROADCAST: _RADIO, SSS_ID: _SSS, FAA_ID: "FAA"}.get(scewl_id, f"SED {scewl_id}")


def _rank(lane: str) -> tuple[int, int]:
    """Left to right: CPU, IUT, the other SEDs by id, FAA, SSS, radio."""
    if lane.startswith("SED "):
        return 2, int(lane[4:])
    return {_CPU: 0, _IUT: 1, "FAA": 3, _SSS: 4, _RADIO: 5}[lane], 0


def _tags(frame: LadderFrame) -> tuple[str, ...]:
    tags = [] if frame.fate == "delivered" else [frame.fate]
    if frame.fate == "injected":
        tags = [f"injected as {_name(frame.source)}"]
    if frame.link == "radio" and frame.target == BROADCAST:
        tags.append("broadcast")
    if frame.note and frame.note not in tags:
        tags.append(frame.note)
    return tuple(tags)


# Text


@dataclass(frozen=True, slots=True)
class _Glyphs:
    lane: str
    line: str
    cross: str
    left: str
    right: str
    from_left: str
    from_right: str
    lost: str
    here: str


_TEXT_TIME = 14
"""Columns that sign, time and spaces take."""
_UNICODE = _Glyphs("│", "─", "┼", "◀", "▶", "├", "┤", "\N{BOX DRAWINGS LIGHT DIAGONAL CROSS}", "▸")
_ASCII = _Glyphs("|", "-", "+", "<", ">", "|", "|", "X", ">")


def text_ladder(ladder: Ladder, *, width: int = 100, mark: int | None = None, ascii_only: bool = False) -> list[str]:
    """Lines of at most `width` characters. The rungs of step `mark` bear a sign at the left.

    Labels stand at the right, so that lanes can be close; what does not fit is cut, with an ellipsis.
    """
    glyphs = _ASCII if ascii_only else _UNICODE
    ellipsis = "..." if ascii_only else "…"
    names = [lane.removesuffix(" (IUT)") for lane in ladder.lanes]
    gap = max([9, *(len(name) + 2 for name in names)])
    labels = [", ".join((rung.label, *rung.tags)) for rung in ladder.rungs]
    if _TEXT_TIME + gap * len(names) + max(map(len, labels), default=0) > width:
        names = [name.removeprefix("SED ") for name in names]
        gap = max([6, *(len(name) + 1 for name in names)])
    head = "time (s)".rjust(11) + "  " + "".join(name[: gap - 1].center(gap) for name in names)
    lines = [head.rstrip()[:width]]
    for rung, label in zip(ladder.rungs, labels, strict=True):
        sign = glyphs.here if rung.frame.step == mark else " "
        time = seconds(rung.frame.time) if rung.first else ""
        line = f"{sign}{time:>10}  {_rung_text(rung, len(names), gap, glyphs)} {label}".rstrip()
        lines.append(line if len(line) <= width else line[: width - len(ellipsis)] + ellipsis)
    return lines


def _rung_text(rung: Rung, lanes: int, gap: int, glyphs: _Glyphs) -> str:
    cells = [" "] * (lanes * gap)
    at = [gap // 2 + gap * lane for lane in range(lanes)]
    for column in at:
        cells[column] = glyphs.lane
    start, end = at[rung.start], at[rung.end]
    if start == end:
        cells[start] = glyphs.cross
        return "".join(cells)
    right = end > start
    inner = range(start + 1, end) if right else range(start - 1, end, -1)
    if rung.lost:
        inner = inner[: len(inner) * 6 // 10 + 1]
    for column in inner:
        cells[column] = glyphs.cross if column in at else glyphs.line
    cells[start] = glyphs.from_left if right else glyphs.from_right
    cells[inner[-1]] = glyphs.lost if rung.lost else glyphs.right if right else glyphs.left
    return "".join(cells)


# SVG


def svg_ladder(ladder: Ladder, *, mark: int | None = None, title: str = "Ladder") -> str:
    """An `<svg>` element without any style of its own: the page colours it through the classes, text is `currentColor`.

    Lost frames end in a cross. The rungs of step `mark` stand on a band of class `here`. A label that is wider than its
    arrow takes several lines.
    """
    gap = _gap(ladder)
    width = _TIME + 2 * _MARGIN + gap * max(0, len(ladder.lanes) - 1)
    labels = [_label(rung, gap) for rung in ladder.rungs]
    heights = [_ROW + _LINE * len(label) for label in labels]
    bottom = _HEAD + sum(heights) + 8
    foot = _HEAD if len(ladder.rungs) > _MANY else _FOOT
    parts = [
        f'<svg class="ladder" role="img" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom + foot}"',
        f' width="{width}" height="{bottom + foot}"><title>{escape(title)}</title>',
    ]
    y = _HEAD
    for rung, height in zip(ladder.rungs, heights, strict=True):
        if rung.frame.step == mark:
            parts.append(f'<rect class="here" x="0" y="{y}" width="{width}" height="{height}"/>')
        y += height
    for index, lane in enumerate(ladder.lanes):
        x = _lane_x(index, gap)
        of = ' class="lane iut"' if lane.endswith("(IUT)") else ' class="lane"'
        parts.append(f'<g{of}><line x1="{x}" y1="{_HEAD - 8}" x2="{x}" y2="{bottom}"/>{_text(x, _HEAD - 16, lane)}')
        if foot == _HEAD:
            parts.append(_text(x, bottom + 22, lane))
        parts.append("</g>")
    y = _HEAD
    for rung, label, height in zip(ladder.rungs, labels, heights, strict=True):
        y += height
        parts.append(_rung_svg(rung, label, y - 6, gap, ladder.counted))
    parts.append("</svg>")
    return "".join(parts)


def _gap(ladder: Ladder) -> int:
    """Between two lanes, so that most labels fit above their arrows."""
    wanted = [
        (len(" ".join((rung.label, *rung.tags))) * _CHAR + 16) / max(1, abs(rung.end - rung.start))
        for rung in ladder.rungs
    ]
    fair = (_COMFORT - _TIME - 2 * _MARGIN) / max(1, len(ladder.lanes) - 1)
    return int(max(_NARROWEST, min([_WIDEST, fair, max(wanted, default=0)])))


def _label(rung: Rung, gap: int) -> list[tuple[str, str]]:
    """The lines above an arrow, each with what stands on it as a tag."""
    room = int((gap * max(1, abs(rung.end - rung.start)) - 10) / _CHAR)
    lines = [(line, "") for line in textwrap.wrap(rung.label, room)] or [("", "")]
    tags = ", ".join(rung.tags)
    if tags and len(lines[-1][0]) + 1 + len(tags) <= room:
        lines[-1] = (lines[-1][0], tags)
    elif tags:
        lines += [("", line) for line in textwrap.wrap(tags, room)]
    return lines


def _lane_x(index: int, gap: int) -> int:
    return _TIME + _MARGIN + gap * index


def _text(x: int, y: int, text: str, tag: str = "") -> str:
    after = f'<tspan class="tag">{" " if text else ""}{escape(tag)}</tspan>' if tag else ""
    return f'<text x="{x}" y="{y}" text-anchor="middle">{escape(text)}{after}</text>'


def _rung_svg(rung: Rung, label: list[tuple[str, str]], y: int, gap: int, counted: str) -> str:
    frame = rung.frame
    start, end = _lane_x(rung.start, gap), _lane_x(rung.end, gap)
    way = 1 if end >= start else -1
    middle = (start + end) // 2
    head = end - 4 * way
    if rung.lost:
        head = start + (end - start) * 6 // 10
    tip = f"{seconds(frame.time)} s, {counted} {frame.step}, {frame.link}: {frame.label}, {frame.size} B"
    parts = [f'<g class="rung {escape(frame.fate)} on-{escape(frame.link)}"><title>{escape(tip)}</title>']
    if rung.first:
        parts.append(f'<text class="time" x="{_TIME - 10}" y="{y + 4}" text-anchor="end">{seconds(frame.time)}</text>')
    if start == end:
        parts.append(f'<circle cx="{start}" cy="{y}" r="4"/>')
    else:
        parts.append(f'<line x1="{start}" y1="{y}" x2="{head}" y2="{y}"/>')
        parts.append(_cross(head, y) if rung.lost else f'<path class="tip" d="M{head} {y}l{-8 * way} -4v8z"/>')
    for above, (text, tag) in enumerate(reversed(label)):
        parts.append(_text(middle, y - 7 - _LINE * above, text, tag))
    return "".join(parts) + "</g>"


def _cross(x: int, y: int) -> str:
    return f'<path class="cross" d="M{x - 5} {y - 5}l10 10m0 -10l-10 10"/>'
