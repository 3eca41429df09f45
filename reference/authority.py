"""Making keys and certificates: ECDSA on P-256, X.509 v3 as RFC 5280 wants it, signatures deterministic (RFC 6979).

A key is a function of 32 bytes, so that a node's or a test's key can follow from a seed. For the historic key exchange
there are RSA keys, too (2,048 bits, PKCS #1 v1.5 signatures), made the same way.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import itertools
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from reference import mbedtls_c as c

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_RSA_BITS = 2_048
_EXPONENT = 65_537


def derive(secret: bytes, *purpose: object) -> bytes:
    """32 bytes that follow from a secret and a purpose, and tell nothing of either (HMAC-SHA256)."""
    return hmac.digest(secret, "/".join(map(str, purpose)).encode(), hashlib.sha256)


def new_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key that follows from a secret."""
    wide = int.from_bytes(derive(secret, "scalar", 0) + derive(secret, "scalar", 1), "big")
    return ec.derive_private_key(wide % (_ORDER - 1) + 1, ec.SECP256R1())


def new_rsa_key(secret: bytes) -> rsa.RSAPrivateKey:
    """The RSA key that follows from a secret; it takes some 0.07 s."""
    p, q = _prime(derive(secret, "p")), _prime(derive(secret, "q"))
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(_EXPONENT, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)  # it takes longer than making the key


remembered_rsa_key = functools.lru_cache(maxsize=256)(new_rsa_key)
"""The same, for secrets that are none: of tests and of the suite, which make the same keys again and again."""


def _prime(secret: bytes) -> int:
    """The prime of 1,024 bits that the library finds with randomness that follows from a secret.

    One to which the exponent has no inverse, one of some 65,537, is passed over.
    """
    draws = itertools.count()
    while True:
        found = c.prime(_RSA_BITS // 2, lambda size: hashlib.shake_256(derive(secret, next(draws))).digest(size))
        if (found - 1) % _EXPONENT:
            return found


def key_der(key: PrivateKey) -> bytes:
    """The key as SEC 1 `ECPrivateKey` or PKCS #1 `RSAPrivateKey`, DER."""
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def public_der(key: PrivateKey) -> bytes:
    """The public half as SubjectPublicKeyInfo, DER."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_key(der: bytes) -> PrivateKey:
    """Read a P-256 key, or an RSA key of 2,048 bits. Raises ValueError if it is neither."""
    try:
        key = load_der_private_key(der, None)
    except TypeError as error:
        raise ValueError("it is encrypted") from error
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size == _RSA_BITS:
        return key
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("it is neither a P-256 key nor an RSA key of 2,048 bits")
    return key


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority: its certificate, DER, and its key."""

    certificate: bytes
    key: PrivateKey

    @classmethod
    def create(cls, cn: str, organisation: str, key: PrivateKey, begin: datetime, end: datetime) -> Authority:
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

    def issue(self, cn: str, public: PublicKey, serial: int, begin: datetime, end: datetime) -> bytes:
        """A certificate, DER, for a device's public key, valid from `begin` to `end`, both inclusive."""
        issuer = x509.load_der_x509_certificate(self.certificate).subject
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
        return _signed(_builder(subject, issuer, public, serial, begin, end, is_ca=False), self.key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: PublicKey,
    serial: int,
    begin: datetime,
    end: datetime,
    *,
    is_ca: bool,
) -> x509.CertificateBuilder:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=isinstance(public, rsa.RSAPublicKey),
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


def _signed(builder: x509.CertificateBuilder, key: PrivateKey) -> bytes:
    deterministic = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, hashes.SHA256(), ecdsa_deterministic=deterministic).public_bytes(Encoding.DER)
