"""A program that speaks DTLS over UDP, as a device on the bus.

Each of its datagrams becomes a frame, and each frame for it a datagram (FRM-7). Nothing is decrypted, kept or sent
again: what does not fit is dropped and counted, as a bus or a network would.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reference.dtls import MTU
from reference.frame import Frame, FrameReader
from reference.service.listen import Address, ListenError, listen, short

_CHUNK = 4_096
"""Bytes that are read from the bus at once."""
_BACKLOG = 65_536
"""Bytes that may wait for a bus that does not read; what comes then is lost, as it would be on a radio."""

Bus = asyncio.StreamWriter


class Relay:
    """Who the program is on the bus, with whom it talks, and what became of frames and datagrams."""

    def __init__(self, own: int, peer: int) -> None:
        """Two SCEWL ids."""
        self.own, self.peer = own, peer
        self.counts: Counter[str] = Counter()
        """`to-bus` and `to-udp` were passed on; all others were dropped: `too-long` (FRM-2) and `empty` datagrams,
        those for which there was `no-bus` or a `busy-bus`; frames for `others`, `oversize` ones, those for which there
        was `no-peer` yet or a `silent-peer` whose port is closed; and `junk-bytes` that were in no frame (FRM-1)."""

    def frame(self, datagram: bytes) -> bytes | None:
        """The frame that carries a datagram of the program; None if there is none."""
        if not 0 < len(datagram) <= MTU:
            self.counts["too-long" if datagram else "empty"] += 1
            return None
        return Frame(self.peer, self.own, datagram).encode()

    def datagrams(self, reader: FrameReader, data: bytes) -> list[bytes]:
        """The datagrams for the program in what came from the bus, through the reader of this connection."""
        reader.feed(data)
        skipped, oversize, found = reader.skipped, reader.oversize, []
        while frame := reader.next():
            if (frame.target, frame.source) == (self.own, self.peer) and frame.payload:
                found.append(frame.payload)
            else:
                self.counts["others"] += 1
        self.counts["junk-bytes"] += reader.skipped - skipped
        self.counts["oversize"] += reader.oversize - oversize
        return found


class _Udp(asyncio.DatagramProtocol):
    """The program's side. If it is a client, whoever sent last is the program."""

    def __init__(self, relay: Relay, to_bus: Callable[[bytes], None], *, is_server: bool) -> None:
        self._relay, self._to_bus, self._is_server = relay, to_bus, is_server
        self.transport: asyncio.DatagramTransport | None = None
        self._client: Any = None

    def datagram_received(self, data: bytes, address: Any) -> None:
        """The program has sent something."""
        self._client = address
        self._to_bus(data)

    def error_received(self, exc: Exception) -> None:  # noqa: ARG002 - asyncio's name
        """The program's port is closed, or so the network says; it may open it yet."""
        self._relay.counts["silent-peer"] += 1

    def send(self, datagram: bytes) -> None:
        """To the program."""
        if self.transport is None or not (self._is_server or self._client):
            self._relay.counts["no-peer"] += 1
            return
        self.transport.sendto(datagram, None if self._is_server else self._client)
        self._relay.counts["to-udp"] += 1


class Sides:
    """The bus and the program while the relay runs."""

    def __init__(self, relay: Relay, *, is_server: bool) -> None:
        self._relay = relay
        self._bus: Bus | None = None
        self.udp = _Udp(relay, self._to_bus, is_server=is_server)

    async def follow(self, reader: asyncio.StreamReader, writer: Bus) -> None:
        """Pass on what comes from a connection to the bus, until it ends. A newer connection replaces an older one."""
        if self._bus:
            self._bus.close()
        self._bus, frames = writer, FrameReader(MTU)
        with contextlib.suppress(OSError):  # a connection that breaks has ended
            while data := await reader.read(_CHUNK):
                for datagram in self._relay.datagrams(frames, data):
                    self.udp.send(datagram)
        writer.close()
        if self._bus is writer:
            self._bus = None

    def _to_bus(self, datagram: bytes) -> None:
        frame = self._relay.frame(datagram)
        if frame is None:
            return
        if self._bus is None or self._bus.transport.is_closing():
            self._relay.counts["no-bus"] += 1
        elif self._bus.transport.get_write_buffer_size() > _BACKLOG:
            self._relay.counts["busy-bus"] += 1
        else:
            self._bus.write(frame)
            self._relay.counts["to-bus"] += 1


async def run(
    relay: Relay,
    bus: Address,
    udp: tuple[str, int],
    *,
    listens: bool,
    is_server: bool,
    started: Callable[[tuple[str, int]], None],
) -> int:
    """Relay until SIGTERM or SIGINT; return that signal's number.

    `listens`: the bus connects to us, at `bus`, else we to it. `is_server`: the program listens at `udp` (host, port),
    else we do, for it to send there; `started` is told the address that is ours. Raises ListenError if an address
    cannot be used, or if the bus that we connected to is gone.
    """
    loop, sides = asyncio.get_running_loop(), Sides(relay, is_server=is_server)
    received: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not received.done():
            received.set_result(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    async with contextlib.AsyncExitStack() as closing:
        ours, theirs = (None, udp) if is_server else (udp, None)
        try:
            transport, _ = await loop.create_datagram_endpoint(lambda: sides.udp, ours, theirs)
        except OSError as error:
            raise ListenError(f"udp {udp[0]}:{udp[1]}: {error.strerror or error}: choose another address") from error
        closing.callback(transport.close)
        sides.udp.transport = transport
        lost: asyncio.Task[None] | None = None
        if listens:
            server = await asyncio.start_server(sides.follow, sock=listen(bus))
            closing.push_async_callback(_close, server, bus.path)
        else:
            reader, writer = await _connect(bus)
            closing.callback(writer.close)
            lost = asyncio.create_task(sides.follow(reader, writer))
            closing.callback(lost.cancel)
        started(transport.get_extra_info("sockname")[:2])
        ends: list[asyncio.Future[Any]] = [received, *([lost] if lost else [])]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    if not received.done():
        raise ListenError("the other end of the bus closed the connection: see why there, and start the relay again")
    return received.result()


async def _connect(bus: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        if not bus.path:
            return await asyncio.open_connection(bus.host, bus.port)
        with short(bus.path) as path:
            return await asyncio.open_unix_connection(path)
    except OSError as error:
        where = f"unix:{bus.path}" if bus.path else f"tcp:{bus.host}:{bus.port}"
        raise ListenError(f"{where}: {error.strerror or error}: does the bus listen there?") from error


async def _close(server: asyncio.Server, path: str) -> None:

    server.close()
    if path:
        Path(path).unlink(missing_ok=True)
