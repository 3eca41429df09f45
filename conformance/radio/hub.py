"""The hub: a connection is an antenna, and what it sends is heard by all others.

Whole frames only: bytes between frames, and halves of frames, are no radio signal here; they are counted and dropped.
Nobody waits for anybody. Each antenna is read one frame a turn, at a rate; for each of those that listen there is one
queue of each that speaks, and they are emptied in turns, so that a flood costs its neighbours every second frame and
nothing else. What does not fit a queue is lost, as on the air, and counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.capture import CapturedFrame
from conformance.radio.medium import Flying, Medium
from conformance.radio.recorder import Recorder
from conformance.wire.frames import Frame, FrameReader, Junk
from model.alphabet import BROADCAST, FAA_ID, LOWEST_SED_ID, Link
from reference.service.journal import Journal
from reference.service.limits import Bucket

_CHUNK = 4_096
"""Bytes that are read at once."""
_SEND_BUFFER = 16_384
"""Bytes that the kernel holds for a slow listener: they are older than what waits here."""
_WAIT = 1 << 16
"""Bytes that may wait for one listener from one speaker: three of the longest messages."""
_FRAME_COST = 64
"""Bytes that a frame costs besides its own."""

Offer = Callable[[int, Frame], bool]
"""Shows a frame of an antenna to a man in the middle; True if he will say what becomes of it."""


@dataclass(eq=False, slots=True)
class Antenna:
    """One connection."""

    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    bucket: Bucket
    since: float
    id: int = 0
    """Whose it is, by the source of its first frame; 0 until then."""
    last: float = 0.0
    """When it last sent a frame."""
    stream: FrameReader = field(default_factory=FrameReader)
    queues: dict[int, deque[bytes]] = field(default_factory=dict)
    """What it is to hear, by speaker."""
    waiting: Counter[int] = field(default_factory=Counter)
    """Bytes in these."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    counts: Counter[str] = field(default_factory=Counter)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Hub:
    """Made inside a running event loop."""

    def __init__(
        self,
        medium: Medium,
        journal: Journal,
        recorder: Recorder | None,
        *,
        most: int,
        rate: float,
        echo: bool = False,
    ) -> None:
        """`most` antennas at once; `rate` bytes a second of each, with two seconds' worth at once; `echo`: whoever
        sends hears itself, too."""
        self.medium, self.recorder = medium, recorder
        self.offer: Offer = lambda _number, _frame: False
        self.counts: Counter[str] = Counter()
        self._journal, self._most, self._rate, self._echo = journal, most, rate, echo
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        # The date of the start, and a clock that never goes back from there.
        self._date_us = time.time_ns() // 1_000
        self._antennas: dict[int, Antenna] = {}
        self.accepted = 0
        """Connections so far."""
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None

    # --- antennas ----------------------------------------------------------------------------------------------------

    def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end, in tasks of its own."""
        if self._closed:  # it was accepted at the last moment
            writer.transport.abort()
            return
        while len(self._antennas) >= self._most:
            quietest = min(self._antennas.values(), key=lambda a: (a.last, a.number))
            self._drop(quietest, "it makes room for a newer one")
        with contextlib.suppress(OSError):
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        writer.transport.set_write_buffer_limits(high=0)
        self.accepted += 1
        now = self._loop.time()
        antenna = Antenna(self.accepted, reader, writer, Bucket(2 * self._rate, self._rate, now), since=now)
        self._antennas[antenna.number] = antenna
        self._journal.say("connected", antenna=antenna.number)
        antenna.tasks = [asyncio.create_task(work) for work in (self._listen(antenna), self._talk(antenna))]

    async def _listen(self, antenna: Antenna) -> None:
        """Take what one antenna sends, until it leaves."""
        reason = "it left"
        try:
            while data := await antenna.reader.read(_CHUNK):
                for found in antenna.stream.feed(data):
                    if isinstance(found, Junk):
                        antenna.counts["junk_bytes"] += len(found.data)
                    else:
                        self._hear(antenna, found)
                    await self._pace(antenna, len(found.data) if isinstance(found, Junk) else len(found.payload))
                await asyncio.sleep(0)
        except OSError as error:
            reason = f"the connection broke ({error.strerror or error})"
        except Exception as error:  # whatever we did not foresee costs this antenna its connection, and nobody else
            reason = f"internal error: {type(error).__name__}: {error}"
            self.counts["internal_errors"] += 1
        self._drop(antenna, reason)

    async def _pace(self, antenna: Antenna, size: int) -> None:
        """Give the others a turn, and more than one to whoever has used up its share."""
        now = self._loop.time()
        antenna.bucket.spend(size + _FRAME_COST, now)
        await asyncio.sleep(antenna.bucket.wait(now))

    async def _talk(self, antenna: Antenna) -> None:
        """Let one antenna hear what waits for it, one frame of each speaker at a time."""
        try:
            while await antenna.ready.wait():
                for speaker in list(antenna.queues):
                    data = antenna.queues[speaker].popleft()
                    antenna.waiting[speaker] -= len(data)
                    if not antenna.queues[speaker]:
                        del antenna.queues[speaker], antenna.waiting[speaker]
                    antenna.writer.write(data)
                    await antenna.writer.drain()
                    antenna.counts["heard"] += 1
                if not antenna.queues:
                    antenna.ready.clear()
        except OSError as error:
            self._drop(antenna, f"the connection broke ({error.strerror or error})")

    def _drop(self, antenna: Antenna, reason: str) -> None:
        if self._antennas.pop(antenna.number, None) is None:
            return
        antenna.counts["junk_bytes"] += len(antenna.stream.pending)
        self.medium.leave(antenna.number)
        antenna.writer.transport.abort()
        for task in antenna.tasks:
            if task is not asyncio.current_task():
                task.cancel()
        counts = {name: value for name, value in antenna.counts.items() if value}
        self._journal.say("disconnected", antenna=antenna.number, id=antenna.id or None, reason=reason, **counts)
        for name, value in counts.items():
            self.counts[name] += value

    def close(self) -> None:
        """Let everybody go, and end the capture. Raises OSError if its end cannot be written."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
        for antenna in list(self._antennas.values()):
            self._drop(antenna, "the radio ends")
        if self.recorder:
            self.recorder.close()

    # --- frames ------------------------------------------------------------------------------------------------------

    def now(self) -> int:
        """Milliseconds since the start."""
        return int((self._loop.time() - self._began) * 1_000)

    def _hear(self, antenna: Antenna, frame: Frame) -> None:
        """A frame of an antenna: the first one says whose it is."""
        antenna.counts["sent"] += 1
        antenna.last = self._loop.time()
        if antenna.id == 0 and frame.source >= FAA_ID:
            antenna.id = frame.source
            self._journal.say("spoke", antenna=antenna.number, id=antenna.id)
        if frame.source != antenna.id:
            antenna.counts["other_source"] += 1  # the radio does not judge: anybody may claim any id
        if not self.offer(antenna.number, frame):
            self.carry(antenna.number, frame)

    def carry(self, number: int, frame: Frame, sent: Frame | None = None) -> None:
        """Put a frame of an antenna on the air, under the schedule. `sent`: what the antenna really sent, if a man in
        the middle changed it."""
        fate = self.medium.carry(number, frame, self.now())
        if fate:
            self.counts[fate] += 1
        self._note_sent(number, sent or frame, ", ".join(filter(None, ("altered" if sent else "", fate))))
        self._deliver()

    def withhold(self, number: int, frame: Frame) -> None:
        """A man in the middle keeps a frame from everybody; the capture has what was sent."""
        self._note_sent(number, frame, "lost")

    def inject(self, frame: Frame) -> None:
        """Put a frame on the air that no antenna sent."""
        self.medium.inject(frame, self.now())
        self._deliver()

    def _deliver(self) -> None:
        """Let everybody hear what is due."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        for flying in self.medium.due(self.now()):
            self._fan_out(flying)
        if (deadline := self.medium.deadline()) is not None:
            # A millisecond later than due: `now` rounds down.
            self._timer = self._loop.call_at(self._began + (deadline + 1) / 1_000, self._deliver)

    def _fan_out(self, flying: Flying) -> None:
        data = flying.frame.encode()
        reached = []
        for antenna in self._antennas.values():
            if antenna.number == flying.sender and not self._echo:
                continue
            if antenna.waiting[flying.sender] + len(data) > _WAIT and antenna.waiting[flying.sender]:
                antenna.counts["lost_for_it"] += 1
                continue
            antenna.queues.setdefault(flying.sender, deque()).append(data)
            antenna.waiting[flying.sender] += len(data)
            antenna.ready.set()
            reached.append(antenna)
        self._note_heard(flying, reached)

    # --- the capture -------------------------------------------------------------------------------------------------

    def _note_sent(self, number: int, frame: Frame, comment: str) -> None:
        """What a SED sent, at its own tap; what somebody else sent in its name is not its own."""
        antenna = self._antennas.get(number)
        if antenna and antenna.id == frame.source:
            self._note(frame, antenna.id, False, comment)

    def _note_heard(self, flying: Flying, reached: list[Antenna]) -> None:
        """What the SED hears that it is for; that others hear it, too, and drop it (FRM-3), fills no capture."""
        frame, comment = flying.frame, flying.fate
        sender = self._antennas.get(flying.sender)
        if sender and sender.id != frame.source:
            comment = ", ".join(filter(None, (comment, f"sent by the antenna of {sender.id}")))
        if frame.target == BROADCAST:
            for antenna in reached:
                self._note(frame, antenna.id, True, comment)
            return
        own = [a for a in self._antennas.values() if a.id == frame.target]
        if any(a in reached for a in own) or (not own and any(a.id == 0 for a in reached)):
            self._note(frame, frame.target, True, comment)

    def _note(self, frame: Frame, sed: int, towards: bool, comment: str) -> None:
        if self.recorder and sed >= LOWEST_SED_ID:
            elapsed = int((self._loop.time() - self._began) * 1_000_000)
            encoded = frame.encode()
            self.recorder.record(
                CapturedFrame(self._date_us + elapsed, Link.RADIO, towards, sed, encoded, comment=comment)
            )

    # --- figures -----------------------------------------------------------------------------------------------------

    def shown(self) -> dict[str, Any]:
        """What `scewl radio status` shows."""
        now = self._loop.time()
        totals = Counter(self.counts)
        for antenna in self._antennas.values():
            totals.update(antenna.counts)
        return {
            "uptime_s": round(now - self._began, 3),
            "antennas": [
                {
                    "antenna": antenna.number,
                    "id": antenna.id,
                    "for_s": round(now - antenna.since, 3),
                    "waiting_bytes": antenna.waiting.total(),
                    **dict(sorted(antenna.counts.items())),
                }
                for antenna in self._antennas.values()
            ],
            "antennas_limit": self._most,
            "counts": dict(sorted(totals.items())),
            "faults": [
                {**_entry(fault), "struck": struck}
                for fault, struck in zip(self.medium.faults, self.medium.struck, strict=True)
            ],
            "capture": None
            if self.recorder is None
            else {
                "file": str(self.recorder.path),
                "frames": self.recorder.frames,
                "lost": self.recorder.lost,
                "secrets": self.recorder.secrets,
            },
            "log_lines_lost": self._journal.lost,
        }


def _entry(fault: Any) -> dict[str, Any]:
    """An entry of the schedule as its file has it."""
    names = ("flight", "record", "nth", "by", "to", "ms", "times")
    return {"do": fault.action} | {name: value for name in names if (value := getattr(fault, name))}
