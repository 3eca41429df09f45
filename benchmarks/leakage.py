"""What an attacker who measures the AES of the firmware learns: with no masks, with wrong ones, with the right ones.

The same attack and the same t-test as in tests/firmware/test_leakage.py, with more traces; and both on the machine code
of the firmware itself. The noise has a standard deviation of 1.0; the Hamming weight of a byte has 1.4.

    python benchmarks/leakage.py [--traces N] [--machine-traces N] [--seed N] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/firmware"))

from host_aes import Bytes, Probed, build_masked, build_plain  # noqa: E402
from leakage import (  # noqa: E402
    LOOKUP,
    NOISE,
    OUTPUT,
    THRESHOLD,
    Attack,
    Finding,
    Floats,
    Leakage,
    first_round,
    fixed_or_random,
    judge,
    masks,
    noisy,
    random_inputs,
)
from machine import Machine  # noqa: E402

FEW, SOME, PART = 100, 1_000, 5_000
CHANCE = 127.5 - 3 * 18.5
"""Mean rank of 16 bytes below which chance is no explanation."""


@dataclass(frozen=True, slots=True)
class Row:
    """One attack or one t-test. `holds`: it came out as it has to."""

    subject: str
    masks: str
    test: str
    traces: int
    result: str
    holds: bool


def parts(count: int) -> list[int]:
    """A number of traces in portions that fit into memory."""
    return [PART] * (count // PART) + [count % PART] * (count % PART > 0)


def told(finding: Finding) -> str:
    """A finding in words."""
    return f"{finding.found} of 16 bytes, mean rank {finding.mean_rank:.1f}, largest correlation {finding.best:.3f}"


def hidden(finding: Finding) -> bool:
    """No better than guessing: at most one byte by luck, and ranks as by chance."""
    return finding.found <= 1 and finding.mean_rank > CHANCE


class Campaign:
    """Everything, row by row."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.rows: list[Row] = []

    def note(self, subject: str, variant: str, test: str, traces: int, result: str, holds: bool) -> None:
        """One more row, printed at once."""
        self.rows.append(Row(subject, variant, test, traces, result, holds))
        print(f"| {subject} | {variant} | {test} | {traces:,} | {result}{'' if holds else ' **(!)**'} |", flush=True)

    def key(self, bits: int) -> Bytes:
        """A random one."""
        return self.rng.integers(0, 256, bits // 8, np.uint8)

    def whole_key(self, subject: str, aes: Probed, variant: str) -> None:
        """AES-256 without masks: both halves from the same few traces."""
        key = self.key(256)
        for count in (20, 50, FEW):
            traces, blocks = random_inputs(aes, self.rng, key, count, variant)
            first = self.one(traces, blocks, key[:16], OUTPUT)
            second = self.one(traces, first_round(blocks, first.guess), key[16:], OUTPUT)
            found = first.found + second.found
            result = f"{found} of 32 bytes, largest correlation {max(first.best, second.best):.3f}"
            self.note(subject, variant, "key of AES-256", count, result, found == 32 or count < FEW)

    @staticmethod
    def one(traces: Floats, inputs: Bytes, key: Bytes, prediction: Floats) -> Finding:
        """An attack at one go."""
        sums = Attack()
        sums.add(traces, inputs)
        return judge(sums.scores(prediction), key)

    def wrong(self, aes: Probed, variant: str, prediction: Floats, least: int) -> None:
        """A masking with a mistake in it."""
        key = self.key(128)
        traces, blocks = random_inputs(aes, self.rng, key, SOME, variant)
        finding = self.one(traces, blocks, key, prediction)
        self.note("aes_masked.c", variant, "key of AES-128", SOME, told(finding), finding.found >= least)

    def kept(self, aes: Probed, bits: int, count: int) -> None:
        """The right masking; the second half of a long key is attacked as if the first were known."""
        key = self.key(bits)
        halves = [Attack() for _ in range(bits // 128)]
        for part in parts(count):
            traces, blocks = random_inputs(aes, self.rng, key, part, "right")
            for number, half in enumerate(halves):
                half.add(traces, blocks if number == 0 else first_round(blocks, key[:16]))
        for number, half in enumerate(halves):
            for name, prediction in (("S-box output", OUTPUT), ("lookup", LOOKUP)):
                finding = judge(half.scores(prediction), key[16 * number : 16 * number + 16])
                test = f"key of AES-{bits}, round {number + 1}, {name}"
                self.note("aes_masked.c", "right", test, count, told(finding), hidden(finding))

    def alike(self, aes: Probed, bits: int, variant: str, secret: str, of: int, count: int, shows: bool) -> None:
        """The t-test, fixed against random."""
        test, samples, key, block = Leakage(), 0, self.key(bits), self.key(128)
        for part in parts(count):
            traces, coin = fixed_or_random(aes, self.rng, key, block, part, variant, secret=secret, of=of)
            test.add(traces, coin)
            samples = traces.shape[1]
        t = float(test.t().max())
        what = "transitions" if of & Probed.OF_TRANSITIONS else "values"
        name = f"t-test, {secret}, AES-{bits}, {what}, {samples:,} samples"
        self.note("aes_masked.c", variant, name, count, f"largest t {t:.1f}", (t > THRESHOLD) is shows)

    def machine(self, elf: Path, variant: str, count: int, shows: bool) -> None:
        """The machine code: an attack on one campaign of random blocks, a t-test on another."""
        subject, machine, key = "machine code", Machine(elf), self.key(256)
        blocks = self.rng.integers(0, 256, (count, 16), np.uint8)
        weights, distances, _ = machine.traces(key, blocks, masks(self.rng, count, variant))
        for name, samples in (("values", weights), ("transitions", distances)):
            finding = self.one(noisy(self.rng, samples), blocks, key[:16], OUTPUT)
            holds = finding.found > (15 if name == "values" else 8) if shows else hidden(finding)
            self.note(subject, variant, f"key of AES-256, round 1, {name}", count, told(finding), holds)
        if shows:
            return
        coin = self.rng.integers(0, 2, count).astype(np.bool_)
        blocks[coin] = blocks[-1]
        weights, distances, _ = machine.traces(key, blocks, masks(self.rng, count, variant))
        for name, samples in (("values", weights), ("transitions", distances)):
            test = Leakage()
            test.add(noisy(self.rng, samples), coin)
            t = test.t()
            result = f"largest t {t.max():.1f}, {(t > THRESHOLD).sum()} samples above {THRESHOLD}"
            title = f"t-test, input, AES-256, {name}, {len(t):,} samples"
            self.note(subject, variant, title, count, result, bool(t.max() > THRESHOLD) is (name == "transitions"))


def run(campaign: Campaign, elf: Path, count: int, machine_count: int) -> None:
    """All rows."""
    with tempfile.TemporaryDirectory() as folder:
        masked, plain = build_masked(Path(folder)), build_plain(Path(folder))
        campaign.whole_key("Mbed TLS's aes.c", plain, "none")
        campaign.whole_key("aes_masked.c", masked, "none")
        campaign.wrong(masked, "no output mask", OUTPUT, 16)
        campaign.wrong(masked, "output mask equals input mask", LOOKUP, 16)
        campaign.wrong(masked, "one set for all blocks", OUTPUT, 8)
        block, both = Probed.OF_BLOCK, Probed.OF_BLOCK | Probed.OF_KEY_SCHEDULE
        campaign.alike(masked, 128, "one mask for all rows", "input", block, SOME, True)
        campaign.machine(elf, "none", FEW, True)
        for bits in (128, 256):
            campaign.kept(masked, bits, count)
            campaign.alike(masked, bits, "right", "input", block, count, False)
            campaign.alike(masked, bits, "right", "key", both, count, False)
        campaign.alike(masked, 128, "right", "input", block | Probed.OF_TRANSITIONS, SOME, True)
        campaign.machine(elf, "right", machine_count, False)


def main() -> int:
    """Exit codes: 0 everything came out as it has to, 1 something did not."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--firmware", type=Path, default=ROOT / "build/firmware/controller.elf")
    parser.add_argument("--traces", type=int, default=100_000, metavar="N", help="against the masks (default: 100000)")
    parser.add_argument(
        "--machine-traces", type=int, default=5_000, metavar="N", help="of machine code (default: 5000)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if not options.firmware.is_file():
        parser.error(f"no firmware at {options.firmware}: build it with `make firmware`")
    if min(options.traces, options.machine_traces) < SOME:
        parser.error(f"needs at least {SOME} traces")
    print("| AES | masks | test | traces | result |\n|---|---|---|---|---|")
    campaign = Campaign(options.seed)
    run(campaign, options.firmware, options.traces, options.machine_traces)
    if options.output:
        rows = [asdict(row) for row in campaign.rows]
        record = {"noise": NOISE, "threshold": THRESHOLD, "seed": options.seed, "rows": rows}
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    wrong = [row.test for row in campaign.rows if not row.holds]
    if wrong:
        print(f"leakage: not as it has to be: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
