"""Clients of a running service: honest devices, which are real controllers, and hostile ones of each kind.

All of them are tasks of the test's own event loop and talk through real sockets. A device's clock is virtual: it moves
only when its connection is gone, from deadline to deadline, until its CPU has an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from model.alphabet import SSS_ID, Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.dtls import MTU
from reference.frame import Frame, FrameReader
from reference.registration import Request
from reference.service.journal import Journal
from reference.service.limits import Limits
from reference.service.listen import Address, listen
from reference.service.server import Service
from reference.service.store import Store

IDS = range(10, 26)
"""Sixteen devices."""
DEPLOYMENT = Deployment.create(IDS, seed=b"tests/reference/service")
FOREIGN = Deployment.create(IDS, seed=b"another authority")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def fresh() -> Deployment:
    """The deployment as it is loaded from a folder: nobody is removed in it."""
    return Deployment(DEPLOYMENT.authority, dict(DEPLOYMENT.seds))


class Device:
    """A controller with a wire to the service."""

    def __init__(self, sed_id: int, deployment: Deployment = DEPLOYMENT, entropy: bytes = b"") -> None:
        self.id, self.now = sed_id, 0
        self.controller = Controller(deployment.image(sed_id), boot_entropy=entropy, dialect=deployment.dialect)
        self.sent = 0
        """Frames on the wire."""

    @classmethod
    def clone(cls, sed_id: int) -> Device:
        """One in a device's name with a certificate of the right authority, but another key (CRT-8)."""
        device = cls(sed_id)
        device.controller = Controller.from_credentials(sed_id, DEPLOYMENT.issue(str(sed_id), b"clone"), b"clone")
        return device

    async def ask(self, streams: Streams, op: int, *, size: int = 0) -> int:
        """Ask for a registration (0) or its end (1) and return what the CPU is told.

        `size` sends every frame in pieces of so many bytes. A connection that breaks is the silence of the SSS.
        """
        reader, writer = streams
        self.controller.receive(Link.CPU, Frame(SSS_ID, self.id, Request(self.id, op).encode()).encode(), self.now)
        while (answer := self._hand_out(writer, size)) is None:
            try:
                await writer.drain()
                data = await reader.read(4_096)
            except OSError:
                data = b""
            if data:
                self.controller.receive(Link.SSS, data, self.now)
            elif (deadline := self.controller.deadline()) is not None:
                self.now = max(self.now, deadline)
                self.controller.on_time(self.now)
        with contextlib.suppress(OSError):
            await writer.drain()
        return answer

    def _hand_out(self, writer: asyncio.StreamWriter, size: int) -> int | None:
        answer = None
        for link, data in self.controller.outgoing():
            if link is Link.CPU:
                told = Request.decode(data[8:])
                assert told is not None and answer is None
                answer = told.op
            elif link is Link.SSS:
                self.sent += 1
                for at in range(0, len(data), size or len(data)):
                    writer.write(data[at : at + (size or len(data))])
        return answer

    def hello(self) -> bytes:
        """A first ClientHello, as a frame."""
        self.controller.receive(Link.CPU, Frame(SSS_ID, self.id, Request(self.id, 0).encode()).encode(), self.now)
        return b"".join(data for link, data in self.controller.outgoing() if link is Link.SSS)


@functools.cache
def hello(number: int) -> bytes:
    """A first ClientHello of some device, as a frame."""
    return Device(IDS[number % 16], entropy=bytes([number])).hello()


@dataclass
class Running:
    """A service in this event loop."""

    service: Service
    store: Store
    path: str
    log: io.StringIO
    journal: Journal
    date: list[datetime]
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    """Of all clients, to be closed at the end."""

    async def connect(self) -> Streams:
        streams = await asyncio.open_unix_connection(self.path)
        self.writers.append(streams[1])
        return streams

    async def register(self, sed_id: int, *, op: int = 0, size: int = 0) -> int:
        """One device, one connection, one request; what its CPU is told."""
        streams = await self.connect()
        try:
            return await Device(sed_id).ask(streams, op, size=size)
        finally:
            streams[1].close()

    def lines(self) -> list[dict[str, Any]]:
        """What was logged; the log is closed by this."""
        self.journal.close()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the event loop turn until something is so; a test that waits in vain is ended by its timeout."""
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def running(
    folder: Path, limits: Limits | None = None, deployment: Deployment | None = None, busy: int = 0
) -> AsyncIterator[Running]:
    """A service on a socket in a folder, with a wall clock that the test sets."""
    deployment = deployment or fresh()
    date = [datetime(2026, 5, 1, 12, tzinfo=UTC)]
    log = io.StringIO()
    journal = Journal(log, asyncio.get_running_loop().time, lambda: date[0])
    store = Store(folder, deployment.authority.certificate, busy=busy)
    service = Service(deployment, store, journal, limits or Limits(), lambda: date[0])
    listener = listen(Address(path=str(folder / "wires")))
    serving = asyncio.create_task(service.run([listener]))
    now = Running(service, store, str(folder / "wires"), log, journal, date)
    try:
        yield now
    finally:
        service.stop()
        await serving
        for writer in now.writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in now.writers), return_exceptions=True)
        journal.close()
        store.close()
        (folder / "wires").unlink()


# --- the hostile ------------------------------------------------------------------------------------------------------


async def _hold(streams: Streams, number: int) -> None:
    """Say nothing, for ever."""
    await asyncio.Event().wait()


async def _half(streams: Streams, number: int) -> None:
    """Half a frame, and then nothing."""
    streams[1].write(Frame(SSS_ID, IDS[number % 16], bytes(500)).encode()[:200])
    await asyncio.Event().wait()


async def _dribble(streams: Streams, number: int) -> None:
    """A hello, byte by byte, each in a segment of its own."""
    while True:
        for byte in hello(number):
            streams[1].write(bytes([byte]))
            await streams[1].drain()
            await asyncio.sleep(0)


async def _flood(streams: Streams, number: int) -> None:
    """Junk that holds no frame, as fast as it goes."""
    while True:
        streams[1].write(bytes(range(256)) * 64)
        await streams[1].drain()
        await asyncio.sleep(0)


async def _flood_frames(streams: Streams, number: int) -> None:
    """Frames in a device's name that hold no record."""
    frame = Frame(SSS_ID, IDS[number % 16], bytes(40)).encode()
    while True:
        streams[1].write(frame * 20)
        await streams[1].drain()
        await asyncio.sleep(0)


