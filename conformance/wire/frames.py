"""SCEWL frames on a byte stream (protocol page, section 2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

MAGIC: Final = b"SC"
HEADER: Final = struct.Struct("<2sHHH")
"""Magic, target id, source id, length of the payload in bytes."""


@dataclass(slots=True, unsafe_hash=True)  # never changed; frozen ones take long to make
class Frame:
    """One frame: SCEWL ids and up to 65,535 bytes of payload; whether FRM-2 allows the length is not judged here."""

    target: int
    source: int
    payload: bytes

    def encode(self) -> bytes:
        """The frame's bytes. Raises ValueError if an id or the length does not fit 16 bits."""
        try:
            return HEADER.pack(MAGIC, self.target, self.source, len(self.payload)) + self.payload
        except struct.error as error:
            raise ValueError(
                f"no frame can carry {len(self.payload)} bytes from {self.source} to {self.target}: {error}"
            ) from None


@dataclass(frozen=True, slots=True)
class Junk:
    """Bytes that a reader skipped to find the next magic (FRM-1)."""

    data: bytes


class FrameReader:
    """Cuts one byte stream into frames and junk, however the stream is chunked.

    Junk is told as soon as it is known to be junk, so a run of it may come in several pieces.
    """

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is not whole yet; empty between frames."""
        return bytes(self._held)

    def feed(self, data: bytes) -> list[Frame | Junk]:
        """Take the next bytes of the stream; return what is complete now, in the stream's order."""
        if not self._held and (whole := whole_frame(data)) is not None:  # as most bytes come
            return [whole]
        self._held += data
        found: list[Frame | Junk] = []
        position = 0
        while True:
            start = self._magic(position)
            if start > position:
                found.append(Junk(bytes(self._held[position:start])))
                position = start
            if len(self._held) - position < HEADER.size:
                break
            _, target, source, length = HEADER.unpack_from(self._held, position)
            end = position + HEADER.size + length
            if len(self._held) < end:
                break
            found.append(Frame(target, source, bytes(self._held[position + HEADER.size : end])))
            position = end
        del self._held[:position]
        return found

    def _magic(self, position: int) -> int:
        """Where the next magic starts, or could start: a last `S` may still be followed by `C`."""
        start = self._held.find(MAGIC, position)
        if start >= 0:
            return start
        end = len(self._held)
        return end - 1 if end > position and self._held[-1:] == MAGIC[:1] else end


def whole_frame(data: bytes) -> Frame | None:
    """The one frame that these bytes are, from the first to the last; None if they are anything else."""
    if len(data) < HEADER.size:
        return None
    magic, target, source, length = HEADER.unpack_from(data)
    if magic != MAGIC or length != len(data) - HEADER.size:
        return None
    return Frame(target, source, bytes(data[HEADER.size :]))
