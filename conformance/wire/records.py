"""DTLS 1.2 records and alerts (RFC 6347, section 4.1; RFC 5246, section 7.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

DTLS_1_0: Final = 0xFEFF
"""Only on a first ClientHello and on HelloVerifyRequest (RFC 6347, section 4.2.1)."""
DTLS_1_2: Final = 0xFEFD
MAX_FRAGMENT: Final = 2**14 + 2048
"""Bytes in the fragment of a protected record (RFC 5246, section 6.2.3)."""
HEADER: Final = struct.Struct(">BHHHIH")
"""Content type, version, epoch, sequence number (upper 16 and lower 32 of its 48 bits), length of the fragment."""
HEADER_SIZE: Final = HEADER.size


class ContentType(IntEnum):
    """RFC 5246, section 6.2.1."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


_TYPES: Final = {kind.value: kind for kind in ContentType}
_VERSIONS: Final = frozenset({DTLS_1_0, DTLS_1_2})


class AlertCode(IntEnum):
    """Alert descriptions: RFC 5246, section 7.2; RFC 6066, section 9; RFC 4279, section 6; RFC 7301, section 3.2."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    DECRYPTION_FAILED = 21
    RECORD_OVERFLOW = 22
    DECOMPRESSION_FAILURE = 30
    HANDSHAKE_FAILURE = 40
    NO_CERTIFICATE = 41
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    EXPORT_RESTRICTION = 60
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    USER_CANCELED = 90
    NO_RENEGOTIATION = 100
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_UNOBTAINABLE = 111
    UNRECOGNIZED_NAME = 112
    BAD_CERTIFICATE_STATUS_RESPONSE = 113
    BAD_CERTIFICATE_HASH_VALUE = 114
    UNKNOWN_PSK_IDENTITY = 115
    NO_APPLICATION_PROTOCOL = 120


WARNING, FATAL = 1, 2
"""Alert levels."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Bytes that do not parse, and why; everything from the first bad byte of a structure to its end."""

    data: bytes
    why: str


@dataclass(slots=True, unsafe_hash=True)  # not frozen: that would take four times as long to make one
class Record:
    """One record, never changed: `seq` is its number in its epoch, `fragment` as on the wire (sealed above epoch 0)."""

    content_type: ContentType
    version: int
    epoch: int
    seq: int
    fragment: bytes

    def encode(self) -> bytes:
        """The record's bytes. Raises ValueError if a field does not fit."""
        try:
            header = HEADER.pack(
                self.content_type, self.version, self.epoch, self.seq >> 32, self.seq & 0xFFFF_FFFF, len(self.fragment)
            )
        except struct.error as error:
            raise ValueError(f"a field of this record does not fit: {error}") from None
        return header + self.fragment


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert's two bytes; `level` and `code` are as on the wire and may be unassigned."""

    level: int
    code: int

    @property
    def fatal(self) -> bool:
        """Whether it ends the session by its level."""
        return self.level == FATAL

    @property
    def close_notify(self) -> bool:
        """Whether it ends the session in good order."""
        return self.code == AlertCode.CLOSE_NOTIFY


def parse_datagram(data: bytes) -> list[Record | Malformed]:
    """The records of a datagram in order; if it does not end with a whole record, the last entry is a Malformed.

    An unassigned content type, a version other than DTLS 1.0 or 1.2, and an over-long fragment are malformed:
    such a header is no ground for trusting its length field. An empty datagram has no records.
    """
    found: list[Record | Malformed] = []
    position, end = 0, len(data)
    while position < end:
        start = position + HEADER_SIZE
        if start > end:
            found.append(Malformed(data[position:], "shorter than a record header"))
            break
        kind, version, epoch, high, low, length = HEADER.unpack_from(data, position)
        why = ""
        if kind not in _TYPES:
            why = f"no content type {kind}"
        elif version not in _VERSIONS:
            why = f"no DTLS version {version:#06x}"
        elif length > MAX_FRAGMENT:
            why = f"fragment of {length} bytes, above {MAX_FRAGMENT}"
        elif length > end - start:
            why = f"{end - start} of {length} bytes of a fragment"
        if why:
            found.append(Malformed(data[position:], why))
            break
        position = start + length
        found.append(Record(_TYPES[kind], version, epoch, high << 32 | low, data[start:position]))
    return found


def parse_alert(plaintext: bytes) -> Alert | Malformed:
    """The alert in an unprotected fragment or an opened record."""
    if len(plaintext) != 2:
        return Malformed(plaintext, f"an alert of {len(plaintext)} bytes, not 2")
    return Alert(plaintext[0], plaintext[1])
