"""What a client of the radio can do wrong, each with a connection of its own. Some never end."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable

from reference.frame import Frame

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


def frame(target: int, source: int, payload: bytes) -> bytes:
    return Frame(target, source, payload).encode()


HELLO = frame(10, 11, bytes(40))


def reset(writer: Writer) -> None:
    """Close a connection with a reset."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silent(reader: Reader, writer: Writer) -> None:
    """Says nothing, and reads nothing."""
    reader._transport.pause_reading()  # type: ignore[attr-defined]


async def _half(reader: Reader, writer: Writer) -> None:
    """Half a frame of the greatest length, and then nothing."""
    writer.write(frame(10, 12, bytes(65_535))[:30_000])


async def _half_close(reader: Reader, writer: Writer) -> None:
    """No more is to come; the other half stays open."""
    writer.write(HELLO[:20])
    writer.write_eof()


async def _reset(reader: Reader, writer: Writer) -> None:
    """Half a frame, and a reset."""
    writer.write(HELLO[:20])
    await writer.drain()
    reset(writer)


async def _junk(reader: Reader, writer: Writer) -> None:
    """Bytes that hold no frame, as fast as they go."""
    while True:
        writer.write(bytes(range(256)) * 64)
        await writer.drain()
        await asyncio.sleep(0)


async def _flood(reader: Reader, writer: Writer) -> None:
    """Frames for a SED in the other's name, as fast as it goes, and never reads."""
    reader._transport.pause_reading()  # type: ignore[attr-defined]
    while True:
        writer.write(HELLO * 20)
        await writer.drain()
        await asyncio.sleep(0)


async def _liar(reader: Reader, writer: Writer) -> None:
    """Another source id in each frame, the SSS's and its own among them."""
    for source in range(1_000):
        writer.write(frame(10, source, bytes(20)))
    await writer.drain()


async def _oversize(reader: Reader, writer: Writer) -> None:
    """FRM-2: it is for the controllers to drop it."""
    while True:
        writer.write(frame(10, 12, bytes(60_000)))
        await writer.drain()
        await asyncio.sleep(0)


KINDS: dict[str, Callable[[Reader, Writer], Awaitable[None]]] = {
    kind.__name__.strip("_"): kind for kind in (_silent, _half, _half_close, _reset, _junk, _flood, _liar, _oversize)
}
