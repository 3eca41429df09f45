"""What a peer shows and how it signs: honest, or as its script says; and how it looks at what the other side shows."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from cryptography.x509.oid import NameOID

from conformance.peer.keys import derive
from conformance.peer.script import BadScript, Script
from conformance.wire.certificates import Authorities, Seen

_HASHES: Final[dict[str, tuple[int, hashes.HashAlgorithm]]] = {
    "sha1": (2, hashes.SHA1()),
    "sha256": (4, hashes.SHA256()),
    "sha384": (5, hashes.SHA384()),
    "sha512": (6, hashes.SHA512()),
}
"""Numbers of RFC 5246, section 7.4.1.4.1."""
_RSA, _ECDSA = 1, 3
_BEGIN, _EXPIRED, _END = datetime(2019, 1, 1), datetime(2020, 1, 1), datetime(2099, 1, 1)

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peer is. Certificates and keys are DER; its text form shows no key."""

    ca: bytes
    """The authority that it trusts."""
    certificate: bytes
    key: bytes = field(repr=False)
    ca_key: bytes = field(default=b"", repr=False)
    """The authority's key, which scripts need that show certificates which it did not issue so far."""


@dataclass(frozen=True, slots=True)
class Shown:
    """The certificates that a peer shows, its own first, and the key that it signs with."""

    chain: tuple[bytes, ...]
    key: bytes = field(repr=False)


def shown(identity: Identity, script: Script) -> Shown:
    """What the script wants shown; it follows from the identity alone. Raises BadScript if that needs `ca_key`."""
    seed = derive(hashlib.sha256(identity.key).digest(), "forged", script.certificate)
    made = _MAKERS[script.certificate](identity, seed)
    return Shown(made.chain, _der(_elliptic(seed, "signer"))) if script.signature == "other-key" else made


def sign(key: bytes, message: bytes, script: Script) -> tuple[int, bytes]:
    """Algorithm (hash and signature, RFC 5246, section 4.7) and signature of what is to be signed."""
    number, hashed = _HASHES[script.hash]
    if script.signature == "other-transcript":
        message = bytes([message[0] ^ 1]) + message[1:] if message else b"\1"
    loaded = _load(key)
    if isinstance(loaded, rsa.RSAPrivateKey):
        return number << 8 | _RSA, loaded.sign(message, padding.PKCS1v15(), hashed)
    return number << 8 | _ECDSA, loaded.sign(message, ec.ECDSA(hashed, deterministic_signing=True))


def look(ca: bytes, chain: tuple[bytes, ...]) -> Seen | None:
    """What the other side shows; None unless the authority `ca` issued the first certificate, or is it (CRT-6)."""
    seen = Authorities({"trusted": ca}).classify(chain[0]) if chain else Seen()
    return seen if seen.ca_label else None


def verifies(public_key: bytes | None, algorithm: int, signature: bytes, message: bytes) -> bool:
    """Whether a signature is that of a public key (DER)."""
    hashed = next((h for number, h in _HASHES.values() if number == algorithm >> 8), None)
    try:
        key = load_der_public_key(public_key or b"")
        if isinstance(key, ec.EllipticCurvePublicKey) and hashed and algorithm & 0xFF == _ECDSA:
            key.verify(signature, message, ec.ECDSA(hashed))
        elif isinstance(key, rsa.RSAPublicKey) and hashed and algorithm & 0xFF == _RSA:
            key.verify(signature, message, padding.PKCS1v15(), hashed)
        else:
            return False
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature):
        return False
    return True


# --- certificates that nobody should take -----------------------------------------------------------------------------


def _own(identity: Identity, _: bytes) -> Shown:
    return Shown((identity.certificate,), identity.key)


def _empty(identity: Identity, _: bytes) -> Shown:
    return Shown((), identity.key)


def _damaged(identity: Identity, _: bytes) -> Shown:
    return Shown((bytes([identity.certificate[0] ^ 0xFF]) + identity.certificate[1:],), identity.key)


def _other(identity: Identity, seed: bytes) -> Shown:
    return Shown((_issue(identity, _elliptic(seed)),), identity.key)


