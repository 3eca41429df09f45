"""Seal records under a session's keys, so that what is wrong with a plaintext comes past the decryption.

RFC 5246, sections 5, 6.2.3 and 6.3; RFC 5288 (AES-GCM); RFC 7366 (encrypt-then-MAC); RFC 6347, section 4.1.2.1.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from conformance.wire.secrets import prf

HASHES = {0xC02B: "sha256", 0xC02C: "sha384", 0x003D: "sha256"}
KEY_SIZES = {0xC02B: 16, 0xC02C: 32, 0x003D: 32}
AES_CBC = 0x003D
MAC_SIZE, BLOCK, NONCE, TAG = 32, 16, 8, 16
LONGEST = 0xFFFF - 1_000
"""Bytes of plaintext: what a frame has room for."""

Padding = Callable[[int], bytes]
"""From the bytes that are missing to whole blocks (1 to 16) to the padding itself."""


def right_padding(missing: int) -> bytes:
    return bytes([missing - 1]) * missing


@dataclass(frozen=True)
class Secrets:
    """What the keys of a session come from."""

    suite: int
    master: bytes
    client_random: bytes
    server_random: bytes
    encrypt_then_mac: bool

    def direction(self, from_client: bool) -> tuple[bytes, bytes, bytes]:
        """MAC key (empty for AEAD), key and implicit nonce (empty for CBC) of one direction."""
        mac, key = (MAC_SIZE if self.suite == AES_CBC else 0), KEY_SIZES[self.suite]
        iv = 0 if self.suite == AES_CBC else 4
        seed = self.server_random + self.client_random
        block = prf(HASHES[self.suite], self.master, b"key expansion", seed, 2 * (mac + key + iv))
        side = 0 if from_client else 1
        starts = (side * mac, 2 * mac + side * key, 2 * mac + 2 * key + side * iv)
        return tuple(block[at : at + size] for at, size in zip(starts, (mac, key, iv), strict=True))  # type: ignore[return-value]

    def open(self, header: bytes, fragment: bytes, from_client: bool) -> bytes | None:
        """The plaintext of an honest record; None if it does not fit. `header` is the record's 13 bytes."""
        _, key, implicit = self.direction(from_client)
        try:
            if self.suite != AES_CBC:
                additional = header[3:11] + header[:3] + (len(fragment) - NONCE - TAG).to_bytes(2, "big")
                return AESGCM(key).decrypt(implicit + fragment[:NONCE], fragment[NONCE:], additional)
            sealed = fragment[:-MAC_SIZE] if self.encrypt_then_mac else fragment
            decryptor = Cipher(AES(key), CBC(sealed[:BLOCK])).decryptor()
            plaintext = decryptor.update(sealed[BLOCK:]) + decryptor.finalize()
        except Exception:  # of a record of another session, there is more than one way not to fit
            return None
        plaintext = plaintext[: -plaintext[-1] - 1] if plaintext else b""
        return plaintext if self.encrypt_then_mac else plaintext[:-MAC_SIZE]

    def seal(self, header: bytes, plaintext: bytes, from_client: bool, padding: Padding = right_padding) -> bytes:
        """The fragment that a record of this header (11 bytes: up to the length) would have."""
        mac_key, key, implicit = self.direction(from_client)
        pseudo = header[3:11] + header[:3]
        plaintext = plaintext[:LONGEST]
        length = len(plaintext).to_bytes(2, "big")
        if self.suite != AES_CBC:
            explicit = header[3:11]
            return explicit + AESGCM(key).encrypt(implicit + explicit, plaintext, pseudo + length)
        inner = plaintext if self.encrypt_then_mac else plaintext + _mac(mac_key, pseudo + length + plaintext)
        inner += padding(BLOCK - len(inner) % BLOCK)
        iv = hashlib.sha256(header).digest()[:BLOCK]
        encryptor = Cipher(AES(key), CBC(iv)).encryptor()
        sealed = iv + encryptor.update(inner[: len(inner) // BLOCK * BLOCK]) + encryptor.finalize()
        if not self.encrypt_then_mac:
            return sealed
        return sealed + _mac(mac_key, pseudo + (len(sealed)).to_bytes(2, "big") + sealed)


def _mac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, hashlib.sha256)
