"""The ladder of a capture, drawn as `conformance.report.ladder` draws that of a case: as text, or as an SVG picture.

A frame that crossed a link between two controllers may be in a capture once for each of the two. The ladder shows it
once, where it was captured first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from conformance.inspection.words import LINKS, Clock, counted, label, notes, party
from conformance.report.ladder import Ladder, Rung, svg_ladder, text_ladder
from conformance.results import LadderFrame
from conformance.sessions.seen import SeenFrame
from model.alphabet import BROADCAST, FAA_ID, SSS_ID, Link

MOST_FRAMES: Final = 2_000
MOST_LANES: Final = 16
_RADIO: Final = "radio"
_MANY: Final = 3
"""Messages of a datagram that a line of text names."""
_MILLI: Final = 1_000


@dataclass(slots=True)
class LadderBuilder:
    """Collects the rungs of the first `MOST_FRAMES` frames on at most `MOST_LANES` lanes."""

    clock: Clock
    most: int = MOST_FRAMES
    left_out: int = 0
    """Frames beyond those limits."""
    marked: frozenset[int] = frozenset()
    """Numbers of frames to mark; the first that is drawn is."""
    _rungs: list[tuple[LadderFrame, str, str]] = field(default_factory=list)
    _lanes: set[str] = field(default_factory=set)
    _drawn: dict[tuple[Link, int], list[set[int]]] = field(default_factory=dict)
    """By link and hash of the frame: for each time that it is drawn, at whose controllers it has been seen."""

    def feed(self, seen: SeenFrame) -> None:
        """Draw one frame."""
        captured = seen.captured
        if seen.frame is not None and captured.link is not Link.CPU and self._came(seen):
            return
        start, end = _ends(seen)
        lanes = self._lanes | {start, end}
        if len(self._rungs) >= self.most or len(lanes) > MOST_LANES:
            self.left_out += 1
            return
        self._lanes, frame = lanes, seen.frame
        broadcast = frame is not None and frame.target == BROADCAST and captured.link is not Link.CPU
        rung = LadderFrame(
            time=self.clock.relative(captured.time_us) // _MILLI,
            step=captured.number,
            link=LINKS[captured.link],
            source=frame.source if frame else captured.sed,
            target=frame.target if frame else captured.sed,
            label=f"{captured.number} {label(seen)}",
            size=len(frame.payload) if frame else len(captured.frame),
            note="; ".join(filter(None, ("broadcast" if broadcast else "", notes(seen)))),
        )
        self._rungs.append((rung, start, end))

    def ladder(self) -> Ladder:
        """What has been drawn so far."""
        order = sorted(self._lanes, key=_rank)
        rungs, before = [], None
        for frame, start, end in self._rungs:
            tags = tuple(tag for tag in ("" if frame.fate == "delivered" else frame.fate, frame.note) if tag)
            rungs.append(Rung(frame, order.index(start), order.index(end), frame.label, tags, frame.time != before))
            before = frame.time
        return Ladder(tuple(order), tuple(rungs), counted="frame")

    def text(self, *, width: int, ascii_only: bool) -> list[str]:
        """Lines for a terminal."""
        whole = self.ladder()
        short = replace(whole, rungs=tuple(replace(rung, label=_short(rung.label, ascii_only)) for rung in whole.rungs))
        return [*text_ladder(short, width=width, mark=self._mark(), ascii_only=ascii_only), *self.limits()]

    def svg(self, title: str) -> str:
        """A picture that stands alone, with its own colours."""
        drawn = self.drawing(title)
        style = (Path(__file__).parent / "ladder.css").read_text("utf-8")
        return drawn.replace("</title>", f"</title><style>{style}</style>", 1) + "\n"

    def drawing(self, title: str) -> str:
        """The picture for a page that has the colours."""
        return svg_ladder(self.ladder(), mark=self._mark(), title=title)

    def _mark(self) -> int | None:
        return next((frame.step for frame, _, _ in self._rungs if frame.step in self.marked), None)

    def limits(self) -> list[str]:
        """What was left out, as lines."""
        if not self.left_out:
            return []
        limits = f"at most {self.most:,} frames and {MOST_LANES} parties"
        return [f"{counted(self.left_out, 'frame')} not drawn ({limits}): choose with --frames, --device or --session"]

    def _came(self, seen: SeenFrame) -> bool:
        """Whether it is drawn already. Clocks may differ between controllers: its arrival may be captured first."""
        captured = seen.captured
        key = captured.link, hash(captured.frame)
        for at in self._drawn.get(key, ()):
            if captured.sed not in at:
                at.add(captured.sed)
                return True
        if len(self._rungs) < self.most:
            self._drawn.setdefault(key, []).append({captured.sed})
        return False


def _short(words: str, ascii_only: bool) -> str:
    """Of many messages the first and the last, so that what is noted beside them is not cut off."""
    parts = words.split(", ")
    return f"{parts[0]} {'...' if ascii_only else '…'} {parts[-1]}" if len(parts) > _MANY else words


def _ends(seen: SeenFrame) -> tuple[str, str]:
    """The lanes. What is no frame goes between the controller and the link that it was seen on."""
    captured, frame = seen.captured, seen.frame
    own = f"SED {captured.sed}"
    if captured.link is Link.CPU:
        other = f"CPU {captured.sed}"
    elif captured.link is Link.SSS:
        other = "SSS"
    elif frame is None:
        other = _RADIO
    else:
        start = own if not captured.towards else _lane(frame.source)
        end = _lane(frame.target)
        return (start, own) if frame.target == BROADCAST and captured.towards else (start, end)
    return (other, own) if captured.towards else (own, other)


def _lane(scewl_id: int) -> str:
    return {BROADCAST: _RADIO, SSS_ID: "SSS", FAA_ID: "FAA"}.get(scewl_id) or f"SED {party(scewl_id)}"


def _rank(lane: str) -> tuple[int, int, int]:
    """Left to right: each SED with its CPU before it, by id; FAA, SSS, radio."""
    name, _, number = lane.partition(" ")
    if number:
        return 0, int(number), int(name == "SED")
    return 1 + ("FAA", "SSS", _RADIO).index(name), 0, 0
