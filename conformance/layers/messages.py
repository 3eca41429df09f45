"""Bodies of the handshake messages of DTLS 1.2, with ECDHE or RSA key exchange.

RFC 5246, section 7.4; RFC 6347, sections 4.2.1 and 4.3.2; RFC 8422, section 5 (ECDHE); RFC 5077 (tickets). Fields are
named as Wireshark names them behind `dtls.handshake.`.

Reused from Scapy's TLS: its registries of numbers and its extensions. Its message classes are not right here. They
begin with TLS's 4-byte header and lack the cookie; HelloVerifyRequest lacks the version and has a wrong type; each
carries a session, builds anew from it instead of giving the bytes that came, and acts on it while it dissects (keys,
signatures, certificates that must parse).
"""

# ruff: noqa: ARG002, D102, RUF012 (Scapy prescribes these signatures and class attributes)

from __future__ import annotations

from typing import Any, Final

from scapy.fields import (
    ByteEnumField,
    Field,
    FieldLenField,
    FieldListField,
    IntField,
    ShortEnumField,
    XStrField,
    XStrFixedLenField,
    XStrLenField,
)
from scapy.layers.tls.crypto.groups import _tls_named_curves as CURVES
from scapy.layers.tls.crypto.suites import _tls_cipher_suites as CIPHER_SUITES
from scapy.layers.tls.handshake import _tls_client_certificate_types as CERTIFICATE_TYPES
from scapy.layers.tls.keyexchange import _tls_hash_sig as SIGNATURES
from scapy.packet import Packet

from conformance.layers.exact import Exact, Opaque, dissect_exactly
from conformance.layers.extensions import ExtensionsField, ExtensionsLenField

DTLS_1_0: Final = 0xFEFF
DTLS_1_2: Final = 0xFEFD
VERSIONS: Final = {DTLS_1_0: "DTLS 1.0", DTLS_1_2: "DTLS 1.2"}
_CURVE_TYPES: Final = {1: "explicit_prime", 2: "explicit_char2", 3: "named_curve"}
_NAMED_CURVE: Final = 3
_COMPRESSIONS: Final = {0: "null", 1: "deflate"}


class ThreeByteLenField(FieldLenField):
    """A length of 24 bits."""

    def addfield(self, pkt: Packet, s: bytes, val: int | None) -> bytes:
        return s + self.i2m(pkt, val).to_bytes(3, "big")

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, int]:
        return s[3:], int.from_bytes(s[:3], "big")


class NumbersField(FieldListField):
    """A list of numbers, of any length: the length fields allow fewer than 2^16, so Scapy's limit never decides."""

    def __init__(self, name: str, default: Any, field: Any, length_from: Any) -> None:
        super().__init__(name, default, field, length_from=length_from, max_count=2**16)


class VectorsField(Field[list[bytes], bytes]):
    """A list of byte strings, each behind its length in `size` bytes. As a value: a list of bytes."""

    __slots__ = ["length_from", "size"]
    islist = 1

    def __init__(self, name: str, size: int, length_from: Any) -> None:
        super().__init__(name, [])
        self.size = size
        self.length_from = length_from

    def any2i(self, pkt: Packet | None, x: Any) -> list[bytes]:
        return [x] if isinstance(x, bytes) else list(x)

    def i2len(self, pkt: Packet, x: Any) -> int:
        return sum(self.size + len(item) for item in x)

    def i2repr(self, pkt: Packet | None, x: Any) -> str:
        return f"[{', '.join(item.hex() for item in x)}]"

    def addfield(self, pkt: Packet, s: bytes, val: list[bytes] | None) -> bytes:
        return s + b"".join(len(item).to_bytes(self.size, "big") + item for item in val or [])

    def getfield(self, pkt: Packet, s: bytes) -> tuple[bytes, list[bytes]]:
        inner, rest = s[: self.length_from(pkt)], s[self.length_from(pkt) :]
        found = []
        while inner:
            end = self.size + int.from_bytes(inner[: self.size], "big")
            found.append(inner[self.size : end])
            inner = inner[end:]
        return rest, found


class Body(Exact):
    """The body of one whole message. Dissecting a class of these directly raises as Scapy does when bytes run out."""

    title: str
    """The RFC's name of the message."""

    def mysummary(self) -> str:
        """The message's name."""
        return self.title


