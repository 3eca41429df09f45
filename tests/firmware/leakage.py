"""What an attacker who measures an AES learns: first-order correlation power analysis, and the t-test for leakage.

A trace is one row of Hamming weights, a sample for each value that the AES computes, with Gaussian noise of standard
deviation NOISE (a byte's own deviation is 1.4). The attacker knows inputs and traces, not keys and masks.

- `attack` guesses the key byte by byte: a guess predicts the S-box's output for each input, and the sample whose
  correlation with the prediction is largest, over all samples, is the guess's score (Brier and others, CHES 2004).
- `leakage` is Welch's t for two groups of traces at each sample, |t| < 4.5 meaning that no difference of means shows
  (Goodwill and others, 2011).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from host_aes import MASKS, Bytes, Probed

Floats = npt.NDArray[np.float32]

NOISE = 1.0
THRESHOLD = 4.5
"""Of |t|: the customary bound."""

WEIGHT = np.array([x.bit_count() for x in range(256)], np.float32)


def _sbox() -> Bytes:
    """FIPS 197, 5.1.1, from its definition: the inverse in GF(2^8), then the affine map."""
    power, exponents = 1, []
    for _ in range(255):
        exponents.append(power)
        power ^= (power << 1) ^ (0x11B if power & 0x80 else 0)  # times 3, a generator
    inverse = [0] * 256
    for i, x in enumerate(exponents):
        inverse[x] = exponents[-i % 255]
    turned = [[(y << n | y >> (8 - n)) & 0xFF for n in range(5)] for y in inverse]
    return np.array([0x63 ^ a ^ b ^ c ^ d ^ e for a, b, c, d, e in turned], np.uint8)


SBOX = _sbox()


def first_round(inputs: Bytes, key: Bytes) -> Bytes:
    """The state after one round without the second round key: what is added to that key."""
    rows = SBOX[inputs ^ key].reshape(-1, 4, 4).transpose(0, 2, 1)  # [trace, row, column]
    rows = np.stack([np.roll(rows[:, r], -r, axis=1) for r in range(4)], axis=1)
    twice = (rows << 1) ^ (rows >> 7) * np.uint8(0x1B)
    following = [np.roll(rows, -n, axis=1) for n in (1, 2, 3)]
    mixed = twice ^ np.roll(twice, -1, axis=1) ^ following[0] ^ following[1] ^ following[2]
    return np.ascontiguousarray(mixed.transpose(0, 2, 1).reshape(-1, 16))


OUTPUT = WEIGHT[SBOX]
"""Prediction for x = input ^ key: the weight of the S-box's output."""
LOOKUP = WEIGHT[SBOX ^ np.arange(256, dtype=np.uint8)]
"""The same for the register that held the index, when the load overwrites it."""


class Attack:
    """Traces are added in as many parts as memory asks for; only sums are kept."""

    def __init__(self) -> None:
        self._count = np.zeros((16, 256))
        self._sums: npt.NDArray[np.float64] | None = None
        self._squares: npt.NDArray[np.float64] | None = None

    def add(self, traces: Floats, inputs: Bytes) -> None:
        """Traces, and the 16 bytes that were added to the key under attack."""
        if self._sums is None or self._squares is None:
            self._sums = np.zeros((16, 256, traces.shape[1]))
            self._squares = np.zeros(traces.shape[1])
        self._squares += np.einsum("ij,ij->j", traces, traces, dtype=np.float64)
        for byte in range(16):
            order = np.argsort(inputs[:, byte], kind="stable")
            values, first = np.unique(inputs[order, byte], return_index=True)
            self._sums[byte, values] += np.add.reduceat(traces[order], first, axis=0)
            self._count[byte] += np.bincount(inputs[:, byte], minlength=256)

    def scores(self, prediction: Floats = OUTPUT) -> npt.NDArray[np.float64]:
        """The largest |correlation| over all samples, for each byte and each guess."""
        assert self._sums is not None
        assert self._squares is not None
        count = self._count[0].sum()
        mean = self._sums[0].sum(axis=0) / count
        deviation = np.sqrt(np.maximum(self._squares / count - mean**2, 1e-9))
        guesses = prediction[np.arange(256)[:, None] ^ np.arange(256)]  # [guess, input]
        result = np.empty((16, 256))
        for byte in range(16):
            share = self._count[byte] / count
            expected = guesses @ share
            spread = np.sqrt(np.maximum(guesses**2 @ share - expected**2, 1e-9))
            together = (guesses - expected[:, None]) @ (self._sums[byte] / count)
            result[byte] = np.abs(together / (spread[:, None] * deviation)).max(axis=1)
        return result


