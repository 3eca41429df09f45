"""Where alarms go: a folder, with a trace and a text for each, and a line of the log."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from conformance.files import write_private
from conformance.report.console import Style, details
from conformance.report.requirements import load_requirements
from conformance.watching.recording import Alarm

MOST = 100
"""Alarms that are written; of the others there is only the line of the log. A wrong node must not fill a disk."""
_FRAMES = 60
"""Of the ladder in the text; the trace has all."""


class AlarmFolder:
    """Call it with an alarm. The files are for their owner alone (0600): they hold the secrets of sessions."""

    def __init__(self, folder: Path, say: Callable[..., None]) -> None:
        """`folder` is made if it is missing (0700); `say` takes the name of an event and what belongs to it. Raises
        OSError if the folder cannot be made."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._say = folder, say
        self._written = 0

    def __call__(self, alarm: Alarm) -> None:
        """Write it down and say so; a disk that is full costs the files, not the node."""
        result, files = alarm.result, {}
        self._written += 1
        if self._written <= MOST:
            stem = f"{result.case}-{self._written}"
            if alarm.trace:
                result.trace = f"{stem}.jsonl"
                result.reproduce = f"scewl replay {self._folder / result.trace}"
                files[result.trace] = alarm.trace
            lines = details(result, load_requirements(), Style(120), folder=self._folder, frames=_FRAMES)
            files[f"{stem}.txt"] = "\n".join(lines) + "\n"
        lost = None
        try:
            for name, text in files.items():
                write_private(self._folder / name, text.encode())
        except OSError as error:
            lost = f"not written: {error.strerror}"
        found = result.divergence
        self._say(
            "diverged",
            node=alarm.node,
            verdict=result.verdict.name,
            requirements=found.requirements if found else None,
            reason=result.reason,
            text=str(self._folder / f"{result.case}-{self._written}.txt") if files and not lost else lost,
        )
