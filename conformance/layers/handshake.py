"""DTLS handshake fragments (RFC 6347, section 4.2.2)."""

# ruff: noqa: ARG002, ARG003, RUF012 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

from typing import Any, Final

from scapy.compat import raw
from scapy.fields import ByteEnumField, ShortField, ThreeBytesField
from scapy.layers.tls.handshake import _tls_handshake_type as MESSAGE_TYPES
from scapy.packet import Packet, bind_top_down

from conformance.layers.exact import Exact, Malformed, Opaque
from conformance.layers.messages import BODIES, Body, dissect_message

_HEADER: Final = 12
"""Bytes of type, length, message_seq, fragment_offset and fragment_length."""
_MAX_LENGTH: Final = 2**24 - 1
_COMPUTED: Any = None


class DTLSHandshake(Exact):
    """A fragment of a handshake message; most are whole messages. Lengths that are None are computed.

    The payload of a whole message is its body (`conformance.layers.messages`), that of a part is Opaque. The type
    follows from the body: `DTLSHandshake(message_seq=1) / DTLSServerHello(...)`.
    """

    name = "DTLS Handshake"
    fields_desc = [
        ByteEnumField("msg_type", 0, MESSAGE_TYPES),
        ThreeBytesField("length", _COMPUTED),
        ShortField("message_seq", 0),
        ThreeBytesField("fragment_offset", 0),
        ThreeBytesField("fragment_length", _COMPUTED),
    ]
    content_type = 22

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **options: Any) -> type[Packet]:
        """Malformed for bytes that are no header."""
        return Malformed if _pkt is not None and len(_pkt) < _HEADER else cls

    @property
    def title(self) -> str:
        """The message's name in the RFC."""
        known = BODIES.get(self.msg_type)
        return known[0].title if known else f"handshake type {self.msg_type}"

    @property
    def whole(self) -> bool:
        """Whether a dissected fragment is a whole message by its own account."""
        return bool(self.fragment_offset == 0 and self.fragment_length == self.length)

    def fragment(self, fragsize: int = 256, *args: Any, **options: Any) -> list[Packet]:
        """The message in parts of up to `fragsize` bytes of its body; one part if it is empty."""
        body = raw(self.payload)
        return [
            DTLSHandshake(
                msg_type=self.msg_type, length=len(body), message_seq=self.message_seq, fragment_offset=offset
            )
            / Opaque(load=body[offset : offset + fragsize])
            for offset in range(0, len(body) or 1, fragsize)
        ]

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """What follows the fragment is not of it."""
        return s[: self.fragment_length], s[self.fragment_length :]

    def do_dissect_payload(self, s: bytes) -> None:
        """The body, if it is all there. Unlike Scapy's own, an empty one counts: ServerHelloDone."""
        if self.whole and len(s) == self.fragment_length:
            self.add_payload(dissect_message(self.msg_type, s))
        elif s:
            self.add_payload(Opaque(load=s))

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in the lengths."""
        if self.fragment_length is None:
            pkt = pkt[:9] + len(pay).to_bytes(3, "big")
        if self.length is None:
            # An offset given at will may lead beyond what the field can say.
            pkt = pkt[:1] + min(self.fragment_offset + len(pay), _MAX_LENGTH).to_bytes(3, "big") + pkt[4:]
        return pkt + pay

    def _do_summary(self) -> tuple[int, str, list[Any]]:
        # The body is spoken for.
        return 1, self.mysummary(), []

    def mysummary(self) -> str:
        """The message's name, with what is there of it unless that is all."""
        if isinstance(self.payload, Malformed):
            return f"malformed {self.title}, {len(self.payload.load)} B"
        size = len(raw(self.payload))
        if self.length not in (None, size):
            return f"{self.title} (bytes {self.fragment_offset} to {self.fragment_offset + size} of {self.length})"
        return str(self.payload.mysummary()) if isinstance(self.payload, Body) else self.title


for _msg_type, _classes in BODIES.items():
    for _class in _classes:
        bind_top_down(DTLSHandshake, _class, msg_type=_msg_type)


def dissect_fragments(data: bytes) -> list[Packet]:
    """The fragments in the plaintext of a handshake record; Malformed comes last if the bytes do not end with one.

    A record without any is malformed too (RFC 5246, section 6.2.1). Raises nothing.
    """
    if not data:
        return [Malformed(load=b"", why="an empty handshake record")]
    found: list[Packet] = []
    position = 0
    while position < len(data):
        if why := _wrong(data, position):
            found.append(Malformed(load=data[position:], why=why))
            break
        end = position + _HEADER + int.from_bytes(data[position + 9 : position + 12], "big")
        found.append(DTLSHandshake(data[position:end], _internal=1))
        position = end
    return found


def _wrong(data: bytes, position: int) -> str:
    """Why there is no fragment at `position`, else empty."""
    left = len(data) - position - _HEADER
    if left < 0:
        return "shorter than a handshake header"
    length, offset, size = (int.from_bytes(data[position + n : position + n + 3], "big") for n in (1, 6, 9))
    if offset + size > length:
        return f"bytes {offset} to {offset + size} of a message of {length}"
    if left < size:
        return f"{left} of {size} bytes of a handshake fragment"
    return ""
