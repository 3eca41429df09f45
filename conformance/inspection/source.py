"""A capture as a stream of explained frames and of problems, with the secrets that open it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from conformance.capture import CapturedFrame, Context, KeyLogText, Problem, read_capture
from conformance.inspection.keys import Keys
from conformance.inspection.words import Clock
from conformance.sessions.seen import SeenFrame, SeenSession
from conformance.sessions.track import Tracker

if TYPE_CHECKING:
    from conformance.monitors import Alarm, Blind, Monitors

MOST_ALARMS: Final = 1_000
"""Alarms that are kept; further ones are counted."""


@dataclass(slots=True)
class Source:
    """Reads a capture once and says what it came to."""

    file: Path | BinaryIO
    keys: Keys
    """Those from elsewhere; the secrets in the file are added as they come."""
    clock: Clock
    """Told what the capture says of its times."""
    watch: bool = False
    """Whether the bug-pattern monitors look at it."""
    context: Context | None = None
    """What the capture says of itself; the first of several."""
    frames: int = 0
    """Read so far, as `sessions`, `decrypted` and `problems`."""
    sessions: int = 0
    problems: int = 0
    first_problem: Problem | None = None
    fatal: Problem | None = None
    alarms: list[Alarm] = field(default_factory=list)
    """The first `MOST_ALARMS`."""
    alarm_count: int = 0
    current: list[Alarm] = field(default_factory=list)
    """Those that the latest frame raised."""
    blind: list[Blind] = field(default_factory=list)
    """Monitors that could not look; known at the end."""
    _monitors: Monitors | None = None
    _decrypted: bytearray = field(default_factory=bytearray)
    """A byte for each session."""

    @property
    def decrypted(self) -> int:
        """Sessions whose secret is known."""
        return sum(self._decrypted)

    def entries(self) -> Iterator[SeenFrame | Problem]:
        """The frames and problems in the file's order. Raises OSError."""
        feed = Tracker(self.keys.secrets).feed
        for entry in read_capture(self.file):
            if isinstance(entry, CapturedFrame):
                seen = feed(entry)
                self.frames += 1
                if seen.session is not None:
                    self._session(seen.session)
                if self.watch:
                    self._watch(seen)
                yield seen
            elif isinstance(entry, Problem):
                self.note(entry)
                yield entry
            elif isinstance(entry, KeyLogText):
                self.keys.secrets.add_key_log(entry.text)
            elif self.context is None:
                self.context = entry
                self.clock.context(entry)

        if self._monitors is not None:
            self._alarm(self._monitors.end())
            self.blind = self._monitors.blind()

    def _watch(self, seen: SeenFrame) -> None:
        if self._monitors is None:
            from conformance.monitors import Monitors  # late: most calls do without

            self._monitors = Monitors(boots={} if self.context is None else self.context.boots)
        self._alarm(self._monitors.feed(seen))

    def _alarm(self, alarms: list[Alarm]) -> None:
        self.current = alarms
        self.alarm_count += len(alarms)
        self.alarms += alarms[: MOST_ALARMS - len(self.alarms)]

    def _session(self, session: SeenSession) -> None:
        if session.number > self.sessions:
            self.keys.met(session.client_random)
        self.count(session.number, session.decrypted)

    def count(self, number: int, decrypted: bool) -> None:
        """Count a session that a frame is of."""
        if number > self.sessions:
            self._decrypted.extend(bytes(number - self.sessions))
            self.sessions = number
        if decrypted:
            self._decrypted[number - 1] = 1

    def note(self, problem: Problem) -> None:
        """Count a problem."""
        self.problems += 1
        self.first_problem = self.first_problem or problem
        if problem.fatal:
            self.fatal = problem
