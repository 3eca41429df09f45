"""Filters: which frames of a capture are shown. Sessions are tracked over all of it, whatever is shown."""

from __future__ import annotations

from dataclasses import dataclass

from conformance.sessions.seen import SeenFrame
from model.alphabet import Link


@dataclass(frozen=True, slots=True)
class Selection:
    """What every shown frame fits; an empty set, or None, fits everything."""

    links: frozenset[Link] = frozenset()
    devices: frozenset[int] = frozenset()
    """SCEWL ids: of the controller where the frame was captured, of its source or of its target."""
    sessions: frozenset[int] = frozenset()
    frames: tuple[int, int | None] | None = None
    """First and last number; None as the last is the end of the file."""

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        return not (self.links or self.devices or self.sessions or self.frames)

    def fits(self, seen: SeenFrame) -> bool:
        """Whether a frame is shown."""
        captured = seen.captured
        if self.frames is not None:
            first, last = self.frames
            if captured.number < first or (last is not None and captured.number > last):
                return False
        if self.links and captured.link not in self.links:
            return False
        if self.sessions and (seen.session is None or seen.session.number not in self.sessions):
            return False
        if not self.devices or captured.sed in self.devices:
            return True
        return seen.frame is not None and (seen.frame.source in self.devices or seen.frame.target in self.devices)

    def past(self, number: int) -> bool:
        """Whether no frame from this number on is shown, so that the rest need not be read."""
        return self.frames is not None and self.frames[1] is not None and number > self.frames[1]
