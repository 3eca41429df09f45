"""Frames on their way between devices, and what an exact schedule of faults does to them.

Whoever runs a world says who hears a frame, and takes each delivery when it is due; time is an argument.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from conformance.faults import Content, Fault, Traffic
from conformance.wire.frames import Frame
from model.alphabet import FAA_ID, Link

FATES: Final = {"delay": "delayed", "duplicate": "duplicate", "swap": "delayed", "cut": "cut"}
"""What becomes of a frame, by the fault that strikes it."""


@dataclass(order=True)
class Delivery:
    """A frame on its way; `due` in milliseconds."""

    due: int
    order: int
    to: int
    link: Link
    data: bytes
    fate: str = "delivered"


class Links:
    """The radio and the SSS wires: frames move in the order of their sending, and by `faults`."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.flying: list[Delivery] = []
        """A heap."""
        self._traffic = Traffic()
        self._held: dict[int, list[Delivery]] = {}
        self._order = 0

    def content(self, frame: Frame) -> Content:
        """What a frame is, as far as its plaintext tells. To be asked once for each frame, in their order."""
        if FAA_ID in (frame.target, frame.source):
            return Content()
        return self._traffic.content(frame.source, frame.target, frame.payload)

    def send(
        self, sender: int, link: Link, frame: Frame, content: Content, hearers: Sequence[int], due: int, *, lost_at: int
    ) -> str:
        """Put a frame on its way to those who hear it; returns its fate.

        `due` is when it arrives if nothing delays it. A lost frame flies nowhere, but to the device `lost_at`, with the
        fate `lost`, so that it shows where it would have come.
        """
        struck = next((f for f in self.faults if f.strikes(frame.source, content)), None)
        action = struck.action if struck else ""
        if action == "lose":
            if frame.target == lost_at:
                self.fly(lost_at, link, frame.encode(), "lost", due)
            return "lost"
        if action == "cut":
            frame = replace(frame, payload=frame.payload[: len(frame.payload) // 2])
        fate = FATES.get(action, "delivered")
        late = due + struck.ms if struck and action == "delay" else due
        for to in hearers:
            if action == "swap":
                self._held.setdefault(sender, []).append(Delivery(due, 0, to, link, frame.encode(), fate))
                continue
            self.fly(to, link, frame.encode(), fate, late)
            if action == "duplicate":
                self.fly(to, link, frame.encode(), fate, late)
        if action != "swap":
            for held in self._held.pop(sender, []):
                self.fly(held.to, held.link, held.data, held.fate, due)
        return fate

    def fly(self, to: int, link: Link, data: bytes, fate: str, due: int) -> None:
        """Put bytes on their way to one device."""
        self._order += 1
        heapq.heappush(self.flying, Delivery(due, self._order, to, link, data, fate))

    def due(self) -> int | None:
        """When the next one arrives."""
        return self.flying[0].due if self.flying else None

    def take(self, now: int) -> Delivery | None:
        """The next one that is due."""
        return heapq.heappop(self.flying) if self.flying and self.flying[0].due <= now else None
