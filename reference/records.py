"""What a node must read of DTLS itself: record headers and plaintext ClientHellos (RFC 6347, 4.1 and 4.2).

A node looks at records before its sessions see them, because only record numbers tell whether a message is whole
(SES-8) and only a ClientHello tells whether it may open, replace or pre-empt a session (SES-5, SES-9, ADV-1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

HEADER_SIZE = 13
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CLIENT_HELLO, HELLO_VERIFY_REQUEST, SERVER_HELLO_DONE, CERTIFICATE_VERIFY = 1, 3, 14, 15
DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD
_HEADER = struct.Struct("!BHHHIH")
_HANDSHAKE_HEADER = struct.Struct("!B3sHBHBH")
_HANDSHAKE_HEADER_SIZE = _HANDSHAKE_HEADER.size


class Record(NamedTuple):
    """One record as it came: content type, epoch, 48-bit sequence number, and all its bytes with the header."""

    kind: int
    epoch: int
    seq: int
    raw: bytes

    @property
    def fragment(self) -> bytes:
        """The bytes behind the header; ciphertext in epoch 1."""
        return self.raw[HEADER_SIZE:]

    @property
    def message(self) -> int:
        """The type of the handshake message, whole or not, that a plaintext record begins with; -1 if there is none."""
        plain = self.kind == HANDSHAKE and self.epoch == 0 and len(self.raw) > HEADER_SIZE
        return self.raw[HEADER_SIZE] if plain else -1


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The fields of a plaintext ClientHello that decide what it may do, and its number."""

    message_seq: int
    random: bytes
    cookie: bytes


def split(datagram: bytes) -> Iterator[Record]:
    """The records of a datagram. What follows one that does not fit or is no DTLS is dropped (RFC 6347, 4.1.2.7)."""
    at = 0
    while len(datagram) - at >= HEADER_SIZE:
        kind, version, epoch, high, low, length = _HEADER.unpack_from(datagram, at)
        end = at + HEADER_SIZE + length
        if end > len(datagram) or version not in (DTLS_1_0, DTLS_1_2):
            return
        yield Record(kind, epoch, high << 32 | low, datagram[at:end])
        at = end


def is_client_hello(record: Record) -> bool:
    """Whether a plaintext record begins with a ClientHello, whole or not. Sessions under way are never fed with one."""
    return record.message == CLIENT_HELLO


def is_malformed(record: Record) -> bool:
    """Whether a plaintext handshake record begins with no fragment of a message: it is cut off, or says that it reaches
    beyond its record or its message (RFC 6347, section 4.2.2)."""
    if record.kind != HANDSHAKE or record.epoch:
        return False
    room = len(record.raw) - HEADER_SIZE - _HANDSHAKE_HEADER_SIZE
    if room < 0:
        return True
    _, length, _, offset_high, offset, size_high, size = _HANDSHAKE_HEADER.unpack_from(record.raw, HEADER_SIZE)
    size |= size_high << 16
    return bool(size > room or (offset_high << 16 | offset) + size > int.from_bytes(length, "big"))


def is_refused(record: Record, done_seq: int) -> bool:
    """Whether a plaintext record holds what the library would take and the profile does not.

    That is a ServerHelloDone numbered below `done_seq`, for then no CertificateRequest was before it (DTL-1), or the
    beginning of a CertificateVerify with another hash than SHA-256 or SHA-384: the library verifies any that it knows,
    SHA-1 among them (RFC 5246, section 7.4.8, wants one that was asked for).
    """
    if record.kind != HANDSHAKE or record.epoch:
        return False
    raw, at = record.raw, HEADER_SIZE
    while len(raw) - at >= _HANDSHAKE_HEADER_SIZE:
        kind, _, message_seq, offset_high, offset, size_high, size = _HANDSHAKE_HEADER.unpack_from(raw, at)
        body, at = at + _HANDSHAKE_HEADER_SIZE, at + _HANDSHAKE_HEADER_SIZE + (size_high << 16 | size)
        if kind == SERVER_HELLO_DONE and message_seq < done_seq:
            return True
        first = raw[body : min(body + 1, at)]
        if kind == CERTIFICATE_VERIFY and not offset_high and not offset and first not in (b"", b"\4", b"\5"):
            return True
    return False


def client_hello(record: Record) -> ClientHello | None:
    """The ClientHello in a plaintext record; None if there is none, only a part of one, or one that does not parse."""
    body = record.fragment
    if not is_client_hello(record) or len(body) < _HANDSHAKE_HEADER_SIZE:
        return None
    length, offset, size = (int.from_bytes(body[a:b], "big") for a, b in ((1, 4), (6, 9), (9, 12)))
    hello = body[_HANDSHAKE_HEADER_SIZE:]
    if offset != 0 or size != length or length != len(hello):
        return None
    message_seq = int.from_bytes(body[4:6], "big")
    if len(hello) < 2 + 32:  # client_version, random
        return None
    session_id, at = _vector(hello, 34, 1)
    cookie, at = _vector(hello, at, 1)
    suites, at = _vector(hello, at, 2)
    compressions, at = _vector(hello, at, 1)
    whole = at == len(hello) or _extensions_fit(hello[at:])
    if session_id is None or len(session_id) > 32 or cookie is None or not suites or len(suites) % 2:
        return None
    return ClientHello(message_seq, hello[2:34], cookie) if compressions and whole else None


def _vector(data: bytes, at: int, width: int) -> tuple[bytes | None, int]:
    """A vector behind its length field of `width` bytes, and where it ends; None if it does not fit."""
    start = at + width
    end = start + int.from_bytes(data[at:start], "big")
    return (data[start:end], end) if start <= len(data) and end <= len(data) else (None, len(data) + 1)


def _extensions_fit(data: bytes) -> bool:
    """Whether a block of extensions fills these bytes exactly, and each fits into it."""
    block, end = _vector(data, 0, 2)
    if block is None or end != len(data):
        return False
    at = 0
    while at < len(block):
        at = _vector(block, at + 2, 2)[1]
    return at == len(block)


def hello_verify_request(record: Record, hello: ClientHello, cookie: bytes) -> bytes:
    """The datagram that answers a ClientHello without state (RFC 6347, 4.2.1): its numbers, and DTLS 1.0."""
    body = struct.pack("!HB", DTLS_1_0, len(cookie)) + cookie
    size = len(body).to_bytes(3, "big")
    message = bytes([HELLO_VERIFY_REQUEST]) + size + struct.pack("!H", hello.message_seq) + bytes(3) + size + body
    return _HEADER.pack(HANDSHAKE, DTLS_1_2, 0, record.seq >> 32, record.seq & 0xFFFF_FFFF, len(message)) + message
