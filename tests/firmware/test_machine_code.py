"""MBT-1 in the image itself: which AES is linked, and what the compiler made of the masking."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from bench import build
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from leakage import SBOX, THRESHOLD, leakage, masks, noisy
from machine import Machine

BLOCKS = 200


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("machine_code"))


def tool(name: str, *arguments: str | Path) -> str:
    return subprocess.run([f"arm-none-eabi-{name}", *arguments], capture_output=True, text=True, check=True).stdout


def test_the_plain_aes_is_not_in_the_image(elf: Path) -> None:
    symbols = {line.split()[-1]: line.split()[0] for line in tool("nm", elf).splitlines()}
    assert not symbols.keys() & {"FSb", "FT0", "FT1", "RSb", "RT0", "round_constants", "aes_gen_tables"}
    assert not symbols.keys() & {"mbedtls_aes_setkey_dec", "mbedtls_internal_aes_decrypt", "aes_setkey_dec_wrap"}
    for name in ("mbedtls_aes_setkey_enc", "mbedtls_internal_aes_encrypt"):
        assert "/aes_masked.c:" in tool("addr2line", "-e", elf, symbols[name])
    image = elf.read_bytes()
    assert image.count(SBOX.tobytes()) == 1, "the table that the masked one is made from"
    assert bytes.fromhex("c66363a5f87c7c84")[::-1] not in image, "no table of S-box and MixColumns together"
    assert bytes.fromhex("a56363c6847c7cf8") not in image, "nor in the other byte order"


def test_no_instruction_takes_longer_for_some_data(elf: Path) -> None:
    """On a Cortex-M3 those would be divisions and long multiplications."""
    for function in ("mbedtls_aes_setkey_enc", "mbedtls_internal_aes_encrypt", "draw_masks"):
        code = tool("objdump", "-d", f"--disassemble={function}", elf)
        instructions = re.findall(r"^ +[0-9a-f]+:\t[0-9a-f ]+\t([a-z.]+)", code, re.MULTILINE)
        assert len(instructions) > 30
        slow = {i for i in instructions if re.match(r"[us](div|mull|mlal)", i)}
        assert not slow


def test_the_linked_code_is_the_cipher(elf: Path) -> None:
    rng = np.random.default_rng(1)
    for length in (16, 32):
        key, blocks = rng.integers(0, 256, length, np.uint8), rng.integers(0, 256, (3, 16), np.uint8)
        *_, ciphers = Machine(elf).traces(key, blocks, masks(rng, 3))
        encryptor = Cipher(algorithms.AES(key.tobytes()), modes.ECB()).encryptor()
        assert ciphers.tobytes() == encryptor.update(blocks.tobytes())


@pytest.mark.parametrize(("variant", "shows"), [("right", False), ("one mask for all rows", True)])
def test_no_register_of_the_linked_code_ever_holds_an_unmasked_value(elf: Path, variant: str, shows: bool) -> None:
    """Fixed against random input. What one register value does to the next is another matter: docs/side-channels.md."""
    rng = np.random.default_rng(2)
    key, inputs = rng.integers(0, 256, 32, np.uint8), rng.integers(0, 256, (BLOCKS, 16), np.uint8)
    coin = rng.integers(0, 2, BLOCKS).astype(np.bool_)
    inputs[coin] = inputs[-1]
    weights, _, _ = Machine(elf).traces(key, inputs, masks(rng, BLOCKS, variant))
    t = leakage(noisy(rng, weights), coin)
    assert t > 2 * THRESHOLD if shows else t < THRESHOLD
