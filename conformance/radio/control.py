"""The radio's second port: who asks for its figures, changes its schedule, or stands in the middle. JSON lines.

| from the client | what it does |
|---|---|
| `{"do": "status"}` | answered by one line, what `scewl radio status` shows |
| `{"do": "faults", "faults": [...]}` | the schedule is this from now on, counted anew; entries as in its file |
| `{"do": "intercept"}` | every frame that an antenna sends is told, and waits for what is said about it |
| `{"do": "pass", "frame": 7}` | it goes on as it is |
| `{"do": "drop", "frame": 7}` | nobody hears it |
| `{"do": "change", "frame": 7, "hex": "5343..."}` | this frame goes on instead |
| `{"do": "inject", "hex": "5343..."}` | everybody hears this frame; no fault strikes it |

A frame is told as `{"frame": 7, "time_ms": 1204, "antenna": 2, "source": 11, "target": 10, "what": "ClientHello",
"hex": "5343..."}`. What is no command is answered by `{"error": "..."}`; `intercept` and
`faults` by `{"done": "..."}`, the rest by nothing. There is one man in the middle at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from conformance.radio.hub import Hub
from conformance.radio.schedule import BadSchedule, parse_schedule
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import FAA_ID

LINE = 1 << 18
"""Bytes of a line, at the most: the longest frame in hexadecimal has 131,086."""
_UNREAD = 1 << 20
"""Bytes that a man in the middle may leave unread before frames pass him by."""


class _BadCommand(Exception):
    """The text says what is wrong with it."""


class Control:
    """Answers the connections of the second port."""

    def __init__(self, hub: Hub, hold: float) -> None:
        """A frame that nothing is said about goes on after `hold` seconds."""
        self._hub, self._hold = hub, hold
        self._loop = asyncio.get_running_loop()
        self._middle: asyncio.StreamWriter | None = None
        self._told: dict[int, tuple[int, Frame, asyncio.TimerHandle]] = {}
        """Frames that wait, by number: whose antenna's, what, and until when."""
        self._number = 0
        self._tasks: set[asyncio.Task[None]] = set()
        hub.offer = self._offer

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end, in a task of its own."""
        task = asyncio.create_task(self._answer(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Let everybody go; what a man in the middle holds goes on."""
        for task in self._tasks:
            task.cancel()
        self._let_go()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    answer = self._carry_out(writer, line)
                except _BadCommand as error:
                    answer = {"error": str(error)}
                if answer:
                    writer.write(json.dumps(answer).encode() + b"\n")
                    await writer.drain()
        except (OSError, ValueError):  # it left, or never ends its line
            pass
        finally:
            if self._middle is writer:
                self._let_go()
            writer.close()

    def shown(self) -> dict[str, Any]:
        """What there is to say of the radio."""
        return self._hub.shown() | {"man_in_the_middle": self._middle is not None, "held_frames": len(self._told)}

    def _carry_out(self, writer: asyncio.StreamWriter, line: bytes) -> dict[str, Any] | None:
        try:
            command = json.loads(line)
            what = command["do"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _BadCommand('a command is a line of JSON such as {"do": "status"}') from None
        if what == "status":
            return self.shown()
        if what == "faults":
            try:
                faults = parse_schedule("the schedule", {"faults": command.get("faults")})
            except BadSchedule as error:
                raise _BadCommand(str(error)) from None
            self._hub.medium.schedule(faults)
            return {"done": "faults", "entries": len(faults)}
        if what == "intercept":
            if self._middle not in (None, writer):
                raise _BadCommand("somebody else stands in the middle: one at a time")
            self._middle = writer
            return {"done": "intercept"}
        if what == "inject":
            self._hub.counts["injected"] += 1
            self._hub.inject(_frame(command))
            return None
        if what in ("pass", "drop", "change"):
            self._decide(writer, what, command)
            return None
        raise _BadCommand(f"there is no command {what!r}: status, faults, intercept, pass, drop, change, inject")

    def _decide(self, writer: asyncio.StreamWriter, what: str, command: dict[str, Any]) -> None:
        if writer is not self._middle:
            raise _BadCommand('first say {"do": "intercept"}')
        changed = _frame(command) if what == "change" else None
        number = command.get("frame")
        told = self._told.pop(number, None) if isinstance(number, int) else None
        if told is None:
            raise _BadCommand(f"no frame {number!r} waits: it was decided about, or had waited for {self._hold:g} s")
        antenna, frame, timer = told
        timer.cancel()
        self._hub.counts[f"middle_{what}"] += 1
        if what == "drop":
            self._hub.withhold(antenna, frame)
        elif changed:
            self._hub.carry(antenna, changed, frame)
        else:
            self._hub.carry(antenna, frame)

    def _offer(self, antenna: int, frame: Frame) -> bool:
        if self._middle is None:
            return False
        if self._middle.is_closing() or self._middle.transport.get_write_buffer_size() > _UNREAD:
            self._hub.counts["middle_missed"] += 1
            return False
        self._number += 1
        timer = self._loop.call_later(self._hold, self._late, self._number)
        self._told[self._number] = (antenna, frame, timer)
        in_clear = FAA_ID in (frame.source, frame.target)
        told = {
            "frame": self._number,
            "time_ms": self._hub.now(),
            "antenna": antenna,
            "source": frame.source,
            "target": frame.target,
            "what": f"FAA, {len(frame.payload)} B" if in_clear else describe(frame.payload),
            "hex": frame.encode().hex(),
        }
        self._middle.write(json.dumps(told).encode() + b"\n")
        return True

    def _late(self, number: int) -> None:
        """Nothing was said about it: a man in the middle who sleeps is none."""
        antenna, frame, _ = self._told.pop(number)
        self._hub.counts["middle_late"] += 1
        self._hub.carry(antenna, frame)

    def _let_go(self) -> None:
        """He left: what he held goes on, in order."""
        self._middle = None
        told, self._told = self._told, {}
        for antenna, frame, timer in told.values():
            timer.cancel()
            self._hub.carry(antenna, frame)


def _frame(command: dict[str, Any]) -> Frame:
    """The one whole frame in a command's `hex`."""
    text = command.get("hex")
    found: list[Any] = []
    reader = FrameReader()
    if isinstance(text, str):
        with contextlib.suppress(ValueError):
            found = list(reader.feed(bytes.fromhex(text)))
    if len(found) != 1 or not isinstance(found[0], Frame) or reader.pending:
        raise _BadCommand("`hex` is one whole frame in hexadecimal, from its magic 5343 on")
    return found[0]
