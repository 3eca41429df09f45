"""A node's only source of randomness: HMAC_DRBG with SHA-256 (NIST SP 800-90A, 10.1.2), seeded once.

Nothing here asks the operating system: every byte is a function of the seed and of what the node was fed (ADV-3), so a
run can be repeated to the byte.
"""

from __future__ import annotations

import hashlib
import hmac


class Drbg:
    """HMAC_DRBG. It never reseeds itself; `stir` mixes in whatever the node sees."""

    def __init__(self, seed: bytes, personalisation: bytes = b"") -> None:
        """Start from `seed` (the boot seed has 48 bytes) and a name that sets this generator apart from others."""
        self._key = bytes(32)
        self._value = b"\x01" * 32
        self._update(seed + personalisation)

    def stir(self, additional: bytes) -> None:
        """Mix in additional input: the time and the bytes of a frame that came in."""
        self._update(additional)

    def draw(self, size: int) -> bytes:
        """`size` fresh bytes."""
        out = b""
        while len(out) < size:
            self._value = self._mac(self._value)
            out += self._value
        self._update(b"")
        return out[:size]

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, hashlib.sha256)

    def _update(self, data: bytes) -> None:
        self._key = self._mac(self._value + b"\x00" + data)
        self._value = self._mac(self._value)
        if data:
            self._key = self._mac(self._value + b"\x01" + data)
            self._value = self._mac(self._value)
