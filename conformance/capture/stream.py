"""A window on a stream of bytes, for readers that look ahead a bounded way: files, pipes, gzip'd or not."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import BinaryIO, Final

_CHUNK: Final = 1 << 18
_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 256
"""Compressed bytes that are inflated at a time: as much is lost where they are damaged."""


class Window:
    """The bytes from `position` on that were read so far, in `data`; `need` reads on.

    A gzip'd stream shows its content, and offsets count in that.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._read: Callable[[int], bytes | None] = getattr(stream, "read1", stream.read)
        self.data = b""
        self.position = 0
        self._base = 0
        self.damage = ""
        """Why a gzip'd stream ended early; else empty."""
        if self.need(2) and self.data.startswith(_GZIP):
            self._read = _Unzipped(self._read, self.data, self._damaged).read
            self.data = b""

    @property
    def offset(self) -> int:
        """Where `position` is in the stream, bytes from its beginning."""
        return self._base + self.position

    def need(self, size: int) -> bool:
        """Whether at least `size` bytes follow `position`; reads on if they are not there yet. Raises OSError."""
        have = len(self.data) - self.position
        if have >= size:
            return True
        pieces = [self.data[self.position :]]
        while have < size:
            piece = self._read(_CHUNK)
            if not piece:
                break
            pieces.append(piece)
            have += len(piece)
        self._base += self.position
        self.position = 0
        self.data = b"".join(pieces)
        return have >= size

    @property
    def left(self) -> int:
        """Bytes from `position` on that were read."""
        return len(self.data) - self.position

    def _damaged(self, why: str) -> None:
        self.damage = self.damage or why


class _Unzipped:
    """Inflates a gzip'd stream, member after member, never more than asked for at a time."""

    def __init__(self, read: Callable[[int], bytes | None], begun: bytes, damaged: Callable[[str], None]) -> None:
        self._source, self._held, self._damaged = read, begun, damaged
        self._inflate = zlib.decompressobj(wbits=31)

    def read(self, size: int) -> bytes:
        while True:
            if not self._held:
                self._held = self._source(64 * _PIECE) or b""
                if not self._held:
                    if not self._inflate.eof:
                        self._damaged("the gzip'd data ends early")
                    return b""
            if self._inflate.eof:
                self._inflate = zlib.decompressobj(wbits=31)
            try:
                out = self._inflate.decompress(self._held[:_PIECE], size)
            except zlib.error as error:
                self._damaged(f"the gzip'd data is damaged ({error})")
                self._source, self._held = _nothing, b""
                return b""
            left = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
            self._held = left + self._held[_PIECE:]
            if out:
                return out


def _nothing(_size: int) -> bytes:
    return b""
