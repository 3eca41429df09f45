"""The log: one JSON object a line, written by a thread of its own, so that a slow reader or disk stalls nobody.

A kind of event that comes too often is thinned out, and the next line that goes through says how many were left out.
No line may hold a secret: fields are ids, counts, names and times, never bytes.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from reference.service.limits import Bucket

Field = str | int | float | bool | None | list[str] | list[int]
_QUEUE = 10_000
"""Lines that may wait to be written; more are lost, and counted."""
_BURST, _RATE = 50, 10
"""Lines of one kind of event at once, and per second after that."""
_PATIENCE = 2.0
"""Seconds that the end of the program waits for a reader that has stopped reading."""


class Journal:
    """Where events go."""

    def __init__(self, stream: TextIO, now: Callable[[], float], date: Callable[[], datetime]) -> None:
        """`now` gives seconds that never go back, for the thinning; `date` the date that a line bears."""
        self.lost = 0
        """Lines that could not be written."""
        self._stream, self._now, self._date = stream, now, date
        self._waiting: queue.Queue[str | None] = queue.Queue(_QUEUE)
        self._buckets: dict[str, Bucket] = {}
        self._left_out: dict[str, int] = {}
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()

    def say(self, event: str, **fields: Field) -> None:
        """Write an event with its fields, unless too many of its kind came. Never raises, never waits."""
        now = self._now()
        bucket = self._buckets.setdefault(event, Bucket(_BURST, _RATE, now))
        if bucket.wait(now) > 0:
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        bucket.spend(1, now)
        line: dict[str, Field] = {
            "time": self._date().astimezone(UTC).isoformat(timespec="milliseconds"),
            "event": event,
            **{name: value for name, value in fields.items() if value is not None},
        }
        if left_out := self._left_out.pop(event, 0):
            line["left_out"] = left_out
        try:
            self._waiting.put_nowait(json.dumps(line))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what waits."""
        try:
            self._waiting.put(None, timeout=_PATIENCE)
        except queue.Full:
            return
        self._thread.join(_PATIENCE)

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._stream.write(line + "\n")
                if self._waiting.empty():
                    self._stream.flush()
            except (OSError, ValueError):  # a full disk, a reader that left: the service goes on
                self.lost += 1
