"""DTLS 1.2 records and datagrams (RFC 6347, section 4.1; RFC 5246, sections 6.2 and 7.2).

Bytes above epoch 0 are sealed and stay so here. Who has opened a record gets its layers from `dissect_content`.
"""

# ruff: noqa: ARG002, ARG003, RUF012 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

import struct
from typing import Any, Final

from scapy.fields import BitField, ByteEnumField, ByteField, ShortEnumField, ShortField, XStrField
from scapy.layers.tls.basefields import _tls_type as CONTENT_TYPES
from scapy.layers.tls.record import _tls_alert_description as ALERTS
from scapy.layers.tls.record import _tls_alert_level as LEVELS
from scapy.packet import NoPayload, Packet, Padding

from conformance.layers.exact import Exact, Malformed, Opaque, PacketsField, dissect_exactly
from conformance.layers.handshake import DTLSHandshake, dissect_fragments
from conformance.layers.messages import DTLS_1_2, VERSIONS

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
"""Content types."""
_HEADER: Final = struct.Struct(">BHHHIH")
"""Type, version, epoch, sequence number (16 and 32 bits), length."""
_MAX_FRAGMENT: Final = 2**14 + 2048
"""Bytes of a protected fragment (RFC 5246, section 6.2.3)."""


class DTLSChangeCipherSpec(Exact):
    """One byte, 1 in an honest one."""

    name = "DTLS ChangeCipherSpec"
    fields_desc = [ByteField("change_cipher_spec", 1)]
    content_type = CHANGE_CIPHER_SPEC

    def mysummary(self) -> str:
        """As in ladders."""
        return "CCS" if self.change_cipher_spec == 1 else "malformed CCS, 1 B"


class DTLSAlert(Exact):
    """Level and description; unassigned numbers are kept."""

    name = "DTLS Alert"
    fields_desc = [ByteEnumField("level", 1, LEVELS), ByteEnumField("desc", 0, ALERTS)]
    content_type = ALERT

    def mysummary(self) -> str:
        """Such as `close_notify` and `alert fatal handshake_failure(40)`."""
        if self.desc == 0:
            return "close_notify"
        level = LEVELS.get(self.level, f"level {self.level}")
        return f"alert {level} {ALERTS.get(self.desc, 'unassigned')}({self.desc})"


class DTLSApplicationData(Exact):
    """Plaintext of an application, of any length."""

    name = "DTLS Application Data"
    fields_desc = [XStrField("app_data", b"")]
    content_type = APPLICATION_DATA

    def mysummary(self) -> str:
        """The size, in bytes."""
        return f"data, {len(self.app_data)} B"


class DTLSSealed(Opaque):
    """A protected fragment as it is on the wire. Where a nonce or a tag is in it depends on the session's suite."""

    name = "DTLS Sealed"

    def mysummary(self) -> str:
        """The size, in bytes, with nonce, tag, MAC and padding."""
        return f"sealed, {len(self.load)} B"


def dissect_content(content_type: int, plaintext: bytes) -> list[Packet]:
    """The layers in a record's plaintext, of epoch 0 or opened: all fragments of a handshake record, else one layer.

    What does not parse is Malformed. Raises nothing.
    """
    if content_type == HANDSHAKE:
        return dissect_fragments(plaintext)
    known = {c.content_type: c for c in (DTLSChangeCipherSpec, DTLSAlert, DTLSApplicationData)}
    if content_type in known:
        return [dissect_exactly(known[content_type], plaintext)]
    return [Opaque(load=plaintext)]


class _ContentTypeField(ByteEnumField):
    """Follows from the content if it is None: application data unless the content says otherwise."""

    def i2h(self, pkt: Packet | None, x: Any) -> Any:
        if x is not None or pkt is None:
            return x
        content = pkt.getfieldval("content")
        return getattr(content[0], "content_type", APPLICATION_DATA) if content else APPLICATION_DATA

    def i2m(self, pkt: Packet | None, x: Any) -> int:
        return int(self.i2h(pkt, x) or 0)

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return str(super().i2repr(pkt, self.i2h(pkt, x)))


