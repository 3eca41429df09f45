"""DTLS handshake messages: fragments, their reassembly, and the messages that the judge looks into.

RFC 6347, section 4.2 (header, fragments, cookie); RFC 5246, section 7.4 (messages).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import Final

from conformance.wire.cursor import BadBytes, Cursor
from conformance.wire.records import Malformed

HEADER_SIZE: Final = 12
MAX_BODY: Final = 2**16
"""Bytes of a message that an Assembler takes; a certificate chain of this protocol is below 2 KB."""
MAX_AHEAD: Final = 16
"""Messages beyond the next one that an Assembler buffers; a flight has at most 6."""
EXTENDED_MASTER_SECRET: Final = 23
"""Extension type, RFC 7627."""


class HandshakeType(IntEnum):
    """RFC 5246, section 7.4; RFC 6347, section 4.3.2; RFC 5077."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    NEW_SESSION_TICKET = 4
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20

    @property
    def title(self) -> str:
        """The RFC's spelling, such as `ServerHelloDone`."""
        return self.name.title().replace("_", "")


@dataclass(slots=True, unsafe_hash=True)  # never changed; not frozen, as Record is not
class Fragment:
    """One fragment; `length` is the whole message's body, `offset` where `body` belongs in it, all in bytes."""

    type: HandshakeType
    length: int
    message_seq: int
    offset: int
    body: bytes

    @property
    def whole(self) -> bool:
        """Whether it is a whole message."""
        return len(self.body) == self.length

    def encode(self) -> bytes:
        """The fragment's bytes. Raises ValueError if a field does not fit."""
        return _encode(self.type, self.length, self.message_seq, self.offset, self.body)


@dataclass(slots=True, unsafe_hash=True)  # never changed; not frozen, as Record is not
class Message:
    """A whole handshake message."""

    type: HandshakeType
    message_seq: int
    body: bytes

    def encode(self) -> bytes:
        """The message as one fragment; this is what the transcript hashes (RFC 6347, section 4.2.6)."""
        return _encode(self.type, len(self.body), self.message_seq, 0, self.body)


_TYPES: Final = {kind.value: kind for kind in HandshakeType}
_HEADER: Final = struct.Struct(">IHBHBH")
"""Type and length, message_seq, fragment_offset and fragment_length, each of 24 bits in two parts."""


def _encode(kind: int, length: int, message_seq: int, offset: int, body: bytes) -> bytes:
    size = len(body)
    if length >> 24 or offset >> 24 or size >> 24:
        raise ValueError(f"a field of this fragment does not fit 24 bits: {length}, {offset} or {size}")
    try:
        head = _HEADER.pack(kind << 24 | length, message_seq, offset >> 16, offset & 0xFFFF, size >> 16, size & 0xFFFF)
    except struct.error as error:
        raise ValueError(f"a field of this fragment does not fit: {error}") from None
    return head + body


def parse_fragments(plaintext: bytes) -> list[Fragment | Malformed]:
    """The fragments in the plaintext of one handshake record; a Malformed comes last if the bytes do not end with one.

    A record without any fragment is malformed too (RFC 5246, section 6.2.1: no zero-length handshake fragments).
    """
    if not plaintext:
        return [Malformed(b"", "an empty handshake record")]
    found: list[Fragment | Malformed] = []
    position, end = 0, len(plaintext)
    while position < end:
        start = position + HEADER_SIZE
        if start > end:
            found.append(Malformed(plaintext[position:], "shorter than a handshake header"))
            break
        head, message_seq, high, low, rest, size = _HEADER.unpack_from(plaintext, position)
        kind, length, offset = _TYPES.get(head >> 24), head & 0xFFFFFF, high << 16 | low
        size |= rest << 16
        why = ""
        if kind is None:
            why = f"no handshake type {head >> 24}"
        elif offset + size > length:
            why = f"bytes {offset} to {offset + size} of a message of {length}"
        elif size > end - start:
            why = f"{end - start} of {size} bytes of a handshake fragment"
        if kind is None or why:
            found.append(Malformed(plaintext[position:], why))
            break
        position = start + size
        found.append(Fragment(kind, length, message_seq, offset, plaintext[start:position]))
    return found


