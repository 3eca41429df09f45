"""Certificates that name the right key or the right authority, and yet should not be taken (RFC 5280, CRT-7)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from conformance.peer.credentials import Identity, Shown
from conformance.peer.keys import derive

_BEGIN, _END = datetime(2019, 1, 1), datetime(2099, 1, 1)
_UNKNOWN: Final = ObjectIdentifier("1.3.6.1.4.1.99999.1")
"""An extension that nobody knows."""


@dataclass(frozen=True, slots=True)
class _Maker:
    """Issues certificates for one identity."""

    identity: Identity

    @property
    def own(self) -> ec.EllipticCurvePrivateKey:
        """The identity's key."""
        return _load(self.identity.key)

    @property
    def authority(self) -> ec.EllipticCurvePrivateKey:
        """Of the authority that the other side trusts."""
        return _load(self.identity.ca_key)

    @property
    def name(self) -> str:
        """The common name that the identity should have."""
        value = x509.load_der_x509_certificate(self.identity.certificate).subject
        return str(value.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)

    def key(self, purpose: str) -> ec.EllipticCurvePrivateKey:
        """A new key that follows from the identity's."""
        scalar = int.from_bytes(derive(hashlib.sha256(self.identity.key).digest(), "forged", purpose), "big")
        return ec.derive_private_key(scalar % 2**255 + 1, ec.SECP256R1())

    def leaf(self, *names: str, extension: x509.ExtensionType | None = None) -> Shown:
        """Of the right authority and for the own key, with these common names and one critical extension more."""
        made = self.issue(_name(*names), self.own.public_key(), extension=extension)
        return Shown((made,), self.identity.key)

    def issue(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        *,
        by: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
        extension: x509.ExtensionType | None = None,
    ) -> bytes:
        """A certificate, DER; `by` another issuer than the authority."""
        issuer = by[0] if by else x509.load_der_x509_certificate(self.identity.ca).subject
        key = by[1] if by else self.authority
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(int.from_bytes(hashlib.sha256(subject.public_bytes()).digest()[:8], "big") >> 1 | 1)
            .not_valid_before(_BEGIN)
            .not_valid_after(_END)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if extension is not None:
            builder = builder.add_extension(extension, critical=True)
        return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _authority(m: _Maker) -> Shown:
    """What the SSS shows (CRT-6), with the right key."""
    return Shown((m.identity.ca,), m.identity.ca_key)


def _ca_false_issuer(m: _Maker) -> Shown:
    """Behind another device's certificate."""
    key = m.key("device")
    device = m.issue(_name("12"), key.public_key())
    own = m.issue(_name(m.name), m.own.public_key(), by=(_name("12"), key))
    return Shown((own, device), m.identity.key)


FORGERIES: Final[dict[str, Callable[[_Maker], Shown]]] = {
    "authority": _authority,
    "ca-false-issuer": _ca_false_issuer,
    "critical-extension": lambda m: m.leaf(m.name, extension=x509.UnrecognizedExtension(_UNKNOWN, b"\5\0")),
    "nul-name": lambda m: m.leaf(m.name + "\0.example"),
    "no-name": lambda m: m.leaf(),
    "padded-name": lambda m: m.leaf("0" + m.name),
    "spaced-name": lambda m: m.leaf(m.name + " "),
    "two-names": lambda m: m.leaf("12", m.name),
    "wrong-usage": lambda m: m.leaf(m.name, extension=x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])),
}
"""By the names of `conformance.purpose.FORGED`."""


def forge(kind: str, identity: Identity) -> Shown:
    """What a peer shows instead of its own certificate; it follows from the identity alone."""
    return FORGERIES[kind](_Maker(identity))


def _name(*names: str) -> x509.Name:
    organisation = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SCEWL")
    return x509.Name([organisation, *(x509.NameAttribute(NameOID.COMMON_NAME, n) for n in names)])


def _load(der: bytes) -> ec.EllipticCurvePrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the reference's keys are elliptic-curve ones")
    return key
