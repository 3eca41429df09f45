"""Opening the records of a session: the cipher suites that one meets, as data, and AES-CBC (AES-GCM: wire.secrets).

RFC 5246, sections 5, 6.2.3.2 and 6.3; RFC 7366 (encrypt-then-MAC); RFC 5246, 5288, 5289 and 8422 (the suites).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from conformance.wire.secrets import VERIFY_DATA, SessionKeys, Suite, prf

BLOCK: Final = 16
"""Bytes of an AES block, and of the initialisation vector that a CBC fragment begins with."""
_MAC_HEADER: Final = struct.Struct(">QBHH")
"""Epoch and number, content type, version, length (RFC 5246, section 6.2.3.1; RFC 6347, section 4.1.2.1)."""


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """What must be known of a cipher suite to open its records."""

    rsa: bool
    """Plain RSA key exchange: the server's private key opens it. Else ECDHE: only the master secret does."""
    key_size: int
    """Bytes of the AES key."""
    prf_hash: str
    mac: str
    """Hash of the HMAC of a CBC suite; empty for GCM."""


_R, _E = True, False
CIPHER_SUITES: Final = MappingProxyType(
    {
        number: CipherSuite(*facts)
        for number, facts in {
            0x002F: (_R, 16, "sha256", "sha1"),  # TLS_RSA_WITH_AES_128_CBC_SHA
            0x0035: (_R, 32, "sha256", "sha1"),  # TLS_RSA_WITH_AES_256_CBC_SHA
            0x003C: (_R, 16, "sha256", "sha256"),  # TLS_RSA_WITH_AES_128_CBC_SHA256
            0x003D: (_R, 32, "sha256", "sha256"),  # TLS_RSA_WITH_AES_256_CBC_SHA256
            0x009C: (_R, 16, "sha256", ""),  # TLS_RSA_WITH_AES_128_GCM_SHA256
            0x009D: (_R, 32, "sha384", ""),  # TLS_RSA_WITH_AES_256_GCM_SHA384
            0xC009: (_E, 16, "sha256", "sha1"),  # TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
            0xC00A: (_E, 32, "sha256", "sha1"),  # TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA
            0xC013: (_E, 16, "sha256", "sha1"),  # TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
            0xC014: (_E, 32, "sha256", "sha1"),  # TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA
            0xC023: (_E, 16, "sha256", "sha256"),  # TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256
            0xC024: (_E, 32, "sha384", "sha384"),  # TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384
            0xC027: (_E, 16, "sha256", "sha256"),  # TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256
            0xC028: (_E, 32, "sha384", "sha384"),  # TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384
            0xC02B: (_E, 16, "sha256", ""),  # TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            0xC02C: (_E, 32, "sha384", ""),  # TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
            0xC02F: (_E, 16, "sha256", ""),  # TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
            0xC030: (_E, 32, "sha384", ""),  # TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
        }.items()
    }
)
"""By number."""


class Keys(Protocol):
    """What opens a session's records, each way."""

    def open_fragment(
        self, content_type: int, version: int, epoch: int, seq: int, fragment: bytes, from_client: bool
    ) -> bytes | None:
        """A record's plaintext; None if it does not authenticate in this direction."""

    def verify_data(self, transcript: bytes, from_client: bool) -> bytes:
        """What a right Finished holds, 12 bytes."""


def derive(
    number: int, master: bytes, client_random: bytes, server_random: bytes, *, encrypt_then_mac: bool
) -> Keys | None:
    """The keys of a session from its master secret; None if the suite is not known here."""
    suite = CIPHER_SUITES.get(number)
    if suite is None:
        return None
    if not suite.mac:
        return SessionKeys.derive(Suite(number, suite.key_size, suite.prf_hash), master, client_random, server_random)
    n, m = suite.key_size, hashlib.new(suite.mac).digest_size
    block = prf(suite.prf_hash, master, b"key expansion", server_random + client_random, 2 * (n + m))
    client = _Direction(block[:m], block[2 * m : 2 * m + n])
    server = _Direction(block[m : 2 * m], block[2 * m + n :])
    return CbcKeys(suite, encrypt_then_mac, master, client, server)


@dataclass(frozen=True, slots=True)
class _Direction:
    mac_key: bytes = field(repr=False)
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CbcKeys:
    """The keys of a session under AES-CBC with HMAC. Its text form shows no secret."""

    suite: CipherSuite
    encrypt_then_mac: bool
    _master: bytes = field(repr=False)
    _client: _Direction = field(repr=False)
    _server: _Direction = field(repr=False)

    def open_fragment(
        self, content_type: int, version: int, epoch: int, seq: int, fragment: bytes, from_client: bool
    ) -> bytes | None:
        """A record's plaintext; None if it does not authenticate in this direction, or its padding is wrong."""
        side = self._client if from_client else self._server
        size = hashlib.new(self.suite.mac).digest_size

        def mac(length: int, data: bytes) -> bytes:
            header = _MAC_HEADER.pack(epoch << 48 | seq, content_type, version, length)
            return hmac.digest(side.mac_key, header + data, self.suite.mac)

        if self.encrypt_then_mac:
            sealed, tag = fragment[:-size], fragment[-size:]
            if mac(len(sealed), sealed) != tag:
                return None
            return _unpadded(_decrypt(side.key, sealed))
        content = _unpadded(_decrypt(side.key, fragment))
        if content is None or len(content) < size:
            return None
        plaintext, tag = content[:-size], content[-size:]
        return plaintext if mac(len(plaintext), plaintext) == tag else None

    def verify_data(self, transcript: bytes, from_client: bool) -> bytes:
        """What a right Finished holds (RFC 5246, section 7.4.9), 12 bytes."""
        label = b"client finished" if from_client else b"server finished"
        digest = hashlib.new(self.suite.prf_hash, transcript).digest()
        return prf(self.suite.prf_hash, self._master, label, digest, VERIFY_DATA)


def _decrypt(key: bytes, sealed: bytes) -> bytes:
    """The padded content behind the initialisation vector; empty if it is not whole blocks."""
    if len(sealed) < 2 * BLOCK or len(sealed) % BLOCK:
        return b""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed[:BLOCK])).decryptor()
    return decryptor.update(sealed[BLOCK:]) + decryptor.finalize()


def _unpadded(content: bytes) -> bytes | None:
    """Without the padding: n + 1 bytes of value n. None if it is not right. (An onlooker has no timing to hide.)"""
    if not content:
        return None
    count = content[-1] + 1
    if count > len(content) or content[-count:] != bytes([count - 1]) * count:
        return None
    return content[:-count]
