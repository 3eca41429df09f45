"""Extensions of hello messages (RFC 5246, section 7.4.1.4): Scapy's own classes, as far as DTLS 1.2 has them.

A class is used only where it is exact: where an extension's inner lengths do not fit, it is a TLS_Ext_Unknown with the
same bytes. Left out are the extensions of TLS 1.3, whose classes derive keys from what they dissect.
"""

# ruff: noqa: D102 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

from scapy.fields import FieldLenField
from scapy.layers.tls.extensions import (
    TLS_Ext_ALPN,
    TLS_Ext_EncryptThenMAC,
    TLS_Ext_ExtendedMasterSecret,
    TLS_Ext_MaxFragLen,
    TLS_Ext_RenegotiationInfo,
    TLS_Ext_ServerName,
    TLS_Ext_SessionTicket,
    TLS_Ext_SignatureAlgorithms,
    TLS_Ext_SupportedGroups,
    TLS_Ext_SupportedPointFormat,
    TLS_Ext_TruncatedHMAC,
    TLS_Ext_Unknown,
)
from scapy.layers.tls.session import tlsSession
from scapy.packet import Packet, Raw

from conformance.layers.exact import Malformed, PacketsField, dissect_exactly

EXTENSIONS: Final[Mapping[int, type[Packet]]] = {
    0: TLS_Ext_ServerName,
    1: TLS_Ext_MaxFragLen,
    4: TLS_Ext_TruncatedHMAC,
    10: TLS_Ext_SupportedGroups,
    11: TLS_Ext_SupportedPointFormat,
    13: TLS_Ext_SignatureAlgorithms,
    16: TLS_Ext_ALPN,
    22: TLS_Ext_EncryptThenMAC,
    23: TLS_Ext_ExtendedMasterSecret,
    35: TLS_Ext_SessionTicket,
    0xFF01: TLS_Ext_RenegotiationInfo,
}
"""By type number; any other type is a TLS_Ext_Unknown."""

_HEADER: Final = struct.Struct(">HH")
"""Type, length of the data."""


def dissect_extensions(data: bytes) -> list[Packet]:
    """The extensions in a block, without the block's own length. Raises ValueError if the last one is cut short."""
    # A session of their own: what Scapy's classes do depends on the TLS version in it, which is unset in a new one.
    session = tlsSession()  # type: ignore[no-untyped-call]
    found = []
    position = 0
    while position < len(data):
        if len(data) - position < _HEADER.size:
            raise ValueError("an extension's header is cut short")
        kind, length = _HEADER.unpack_from(data, position)
        end = position + _HEADER.size + length
        if len(data) < end:
            raise ValueError("an extension is cut short")
        found.append(_extension(kind, data[position:end], session))
        position = end
    return found


def _extension(kind: int, data: bytes, session: tlsSession) -> Packet:
    known = dissect_exactly(EXTENSIONS.get(kind, TLS_Ext_Unknown), data, tls_session=session)
    # Bytes that are no name pass for one in Scapy's list of names, which then cannot be shown.
    if isinstance(known, Malformed) or any(isinstance(name, Raw) for name in getattr(known, "servernames", ())):
        return dissect_exactly(TLS_Ext_Unknown, data, tls_session=session)
    return known


class ExtensionsLenField(FieldLenField):
    """The block's length; without extensions (None, not an empty list) the block is absent, length and all."""

    def __init__(self) -> None:
        super().__init__("extensions_length", None, length_of="extensions")

    def addfield(self, pkt: Packet, s: bytes, val: int | None) -> bytes:
        if val is None and pkt.getfieldval("extensions") is None:
            return s
        return super().addfield(pkt, s, val)

    def getfield(self, pkt: Packet, s: bytes) -> Any:
        return super().getfield(pkt, s) if s else (s, None)


class ExtensionsField(PacketsField):
    """The extensions, or None if the block is absent."""

    def __init__(self) -> None:
        super().__init__("extensions", lambda _, data: dissect_extensions(data), lambda p: p.extensions_length)
        self.default = None

    def any2i(self, pkt: Packet | None, x: Any) -> Any:
        return None if x is None else super().any2i(pkt, x)

    def i2len(self, pkt: Packet | None, val: Any) -> int:
        return super().i2len(pkt, val or [])

    def addfield(self, pkt: Packet, s: bytes, val: Any) -> bytes:
        return super().addfield(pkt, s, val or [])

    def getfield(self, pkt: Packet, s: bytes) -> Any:
        return super().getfield(pkt, s) if pkt.extensions_length is not None else (s, None)