class Standing(Enum):
    """How a fragment stands to what an Assembler holds."""

    NEW = "brings bytes that were missing"
    DUPLICATE = "brings no new bytes of a message that is not whole yet"
    REPEAT = "part of a message that was whole already, with the same bytes"
    FOREIGN = "contradicts what is held, is too long or too far ahead, or comes from before the first message"


class _Gathering:
    """A message in the making."""

    def __init__(self, fragment: Fragment) -> None:
        self.type = fragment.type
        self.body = bytearray(fragment.length)
        self.known = bytearray(fragment.length)

    def standing(self, fragment: Fragment) -> Standing:
        if fragment.type != self.type or fragment.length != len(self.body):
            return Standing.FOREIGN
        span = slice(fragment.offset, fragment.offset + len(fragment.body))
        known, held = self.known[span], self.body[span]
        if any(k and a != b for k, a, b in zip(known, held, fragment.body, strict=True)):
            return Standing.FOREIGN
        return Standing.NEW if 0 in known else Standing.DUPLICATE

    def add(self, fragment: Fragment) -> None:
        span = slice(fragment.offset, fragment.offset + len(fragment.body))
        self.body[span] = fragment.body
        self.known[span] = b"\1" * len(fragment.body)

    @property
    def whole(self) -> bool:
        return 0 not in self.known


class Assembler:
    """Reassembles one direction of one handshake (RFC 6347, section 4.2.3).

    Fragments may come in any order, twice, overlapping, cut differently each time. Messages come out once each, in
    the order of `message_seq` from `first` on, so that a flight's last message means that the flight is whole. Of
    contradictory fragments the first counts, and the others change nothing.
    """

    def __init__(self, first: int = 0, ahead: int = MAX_AHEAD) -> None:
        """`ahead`: how many messages beyond the next one are kept."""
        self._first, self._ahead = first, ahead
        self._gathering: dict[int, _Gathering] = {}
        self.messages: list[Message] = []
        """The messages that came out so far."""

    @property
    def next_seq(self) -> int:
        """The `message_seq` of the next message to come out."""
        return self._first + len(self.messages)

    def is_too_early(self, fragment: Fragment) -> bool:
        """Whether it is too far ahead to be kept."""
        return fragment.message_seq > self.next_seq + self._ahead

    def standing(self, fragment: Fragment) -> Standing:
        """What `feed` would make of it, without feeding it."""
        if fragment.message_seq < self._first or fragment.length > MAX_BODY:
            return Standing.FOREIGN
        if fragment.message_seq < self.next_seq:
            whole = self.messages[fragment.message_seq - self._first]
            same = (fragment.type, fragment.length) == (whole.type, len(whole.body)) and whole.body[
                fragment.offset : fragment.offset + len(fragment.body)
            ] == fragment.body
            return Standing.REPEAT if same else Standing.FOREIGN
        if self.is_too_early(fragment):
            return Standing.FOREIGN
        if (held := self._gathering.get(fragment.message_seq)) is not None:
            return held.standing(fragment)
        return Standing.NEW if fragment.body or fragment.whole else Standing.DUPLICATE

    def discard(self) -> None:
        """Forget the pieces of the next message."""
        self._gathering.pop(self.next_seq, None)

    def feed(self, fragment: Fragment) -> list[Message]:
        """Take a fragment; return the messages that it completes, and those that waited only for them."""
        seq, out = fragment.message_seq, list[Message]()
        if seq == self.next_seq and fragment.whole and fragment.length <= MAX_BODY and seq not in self._gathering:
            out.append(Message(fragment.type, seq, fragment.body))  # as most come: nothing to put together
            self.messages += out
            if not self._gathering:
                return out
        else:
            if self.standing(fragment) is not Standing.NEW:
                return []
            if seq not in self._gathering:
                self._gathering[seq] = _Gathering(fragment)
            self._gathering[seq].add(fragment)
        while (held := self._gathering.get(self.next_seq)) is not None and held.whole:
            message = Message(held.type, self.next_seq, bytes(held.body))
            del self._gathering[self.next_seq]
            self.messages.append(message)
            out.append(message)
        return out


@dataclass(frozen=True, slots=True)
class ClientHello:
    """RFC 6347, section 4.2.1. `extensions` maps type to data."""

    version: int
    random: bytes
    session_id: bytes
    cookie: bytes
    suites: tuple[int, ...]
    compressions: bytes
    extensions: Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class HelloVerifyRequest:
    """RFC 6347, section 4.2.1."""

    version: int
    cookie: bytes