class DTLSHelloRequest(Body):
    """Empty."""

    name = "DTLS HelloRequest"
    title = "HelloRequest"
    fields_desc = []


class DTLSClientHello(Body):
    """The cookie is empty in the first one (RFC 6347, section 4.2.1). `cipher_suites` takes numbers and names."""

    name = "DTLS ClientHello"
    title = "ClientHello"
    fields_desc = [
        ShortEnumField("version", DTLS_1_2, VERSIONS),
        XStrFixedLenField("random", bytes(32), 32),
        FieldLenField("session_id_length", None, fmt="B", length_of="session_id"),
        XStrLenField("session_id", b"", length_from=lambda p: p.session_id_length, max_length=32),
        FieldLenField("cookie_length", None, fmt="B", length_of="cookie"),
        XStrLenField("cookie", b"", length_from=lambda p: p.cookie_length, max_length=255),
        FieldLenField("cipher_suites_length", None, length_of="cipher_suites"),
        NumbersField("cipher_suites", [], ShortEnumField("", 0, CIPHER_SUITES), lambda p: p.cipher_suites_length),
        FieldLenField("comp_methods_length", None, fmt="B", length_of="comp_methods"),
        NumbersField("comp_methods", [0], ByteEnumField("", 0, _COMPRESSIONS), lambda p: p.comp_methods_length),
        ExtensionsLenField(),
        ExtensionsField(),
    ]

    def mysummary(self) -> str:
        """The message's name, and whether it has a cookie."""
        return f"{self.title} with cookie" if self.cookie else self.title


class DTLSHelloVerifyRequest(Body):
    """RFC 6347, section 4.2.1; its version should be that of DTLS 1.0, whatever is negotiated."""

    name = "DTLS HelloVerifyRequest"
    title = "HelloVerifyRequest"
    fields_desc = [
        ShortEnumField("version", DTLS_1_0, VERSIONS),
        FieldLenField("cookie_length", None, fmt="B", length_of="cookie"),
        XStrLenField("cookie", b"", length_from=lambda p: p.cookie_length, max_length=255),
    ]


class DTLSServerHello(Body):
    """`cipher_suite` takes a number or a name."""

    name = "DTLS ServerHello"
    title = "ServerHello"
    fields_desc = [
        ShortEnumField("version", DTLS_1_2, VERSIONS),
        XStrFixedLenField("random", bytes(32), 32),
        FieldLenField("session_id_length", None, fmt="B", length_of="session_id"),
        XStrLenField("session_id", b"", length_from=lambda p: p.session_id_length, max_length=32),
        ShortEnumField("cipher_suite", 0, CIPHER_SUITES),
        ByteEnumField("comp_method", 0, _COMPRESSIONS),
        ExtensionsLenField(),
        ExtensionsField(),
    ]


class DTLSNewSessionTicket(Body):
    """RFC 5077, section 3.3; the hint is in seconds."""

    name = "DTLS NewSessionTicket"
    title = "NewSessionTicket"
    fields_desc = [
        IntField("session_ticket_lifetime_hint", 0),
        FieldLenField("session_ticket_length", None, length_of="session_ticket"),
        XStrLenField("session_ticket", b"", length_from=lambda p: p.session_ticket_length),
    ]


class DTLSCertificate(Body):
    """`certificates` are bytes, DER in an honest message; nothing here depends on what is in them."""

    name = "DTLS Certificate"
    title = "Certificate"
    fields_desc = [
        ThreeByteLenField("certificates_length", None, length_of="certificates"),
        VectorsField("certificates", 3, lambda p: p.certificates_length),
    ]


class DTLSServerKeyExchange(Body):
    """ECDHE on a named curve, signed with ECDSA or RSA (RFC 8422, section 5.4)."""

    name = "DTLS ServerKeyExchange"
    title = "ServerKeyExchange"
    fields_desc = [
        ByteEnumField("server_curve_type", _NAMED_CURVE, _CURVE_TYPES),
        ShortEnumField("server_named_curve", 23, CURVES),
        FieldLenField("server_point_len", None, fmt="B", length_of="server_point"),
        XStrLenField("server_point", b"", length_from=lambda p: p.server_point_len, max_length=255),
        ShortEnumField("sig_hash_alg", 0x0403, SIGNATURES),
        FieldLenField("sig_len", None, length_of="sig"),
        XStrLenField("sig", b"", length_from=lambda p: p.sig_len),
    ]


