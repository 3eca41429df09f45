"""What `scewl inspect` writes to stdout: views that take frames and problems as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from conformance.capture import Problem
from conformance.inspection.ladder import LadderBuilder
from conformance.inspection.lines import frame_document
from conformance.inspection.source import Source
from conformance.inspection.stats import Statistics
from conformance.inspection.table import HEADING, line
from conformance.report.console import Style
from conformance.sessions.seen import SeenFrame

if TYPE_CHECKING:
    from conformance.monitors import Alarm

Fields = Callable[[SeenFrame], Iterable[tuple[str, str]]]
"""Names and values of every field of every layer of a frame."""
_BATCH: Final = 256
"""Lines that are written at once."""


class Lines:
    """Writes lines to stdout: in batches, or each at once if somebody may be waiting for it."""

    def __init__(self, *, live: bool) -> None:
        self._batch = 1 if live else _BATCH
        self._held: list[str] = []

    def write(self, text: str) -> None:
        """Write a line, or several."""
        self._held.append(text)
        if len(self._held) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Write what is held. Raises BrokenPipeError if nobody reads."""
        if self._held:
            sys.stdout.write("\n".join(self._held) + "\n")
            self._held.clear()
            if self._batch == 1:
                sys.stdout.flush()


class View(Protocol):
    """Takes what is shown of a capture, in its order."""

    def frame(self, seen: SeenFrame) -> None:
        """A frame that the filters let through."""

    def problem(self, problem: Problem) -> None:
        """Something of the file that does not fit."""

    def end(self) -> None:
        """The file has ended."""


@dataclass(slots=True)
class TableView:
    """A line per frame; with `fields`, every field of every layer below it; then what is wrong there."""

    out: Lines
    source: Source
    style: Style
    fields: Fields | None = None
    marks: Mapping[int, str] = field(default_factory=dict)
    """By frame number, what is wrong there."""
    _begun: bool = False

    def frame(self, seen: SeenFrame) -> None:
        """Write its line."""
        text = line(seen, self.source.clock)
        if self.fields is not None:
            text = "\n".join([self.style.strong(text), *(f"    {name}: {value}" for name, value in self.fields(seen))])
        self.line(text)
        if self.marks and (mark := self.marks.get(seen.captured.number)):
            self.out.write(self.style.strong(f"   ^^^^ {mark}"))
        for alarm in self.source.current:
            self.out.write(self.style.strong(f"   ^^^^ {alarm_text(alarm)}"))

    def problem(self, problem: Problem) -> None:
        """Write it where it occurs."""
        self.out.write(problem_text(problem))

    def end(self) -> None:
        """Nothing is left to write."""

    def line(self, text: str) -> None:
        """Write a frame's line, the heading before the first."""
        if not self._begun:
            self._begun = True
            self.out.write(self.style.strong(HEADING))
        self.out.write(text)


@dataclass(slots=True)
class LadderView:
    """The ladder as text, once the file has ended."""

    out: Lines
    style: Style
    builder: LadderBuilder

    def frame(self, seen: SeenFrame) -> None:
        """Draw it."""
        self.builder.feed(seen)

    def problem(self, problem: Problem) -> None:
        """Write it above the ladder."""
        self.out.write(problem_text(problem))

    def end(self) -> None:
        """Write the ladder."""
        for text in self.builder.text(width=self.style.width, ascii_only=self.style.ascii_only):
            self.out.write(text)


@dataclass(slots=True)
class StatsView:
    """Statistics, once the file has ended."""

    out: Lines
    statistics: Statistics

    def frame(self, seen: SeenFrame) -> None:
        """Count it."""
        self.statistics.feed(seen)

    def problem(self, problem: Problem) -> None:
        """Write it above the figures."""
        self.out.write(problem_text(problem))

    def end(self) -> None:
        """Write the figures."""
        for text in self.statistics.text():
            self.out.write(text)


@dataclass(slots=True)
class JsonView:
    """A line of JSON per frame and problem."""

    out: Lines
    statistics: Statistics
    """For the summary, which the caller writes."""
    frames: bool = True
    """Whether frames have lines."""
    fields: Fields | None = None

    def frame(self, seen: SeenFrame) -> None:
        """Write and count it."""
        self.statistics.feed(seen)
        if self.frames:
            self.object(frame_document(seen, None if self.fields is None else self.fields(seen)))

    def problem(self, problem: Problem) -> None:
        """Write it where it occurs."""
        self.object({"kind": "problem", "offset": problem.offset, "number": problem.number, "what": problem.what})

    def end(self) -> None:
        """Nothing is left to write."""

    def object(self, document: dict[str, Any]) -> None:
        """Write one line."""
        self.out.write(json.dumps(document, separators=(",", ":")))


def alarm_text(alarm: Alarm) -> str:
    """An alarm in a line."""
    return f"ALARM {alarm.monitor}, frames {', '.join(map(str, alarm.frames))}: {alarm.text}"


def problem_text(problem: Problem) -> str:
    """A problem as a line of its own, which no frame's line looks like."""
    about = f", frame {problem.number}" if problem.number else ""
    return f"   ---- at byte {problem.offset:,}{about}: {problem.what}"
