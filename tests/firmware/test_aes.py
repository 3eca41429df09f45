"""MBT-1: the masked AES of the firmware, on the host: NIST's vectors, another implementation, one path for all data."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from host_aes import MASKS, MBEDTLS, SOURCES, build_path, open_host
from hypothesis import given, settings
from hypothesis import strategies as st

SEED = bytes(range(48))
INVALID_KEY_LENGTH, BAD_INPUT, AUTHENTICATION_FAILED = -0x20, -0x21, -0x12


@pytest.fixture(scope="module")
def library(host_library: Path, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return open_host(host_library, tmp_path_factory.mktemp("aes"))


@pytest.fixture(scope="module")
def host(library: ctypes.CDLL) -> Iterator[ctypes.CDLL]:
    """Seeded."""
    assert library.host_begin(SEED, len(SEED)) == 0
    yield library
    library.host_end()


class Context:
    """An AES context under one key."""

    def __init__(self, host: ctypes.CDLL, key: bytes) -> None:
        self.host = host
        self.memory = ctypes.create_string_buffer(host.host_context_size())
        assert host.host_setkey(self.memory, key, 8 * len(key)) == 0

    def encrypt(self, blocks: bytes) -> bytes:
        """ECB."""
        out = ctypes.create_string_buffer(len(blocks))
        assert self.host.host_crypt(self.memory, blocks, len(blocks) // 16, out) == 0
        return out.raw


def reference(key: bytes, blocks: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(blocks) + encryptor.finalize()


def vectors(suite: str, function: str) -> list[list[str]]:
    """NIST's CAVP vectors, as Mbed TLS's sources bring them: the arguments of each case, hexadecimal without quotes."""
    text = (MBEDTLS / f"tests/suites/test_suite_{suite}.data").read_text("ascii")
    lines = [line.split(":") for line in text.splitlines() if line.startswith(function + ":")]
    return [[field.strip('"') for field in line[1:]] for line in lines]


# --- blocks ----------------------------------------------------------------------------------------------------------

PLAIN = (
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
PUBLISHED = {
    "FIPS 197, C.1": (
        "000102030405060708090a0b0c0d0e0f",
        "00112233445566778899aabbccddeeff",
        "69c4e0d86a7b0430d8cdb78070b4c55a",
    ),
    "FIPS 197, C.3": (
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00112233445566778899aabbccddeeff",
        "8ea2b7ca516745bfeafc49904b496089",
    ),
    "SP 800-38A, F.1.1": (
        "2b7e151628aed2a6abf7158809cf4f3c",
        PLAIN,
        "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf"
        "43b1cd7f598ece23881b00e3ed0306887b0c785e27e8ad3f8223207104725dd4",
    ),
    "SP 800-38A, F.1.5": (
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        PLAIN,
        "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
        "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7",
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_standards_own_examples(host: ctypes.CDLL, name: str) -> None:
    key, plain, cipher = (bytes.fromhex(x) for x in PUBLISHED[name])
    assert Context(host, key).encrypt(plain) == cipher


def test_the_cavp_vectors_for_blocks(host: ctypes.CDLL) -> None:
    cases = [[bytes.fromhex(x) for x in case[:3]] for case in vectors("aes.ecb", "aes_encrypt_ecb") if case[3] == "0"]
    cases = [case for case in cases if len(case[0]) in (16, 32)]
    assert len(cases) == 30
    for key, plain, cipher in cases:
        assert Context(host, key).encrypt(plain) == cipher


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    key=st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32),
    blocks=st.integers(1, 5).flatmap(lambda n: st.binary(min_size=16 * n, max_size=16 * n)),
)
def test_it_is_the_same_cipher_as_another_implementations(host: ctypes.CDLL, key: bytes, blocks: bytes) -> None:
    """Several blocks under one key: each changes the masks of the round keys."""
    assert Context(host, key).encrypt(blocks) == reference(key, blocks)


def test_a_block_may_be_encrypted_in_place(host: ctypes.CDLL) -> None:
    """GCM does that."""
    context = Context(host, SEED[:16])
    block = ctypes.create_string_buffer(SEED[16:32], 16)
    assert host.host_crypt(context.memory, block, 1, block) == 0
    assert block.raw == reference(SEED[:16], SEED[16:32])


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [0, 64, 192, 255, 257, 512])
def test_only_the_key_lengths_of_the_two_suites(host: ctypes.CDLL, bits: int) -> None:
    memory = ctypes.create_string_buffer(host.host_context_size())
    assert host.host_setkey(memory, bytes(64), bits) == INVALID_KEY_LENGTH


def test_no_block_without_a_key(host: ctypes.CDLL) -> None:
    memory, out = ctypes.create_string_buffer(host.host_context_size()), ctypes.create_string_buffer(16)
    assert host.host_crypt(memory, bytes(16), 1, out) == BAD_INPUT
    assert out.raw == bytes(16)


def test_no_key_and_no_block_without_masks(host_library: Path, tmp_path: Path) -> None:
    unseeded = open_host(host_library, tmp_path)
    memory, out = ctypes.create_string_buffer(unseeded.host_context_size()), ctypes.create_string_buffer(16)
    assert unseeded.host_setkey(memory, SEED, 128) < 0
    assert unseeded.host_begin(SEED, len(SEED)) == 0
    context = Context(unseeded, SEED[:16])
    unseeded.host_end()
    assert unseeded.host_crypt(context.memory, bytes(16), 1, out) < 0
    assert out.raw == bytes(16)


# --- GCM -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [128, 256])
def test_the_cavp_vectors_for_gcm(host: ctypes.CDLL, bits: int) -> None:
    cases = vectors(f"gcm.aes{bits}_en", "gcm_encrypt_and_tag")
    assert len(cases) > 100
    for _, *fields, tag_bits, tag, _ in cases:
        key, plain, iv, added, cipher = (bytes.fromhex(x) for x in fields)
        out, made = ctypes.create_string_buffer(len(plain) + 1), ctypes.create_string_buffer(16)
        size = int(tag_bits) // 8
        assert host.host_gcm(key, bits, iv, len(iv), added, len(added), plain, len(plain), out, made, size) == 0
        assert (out.raw[:-1], made.raw[:size]) == (cipher, bytes.fromhex(tag))


@pytest.mark.parametrize("bits", [128, 256])
def test_the_cavp_vectors_for_opening_gcm(host: ctypes.CDLL, bits: int) -> None:
    """The direction that would need decryption in other modes."""
    cases = vectors(f"gcm.aes{bits}_de", "gcm_decrypt_and_verify")
    assert len(cases) > 100
    failures = 0
    for _, key, cipher, iv, added, tag_bits, tag, verdict, plain, _ in cases:
        what = [(x, len(x)) for x in map(bytes.fromhex, (iv, added, cipher))]
        out = ctypes.create_string_buffer(what[2][1] + 1)
        end = (out, bytes.fromhex(tag), int(tag_bits) // 8)
        result = host.host_gcm_open(bytes.fromhex(key), bits, *what[0], *what[1], *what[2], *end)
        if verdict == "FAIL":
            failures += 1
            assert result == AUTHENTICATION_FAILED
        else:
            assert (result, out.raw[:-1]) == (0, bytes.fromhex(plain))
    assert 10 < failures < len(cases) - 10


# --- masks -----------------------------------------------------------------------------------------------------------

KEYS, KEY_MASK = slice(16, 32), slice(16 + 4 * 60, 20 + 4 * 60)
"""The first round key and its mask, in a context on a 64-bit host: `nr`, `rk_offset`, then `buf`."""


def test_the_round_keys_are_masked_and_the_mask_changes_with_each_block(host: ctypes.CDLL) -> None:
    key = SEED[:16]
    context, seen = Context(host, key), set()
    for _ in range(50):
        mask = context.memory.raw[KEY_MASK]
        assert bytes(a ^ b for a, b in zip(context.memory.raw[KEYS], 4 * mask, strict=True)) == key
        seen.add(mask)
        context.encrypt(SEED[16:32])
    assert len(seen) == 50


def test_masks_come_from_the_drbg_through_chacha20_and_each_only_once(library: ctypes.CDLL) -> None:
    """Fast key erasure: a run makes the next key and 160 bytes of masks."""

    def stream(key: bytes) -> bytes:
        return Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor().update(bytes(192))

    def draw(length: int) -> bytes:
        out = ctypes.create_string_buffer(length)
        assert library.masks_draw(out, length) == 0
        return out.raw

    library.host_end()
    assert library.host_begin(SEED, len(SEED)) == 0
    first = ctypes.create_string_buffer(32)
    assert library.host_draw(first, 32) == 0
    library.host_end()
    assert library.host_begin(SEED, len(SEED)) == 0
    assert library.masks_refresh() == 0
    run = stream(first.raw)
    following = stream(run[:32])
    assert [draw(n) for n in (6, 154)] == [run[32:38], run[38:]]
    assert draw(6) == following[32:38]
    assert draw(155) == stream(following[:32])[32:187], "what does not suffice is not used"
    assert library.masks_draw(ctypes.create_string_buffer(161), 161) < 0
    assert library.masks_refresh() == 0
    assert draw(6) != stream(following[:32])[187:193]


# --- one path --------------------------------------------------------------------------------------------------------


def paths(library: ctypes.CDLL, bits: int) -> set[int]:
    rng = random.Random(bits)
    given = [[rng.randbytes(n) for n in (bits // 8, 16, MASKS)] for _ in range(200)]
    return {library.path_of(key, bits, block, masks) for key, block, masks in given}


@pytest.mark.parametrize("bits", [128, 256])
def test_the_same_code_runs_whatever_key_block_and_masks(tmp_path: Path, bits: int) -> None:
    found = paths(build_path(tmp_path, SOURCES / "aes_masked.c"), bits)
    assert len(found) == 1
    assert found != {0}


def test_a_branch_on_data_would_show(tmp_path: Path) -> None:
    text = (SOURCES / "aes_masked.c").read_text("utf-8")
    load = "uint8_t value = work->sbox[index];"
    assert text.count(load) == 1
    wrong = tmp_path / "wrong.c"
    wrong.write_text(text.replace(load, 'if (index & 1) { __asm volatile("nop"); }\n' + load), "utf-8")
    assert len(paths(build_path(tmp_path, wrong), 128)) > 100
