"""What a node must read of DTLS itself: record headers and plaintext ClientHellos (RFC 6347, 4.1 and 4.2).

A node looks at records before its sessions see them, because only record numbers tell whether a message is whole
(SES-8) and only a ClientHello tells whether it may open, replace or pre-empt a session (SES-5, SES-9, ADV-1).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_SIZE = 13
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CLIENT_HELLO, HELLO_VERIFY_REQUEST = 1, 3
_HEADER = struct.Struct("!BHHHIH")
_HANDSHAKE_HEADER_SIZE = 12


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it came: content type, epoch, 48-bit sequence number, and all its bytes with the header."""

    kind: int
    epoch: int
    seq: int
    raw: bytes

    @property
    def fragment(self) -> bytes:
        """The bytes behind the header; ciphertext in epoch 1."""
        return self.raw[HEADER_SIZE:]


@dataclass(frozen=True, slots=True)
class ClientHello:
    """The two fields of a plaintext ClientHello that decide what it may do."""

    random: bytes
    cookie: bytes


def split(datagram: bytes) -> Iterator[Record]:
    """The records of a datagram. What follows a record that does not fit is dropped (RFC 6347, 4.1.2.7)."""
    at = 0
    while len(datagram) - at >= HEADER_SIZE:
        kind, _, epoch, high, low, length = _HEADER.unpack_from(datagram, at)
        end = at + HEADER_SIZE + length
        if end > len(datagram):
            return
        yield Record(kind, epoch, high << 32 | low, datagram[at:end])
        at = end


def is_client_hello(record: Record) -> bool:
    """Whether a plaintext record begins with a ClientHello, whole or not. Sessions under way are never fed with one."""
    return record.kind == HANDSHAKE and record.epoch == 0 and record.fragment[:1] == bytes([CLIENT_HELLO])


def is_hello_verify_request(record: Record) -> bool:
    """Whether a plaintext record begins with a HelloVerifyRequest."""
    return record.kind == HANDSHAKE and record.epoch == 0 and record.fragment[:1] == bytes([HELLO_VERIFY_REQUEST])


def client_hello(record: Record) -> ClientHello | None:
    """The ClientHello in a plaintext record; None if there is none, only a part of one, or one that does not parse."""
    body = record.fragment
    if not is_client_hello(record) or len(body) < _HANDSHAKE_HEADER_SIZE:
        return None
    length, offset, size = (int.from_bytes(body[a:b], "big") for a, b in ((1, 4), (6, 9), (9, 12)))
    hello = body[_HANDSHAKE_HEADER_SIZE:]
    if offset != 0 or size != length or length != len(hello):
        return None
    # client_version 2, random 32, session_id <1>, cookie <1>
    at = 2 + 32
    if len(hello) <= at:
        return None
    at += 1 + hello[at]
    if len(hello) <= at or len(hello) < at + 1 + hello[at]:
        return None
    return ClientHello(hello[2:34], hello[at + 1 : at + 1 + hello[at]])
