"""Whether the suite says the same each time, on a machine whose cores are all kept busy by something else.

Runs all cases again and again: first with a new QEMU for each boot and one worker more than there are cores, then with
warm boots and as many workers as cores, and so on in turn. Each time there must be, byte for byte, the same traces and
captures, and the same report but for wall times.

    python benchmarks/steadiness.py [CASE...] [--runs N] [--suite DIR] [--firmware ELF] [--seed N] [--output FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from conformance.campaign import DEFAULT_FIRMWARE, load_purposes, run_campaign
from conformance.cli.conform import select
from conformance.cli.shared import UsageError
from conformance.generation import suite as generated
from conformance.results import Report
from conformance.targets.base import HarnessError

_BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: pass"
"""Ends with the program, however that ends."""


@contextmanager
def every_core_busy() -> Iterator[None]:
    """Two loops for each core, until the context is left."""
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for loop in busy:
            loop.kill()
            loop.wait()


def digest(report: Report, folder: Path) -> str:
    """One hash of the report without its wall times, and of all traces and captures."""
    timeless = replace(report, cases=[replace(case, wall_s=0.0) for case in report.cases])
    total = hashlib.sha256(timeless.to_json().encode())
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".jsonl", ".pcapng")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line per run; 0 if all are the same and pass, 3 if nothing could be run, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="as for `scewl conform` (default: all)")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--suite", type=Path, metavar="DIR", help="a generated suite (default: our purposes)")
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE, metavar="ELF", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the outcome here, as JSON")
    args = parser.parse_args(argv)
    if args.runs < 2:
        parser.error("--runs needs at least 2, to compare")
    cores = os.cpu_count() or 1
    seen: list[dict[str, object]] = []
    try:
        purposes = select(generated.load(args.suite).purposes if args.suite else load_purposes(), args.cases)
        with every_core_busy():
            for number in range(args.runs):
                began = time.monotonic()
                cold = number % 2 == 0
                with tempfile.TemporaryDirectory() as folder:
                    report = run_campaign(
                        purposes,
                        target="qemu",
                        firmware=args.firmware,
                        profile="hardened",
                        seed=args.seed,
                        out=Path(folder),
                        jobs=cores + 1 if cold else cores,
                        progress=lambda *_: None,
                        cold=cold,
                    )
                    outcome = {"verdict": report.verdict.name, "digest": digest(report, Path(folder))}
                seen.append(outcome)
                how = "cold" if cold else "warm"
                wall = time.monotonic() - began
                print(f"{number + 1:>3}  {how}  {len(report.cases)} cases  {' '.join(outcome.values())}  {wall:.0f} s",
                      flush=True)  # fmt: skip
    except (HarnessError, UsageError) as error:
        print(f"steadiness: {error}", file=sys.stderr)
        return 3
    steady = all(outcome == seen[0] for outcome in seen)
    print("all the same" if steady else f"{len({str(outcome) for outcome in seen})} different outcomes")
    if args.output:
        record = {"cases": len(purposes), "seed": args.seed, "cores": cores, "runs": seen, "all the same": steady}
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0 if steady and report.verdict.exit_code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