class DTLSCertificateRequest(Body):
    """`dnames` are bytes, DER names in an honest message."""

    name = "DTLS CertificateRequest"
    title = "CertificateRequest"
    fields_desc = [
        FieldLenField("cert_types_count", None, fmt="B", length_of="cert_types"),
        NumbersField("cert_types", [64], ByteEnumField("", 0, CERTIFICATE_TYPES), lambda p: p.cert_types_count),
        FieldLenField("sig_hash_alg_len", None, length_of="sig_hash_algs"),
        NumbersField("sig_hash_algs", [0x0403], ShortEnumField("", 0, SIGNATURES), lambda p: p.sig_hash_alg_len),
        FieldLenField("dnames_len", None, length_of="dnames"),
        VectorsField("dnames", 2, lambda p: p.dnames_len),
    ]


class DTLSServerHelloDone(Body):
    """Empty."""

    name = "DTLS ServerHelloDone"
    title = "ServerHelloDone"
    fields_desc = []


class DTLSCertificateVerify(Body):
    """The signature is over the transcript (RFC 5246, section 7.4.8; RFC 6347, section 4.2.6)."""

    name = "DTLS CertificateVerify"
    title = "CertificateVerify"
    fields_desc = [
        ShortEnumField("sig_hash_alg", 0x0403, SIGNATURES),
        FieldLenField("sig_len", None, length_of="sig"),
        XStrLenField("sig", b"", length_from=lambda p: p.sig_len),
    ]


class DTLSClientKeyExchangeECDHE(Body):
    """The client's point (RFC 8422, section 5.7)."""

    name = "DTLS ClientKeyExchange (ECDHE)"
    title = "ClientKeyExchange"
    fields_desc = [
        FieldLenField("client_point_len", None, fmt="B", length_of="client_point"),
        XStrLenField("client_point", b"", length_from=lambda p: p.client_point_len, max_length=255),
    ]


class DTLSClientKeyExchangeRSA(Body):
    """The premaster secret under the server's RSA key (RFC 5246, section 7.4.7.1)."""

    name = "DTLS ClientKeyExchange (RSA)"
    title = "ClientKeyExchange"
    fields_desc = [
        FieldLenField("epms_len", None, length_of="epms"),
        XStrLenField("epms", b"", length_from=lambda p: p.epms_len),
    ]


class DTLSFinished(Body):
    """12 bytes in an honest message (RFC 5246, section 7.4.9)."""

    name = "DTLS Finished"
    title = "Finished"
    fields_desc = [XStrField("verify_data", b"")]


BODIES: Final[dict[int, tuple[type[Body], ...]]] = {
    0: (DTLSHelloRequest,),
    1: (DTLSClientHello,),
    2: (DTLSServerHello,),
    3: (DTLSHelloVerifyRequest,),
    4: (DTLSNewSessionTicket,),
    11: (DTLSCertificate,),
    12: (DTLSServerKeyExchange,),
    13: (DTLSCertificateRequest,),
    14: (DTLSServerHelloDone,),
    15: (DTLSCertificateVerify,),
    16: (DTLSClientKeyExchangeECDHE, DTLSClientKeyExchangeRSA),
    20: (DTLSFinished,),
}
"""By message type. A ClientKeyExchange does not say which it is, but no bytes are exactly both: up to 256 bytes, as
ECDHE has, RSA's length begins with a zero, which in ECDHE is an empty point with nothing behind it."""


def dissect_message(msg_type: int, body: bytes) -> Packet:
    """The body of a whole message: one of the classes above, Malformed, or Opaque. Raises nothing.

    Opaque is what these classes do not cover: an unknown type, or a ServerKeyExchange of another form than ECDHE on a
    named curve. A ClientKeyExchange of finite-field Diffie-Hellman has the form of RSA's, and is shown as that.
    """
    classes = BODIES.get(msg_type, ())
    if not classes or (msg_type == 12 and body[:1] != bytes([_NAMED_CURVE])):
        return Opaque(load=body)
    found = [dissect_exactly(cls, body) for cls in classes]
    return next((layer for layer in found if isinstance(layer, Body)), found[0])
