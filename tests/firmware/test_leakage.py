"""MBT-1, what masking is for: the attack that finds a plain AES's key finds nothing on the masked one.

benchmarks/leakage.py does the same with more traces, and attacks the machine code of the firmware.
"""

from __future__ import annotations

import numpy as np
import pytest
from host_aes import Bytes, Probed, build_masked, build_plain
from leakage import (
    LOOKUP,
    OUTPUT,
    SBOX,
    THRESHOLD,
    Attack,
    Floats,
    attack,
    first_round,
    fixed_or_random,
    judge,
    leakage,
    masks,
    random_inputs,
)

FEW, SOME, MANY = 100, 1_000, 10_000
"""Traces: enough for a plain AES, enough for every wrong masking, and not enough for the right one."""


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(2021)


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    return build_masked(tmp_path_factory.mktemp("masked"))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Probed:
    return build_plain(tmp_path_factory.mktemp("plain"))


def random_key(rng: np.random.Generator, bits: int) -> Bytes:
    return rng.integers(0, 256, bits // 8, np.uint8)


# --- the instruments -------------------------------------------------------------------------------------------------


def test_the_probes_do_not_change_the_cipher(rng: np.random.Generator, masked: Probed, plain: Probed) -> None:
    for bits in (128, 256):
        key, blocks = random_key(rng, bits), rng.integers(0, 256, (50, 16), np.uint8)
        ciphers = [aes.traces(key, blocks, masks(rng, 50))[1] for aes in (masked, plain)]
        assert (ciphers[0] == ciphers[1]).all()


def test_the_attackers_own_round_is_right() -> None:
    """FIPS 197, B: the state after MixColumns of the first round."""
    block, key = (
        np.frombuffer(bytes.fromhex(x), np.uint8)
        for x in ("3243f6a8885a308d313198a2e0370734", "2b7e151628aed2a6abf7158809cf4f3c")
    )
    assert SBOX[0x53] == 0xED
    assert first_round(block[None, :], key).tobytes().hex() == "046681e5e0cb199a48f8d37a2806264c"


def test_the_probes_see_every_lookup_of_the_masked_cipher(rng: np.random.Generator, masked: Probed) -> None:
    """The table, the round keys under their new mask, the rounds, and the masks themselves."""
    for bits, rounds in ((128, 10), (256, 14)):
        samples, _ = masked.traces(random_key(rng, bits), np.zeros((1, 16), np.uint8), masks(rng, 1))
        lookups = 16 * 2 * rounds
        words = 64 + 4 * (rounds + 1) + 4 * rounds + (rounds - 1) * 4 * 6 + 4 + 8 + 8
        assert samples.shape[1] == lookups + 5 * words


# --- the key is found ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("implementation", ["Mbed TLS's", "ours without masks"])
def test_a_plain_aes_loses_its_whole_key(
    rng: np.random.Generator, masked: Probed, plain: Probed, implementation: str
) -> None:
    aes, variant = (plain, "right") if implementation == "Mbed TLS's" else (masked, "none")
    key = random_key(rng, 256)
    traces, blocks = random_inputs(aes, rng, key, FEW, variant)
    first = attack(traces, blocks, key[:16])
    assert first.guess.tobytes() == key[:16].tobytes()
    # With that half known, the same traces give the other: it is added to the state after one round.
    second = attack(traces, first_round(blocks, first.guess), key[16:])
    assert second.guess.tobytes() == key[16:].tobytes()


@pytest.mark.parametrize(
    ("variant", "prediction", "least"),
    [
        ("no output mask", OUTPUT, 16),
        ("output mask equals input mask", LOOKUP, 16),
        ("one set for all blocks", OUTPUT, 8),  # a constant mask of four ones hides the weight
    ],
)
def test_a_wrong_masking_loses_the_key_too(
    rng: np.random.Generator, masked: Probed, variant: str, prediction: Floats, least: int
) -> None:
    key = random_key(rng, 128)
    traces, blocks = random_inputs(masked, rng, key, SOME, variant)
    assert attack(traces, blocks, key, prediction).found >= least


# --- the key is not found --------------------------------------------------------------------------------------------


def test_the_masked_aes_keeps_every_byte(rng: np.random.Generator, masked: Probed) -> None:
    """The second half is attacked as if the first were known."""
    key = random_key(rng, 256)
    halves = [Attack(), Attack()]
    for _ in range(4):
        traces, blocks = random_inputs(masked, rng, key, MANY // 4, "right")
        halves[0].add(traces, blocks)
        halves[1].add(traces, first_round(blocks, key[:16]))
    for half, right in zip(halves, (key[:16], key[16:]), strict=True):
        for prediction in (OUTPUT, LOOKUP):
            finding = judge(half.scores(prediction), right)
            assert finding.found == 0, finding
            assert finding.mean_rank > 127.5 - 3 * 18.5, finding
            assert finding.best < 5.5 / MANY**0.5, "what noise alone would give"


# --- nothing shows at all --------------------------------------------------------------------------------------------

SECRETS = [("input", Probed.OF_BLOCK), ("key", Probed.OF_BLOCK | Probed.OF_KEY_SCHEDULE)]


@pytest.mark.parametrize("bits", [128, 256])
@pytest.mark.parametrize(("secret", "of"), SECRETS, ids=["input", "key"])
def test_fixed_and_random_look_alike_at_every_sample(
    rng: np.random.Generator, masked: Probed, secret: str, of: int, bits: int
) -> None:
    key, block = random_key(rng, bits), random_key(rng, 128)
    traces, coin = fixed_or_random(masked, rng, key, block, MANY, "right", secret=secret, of=of)
    assert leakage(traces, coin) < THRESHOLD


@pytest.mark.parametrize(
    "variant", ["none", "no output mask", "output mask equals input mask", "one mask for all rows"]
)
@pytest.mark.parametrize(("secret", "of"), SECRETS, ids=["input", "key"])
def test_a_wrong_masking_shows(rng: np.random.Generator, masked: Probed, secret: str, of: int, variant: str) -> None:
    key, block = random_key(rng, 128), random_key(rng, 128)
    traces, coin = fixed_or_random(masked, rng, key, block, SOME, variant, secret=secret, of=of)
    assert leakage(traces, coin) > 3 * THRESHOLD
