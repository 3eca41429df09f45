"""How many states of a scope the explorer and SPIN count in a second, side by side, each on the same one core.

Both count only: no property is asked, ranges are checked by both. Of SPIN the best of several builds is taken, which
one trial of each decides. Then the two run in turn. Time is each one's own figure for its search, without generating
and compiling; the time of the processor is given besides, which other load on the machine disturbs less.

    python benchmarks/explore.py [--scope NAME] [--runs N] [--output reports/explore.json]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from model.explore import EngineError, Explorer
from model.profile import HARDENED
from model.spin import SpinError, compiled, promela, run
from model.system.base import System
from model.system.build import build
from model.system.scopes import SCOPES

GOAL = 3.0
"""How many times as fast as SPIN."""
SEARCH = ("-DSAFETY", "-DNOREDUCE")
"""No cycles are looked for, and no state is left out: else the two would not count the same."""
BUILDS = {
    "depth-first": ("-O3", "-march=native"),
    "depth-first, -O2": ("-O2",),
    "depth-first, no bounds checks": ("-O3", "-march=native", "-DNOBOUNDCHECK"),
    "depth-first, 64-bit hash": ("-O3", "-march=native", "-DNOBOUNDCHECK", "-DHASH64"),
    "depth-first, compressed states": ("-O3", "-march=native", "-DCOLLAPSE"),
    "breadth-first": ("-O3", "-march=native", "-DBFS"),
}
HASH_TABLES = (24, 27)
"""Binary logarithms of the slots to try: SPIN's default, and more than there are states."""
DEPTH = 1_000_000
"""Steps that a depth-first search may go down; it takes memory for all of them."""


@dataclass(frozen=True, slots=True)
class Search:
    """One engine's count of one system; seconds on the clock and of the processor."""

    states: int
    transitions: int
    seconds: float
    cpu_seconds: float


def explorer(system: System) -> Search:
    """One run of ours. Raises EngineError."""
    with Explorer(system, jobs=1, symmetry=False, properties=()) as search:
        before = time.process_time()
        search.run()
        cpu = time.process_time() - before
        if not search.exhausted:
            raise EngineError("too little memory for this scope")
        return Search(search.engine.progress()[0], sum(search.taken), search.seconds, cpu)


def spin(pan: Path, slots: int) -> Search:
    """One run of SPIN's. Raises SpinError."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = run(pan, [f"-m{DEPTH}", f"-w{slots}"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if not told.whole:
        raise SpinError("SPIN did not look at every state")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Search(told.states, told.transitions, told.seconds, cpu)


def best_build(text: str, folder: Path) -> tuple[str, Path, int, dict[str, Search]]:
    """The build and hash table of SPIN that took the processor least time: name, program, table; and all trials."""
    pans: dict[str, tuple[Path, int]] = {}
    trials: dict[str, Search] = {}
    for number, (name, options) in enumerate(BUILDS.items()):
        own = folder / str(number)
        own.mkdir()
        pan = compiled(own, text, [*options, *SEARCH])
        for slots in HASH_TABLES:
            pans[f"{name}, 2^{slots} slots"] = pan, slots
    for name, (pan, slots) in pans.items():
        trials[name] = spin(pan, slots)
        print(f"  {name}: {trials[name].seconds:.2f} s, {trials[name].cpu_seconds:.2f} s CPU", file=sys.stderr)
    best = min(trials, key=lambda name: trials[name].cpu_seconds)
    return best, *pans[best], trials


def measure(system: System, runs: int) -> dict[str, Any]:
    """The figures of a scope. Raises EngineError, SpinError, and ValueError if the two do not count the same."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        best, pan, slots, trials = best_build(promela(system, ()), Path(name))
        pairs = [(explorer(system), spin(pan, slots)) for _ in range(runs)]
    counts = {(s.states, s.transitions) for s in [*trials.values(), *(s for pair in pairs for s in pair)]}
    if len(counts) != 1:
        raise ValueError(f"the engines do not count the same states and transitions: {sorted(counts)}")
    ((states, transitions),) = counts
    columns = dict(zip(("explore", "spin"), zip(*pairs, strict=True), strict=True))
    medians = {
        engine: {
            "seconds": statistics.median(s.seconds for s in searches),
            "cpu_seconds": statistics.median(s.cpu_seconds for s in searches),
            "runs": [asdict(s) for s in searches],
        }
        for engine, searches in columns.items()
    }
    return {
        "scope": system.name,
        "variables": len(system.variables),
        "actions": len(system.actions),
        "states": states,
        "transitions": transitions,
        "engines": medians,
        "spin_build": best,
        "spin_trials": {name: asdict(search) for name, search in trials.items()},
        "ratio": statistics.median(b.seconds / a.seconds for a, b in pairs),
        "cpu_ratio": statistics.median(b.cpu_seconds / a.cpu_seconds for a, b in pairs),
    }


def main() -> int:
    """Exit codes: 0 goal met, 1 missed or the counts differ, 3 an engine broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scope", choices=sorted(SCOPES), default="radio", metavar="NAME", help="default: radio")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each, in turn (default: 3)")
    parser.add_argument("--output", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs needs at least 1")
    load = os.getloadavg()[0]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        figures = measure(build(SCOPES[options.scope], HARDENED), options.runs)
    except ValueError as error:
        print(f"explore: {error}", file=sys.stderr)
        return 1
    except (EngineError, SpinError) as error:
        print(f"explore: {error}", file=sys.stderr)
        return 3
    print(f"{figures['scope']}: {figures['states']:,} states, {figures['transitions']:,} transitions; SPIN: ", end="")
    print(f"{figures['spin_build']}\n\n| | seconds | states a second | CPU seconds |\n|---|---|---|---|")
    for engine, row in figures["engines"].items():
        rate = figures["states"] / row["seconds"]
        print(f"| {engine} | {row['seconds']:.2f} | {rate:,.0f} | {row['cpu_seconds']:.2f} |")
    print(f"\n{figures['ratio']:.1f} times as fast as SPIN ({figures['cpu_ratio']:.1f} by CPU time); goal {GOAL:g}")
    if options.output:
        record = {"cores": os.cpu_count(), "load_before": load, "goal": GOAL, **figures}
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0 if figures["ratio"] >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
