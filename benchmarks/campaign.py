"""Cases a second of `scewl conform`, beside another checkout of it: the same firmware, the same cases, in turn.

Whole commands are timed, start and report included. Two figures each: wall time with as many workers as cores, for
which the machine should have nothing else to do; and processor time, of Python and QEMU together, with one worker,
which other programs disturb less.

    python benchmarks/campaign.py [--beside CHECKOUT] [--suite DIR] [--every N] [--rounds N] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conformance.campaign import DEFAULT_FIRMWARE, load_purposes
from conformance.generation import suite as generated
from conformance.results import Report
from conformance.targets.base import HarnessError
from model.verdict import Verdict

HERE = Path(__file__).resolve().parents[1]
PROGRAM = "import sys; from conformance.cli import main; sys.exit(main())"
GOAL = 10.0
"""Cases a second on two cores."""


@dataclass
class Side:
    """One checkout, and what its runs took."""

    checkout: Path
    walls: list[float] = field(default_factory=list)
    """Seconds of a run with a worker for each core."""
    cpus: list[float] = field(default_factory=list)
    """Processor seconds of a run with one worker."""

    def run(self, command: Sequence[str], jobs: int) -> None:
        """One run. Raises HarnessError unless each case is PASS."""
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        environment = os.environ | {"PYTHONPATH": str(self.checkout)}
        with tempfile.TemporaryDirectory() as out:
            whole = [sys.executable, "-c", PROGRAM, "conform", *command, "-j", str(jobs), "--out", out]
            ended = subprocess.run(
                whole, cwd=self.checkout, env=environment, capture_output=True, text=True, check=False
            )
            wall = time.monotonic() - began
            if ended.returncode or Report.load(Path(out) / "report.json").verdict is not Verdict.PASS:
                raise HarnessError(f"{self.checkout}: not all cases pass", ended.stderr.splitlines()[-10:])
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if jobs == 1:
            self.cpus.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        else:
            self.walls.append(wall)

    def figures(self, cases: int) -> dict[str, Any]:
        """Medians, and what they come from."""
        wall, cpu = statistics.median(self.walls), statistics.median(self.cpus)
        return {
            "cases per second": round(cases / wall, 2),
            "processor seconds per case": round(cpu / cases, 4),
            "walls": [round(w, 2) for w in self.walls],
            "processor": [round(c, 2) for c in self.cpus],
        }


def main() -> int:
    """Print the figures of each side and their ratios. Exit codes: 0 goal met, 1 missed, 3 could not be measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="another checkout, such as an earlier commit's")
    parser.add_argument("--suite", type=Path, metavar="DIR", help="a generated suite (default: our purposes)")
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE, metavar="ELF", help="default: %(default)s")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth case (default: all)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="runs of each kind (default: 3)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="add the figures to this file, as JSON")
    args = parser.parse_args()
    if args.every < 1 or args.rounds < 1:
        parser.error("--every and --rounds need at least 1")
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    sides = {"here": Side(HERE)} | ({"beside": Side(args.beside.resolve())} if args.beside else {})
    try:
        purposes = generated.load(args.suite).purposes if args.suite else load_purposes()
        cases = [purpose.id for purpose in purposes][:: args.every]
        command = [*cases, "--firmware", str(args.firmware.resolve())]
        command += ["--suite", str(args.suite.resolve())] if args.suite else []
        for number in range(args.rounds):
            for side in list(sides.values())[:: 1 if number % 2 else -1]:
                for jobs in (cores, 1):
                    side.run(command, jobs)
                    print(f"round {number + 1}: {side.checkout} -j {jobs}", file=sys.stderr, flush=True)
    except HarnessError as error:
        print(f"campaign: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 3
    figures = {name: side.figures(len(cases)) for name, side in sides.items()}
    record: dict[str, Any] = {"cases": len(cases), "cores": cores, "load before": round(load, 2), **figures}
    if args.beside:
        record["times as fast, wall"] = _ratio(sides["beside"].walls, sides["here"].walls)
        record["times as fast, processor"] = _ratio(sides["beside"].cpus, sides["here"].cpus)
    print(json.dumps(record, indent=1))
    if args.output:
        known = json.loads(args.output.read_text("utf-8")) if args.output.exists() else {}
        known["generated" if args.suite else "purposes"] = record
        args.output.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    return 0 if len(cases) / statistics.median(sides["here"].walls) >= GOAL else 1


def _ratio(old: Sequence[float], new: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return round(statistics.median(o / n for o, n in zip(old, new, strict=True)), 2)


if __name__ == "__main__":
    sys.exit(main())