@dataclass(frozen=True)
class Finding:
    """What came of an attack on 16 bytes of key."""

    guess: Bytes
    ranks: tuple[int, ...]
    """Of the right bytes among the 256 guesses for each; 0 is found, 127.5 the mean of chance."""
    best: float
    """The largest correlation of a right guess."""

    @property
    def found(self) -> int:
        """How many of the 16 bytes."""
        return self.ranks.count(0)

    @property
    def mean_rank(self) -> float:
        """127.5 by chance, with a deviation of 18.5."""
        return float(np.mean(self.ranks))


def judge(scores: npt.NDArray[np.float64], key: Bytes) -> Finding:
    """An attack's scores against the right key."""
    right = scores[np.arange(16), key]
    ranks = tuple(int(n) for n in (scores > right[:, None]).sum(axis=1))
    return Finding(scores.argmax(axis=1).astype(np.uint8), ranks, float(right.max()))


def attack(traces: Floats, inputs: Bytes, key: Bytes, prediction: Floats = OUTPUT) -> Finding:
    """Attack 16 bytes of key to which `inputs` were added."""
    sums = Attack()
    sums.add(traces, inputs)
    return judge(sums.scores(prediction), key)


class Leakage:
    """Welch's t between two groups, in parts as above."""

    def __init__(self) -> None:
        self._groups = [[np.float64(0)] * 3, [np.float64(0)] * 3]

    def add(self, traces: Floats, group: npt.NDArray[np.bool_]) -> None:
        """Traces, and to which group each belongs."""
        for number, sums in enumerate(self._groups):
            mine = traces[group == bool(number)].astype(np.float64)
            sums[0] += len(mine)
            sums[1] = sums[1] + mine.sum(axis=0)
            sums[2] = sums[2] + (mine**2).sum(axis=0)

    def t(self) -> npt.NDArray[np.float64]:
        """|t| at each sample."""
        means, errors = [], []
        for count, total, squares in self._groups:
            mean = total / count
            means.append(mean)
            errors.append((squares / count - mean**2) / (count - 1))
        t: npt.NDArray[np.float64] = np.abs(means[0] - means[1]) / np.sqrt(errors[0] + errors[1])
        return t


def leakage(traces: Floats, group: npt.NDArray[np.bool_]) -> float:
    """The largest |t| over all samples."""
    test = Leakage()
    test.add(traces, group)
    return float(test.t().max())


# --- campaigns -------------------------------------------------------------------------------------------------------

# A set of masks is in, out, and one for each row; a trace has two sets, the key schedule's and the block's.
IN, OUT, ROWS = [0, 6], [1, 7], [[2, 3, 4, 5], [8, 9, 10, 11]]


def masks(rng: np.random.Generator, count: int, variant: str = "right") -> Bytes:
    """Masks for so many traces: as they have to be, or wrong in a named way."""
    drawn = rng.integers(0, 256, (count, MASKS), np.uint8)
    if variant == "none":
        drawn[:] = 0
    elif variant == "no output mask":
        drawn[:, OUT] = 0
    elif variant == "output mask equals input mask":
        drawn[:, OUT] = drawn[:, IN]
    elif variant == "one mask for all rows":
        for rows in ROWS:
            drawn[:, rows] = drawn[:, rows[:1]]
    elif variant == "one set for all blocks":
        drawn[:] = drawn[0]
    else:
        assert variant == "right"
    return drawn


def noisy(rng: np.random.Generator, samples: Bytes) -> Floats:
    """With NOISE."""
    traces = rng.standard_normal(samples.shape, np.float32)
    traces *= np.float32(NOISE)
    traces += samples
    return traces


def random_inputs(aes: Probed, rng: np.random.Generator, key: Bytes, count: int, variant: str) -> tuple[Floats, Bytes]:
    """Traces of blocks under one key, and the blocks."""
    inputs = rng.integers(0, 256, (count, 16), np.uint8)
    samples, _ = aes.traces(key, inputs, masks(rng, count, variant))
    return noisy(rng, samples), inputs


def fixed_or_random(
    aes: Probed, rng: np.random.Generator, key: Bytes, block: Bytes, count: int, variant: str, *, secret: str, of: int
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Traces of this key and this block, the `secret` ("input" or "key") at random instead by the toss of a coin.

    The coin is the second result; true is fixed.
    """
    inputs, keys = np.tile(block, (count, 1)), np.tile(key, (count, 1))
    coin = rng.integers(0, 2, count).astype(np.bool_)
    varied = inputs if secret == "input" else keys
    varied[~coin] = rng.integers(0, 256, (int((~coin).sum()), varied.shape[1]), np.uint8)
    samples, _ = aes.traces(keys, inputs, masks(rng, count, variant), of)
    return noisy(rng, samples), coin
