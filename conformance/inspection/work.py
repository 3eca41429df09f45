"""One call of `scewl inspect`: read a capture once and give each frame to what shows it."""

from __future__ import annotations

import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.capture import Problem
from conformance.inspection import parallel
from conformance.inspection.select import Selection
from conformance.inspection.source import Source
from conformance.inspection.stats import Statistics
from conformance.inspection.views import TableView, View
from conformance.inspection.words import counted
from conformance.sessions.seen import SeenFrame

_TICK: Final = 5_000
"""Frames between two reports of progress."""


@dataclass(slots=True)
class Work:
    """One call: what is read, what is shown, and where."""

    name: str
    """The file, for messages."""
    source: Source
    selection: Selection
    views: list[View]
    shown: int = 0
    stopped: bool = False
    """Whether the rest of the file was not read, since no frame of it is shown."""
    size: int = 0
    """Bytes of the file, to tell the progress; 0 if it is not told."""
    _ticks: int = 0

    def read(self) -> None:
        """Read and show everything. Raises OSError."""
        processes = self._processes()
        if processes > 1:
            parallel.show(self.source, self.views[0], processes)  # type: ignore[arg-type]  # a TableView
            self.shown = self.source.frames
            return
        fits, everything = self.selection.fits, self.selection.everything
        for entry in self.source.entries():
            if isinstance(entry, SeenFrame):
                if everything or fits(entry):
                    self.shown += 1
                    for view in self.views:
                        view.frame(entry)
                elif self.selection.past(entry.captured.number):
                    self.stopped = True
                    break
                if self.size:
                    self._progress(entry.captured.offset)
            elif isinstance(entry, Problem) and not entry.fatal:
                for view in self.views:
                    view.problem(entry)
        if self._ticks:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
        if self.source.fatal is None:
            for view in self.views:
                view.end()

    def summary(self) -> str:
        """What it came to, in a line."""
        source = self.source
        parts = [counted(source.frames, "frame") + (" read" if self.stopped else "")]
        if self.shown != source.frames:
            parts.append(f"{self.shown:,} shown")
        parts.append(f"{counted(source.sessions, 'session')}, {source.decrypted:,} decrypted")
        if source.problems:
            parts.append(counted(source.problems, "problem"))
        return "; ".join(parts)

    def document(self, statistics: Statistics) -> dict[str, Any]:
        """The same for JSON."""
        source = self.source
        return {
            "kind": "summary",
            "file": self.name,
            "frames": source.frames,
            "shown": self.shown,
            "sessions": source.sessions,
            "decrypted": source.decrypted,
            "problems": source.problems,
            "whole": not self.stopped,
            "statistics": statistics.document(),
        }

    def _processes(self) -> int:
        """How many to read with: several for a plain table of a large file."""
        file = self.source.file
        if len(self.views) != 1 or not isinstance(self.views[0], TableView) or self.views[0].fields is not None:
            return 1
        if not self.selection.everything or self.source.watch or self.views[0].marks or not isinstance(file, Path):
            return 1
        status = file.stat()
        return parallel.cores() if status.st_size >= parallel.SMALLEST and stat.S_ISREG(status.st_mode) else 1

    def _progress(self, offset: int) -> None:
        self._ticks += 1
        if self._ticks % _TICK == 0:
            print(f"\r{100 * offset // self.size:>3} %", end="", file=sys.stderr, flush=True)
