"""Record protection as an onlooker with the key log sees it: TLS 1.2 PRF, key block, AES-GCM.

RFC 5246, sections 5 and 6.3; RFC 5288 (AES-GCM, and its suites with RSA); RFC 5289 (the two suites of DTL-2);
RFC 6347, section 4.1.2.1.
"""

from __future__ import annotations

import hashlib
import hmac
import string
import struct
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from conformance.wire.records import Record

MASTER_SIZE: Final = 48
"""Bytes of a master secret."""
RANDOM_SIZE: Final = 32
"""Bytes of a client random or server random."""
EXPLICIT_NONCE: Final = 8
"""Bytes of nonce that a sealed fragment begins with."""
TAG: Final = 16
"""Bytes of tag that a sealed fragment ends with."""
OVERHEAD: Final = EXPLICIT_NONCE + TAG
_IMPLICIT_NONCE: Final = 4
_ADDITIONAL: Final = struct.Struct(">QBHH")
VERIFY_DATA: Final = 12
"""Bytes of a Finished message."""


@dataclass(frozen=True, slots=True)
class Suite:
    """A cipher suite of the profile (DTL-2): its number, the AES key in bytes, the hash of its PRF."""

    number: int
    key_size: int
    hash_name: str


SUITES: Final = {
    0xC02B: Suite(0xC02B, 16, "sha256"),
    0xC02C: Suite(0xC02C, 32, "sha384"),
}
"""TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 and _AES_256_GCM_SHA384 by number."""
RSA_SUITES: Final = {
    0x009C: Suite(0x009C, 16, "sha256"),
    0x009D: Suite(0x009D, 32, "sha384"),
}
"""TLS_RSA_WITH_AES_128_GCM_SHA256 and _AES_256_GCM_SHA384 by number (RFC 5288): with RSA key exchange."""


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """The TLS 1.2 pseudo-random function (RFC 5246, section 5): `size` bytes."""
    seed = label + seed
    output = bytearray()
    chain = seed
    while len(output) < size:
        chain = hmac.digest(secret, chain, hash_name)
        output += hmac.digest(secret, chain + seed, hash_name)
    return bytes(output[:size])


class KeyLog:
    """Master secrets by client random; its lines read `CLIENT_RANDOM <random> <master secret>`, in hexadecimal."""

    def __init__(self, text: str = "") -> None:
        self._masters: dict[bytes, bytes] = {}
        for line in text.splitlines():
            self.add_line(line)

    def add(self, client_random: bytes, master: bytes) -> None:
        """Note one session's secret. Raises ValueError if a length is wrong."""
        if len(client_random) != RANDOM_SIZE or len(master) != MASTER_SIZE:
            raise ValueError(
                f"a client random is {RANDOM_SIZE} bytes and a master secret {MASTER_SIZE}, "
                f"not {len(client_random)} and {len(master)}"
            )
        self._masters[bytes(client_random)] = bytes(master)

    def add_line(self, line: str) -> bool:
        """Note one line; False, and nothing noted, if it is no CLIENT_RANDOM line (comment, other label, damaged)."""
        words = line.split()
        if len(words) != 3 or words[0] != "CLIENT_RANDOM":
            return False
        if len(words[1]) != 2 * RANDOM_SIZE or len(words[2]) != 2 * MASTER_SIZE:
            return False
        if not set(words[1] + words[2]) <= set(string.hexdigits):
            return False
        self.add(bytes.fromhex(words[1]), bytes.fromhex(words[2]))
        return True

    def master(self, client_random: bytes) -> bytes | None:
        """The master secret (48 bytes) of the session that this client random began, if known."""
        return self._masters.get(client_random)

    def text(self) -> str:
        """The lines, for a capture's secrets block. These are secrets: a file of them is for its owner's eyes only."""
        return "".join(f"CLIENT_RANDOM {r.hex()} {m.hex()}\n" for r, m in self._masters.items())

    def __len__(self) -> int:
        return len(self._masters)

    def clear(self) -> None:
        """Forget all secrets."""
        self._masters.clear()

    def keys(self, client_random: bytes, server_random: bytes, suite: int) -> SessionKeys | None:
        """The keys of a session, None if its secret or its suite is unknown."""
        master = self.master(client_random)
        known = SUITES.get(suite) or RSA_SUITES.get(suite)
        if master is None or known is None:
            return None
        return SessionKeys.derive(known, master, client_random, server_random)


@dataclass(frozen=True, slots=True)
class _Direction:
    aead: AESGCM = field(repr=False)
    implicit_nonce: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What opens the records of one session's epoch 1, each way. Its text form shows no secret."""

    suite: Suite
    _master: bytes = field(repr=False)
    _client: _Direction = field(repr=False)
    _server: _Direction = field(repr=False)

    @classmethod
    def derive(cls, suite: Suite, master: bytes, client_random: bytes, server_random: bytes) -> SessionKeys:
        """From the master secret (RFC 5246, section 6.3; an AEAD suite has no MAC keys)."""
        n, iv = suite.key_size, _IMPLICIT_NONCE
        block = prf(suite.hash_name, master, b"key expansion", server_random + client_random, 2 * n + 2 * iv)
        return cls(
            suite,
            master,
            _Direction(AESGCM(block[:n]), block[2 * n : 2 * n + iv]),
            _Direction(AESGCM(block[n : 2 * n]), block[2 * n + iv :]),
        )

    def open(self, record: Record, from_client: bool) -> bytes | None:
        """The record's plaintext; None if it does not authenticate in this direction.

        No record of another epoch does: the epoch is part of what is authenticated, and other epochs have other keys.
        """
        return self.open_fragment(
            record.content_type, record.version, record.epoch, record.seq, record.fragment, from_client
        )

    def open_fragment(
        self, content_type: int, version: int, epoch: int, seq: int, fragment: bytes, from_client: bool
    ) -> bytes | None:
        """The same for a record's fields."""
        length = len(fragment) - OVERHEAD
        if length < 0:
            return None
        side = self._client if from_client else self._server
        # Epoch and number, type, version, plaintext length (RFC 5246, 6.2.3.3; RFC 6347, 4.1.2.1).
        data = _ADDITIONAL.pack(epoch << 48 | seq, content_type, version, length)
        try:
            return side.aead.decrypt(side.implicit_nonce + fragment[:EXPLICIT_NONCE], fragment[EXPLICIT_NONCE:], data)
        except InvalidTag:
            return None

    def verify_data(self, transcript: bytes, from_client: bool) -> bytes:
        """What a right Finished holds (RFC 5246, section 7.4.9), 12 bytes.

        `transcript` is all messages before it, unfragmented, from the ClientHello with the cookie on
        (RFC 6347, section 4.2.6).
        """
        label = b"client finished" if from_client else b"server finished"
        digest = hashlib.new(self.suite.hash_name, transcript).digest()
        return prf(self.suite.hash_name, self._master, label, digest, VERIFY_DATA)
