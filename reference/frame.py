"""The bus: SCEWL frames and how to find them in a byte stream (FRM-1, FRM-2; protocol page, section 2)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

MAGIC = b"SC"
HEADER_SIZE = 8
_HEADER = struct.Struct("<2sHHH")


class Header(NamedTuple):
    """The ids and the length in bytes that a frame's header announces."""

    target: int
    source: int
    length: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: two SCEWL ids (0..65535) and at most 65,535 bytes of payload."""

    target: int
    source: int
    payload: bytes

    def encode(self) -> bytes:
        """The bytes on the bus. Raises struct.error if an id or the length does not fit 16 bits."""
        return _HEADER.pack(MAGIC, self.target, self.source, len(self.payload)) + self.payload


class FrameReader:
    """Takes frames out of a byte stream that may start anywhere and hold anything.

    Never raises, whatever the bytes. Of an oversize frame it keeps nothing but the number of bytes still to skip.
    """

    def __init__(self, maximum: int | Callable[[Header], int]) -> None:
        """`maximum` payload in bytes, or a function that tells it for a header."""
        self._maximum = maximum if callable(maximum) else lambda _: maximum
        self._buffer = bytearray()
        self._to_skip = 0
        self.oversize = 0
        """Frames that were longer than allowed and therefore dropped (FRM-2)."""
        self.skipped = 0
        """Bytes that belonged to no frame (FRM-1)."""

    def feed(self, data: bytes) -> None:
        """Append bytes as they came off the wire."""
        self._buffer += data

    @property
    def waiting(self) -> int:
        """Bytes that are fed and not consumed."""
        return len(self._buffer)

    def forget(self) -> None:
        """Drop what waits: the stream has ended, and another begins."""
        self._buffer.clear()
        self._to_skip = 0

    def header(self) -> Header | None:
        """The header of the next frame, oversize or not, without consuming the frame; None until it is whole."""
        self._drop_rest_of_oversize()
        if self._to_skip:
            return None
        self._synchronise()
        if len(self._buffer) < HEADER_SIZE:
            return None
        _, target, source, length = _HEADER.unpack_from(self._buffer)
        return Header(target, source, length)

    def is_oversize(self, header: Header) -> bool:
        """Whether the frame with this header will be dropped."""
        return header.length > self._maximum(header)

    def is_whole(self, header: Header) -> bool:
        """Whether the frame with this header, which `header` just returned, has come to its end."""
        return len(self._buffer) >= HEADER_SIZE + header.length

    def drop_oversize(self, header: Header) -> None:
        """Consume the oversize frame with this header, which `header` just returned, now and as its rest comes."""
        self.oversize += 1
        self._to_skip = HEADER_SIZE + header.length

    def next(self) -> Frame | None:
        """Consume and return the next whole frame of legal size; None if more bytes are needed."""
        while header := self.header():
            if self.is_oversize(header):
                self.drop_oversize(header)
                continue
            if not self.is_whole(header):
                return None
            end = HEADER_SIZE + header.length
            frame = Frame(header.target, header.source, bytes(self._buffer[HEADER_SIZE:end]))
            del self._buffer[:end]
            return frame
        return None

    def _drop_rest_of_oversize(self) -> None:
        count = min(self._to_skip, len(self._buffer))
        del self._buffer[:count]
        self._to_skip -= count

    def _synchronise(self) -> None:
        start = self._buffer.find(MAGIC)
        if start < 0:  # a last `S` may be the first half of the magic
            start = len(self._buffer) - self._buffer.endswith(MAGIC[:1])
        self.skipped += start
        del self._buffer[:start]
