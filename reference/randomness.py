"""A node's only source of randomness: HMAC_DRBG with SHA-256 (NIST SP 800-90A, 10.1.2), seeded once.

Nothing here asks the operating system: every byte is a function of the seed and of what the node was fed (ADV-3), so a
run can be repeated to the byte. The generator is the library's own, which draws from it without asking Python.
"""

from __future__ import annotations

import ctypes
import weakref

from reference import mbedtls_c as c

_MOST = 1_024
"""Bytes that the library gives at once (SP 800-90A allows more)."""


class Drbg:
    """HMAC_DRBG. It never reseeds itself; `stir` mixes in whatever the node sees."""

    def __init__(self, seed: bytes, personalisation: bytes = b"") -> None:
        """Start from `seed` (the boot seed has 48 bytes) and a name that sets this generator apart from others.

        Raises MemoryError if the library has none.
        """
        self.context = c.room()
        """The library's generator, for its own draws; it lives as long as this object."""
        c.crypto.mbedtls_hmac_drbg_init(self.context)
        self._free = weakref.finalize(self, c.crypto.mbedtls_hmac_drbg_free, self.context)  # zeroised
        start = seed + personalisation
        _check(c.crypto.mbedtls_hmac_drbg_seed_buf(self.context, c.SHA_256, start, len(start)))

    def stir(self, additional: bytes) -> None:
        """Mix in additional input: the time and the bytes of a frame that came in."""
        _check(c.crypto.mbedtls_hmac_drbg_update_ret(self.context, additional, len(additional)))

    def draw(self, size: int) -> bytes:
        """`size` fresh bytes."""
        out = b""
        while (left := min(size - len(out), _MOST)) > 0:
            piece = ctypes.create_string_buffer(left)
            _check(c.crypto.mbedtls_hmac_drbg_random(self.context, piece, left))
            out += piece.raw
        return out


def _check(result: int) -> None:
    if result:
        raise MemoryError(f"Mbed TLS's generator failed: {result}")
