"""The generator against the definition that it follows, written out here (NIST SP 800-90A, 10.1.2)."""

import gc
import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference import mbedtls_c, randomness
from reference.randomness import Drbg


class Definition:
    """HMAC_DRBG with SHA-256, without reseeding."""

    def __init__(self, seed: bytes) -> None:
        self._key, self._value = bytes(32), b"\x01" * 32
        self.stir(seed)

    def stir(self, data: bytes) -> None:
        for round_number in range(2 if data else 1):
            self._key = self._mac(self._value + bytes([round_number]) + data)
            self._value = self._mac(self._value)

    def draw(self, size: int) -> bytes:
        out = b""
        while len(out) < size:
            self._value = self._mac(self._value)
            out += self._value
        self.stir(b"")
        return out[:size]

    def _mac(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, hashlib.sha256)


def drawn(drbg: Drbg | Definition, steps: list[bytes | int]) -> list[bytes]:
    out = []
    for step in steps:
        if isinstance(step, bytes):
            drbg.stir(step)
        else:
            out.append(drbg.draw(step))
    return out


@settings(deadline=None, derandomize=True)
@given(st.binary(max_size=64), st.lists(st.one_of(st.binary(max_size=40), st.integers(1, 100)), max_size=10))
def test_same_bytes_as_the_definition(seed: bytes, steps: list[bytes | int]) -> None:
    assert drawn(Drbg(seed), steps) == drawn(Definition(seed), steps)


def test_more_than_the_library_gives_at_once() -> None:
    asked, expected = Drbg(b"seed"), Definition(b"seed")
    assert asked.draw(2_500) == b"".join(expected.draw(size) for size in (1_024, 1_024, 452))


def test_the_state_is_zeroised_when_a_node_is_gone() -> None:
    drbg = Drbg(b"seed")
    memory = drbg.context
    assert any(memory)
    del drbg
    gc.collect()
    # What is left is an empty context: neither key nor value.
    empty = mbedtls_c.room()
    mbedtls_c.crypto.mbedtls_hmac_drbg_init(empty)
    assert bytes(memory) == bytes(empty)


def test_a_generator_that_fails_is_not_taken_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drbg = Drbg(b"seed")
    monkeypatch.setattr(randomness, "_MOST", 4_096)
    with pytest.raises(MemoryError, match="generator failed"):
        drbg.draw(4_096)


def test_personalisation_sets_apart() -> None:
    assert Drbg(b"seed", b"a").draw(8) != Drbg(b"seed", b"b").draw(8)