@dataclass(frozen=True, slots=True)
class ServerHello:
    """RFC 5246, section 7.4.1.3. `extensions` maps type to data."""

    version: int
    random: bytes
    session_id: bytes
    suite: int
    compression: int
    extensions: Mapping[int, bytes]

    @property
    def extended_master_secret(self) -> bool:
        """Whether the server agreed to RFC 7627."""
        return EXTENDED_MASTER_SECRET in self.extensions


@dataclass(frozen=True, slots=True)
class Certificate:
    """RFC 5246, section 7.4.2: DER certificates, the sender's own first; empty if a client has none."""

    chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """RFC 5246, section 7.4.8; `algorithm` is hash and signature, such as 0x0403 for ECDSA with SHA-256."""

    algorithm: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Opaque:
    """The body of a message that the judge does not look into."""

    type: HandshakeType
    body: bytes


Body = ClientHello | HelloVerifyRequest | ServerHello | Certificate | CertificateVerify | Opaque


def parse_message(message: Message) -> Body | Malformed:
    """The message's content; Malformed if the body does not parse or something follows it."""
    parse = _PARSERS.get(message.type)
    if parse is None:
        return Opaque(message.type, message.body)
    cursor = Cursor(message.body)
    try:
        body = parse(cursor)
        cursor.end()
    except BadBytes as error:
        return Malformed(message.body, f"{message.type.title}: {error}")
    return body


def _extensions(cursor: Cursor) -> Mapping[int, bytes]:
    found: dict[int, bytes] = {}
    if cursor:  # the whole block may be absent, RFC 5246, section 7.4.1.2
        inner = Cursor(cursor.vector(2, "extensions"))
        while inner:
            kind = inner.number(2, "extension type")
            if kind in found:
                raise BadBytes(f"extension {kind} twice")
            found[kind] = inner.vector(2, "extension")
    return MappingProxyType(found)


def _client_hello(cursor: Cursor) -> ClientHello:
    version = cursor.number(2, "version")
    random = cursor.take(32, "random")
    session_id = cursor.vector(1, "session id", most=32)
    cookie = cursor.vector(1, "cookie")
    suites = cursor.vector(2, "cipher suites")
    if len(suites) < 2 or len(suites) % 2:
        raise BadBytes(f"cipher suites of {len(suites)} bytes")
    compressions = cursor.vector(1, "compression methods")
    if not compressions:
        raise BadBytes("no compression method")
    pairs = tuple(suite for (suite,) in struct.iter_unpack(">H", suites))
    return ClientHello(version, random, session_id, cookie, pairs, compressions, _extensions(cursor))


def _hello_verify_request(cursor: Cursor) -> HelloVerifyRequest:
    return HelloVerifyRequest(cursor.number(2, "version"), cursor.vector(1, "cookie"))


def _server_hello(cursor: Cursor) -> ServerHello:
    return ServerHello(
        version=cursor.number(2, "version"),
        random=cursor.take(32, "random"),
        session_id=cursor.vector(1, "session id", most=32),
        suite=cursor.number(2, "cipher suite"),
        compression=cursor.number(1, "compression method"),
        extensions=_extensions(cursor),
    )


def _certificate(cursor: Cursor) -> Certificate:
    inner = Cursor(cursor.vector(3, "certificate list"))
    chain: list[bytes] = []
    while inner:
        der = inner.vector(3, "certificate")
        if not der:
            raise BadBytes("an empty certificate")
        chain.append(der)
    return Certificate(tuple(chain))


def _certificate_verify(cursor: Cursor) -> CertificateVerify:
    return CertificateVerify(cursor.number(2, "algorithm"), cursor.vector(2, "signature"))


_PARSERS: Mapping[HandshakeType, Callable[[Cursor], Body]] = {
    HandshakeType.CLIENT_HELLO: _client_hello,
    HandshakeType.HELLO_VERIFY_REQUEST: _hello_verify_request,
    HandshakeType.SERVER_HELLO: _server_hello,
    HandshakeType.CERTIFICATE: _certificate,
    HandshakeType.CERTIFICATE_VERIFY: _certificate_verify,
}