def _wrong_name(identity: Identity, seed: bytes) -> Shown:
    key = _elliptic(seed)
    return Shown((_issue(identity, key, cn=_cn(identity) + "0"),), _der(key))


def _expired(identity: Identity, seed: bytes) -> Shown:
    key = _elliptic(seed)
    return Shown((_issue(identity, key, end=_EXPIRED),), _der(key))


def _p384(identity: Identity, seed: bytes) -> Shown:
    key = _elliptic(seed, curve=ec.SECP384R1())
    return Shown((_issue(identity, key),), _der(key))


def _rsa(identity: Identity, _: bytes) -> Shown:
    key = _rsa_key()
    return Shown((_issue(identity, key),), _der(key))


def _stranger(identity: Identity, seed: bytes) -> Shown:
    """Of an authority that has the right one's name, but not its key."""
    name, key, ca = _subject(identity.ca), _elliptic(seed), _elliptic(seed, "ca")
    return Shown((_certificate(name, ca, _name(_cn(identity)), key.public_key(), _END),), _der(key))


def _chain(identity: Identity, seed: bytes) -> Shown:
    middle, key = _elliptic(seed, "middle"), _elliptic(seed)
    name = _name("intermediate")
    upper = _certificate(_subject(identity.ca), _authority(identity), name, middle.public_key(), _END, is_ca=True)
    return Shown((_certificate(name, middle, _name(_cn(identity)), key.public_key(), _END), upper), _der(key))


_MAKERS: Final[dict[str, Callable[[Identity, bytes], Shown]]] = {
    "own": _own,
    "empty": _empty,
    "other": _other,
    "stranger": _stranger,
    "wrong-name": _wrong_name,
    "expired": _expired,
    "chain": _chain,
    "damaged": _damaged,
    "p384": _p384,
    "rsa": _rsa,
}


def _issue(identity: Identity, key: PrivateKey, *, cn: str = "", end: datetime = _END) -> bytes:
    """A certificate of the right authority."""
    subject = _name(cn or _cn(identity))
    return _certificate(_subject(identity.ca), _authority(identity), subject, key.public_key(), end)


def _certificate(
    issuer: x509.Name, by: PrivateKey, subject: x509.Name, public: PublicKey, end: datetime, *, is_ca: bool = False
) -> bytes:
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(hashlib.sha256(spki).digest()[:8], "big") >> 1 | 1)
        .not_valid_before(_BEGIN)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    deterministic = True if isinstance(by, ec.EllipticCurvePrivateKey) else None
    return builder.sign(by, hashes.SHA256(), ecdsa_deterministic=deterministic).public_bytes(Encoding.DER)


def _authority(identity: Identity) -> PrivateKey:
    if not identity.ca_key:
        raise BadScript("script: this `certificate` must be issued, and the peer was given no key of the authority")
    return _load(identity.ca_key)


def _cn(identity: Identity) -> str:
    value = _subject(identity.certificate).get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    return value if isinstance(value, str) else value.decode("latin-1")


def _subject(der: bytes) -> x509.Name:
    return x509.load_der_x509_certificate(der).subject


def _name(cn: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])


# --- keys -------------------------------------------------------------------------------------------------------------


def _elliptic(seed: bytes, purpose: str = "own", curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(derive(seed, "key", purpose), "big") % 2**255 + 1
    return ec.derive_private_key(scalar, curve or ec.SECP256R1())


def _load(der: bytes) -> PrivateKey:
    key = load_der_private_key(der, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("neither an elliptic-curve nor an RSA key")
    return key


def _der(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@functools.cache
def _rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key of 2,048 bits, always the same: it protects nothing."""
    e, p, q = 65_537, _prime(b"p"), _prime(b"q")
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, p * q)
    )
    return numbers.private_key()


def _prime(name: bytes) -> int:
    """The first probable prime from a number of 1,024 bits, its two highest set, on (Fermat's test, bases 2 and 3)."""
    candidate = int.from_bytes(hashlib.shake_256(b"scripted peer, RSA, " + name).digest(128), "big")
    candidate |= 0b11 << 1022 | 1
    while not all(pow(base, candidate - 1, candidate) == 1 for base in (2, 3)) or (candidate - 1) % 65_537 == 0:
        candidate += 2
    return candidate
