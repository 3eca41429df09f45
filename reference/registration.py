"""Registration messages between CPU, controller and SSS (REG; protocol page, section 6)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

REGISTER, DEREGISTER, REFUSED = 0, 1, -1
MAX_RESPONSE = 16_384
"""Bytes; a response that announces more is not a good one (SES-10)."""
_REQUEST = struct.Struct("<Hh")
_RESPONSE = struct.Struct("<HhHHH")
_WIDE = struct.Struct("<HhHHHHHHHHH")
FURTHER = (48, 48, 48, 48, 48, 41)
"""Bytes of the six further blobs of the 22-byte layout: keys and entropy of another protocol, 281 bytes in all. How
they are shared out is not known; a device goes by the lengths."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, and with the same four bytes the answer that a CPU gets."""

    dev_id: int
    op: int

    def encode(self) -> bytes:
        """Four bytes."""
        return _REQUEST.pack(self.dev_id, self.op)

    @classmethod
    def decode(cls, data: bytes) -> Request | None:
        """None if there are not exactly four bytes."""
        return cls(*_REQUEST.unpack(data)) if len(data) == _REQUEST.size else None


@dataclass(frozen=True, slots=True)
class Response:
    """The SSS's response; the three DER blobs are empty unless `op` is REGISTER."""

    dev_id: int
    op: int
    ca: bytes = b""
    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)

    def encode(self, *, wide: bool = False) -> bytes:
        """Ten bytes and the blobs; `wide`: 22 bytes, the blobs, and the further blobs of a registration."""
        blobs: tuple[bytes, ...] = (self.ca, self.certificate, self.key)
        if not wide:
            return _RESPONSE.pack(self.dev_id, self.op, *map(len, blobs)) + b"".join(blobs)
        blobs += tuple(map(bytes, FURTHER)) if self.op == REGISTER and any(blobs) else (b"",) * len(FURTHER)
        return _WIDE.pack(self.dev_id, self.op, *map(len, blobs)) + b"".join(blobs)


class ResponseReader:
    """Collects a response and says as soon as it can tell whether it is good (section 5, pinned 8)."""

    def __init__(self, asked: Request, own_id: int, *, wide: bool = False) -> None:
        """`asked` is the request that went out; a good response has the own id and the op asked for, 0 or 1. `wide`:
        in the 22-byte layout."""
        self._header = _WIDE if wide else _RESPONSE
        self._asked, self._own_id = asked, own_id
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Response | bool:
        """Take more bytes: True if more must come, False if the response is not good, or else the good response."""
        self._buffer += data
        size = len(self._buffer)
        if size < self._header.size:
            # Only whole fields can tell; what has not come yet is taken to be as it should.
            head = self._buffer[: size & ~1]
            wanted = _REQUEST.pack(self._own_id, self._asked.op)
            return self._asked.op in (REGISTER, DEREGISTER) and wanted.startswith(head[: len(wanted)])
        dev_id, op, *lengths = self._header.unpack_from(self._buffer)
        total = self._header.size + sum(lengths)
        if dev_id != self._own_id or op != self._asked.op or op not in (REGISTER, DEREGISTER):
            return False
        if (op == DEREGISTER and any(lengths)) or total > MAX_RESPONSE or size > total:
            return False
        if size < total:
            return True
        at, blobs = self._header.size, []
        for length in lengths:
            blobs.append(bytes(self._buffer[at : at + length]))
            at += length
        return Response(dev_id, op, *blobs[:3])

    def wipe(self) -> None:
        """Zeroise what was collected: it may hold a key."""
        self._buffer[:] = bytes(len(self._buffer))
