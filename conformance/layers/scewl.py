"""SCEWL: the record of a capture, the frame, and the registration messages (protocol page, sections 2 and 6).

The registration response of the last historic build had a header of 22 bytes, whose layout is not known: it is not
here.
"""

# ruff: noqa: ARG002, ARG003, RUF012 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

import struct
from typing import Any, Final

from scapy.config import conf
from scapy.fields import (
    ByteEnumField,
    EnumField,
    FieldLenField,
    LEShortField,
    StrFixedLenField,
    XStrLenField,
)
from scapy.packet import Packet, Raw

from conformance.layers.exact import Exact, Malformed, dissect_exactly
from conformance.layers.record import DTLS

LINKTYPE_USER0: Final = 147
RADIO, SSS_WIRE, CPU_BUS = 0, 1, 2
"""Links."""
BROADCAST, SSS, FAA = 0, 1, 2
"""SCEWL ids of parties that are no SED."""
_LINKS: Final = {RADIO: "radio", SSS_WIRE: "SSS wire", CPU_BUS: "CPU bus"}
_DIRECTIONS: Final = {0: "sent by the controller", 1: "towards the controller"}
_OPS: Final = {-1: "refused", 0: "register", 1: "deregister"}
_PARTIES: Final = {BROADCAST: "broadcast", SSS: "SSS", FAA: "FAA"}
_MAGIC: Final = b"SC"
_HEADER: Final = 8
_CAPTURE_HEADER: Final = 4


def party(scewl_id: int) -> str:
    """A name such as `SED 10`, `SSS` or `broadcast`."""
    return _PARTIES.get(scewl_id, f"SED {scewl_id}")


class _IdField(LEShortField):
    """A SCEWL id, shown with the party's name."""

    def i2repr(self, pkt: Packet | None, x: int) -> str:
        return f"{x} ({_PARTIES[x]})" if x in _PARTIES else str(x)


class _OpField(EnumField[int]):
    """Registered, deregistered, refused: a signed number."""

    def __init__(self) -> None:
        super().__init__("op", 0, _OPS, fmt="<h")


class RegistrationRequest(Exact):
    """CPU to controller to SSS, and with the same layout the controller's answer to its CPU (REG-4)."""

    name = "SCEWL Registration Request"
    fields_desc = [_IdField("dev", 0), _OpField()]

    def mysummary(self) -> str:
        """The operation and the device."""
        what = "answer" if isinstance(self.underlayer, SCEWL) and self.underlayer.source == SSS else "request"
        return f"{what}: {_OPS.get(self.op, f'op {self.op}')} {party(self.dev)}"


class RegistrationResponse(Exact):
    """SSS to controller, inside DTLS; three blobs, DER in an honest one. Lengths that are None are computed."""

    name = "SCEWL Registration Response"
    fields_desc = [
        _IdField("dev", 0),
        _OpField(),
        FieldLenField("ca_len", None, fmt="<H", length_of="ca"),
        FieldLenField("crt_len", None, fmt="<H", length_of="crt"),
        FieldLenField("key_len", None, fmt="<H", length_of="key"),
        XStrLenField("ca", b"", length_from=lambda p: p.ca_len),
        XStrLenField("crt", b"", length_from=lambda p: p.crt_len),
        XStrLenField("key", b"", length_from=lambda p: p.key_len),
    ]

    def mysummary(self) -> str:
        """The operation and the device."""
        return f"response: {_OPS.get(self.op, f'op {self.op}')} {party(self.dev)}"


class _Outer(Exact):
    """A layer whose summary stands before that of what it carries."""

    def _do_summary(self) -> tuple[int, str, list[Any]]:
        _, inner, needed = self.payload._do_summary()
        return 1, f"{self.mysummary()} / {inner}" if inner else self.mysummary(), needed


class SCEWL(_Outer):
    """A frame. A length that is None is computed.

    The payload, told by the ids and by the link of the SCEWLCapture around it: DTLS on the radio and the SSS wire
    except from and to the FAA; on the CPU bus a RegistrationRequest from and to the SSS; otherwise Raw. Without a
    SCEWLCapture the link is unknown, and DTLS is what begins like a DTLS record.
    """

    name = "SCEWL"
    fields_desc = [
        StrFixedLenField("magic", _MAGIC, 2),
        _IdField("target", 0),
        _IdField("source", 0),
        LEShortField("length", None),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **options: Any) -> type[Packet]:
        """Malformed for bytes that do not begin with a header."""
        return Malformed if _pkt is not None and (len(_pkt) < _HEADER or _pkt[:2] != _MAGIC) else cls

    def extract_padding(self, s: bytes) -> tuple[bytes, bytes]:
        """What follows the payload is not of the frame."""
        return s[: self.length], s[self.length :]

    def do_dissect_payload(self, s: bytes) -> None:
        """The payload. It may be shorter than the header says: a capture's record may be cut."""
        if s:
            self.add_payload(self._payload(s))

    def _payload(self, s: bytes) -> Packet:
        link = self.underlayer.link if isinstance(self.underlayer, SCEWLCapture) else None
        if FAA in (self.source, self.target):
            return Raw(s)
        if link == CPU_BUS:
            return dissect_exactly(RegistrationRequest, s) if SSS in (self.source, self.target) else Raw(s)
        return DTLS(s, _internal=1) if link is not None or s[1:2] == b"\xfe" else Raw(s)

    def post_build(self, pkt: bytes, pay: bytes) -> bytes:
        """Fill in the length."""
        if self.length is None:
            pkt = pkt[:6] + struct.pack("<H", len(pay))
        return pkt + pay

    def mysummary(self) -> str:
        """Source and target, and the size of a payload that has no summary of its own."""
        size = f", {len(self.payload.load)} B" if isinstance(self.payload, Raw) else ""
        return f"{party(self.source)} to {party(self.target)}{size}"


class SCEWLCapture(_Outer):
    """A record of a capture: a frame on one link of one SED's controller. For link type USER0 (147)."""

    name = "SCEWL Capture"
    fields_desc = [
        ByteEnumField("link", RADIO, _LINKS),
        ByteEnumField("towards", 0, _DIRECTIONS),
        _IdField("sed", 0),
    ]

    @classmethod
    def dispatch_hook(cls, _pkt: bytes | None = None, *args: Any, **options: Any) -> type[Packet]:
        """Malformed for bytes that do not begin with a header."""
        return Malformed if _pkt is not None and len(_pkt) < _CAPTURE_HEADER else cls

    def guess_payload_class(self, payload: bytes) -> type[Packet]:
        """Always a frame."""
        return SCEWL

    def mysummary(self) -> str:
        """The link."""
        return _LINKS.get(self.link, f"link {self.link}")


conf.l2types.register(LINKTYPE_USER0, SCEWLCapture)
