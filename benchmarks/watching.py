"""What the model in lockstep costs: the same work with it and without, turn by turn in one run.

- *messages*: two registered controllers in this process send each other messages of 100 bytes, each in a session of its
  own; with the watch, both have the model beside them. Handshakes per second of processor time.
- *registrations*: one controller registers again and again with the SSS in this process; the SSS alone is watched.
- *service*: sixteen devices register at once with `scewl sss`, a process of its own, with and without `--watch`;
  registrations per second of wall time, and what the service's processor took for each. Each device has registered
  once before: what the first time costs is not paid again.

In this process, too, some milliseconds pass before each frame, as they do in a program: in a world in which no time
passes every session is the same to the judge. Each is measured in turns, and the figure is the median of the turns'
ratios: other work on the machine strikes both alike. The goal, and the exit code: the watch costs less than a fifth of
each, and of the service's own processor time.

    python benchmarks/watching.py [--turns 9] [--output reports/watching.json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests/reference"), str(ROOT / "benchmarks")]

from memory_world import DEPLOYMENT, World  # noqa: E402
from programs import processor_time  # noqa: E402
from sss import measure, service  # noqa: E402

from conformance.watching import Alarm, WatchedSss, watch  # noqa: E402
from model.alphabet import Link  # noqa: E402
from reference.frame import Frame  # noqa: E402

GOAL = 0.2
"""The share of the time that the watch may take at most, on top of what there is without."""
MESSAGES, REGISTRATIONS = 40, 40
"""Of a turn."""
SLOWEST_FRAME = 8
"""Milliseconds that a frame takes at most."""


def alarmed(alarm: Alarm) -> None:
    """A benchmark of a wrong node says nothing."""
    sys.exit(f"SED {alarm.node}: {alarm.result.reason}")


class SlowWorld(World):
    """A world in which each frame takes some milliseconds; how many is the same in every run."""

    _pace: random.Random

    @classmethod
    def of(cls, *ids: int) -> SlowWorld:
        """With these controllers and an SSS."""
        world = super().of(*ids)
        world._pace = random.Random(0)
        return world

    def _carry(self, name: int, link: Link, frame: Frame) -> None:
        self.now += self._pace.randint(1, SLOWEST_FRAME)
        for party in (*self.nodes.values(), self.sss):
            party.on_time(self.now)
        super()._carry(name, link, frame)


def messages(watched: bool) -> float:
    """Seconds of processor time for `MESSAGES` messages, each with its handshake."""
    world = SlowWorld.of(3, 4)
    if watched:
        world.nodes = {i: watch(node, alarmed) for i, node in world.nodes.items()}  # type: ignore[misc]
    for node in world.nodes:
        assert world.request(node, 0) == 0
    begin = time.process_time()
    for n in range(MESSAGES):
        world.cpu(3 + n % 2, 4 - n % 2, bytes(100))
    seconds = time.process_time() - begin
    assert sum(len(world.messages(i)) for i in (3, 4)) == MESSAGES + 2, "a message was lost"
    return seconds


def registrations(watched: bool) -> float:
    """Seconds of processor time for `REGISTRATIONS` registrations, of device and SSS together."""
    world = SlowWorld.of(3)
    if watched:
        world.sss = WatchedSss(DEPLOYMENT, alarm=alarmed, seed=b"sss")
    begin = time.process_time()
    for _ in range(REGISTRATIONS):
        assert world.request(3, 0) == 0
    return time.process_time() - begin


def in_turns(work: Callable[[bool], float], turns: int, count: int) -> dict[str, Any]:
    """Without and with, in turns; which is first changes each time."""
    work(True)  # caches and imports
    pairs = []
    for turn in range(turns):
        first = work(bool(turn % 2))
        second = work(not turn % 2)
        pairs.append((second, first) if turn % 2 else (first, second))
    without, with_watch = (statistics.median(p[n] for p in pairs) for n in (0, 1))
    return {
        "turns": turns,
        "per_second_without": round(count / without, 1),
        "per_second_with": round(count / with_watch, 1),
        "ms_each_without": round(without * 1_000 / count, 2),
        "ms_each_with": round(with_watch * 1_000 / count, 2),
        "overhead": round(statistics.median(b / a for a, b in pairs) - 1, 3),
    }


def serving(watched: bool, rounds: int) -> tuple[float, float]:
    """Registrations per second of a service, and the milliseconds of its processor for each."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "deployment"
        alarms = Path(temporary) / "alarms"
        with service(folder, *(("--watch", str(alarms)) if watched else ())) as process:
            asyncio.run(measure(str(folder / "wires"), 1))
            before = processor_time(process)
            figures = asyncio.run(measure(str(folder / "wires"), rounds))
            used = processor_time(process) - before
        assert figures["granted"] == figures["registrations"], "a registration was refused"
        assert not watched or not list(alarms.iterdir()), "an alarm"
    return float(figures["per_second"]), used * 1_000 / figures["registrations"]


def services(turns: int, rounds: int) -> dict[str, Any]:
    """The service without and with, in turns."""
    found = [(serving(False, rounds), serving(True, rounds)) for _ in range(turns)]
    rate, cost = ([statistics.median(pair[w][n] for pair in found) for w in (0, 1)] for n in (0, 1))
    return {
        "turns": turns,
        "devices": 16,
        "per_second_without": round(rate[0], 1),
        "per_second_with": round(rate[1], 1),
        "service_cpu_ms_each_without": round(cost[0], 2),
        "service_cpu_ms_each_with": round(cost[1], 2),
        "overhead": round(statistics.median(a[0] / b[0] for a, b in found) - 1, 3),
        "service_cpu_overhead": round(statistics.median(b[1] / a[1] for a, b in found) - 1, 3),
    }


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=9, help="turns of each measurement (default: 9)")
    parser.add_argument("--rounds", type=int, default=10, help="registrations of each of 16 devices (default: 10)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures there as JSON")
    args = parser.parse_args()
    report: dict[str, Any] = {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
        "goal": GOAL,
    }
    for name, measured in (
        ("messages", lambda: in_turns(messages, args.turns, MESSAGES)),
        ("registrations", lambda: in_turns(registrations, args.turns, REGISTRATIONS)),
        ("service", lambda: services(args.turns, args.rounds)),
    ):
        found = report[name] = measured()
        print(
            f"{name:14} {found['per_second_without']:>7} a second without, {found['per_second_with']:>7} with: "
            f"{found['overhead']:.1%} more time"
            + (f", {found['service_cpu_overhead']:.1%} of its processor" if name == "service" else "")
        )
    if args.output:
        args.output.write_text(json.dumps(report, indent=1) + "\n")
    costs = [report[name]["overhead"] for name in ("messages", "registrations", "service")]
    return int(any(cost >= GOAL for cost in (*costs, report["service"]["service_cpu_overhead"])))


if __name__ == "__main__":
    sys.exit(main())
