"""A purpose's steps from a path's: what the environment does, and which frames it held back or lost meanwhile.

A path says in which order things happen; a purpose's steps act at moments of virtual time, and between two of them
everything that is due happens. So each stimulus begins a *segment*. A frame that the path delivers in a later segment
than it is sent in is delayed by a few milliseconds, and one that the path never delivers is lost.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

FOR_EVER: Final = 1_000
"""Transmissions that a `lose` step strikes at most."""

Document = dict[str, Any]
"""A purpose's step as plain data."""


@dataclass
class Sending:
    """One transmission of a flight or a record: the `nth` of its kind by its sender in the segment that sends it."""

    sender: int
    what: tuple[str, int | str]
    """`("flight", 5)` or `("record", "data")`."""
    segment: int
    nth: int
    until: int | None = None
    """The segment in which it arrives; None: not yet."""
    lost: bool = False
    times: int = 1
    """How many transmissions of its kind in a row share its fate."""
    overtaken: bool = False
    """Something that was sent after it, in the same segment, arrives before it."""

    @property
    def late(self) -> bool:
        """Whether it must be delayed."""
        return self.until is not None and (self.overtaken or self.until > self.segment)


@dataclass
class Segment:
    """A stimulus, and all that happens until the next one. Without a step, the beginning."""

    step: Document | None = None
    sent: Counter[tuple[int, tuple[str, int | str]]] = field(default_factory=Counter)


class Schedule:
    """Segments and the frames on their way, by the names that the caller gives them."""

    def __init__(self) -> None:
        self.segments = [Segment()]
        self._sendings: list[Sending] = []
        self._flying: dict[str, Sending] = {}

    def begin(self, **step: Any) -> Document:
        """The environment does a step, which the caller may still change."""
        self.segments.append(Segment(step))
        return step

    @property
    def now(self) -> int:
        """The present segment."""
        return len(self.segments) - 1

    def send(self, name: str, sender: int, what: tuple[str, int | str], *, times: int = 1) -> None:
        """A frame is on its way now. One with the same name that still was is lost: this is its repetition."""
        self.lose(name)
        counts = self.segments[-1].sent
        counts[sender, what] += 1
        self._flying[name] = Sending(sender, what, self.now, counts[sender, what], times=times)
        self._sendings.append(self._flying[name])

    def rename(self, old: str, new: str) -> None:
        """The same frame under another name."""
        if old in self._flying:
            self._flying[new] = self._flying.pop(old)

    def arrive(self, name: str, *, overtaken: bool = False) -> None:
        """It arrives, if it is on its way; where it is overtaken, after all else that happens in this segment."""
        if name in self._flying:
            sending = self._flying.pop(name)
            sending.until, sending.overtaken = self.now, overtaken

    def lose(self, name: str) -> None:
        """It never arrives."""
        if name in self._flying:
            self._flying.pop(name).lost = True

    def steps(self) -> list[Document]:
        """The purpose's steps. What is still on its way arrives at the end."""
        for name in list(self._flying):
            self.arrive(name)
        late = {s.until for s in self._sendings if s.late}
        steps: list[Document] = []
        for number, segment in enumerate(self.segments):
            steps += self._faults(number, late)
            if segment.step is not None:
                steps.append(segment.step)
            if number in late:
                steps.append({"do": "wait", "ms": 1})
        return steps

    def _faults(self, number: int, late: set[int | None]) -> list[Document]:
        """What must be said before a segment's step. A frame that one fault strikes does not count for the next."""
        steps: list[Document] = []
        struck: Counter[tuple[int, tuple[str, int | str]]] = Counter()
        for sending in (s for s in self._sendings if s.segment == number):
            key = sending.sender, sending.what
            fault = {sending.what[0]: sending.what[1], "by": sending.sender, "nth": sending.nth - struck[key]}
            if sending.lost:
                more = {"times": sending.times} if sending.times > 1 else {}
                steps.append({"do": "lose", **fault, **more})
            elif sending.late and sending.until is not None:
                steps.append({"do": "delay", **fault, "ms": self._time(number, sending.until, late)})
            else:
                continue
            struck[key] += 1
        return steps

    def _time(self, first: int, last: int, late: set[int | None]) -> int:
        """Milliseconds from the step of one segment to the end of another."""
        waits: list[int] = [
            s.step["ms"] for s in self.segments[first + 1 : last + 1] if s.step and s.step["do"] == "wait"
        ]
        return sum(waits) + len([n for n in range(first, last + 1) if n in late])
