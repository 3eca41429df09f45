"""Whether a peer has proved that it holds its certificate's key: the signatures of the handshake."""

from __future__ import annotations

import struct
import warnings
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from conformance.wire.handshake import CertificateVerify

HASHES = {0x0403: ECDSA(SHA256()), 0x0503: ECDSA(SHA384()), 0x0603: ECDSA(SHA512())}
"""ECDSA with a hash, by the algorithm's number (RFC 5246, section 7.4.1.4.1)."""
RSA_HASHES: dict[int, HashAlgorithm] = {0x0401: SHA256(), 0x0501: SHA384(), 0x0601: SHA512()}
"""The same of RSA."""
Key = EllipticCurvePublicKey | RSAPublicKey
NAMED_CURVE = 3
"""RFC 8422, section 5.4."""


@lru_cache(256)
def public_key(der: bytes) -> Key | None:
    """A certificate's key, None unless it is an elliptic-curve or an RSA one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            key = x509.load_der_x509_certificate(der).public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Key) else None


def proves(key: Key | None, verify: CertificateVerify, transcript: bytes) -> bool:
    """Whether a CertificateVerify signs the messages before it (RFC 5246, section 7.4.8)."""
    return _signed(key, verify.algorithm, verify.signature, transcript)


def keys_proved(key: Key | None, randoms: bytes, body: bytes) -> bool:
    """Whether a ServerKeyExchange's body signs the randoms and its parameters (RFC 8422, section 5.4)."""
    if len(body) < 4 or body[0] != NAMED_CURVE:
        return False
    end = 4 + body[3]
    if len(body) < end + 4:
        return False
    algorithm, size = struct.unpack_from(">HH", body, end)
    return len(body) == end + 4 + size and _signed(key, algorithm, body[end + 4 :], randoms + body[:end])


def _signed(key: Key | None, algorithm: int, signature: bytes, data: bytes) -> bool:
    try:
        if isinstance(key, EllipticCurvePublicKey) and algorithm in HASHES:
            key.verify(signature, data, HASHES[algorithm])
        elif isinstance(key, RSAPublicKey) and algorithm in RSA_HASHES:
            key.verify(signature, data, PKCS1v15(), RSA_HASHES[algorithm])
        else:
            return False
    except InvalidSignature:
        return False
    return True
