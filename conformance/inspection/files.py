"""Views that are files: the ladder as a picture, the page, the copy with comments. Each is its owner's alone (0600)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from conformance.capture import CapturedFrame, Problem, write_capture
from conformance.files import write_private
from conformance.inspection.ladder import LadderBuilder
from conformance.inspection.source import Source
from conformance.inspection.views import alarm_text
from conformance.inspection.words import label, notes
from conformance.sessions.seen import SeenFrame

_SECTION: Final = 50_000
"""Frames in a section of a copy: a section is made in memory."""


@dataclass(slots=True)
class PictureView:
    """The ladder as SVG."""

    path: Path
    title: str
    builder: LadderBuilder

    def frame(self, seen: SeenFrame) -> None:
        """Draw it."""
        self.builder.feed(seen)

    def problem(self, problem: Problem) -> None:
        """Not drawn."""

    def end(self) -> None:
        """Write the file. Raises OSError."""
        write_private(self.path, self.builder.svg(self.title).encode())


@dataclass(slots=True)
class CopyView:
    """A copy of the capture that says in each frame's comment what it is; Wireshark shows that, and decrypts.

    It has the secrets of the sessions that are in it.
    """

    path: Path
    source: Source
    remarks: Mapping[int, str]
    """By frame number, what else is to be said."""
    whole: bool = True
    """Whether no frame was left out: else the copy does not vouch for having all."""
    _frames: list[CapturedFrame] = field(default_factory=list)
    _pairs: dict[bytes, bytes] = field(default_factory=dict)
    _begun: bool = False

    def frame(self, seen: SeenFrame) -> None:
        """Take a frame. Raises OSError."""
        captured, session = seen.captured, seen.session
        said = [captured.comment, label(seen), notes(seen), self.remarks.get(captured.number, "")]
        said += [alarm_text(alarm) for alarm in self.source.current]
        self._frames.append(replace(captured, comment="\n".join(filter(None, said))))
        if session is not None and (master := self.source.keys.secrets.master(session.client_random)):
            self._pairs[session.client_random] = master
        if len(self._frames) >= _SECTION:
            self._write()

    def problem(self, problem: Problem) -> None:
        """Not copied."""

    def end(self) -> None:
        """Write what is left. Raises OSError."""
        if self._frames or not self._begun:
            self._write()

    def _write(self) -> None:
        """Write a section: the first makes the file, the others are put behind it."""
        context = self.source.context
        if context is not None and not self.whole:
            context = replace(context, boots={})
        if not self._begun:
            write_capture(self.path, self._frames, self._pairs.items(), context)
        else:
            part = self.path.with_name(self.path.name + ".part")
            try:
                write_capture(part, self._frames, self._pairs.items(), context)
                with self.path.open("ab") as file:
                    file.write(part.read_bytes())
            finally:
                part.unlink(missing_ok=True)
        self._begun = True
        self._frames.clear()
        self._pairs.clear()