class DTLSRecord(Exact):
    """One record. A type or length that is None is computed.

    `content` is a list: of DTLSHandshake, or of one DTLSChangeCipherSpec, DTLSAlert, DTLSApplicationData, DTLSSealed,
    Opaque or Malformed. `record / layer` adds to it: `DTLSRecord() / DTLSHandshake() / DTLSClientHello()`.
    """

    name = "DTLS Record"
    fields_desc = [
        _ContentTypeField("type", None, CONTENT_TYPES),
        ShortEnumField("version", DTLS_1_2, VERSIONS),
        ShortField("epoch", 0),
        BitField("sequence_number", 0, 48),
        ShortField("length", None),
        PacketsField("content", lambda p, data: _content(p, data), lambda p: p.length),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **options: Any) -> type[Packet]:
        """Malformed for bytes that are no header."""
        return Malformed if _pkt is not None and len(_pkt) < _HEADER.size else cls

    def add_payload(self, payload: Any) -> None:
        """What `/` calls. A body goes to the handshake header before it, anything else beside it."""
        if isinstance(payload, (NoPayload, Padding)):
            super().add_payload(payload)
        elif self.content and isinstance(self.content[-1], DTLSHandshake) and not isinstance(payload, DTLSHandshake):
            self.content[-1].add_payload(payload)
        else:
            self.setfieldval("content", [*self.content, payload])

    def default_payload_class(self, payload: bytes) -> type[Packet]:
        """What follows the record is not of it."""
        return Padding

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in the length."""
        if self.length is None:
            pkt = pkt[:11] + struct.pack(">H", len(pkt) - _HEADER.size) + pkt[_HEADER.size :]
        return pkt + pay

    def mysummary(self) -> str:
        """What is in it. A sealed one by its header alone: without renegotiation a handshake message is a Finished."""
        return ", ".join(self._part(item) for item in self.content)

    def _part(self, item: Packet) -> str:
        if isinstance(item, DTLSSealed):
            names = {
                CHANGE_CIPHER_SPEC: "CCS",
                ALERT: f"alert #{self.sequence_number}",
                HANDSHAKE: "Finished",
                APPLICATION_DATA: f"data #{self.sequence_number}, {len(item.load)} B",
            }
            return f"{names.get(self.type, f'type {self.type}')} (sealed)"
        if isinstance(item, DTLSApplicationData):
            plain = " in plaintext" if self.epoch == 0 else ""
            return f"data #{self.sequence_number}, {len(item.app_data)} B{plain}"
        if isinstance(item, Malformed):
            kinds = {CHANGE_CIPHER_SPEC: "CCS", ALERT: "alert", HANDSHAKE: "handshake"}
            return f"malformed {kinds.get(self.type, 'content')}, {len(item.load)} B"
        return str(item.mysummary() or item.name)


def _content(record: Packet, data: bytes) -> list[Packet]:
    return [DTLSSealed(load=data)] if record.epoch else dissect_content(record.type, data)


class DTLS(Exact):
    """A datagram: records, and Malformed last if it does not end with one. Any bytes are taken, without exception.

    `DTLS() / DTLSRecord(...) / ...` adds a record, or to the last one. For UDP: `bind_layers(UDP, DTLS, dport=4433)`.
    """

    name = "DTLS"
    fields_desc = [PacketsField("records", lambda _, data: dissect_datagram(data))]

    def add_payload(self, payload: Any) -> None:
        """What `/` calls."""
        if isinstance(payload, (NoPayload, Padding)):
            super().add_payload(payload)
        elif self.records and not isinstance(payload, DTLSRecord):
            self.records[-1].add_payload(payload)
        else:
            self.setfieldval("records", [*self.records, payload])

    def mysummary(self) -> str:
        """Such as `DTLS 1.2 ClientHello with cookie`."""
        if not self.records:
            return "DTLS, empty"
        first = self.records[0]
        if isinstance(first, Malformed):
            return f"not DTLS, {len(first.load)} B"
        version = VERSIONS.get(first.version, "DTLS")
        return f"{version} {', '.join(str(record.mysummary() or record.name) for record in self.records)}"


def dissect_datagram(data: bytes) -> list[Packet]:
    """The records of a datagram; if it does not end with a whole one, Malformed comes last. Raises nothing.

    An unassigned content type or version, or a length above what is allowed, is no ground for trusting the length.
    """
    found: list[Packet] = []
    position = 0
    while position < len(data):
        if why := _wrong(data, position):
            found.append(Malformed(load=data[position:], why=why))
            break
        end = position + _HEADER.size + int.from_bytes(data[position + 11 : position + 13], "big")
        found.append(DTLSRecord(data[position:end], _internal=1))
        position = end
    return found


def _wrong(data: bytes, position: int) -> str:
    """Why there is no record at `position`, else empty."""
    left = len(data) - position - _HEADER.size
    if left < 0:
        return "shorter than a record header"
    kind, version, _, _, _, length = _HEADER.unpack_from(data, position)
    if kind not in (CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA):
        return f"no content type {kind}"
    if version not in VERSIONS:
        return f"no DTLS version {version:#06x}"
    if length > _MAX_FRAGMENT:
        return f"fragment of {length} bytes, above {_MAX_FRAGMENT}"
    if left < length:
        return f"{left} of {length} bytes of a fragment"
    return ""
