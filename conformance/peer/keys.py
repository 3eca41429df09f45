"""The key schedule and the protection of records, on plain bytes that can be copied.

RFC 5246, sections 5, 6.3 and 8.1; RFC 7627 (extended master secret); RFC 5288 (AES-GCM); RFC 6347, section 4.1.2.1.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from conformance.wire.secrets import EXPLICIT_NONCE, MASTER_SIZE, OVERHEAD, TAG, VERIFY_DATA, Suite, prf

_CURVES: Final[dict[str, ec.EllipticCurve]] = {"p256": ec.SECP256R1(), "p384": ec.SECP384R1()}
NAMED_CURVES: Final = {"p256": 23, "p384": 24}
"""RFC 8422, section 5.1.1."""
_IMPLICIT_NONCE: Final = 4


def derive(seed: bytes, *purpose: object, size: int = 32) -> bytes:
    """`size` bytes (up to 64) that follow from a seed and a purpose."""
    return hmac.digest(seed, "/".join(map(str, purpose)).encode(), hashlib.sha512)[:size]


@dataclass(frozen=True, slots=True)
class Ephemeral:
    """One side's half of an ECDHE, following from 32 secret bytes."""

    curve: str
    _secret: bytes = field(repr=False)

    def _key(self) -> ec.EllipticCurvePrivateKey:
        # 2**255 is below the order of either curve, so that the scalar is never 0 nor too large
        scalar = int.from_bytes(derive(self._secret, "scalar"), "big") % 2**255 + 1
        return ec.derive_private_key(scalar, _CURVES[self.curve])

    @property
    def point(self) -> bytes:
        """The public half, uncompressed (RFC 8422, section 5.4)."""
        return self._key().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def premaster(self, point: bytes) -> bytes | None:
        """The shared secret with the other side's point; None if that is no point of the curve."""
        try:
            public = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[self.curve], point)
        except ValueError:
            return None
        return self._key().exchange(ec.ECDH(), public)


def master_secret(suite: Suite, premaster: bytes, randoms: bytes, session_hash: bytes | None) -> bytes:
    """48 bytes, from client random and server random, or, extended, from the hash of the handshake so far."""
    if session_hash is None:
        return prf(suite.hash_name, premaster, b"master secret", randoms, MASTER_SIZE)
    return prf(suite.hash_name, premaster, b"extended master secret", session_hash, MASTER_SIZE)


@dataclass(frozen=True, slots=True)
class Direction:
    """What protects the records of one direction of one epoch. Its text form shows no secret."""

    _key: bytes = field(repr=False)
    _nonce: bytes = field(repr=False)

    def seal(self, epoch: int, seq: int, kind: int, version: int, plaintext: bytes) -> bytes:
        """The fragment of a sealed record: explicit nonce, ciphertext, tag."""
        explicit = _numbers(epoch, seq)
        additional = explicit + _about(kind, version, len(plaintext))
        return explicit + AESGCM(self._key).encrypt(self._nonce + explicit, plaintext, additional)

    def open(self, epoch: int, seq: int, kind: int, version: int, fragment: bytes) -> bytes | None:
        """The plaintext of a sealed record; None if it does not authenticate."""
        if len(fragment) < OVERHEAD:
            return None
        nonce, sealed = self._nonce + fragment[:EXPLICIT_NONCE], fragment[EXPLICIT_NONCE:]
        additional = _numbers(epoch, seq) + _about(kind, version, len(sealed) - TAG)
        try:
            return AESGCM(self._key).decrypt(nonce, sealed, additional)
        except InvalidTag:
            return None


def _numbers(epoch: int, seq: int) -> bytes:
    return (epoch << 48 | seq).to_bytes(8, "big")


def _about(kind: int, version: int, size: int) -> bytes:
    # a script may ask for more than a length can say
    return bytes([kind]) + version.to_bytes(2, "big") + (size & 0xFFFF).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class Keys:
    """A session's secrets: the master secret and what protects its records, each way."""

    suite: Suite
    client: Direction
    server: Direction
    master: bytes = field(repr=False)

    @classmethod
    def derive(cls, suite: Suite, master: bytes, client_random: bytes, server_random: bytes) -> Keys:
        """From the master secret (RFC 5246, section 6.3; an AEAD suite has no MAC keys)."""
        n, iv = suite.key_size, _IMPLICIT_NONCE
        block = prf(suite.hash_name, master, b"key expansion", server_random + client_random, 2 * n + 2 * iv)
        return cls(
            suite,
            Direction(block[:n], block[2 * n : 2 * n + iv]),
            Direction(block[n : 2 * n], block[2 * n + iv :]),
            master,
        )

    def verify_data(self, transcript: bytes, by_client: bool) -> bytes:
        """The 12 bytes of a Finished (RFC 5246, section 7.4.9)."""
        label = b"client finished" if by_client else b"server finished"
        return prf(self.suite.hash_name, self.master, label, digest(self.suite, transcript), VERIFY_DATA)


def digest(suite: Suite, transcript: bytes) -> bytes:
    """The hash of the handshake, by the suite's PRF's hash."""
    return hashlib.new(suite.hash_name, transcript).digest()
