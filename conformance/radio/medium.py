"""What the air does to a frame: sans-I/O, on the time that it is given. Times are milliseconds.

The same faults, in the same words and with the same meaning, as on the links of a test purpose.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import count

from conformance.faults import Content, Fault, Traffic
from conformance.wire.frames import Frame
from model.alphabet import FAA_ID

FATES = {"delay": "delayed", "duplicate": "duplicate", "swap": "swapped", "cut": "cut", "lose": "lost"}
"""What is said of a frame, by the fault that struck it."""


@dataclass(order=True)
class Flying:
    """A frame on its way to every antenna but that of its sender."""

    due: int
    order: int
    sender: int = field(compare=False)
    """The number of the antenna that sent it; 0 for a man in the middle."""
    frame: Frame = field(compare=False)
    fate: str = field(compare=False, default="")


class Medium:
    """Carries frames, under a schedule."""

    def __init__(self, faults: list[Fault]) -> None:
        self.schedule(faults)
        self._traffic = Traffic()
        self._flying: list[Flying] = []
        self._held: dict[int, list[Flying]] = {}
        self._order = count()

    def schedule(self, faults: list[Fault]) -> None:
        """From now on these strike, counted from now on."""
        self.faults = faults
        self.struck = [0] * len(faults)
        """By entry of the schedule, how many frames it struck."""

    def carry(self, sender: int, frame: Frame, now: int) -> str:
        """Take a frame of an antenna; what is to be heard comes out of `due`. Returns its fate, `""` if none."""
        fault = self._strike(frame)
        action = fault.action if fault else ""
        fate = FATES.get(action, "")
        if action == "cut":
            frame = replace(frame, payload=frame.payload[: len(frame.payload) // 2])
        late = now + fault.ms if fault and action == "delay" else now
        if action == "swap":
            self._held.setdefault(sender, []).append(Flying(now, 0, sender, frame, fate))
            return fate
        for _ in range({"lose": 0, "duplicate": 2}.get(action, 1)):
            self._fly(Flying(late, 0, sender, frame, fate))
        for held in self._held.pop(sender, []):  # it comes behind the one that was sent after it
            self._fly(replace(held, due=late))
        return fate

    def leave(self, sender: int) -> None:
        """An antenna is gone, and with it what waited to be swapped with its next frame."""
        self._held.pop(sender, None)

    def inject(self, frame: Frame, now: int) -> None:
        """A frame of nobody's antenna, which no fault strikes."""
        self._fly(Flying(now, 0, 0, frame, "injected"))

    def due(self, now: int) -> list[Flying]:
        """What is to be heard by now, in order; it is handed out once."""
        out = []
        while self._flying and self._flying[0].due <= now:
            out.append(heapq.heappop(self._flying))
        return out

    def deadline(self) -> int | None:
        """When `due` has something next."""
        return self._flying[0].due if self._flying else None

    def _strike(self, frame: Frame) -> Fault | None:
        if FAA_ID in (frame.source, frame.target):  # no DTLS: no flight, no record
            content = Content()
        else:
            content = self._traffic.content(frame.source, frame.target, frame.payload)
        for number, fault in enumerate(self.faults):
            if fault.strikes(frame.source, content, frame.target):
                self.struck[number] += 1
                return fault
        return None

    def _fly(self, flying: Flying) -> None:
        heapq.heappush(self._flying, replace(flying, order=next(self._order)))
