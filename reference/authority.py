"""Making keys and certificates: ECDSA on P-256, X.509 v3 as RFC 5280 wants it, signatures deterministic (RFC 6979).

A key is a function of 32 bytes, so that a node's or a test's key can follow from a seed.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def derive(secret: bytes, *purpose: object) -> bytes:
    """32 bytes that follow from a secret and a purpose, and tell nothing of either (HMAC-SHA256)."""
    return hmac.digest(secret, "/".join(map(str, purpose)).encode(), hashlib.sha256)


def new_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that follows from a secret."""
    wide = int.from_bytes(derive(secret, "scalar", 0) + derive(secret, "scalar", 1), "big")
    return ec.derive_private_key(wide % (_ORDER - 1) + 1, ec.SECP256R1())


def key_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as SEC 1 `ECPrivateKey`, DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_der(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half as SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_key(der: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a P-256 key. Raises ValueError if it is none."""
    try:
        key = load_der_private_key(der, None)
    except TypeError as error:
        raise ValueError("it is encrypted") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("it is not a P-256 key")
    return key


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: its certificate, DER, and its key."""

    certificate: bytes
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def create(
        cls, cn: str, organisation: str, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
    ) -> Authority:
        """A self-signed CA. It may also present its certificate as a server's (CRT-6), hence digitalSignature."""
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
                x509.NameAttribute(NameOID.COMMON_NAME, cn),
            ]
        )
        serial = int.from_bytes(derive(public_der(key), "serial")[:8], "big") | 1
        builder = _builder(name, name, key.public_key(), serial, begin, end, is_ca=True)
        return cls(_signed(builder, key), key)

    def issue(self, cn: str, public: ec.EllipticCurvePublicKey, serial: int, begin: datetime, end: datetime) -> bytes:
        """A certificate, DER, for a device's public key, valid from `begin` to `end`, both inclusive."""
        issuer = x509.load_der_x509_certificate(self.certificate).subject
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        return _signed(_builder(subject, issuer, public, serial, begin, end, is_ca=False), self.key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    serial: int,
    begin: datetime,
    end: datetime,
    *,
    is_ca: bool,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_ca,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=0 if is_ca else None), critical=True)
        .add_extension(usage, critical=True)
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey) -> bytes:
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)