async def _flood_hellos(streams: Streams, number: int) -> None:
    """First hellos, of which no answer is ever read."""
    while True:
        streams[1].write(hello(number) * 10)
        await streams[1].drain()
        await asyncio.sleep(0)


async def _begin(streams: Streams, number: int) -> None:
    """Handshakes with a valid cookie that are begun and never finished, one after the other."""
    for attempt in range(1_000_000):
        device = Device(IDS[number % 16], entropy=bytes([number]) + attempt.to_bytes(3, "big"))
        streams[1].write(device.hello())
        frames = FrameReader(MTU)
        while (frame := frames.next()) is None or frame.payload[13] != 3:  # HelloVerifyRequest
            frames.feed(await streams[0].readexactly(1))
        device.controller.receive(Link.SSS, frame.encode(), 0)
        streams[1].write(b"".join(data for link, data in device.controller.outgoing() if link is Link.SSS))
        await streams[1].drain()
        await asyncio.sleep(0)


async def _strange(streams: Streams, number: int) -> None:
    """A device of another authority that tries for ever."""
    device = Device(IDS[number % 16], FOREIGN, entropy=bytes([number]))
    while True:
        await device.ask(streams, 0)
        await asyncio.sleep(0)


async def _oversize(streams: Streams, number: int) -> None:
    """Frames longer than any datagram may be (FRM-2)."""
    while True:
        streams[1].write(Frame(SSS_ID, IDS[number % 16], bytes(60_000)).encode())
        await streams[1].drain()
        await asyncio.sleep(0)


async def _half_close(streams: Streams, number: int) -> None:
    """A hello, and no more is to come; the other half stays open."""
    streams[1].write(hello(number))
    streams[1].write_eof()
    await asyncio.Event().wait()


async def _reset(streams: Streams, number: int) -> None:
    """A hello, and a reset."""
    streams[1].write(hello(number))
    streams[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    streams[1].transport.abort()
    await asyncio.sleep(0)


async def _change(streams: Streams, number: int) -> None:
    """Another source id in each frame."""
    for source in IDS:
        streams[1].write(Frame(SSS_ID, source, bytes(40)).encode())
    await streams[0].read()


async def _impersonate(streams: Streams, number: int) -> None:
    """The SSS, the FAA, and frames for others."""
    streams[1].write(Frame(IDS[0], SSS_ID, bytes(40)).encode() + Frame(SSS_ID, 2, bytes(40)).encode())
    await streams[0].read()


HOSTILE: dict[str, Callable[[Streams, int], Awaitable[None]]] = {
    kind.__name__.strip("_"): kind
    for kind in (
        _hold,
        _half,
        _dribble,
        _flood,
        _flood_frames,
        _flood_hellos,
        _begin,
        _strange,
        _oversize,
        _half_close,
        _reset,
        _change,
        _impersonate,
    )
}
"""What each does with its connection. Those that are thrown out come back, as `besiege` has it."""


async def besiege(path: str, kind: str, number: int, begun: list[int]) -> None:
    """One hostile client, for ever: when its connection is over, it makes a new one."""
    while True:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            streams = await asyncio.open_unix_connection(path)
            begun[number] += 1
            try:
                await HOSTILE[kind](streams, number)
            finally:
                streams[1].transport.abort()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def siege(path: str, count: int, kinds: tuple[str, ...] = tuple(HOSTILE)) -> AsyncIterator[list[int]]:
    """So many hostile clients of these kinds, in turn; gives how often each has connected."""
    begun = [0] * count
    tasks = [asyncio.create_task(besiege(path, kinds[n % len(kinds)], n, begun)) for n in range(count)]
    try:
        while not all(begun):
            await asyncio.sleep(0)
        yield begun
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
