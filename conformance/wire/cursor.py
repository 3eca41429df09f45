"""Fields of variable length, read off a message's body (RFC 5246, section 4)."""

from __future__ import annotations


class BadBytes(Exception):
    """A body does not parse; the text says why."""


class Cursor:
    """Reads big-endian fields off a body; `BadBytes` when it runs out."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position, self._end = data, 0, len(data)

    def __bool__(self) -> bool:
        return self._position < self._end

    def take(self, size: int, what: str) -> bytes:
        """The next bytes; `what` names them when they are missing."""
        begin = self._position
        self._position = end = begin + size
        if end > self._end:
            raise BadBytes(f"{what} cut short")
        return self._data[begin:end]

    def number(self, size: int, what: str) -> int:
        """A number of so many bytes."""
        begin = self._position
        self._position = end = begin + size
        if end > self._end:
            raise BadBytes(f"{what} cut short")
        return int.from_bytes(self._data[begin:end], "big")

    def vector(self, length_size: int, what: str, most: int | None = None) -> bytes:
        """What follows its length, which is a number of `length_size` bytes and `most` at most."""
        length = self.number(length_size, what)
        if most is not None and length > most:
            raise BadBytes(f"{what} of {length} bytes, above {most}")
        return self.take(length, what)

    def end(self) -> None:
        """Nothing may follow."""
        if self:
            raise BadBytes(f"{self._end - self._position} bytes too many")
