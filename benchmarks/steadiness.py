"""Whether the suite says the same each time: many runs on a machine whose cores are all kept busy by something else.

Each run of all purposes must give the same verdicts and, byte for byte, the same traces and captures.

    python benchmarks/steadiness.py [--runs 20] [--firmware ELF] [--seed N]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from conformance.campaign import DEFAULT_FIRMWARE, load_purposes, run_campaign


@contextmanager
def every_core_busy() -> Iterator[None]:
    """Two loops for each core, until the context is left."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        yield
    finally:
        for loop in busy:
            loop.kill()
            loop.wait()


def digest(folder: Path) -> str:
    """One hash of all traces and captures."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".jsonl", ".pcapng")):
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def main() -> int:
    """Print a line per run; 0 if all are the same and pass."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, metavar="N", help="default: 20")
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE, metavar="ELF", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    args = parser.parse_args()
    seen = set()
    with every_core_busy():
        for run in range(1, args.runs + 1):
            began = time.monotonic()
            with tempfile.TemporaryDirectory() as folder:
                report = run_campaign(
                    load_purposes(),
                    target="qemu",
                    firmware=args.firmware,
                    profile="hardened",
                    seed=args.seed,
                    out=Path(folder),
                    jobs=os.cpu_count() or 1,
                    progress=lambda *_: None,
                )
                outcome = (report.verdict.name, digest(Path(folder)))
            seen.add(outcome)
            wall = time.monotonic() - began
            print(f"{run:>3}  {outcome[0]}  {len(report.cases)} cases  {outcome[1]}  {wall:.0f} s", flush=True)
    print("all the same" if len(seen) == 1 else f"{len(seen)} different outcomes")
    return 0 if seen and len(seen) == 1 and report.verdict.exit_code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
