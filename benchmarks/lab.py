"""How fast a lab is: payload between two firmwares, and what it costs to have the model beside them.

Two SEDs that are registered send each other messages of 16,384 bytes in turn, each a handshake and 18 records, as fast
as possible. Taken are the wall clock, the processor time of this process and its QEMUs, and virtual time with a radio
of 115,200 baud, beside what a UART of that speed carries at the most. Watched and unwatched runs take turns.

    python benchmarks/lab.py [--messages 12] [--rounds 3] [--output reports/lab.json]

The exit code is 1 if two firmwares carry less than 64 KB/s on the wall clock.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conformance.judge import Diverged
from conformance.mixed.build import build
from conformance.mixed.file import parse
from conformance.mixed.steps import Acts
from conformance.mixed.world import World
from conformance.purpose import Step
from conformance.targets.base import HarnessError, IutFault
from conformance.targets.processor import one_processor
from model.alphabet import MAX_MESSAGE

DEFAULT_FIRMWARE = Path(__file__).resolve().parents[1] / "build/firmware/controller.elf"
GOAL = 64.0
"""KB of payload a second of the wall clock, between two firmwares."""
BAUD = 115_200
UART = BAUD / 10 / 1024
"""KB a second that such a UART carries: ten bits a byte."""
KINDS = {"two firmwares": ("firmware", "firmware"), "two Python SEDs": ("python", "python")}


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds that so many messages took."""

    wall: float
    cpu: float
    virtual: float


def measure(firmware: Path, kinds: tuple[str, str], messages: int, *, watch: bool, baud: int = 0) -> Taken:
    """Register two SEDs, then time messages from one to the other in turn. Raises what a world raises."""
    devices = [
        {"id": i, "kind": k, **({"elf": str(firmware)} if k == "firmware" else {})}
        for i, k in zip((10, 11), kinds, strict=True)
    ]
    links = {"radio": {"baud": baud}}
    world, acts = build(parse(Path("lab.toml"), {"watch": watch, "device": devices, "link": links}))
    try:
        with one_processor():  # as `scewl lab` does
            return _measure(world, acts, messages)
    finally:
        world.close()


def _measure(world: World, acts: Acts, messages: int) -> Taken:
    world.boot()
    for device in world.devices:
        acts.do(Step("register", {"by": device}))
    rest(world)
    acts.do(Step("send", {"by": 10, "to": 11, "size": 0}))  # once, the whole memory is searched for the secret
    rest(world)
    started, own, qemus, virtual = time.monotonic(), time.process_time(), _qemus(world), world.now
    for number in range(messages):
        by, to = (10, 11) if number % 2 else (11, 10)
        acts.do(Step("send", {"by": by, "to": to, "size": MAX_MESSAGE}))
        rest(world)
    wall, virtual = time.monotonic() - started, (world.now - virtual) / 1000
    cpu = time.process_time() - own + _qemus(world) - qemus
    if world.counts.delivered != messages + 1:
        raise IutFault(f"{world.counts.delivered} of {messages + 1} messages were delivered")
    return Taken(wall, cpu, virtual)


def rest(world: World) -> None:
    """Let everything happen that follows."""
    while world.step():
        pass


def _qemus(world: World) -> float:
    """Seconds of processor time that the QEMUs have used."""
    ticks = 0
    for device in world.devices.values():
        if (process := getattr(device.target, "pid", None)) is not None:
            fields = Path(f"/proc/{process}/stat").read_text("ascii").rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def run(firmware: Path, messages: int, rounds: int) -> dict[str, Any]:
    """All figures, medians over the rounds."""
    figures: dict[str, Any] = {}
    for name, kinds in KINDS.items():
        bare, watched = [], []
        for _ in range(rounds):
            bare.append(measure(firmware, kinds, messages, watch=False))
            watched.append(measure(firmware, kinds, messages, watch=True))
        kb = messages * MAX_MESSAGE / 1024
        wall, cpu = (statistics.median(getattr(t, what) for t in bare) for what in ("wall", "cpu"))
        seen_wall, seen_cpu = (statistics.median(getattr(t, what) for t in watched) for what in ("wall", "cpu"))
        slow = measure(firmware, kinds, 2, watch=False, baud=BAUD)
        figures[name] = {
            "kb_per_wall_s": round(kb / wall, 1),
            "kb_per_wall_s_best": round(kb / min(t.wall for t in bare), 1),
            "kb_per_cpu_s": round(kb / cpu, 1),
            "watched_kb_per_wall_s": round(kb / seen_wall, 1),
            "watched_kb_per_cpu_s": round(kb / seen_cpu, 1),
            "watch_costs_cpu": round(seen_cpu / cpu - 1, 3),
            "kb_per_virtual_s_at_115200_baud": round(2 * MAX_MESSAGE / 1024 / slow.virtual, 2),
            "bare": [asdict(t) for t in bare],
            "watched": [asdict(t) for t in watched],
        }
    return figures


def main() -> int:
    """Exit codes: 0 goal met, 1 missed or a SED broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE)
    parser.add_argument("--messages", type=int, default=12, metavar="N", help="a run (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here as JSON")
    args = parser.parse_args()
    if args.messages < 1 or args.rounds < 1:
        parser.error("--messages and --rounds need at least 1")
    load = os.getloadavg()[0]
    try:
        figures = run(args.firmware, args.messages, args.rounds)
    except (Diverged, IutFault, HarnessError) as error:
        print(f"lab: {error}", *getattr(error, "evidence", []), sep="\n  ", file=sys.stderr)
        return 3 if isinstance(error, HarnessError) else 1
    for name, row in figures.items():
        print(
            f"{name}: {row['kb_per_wall_s']} KB/s on the wall clock (best {row['kb_per_wall_s_best']}), "
            f"{row['kb_per_cpu_s']} KB a processor second; watched {row['watched_kb_per_wall_s']} and "
            f"{row['watched_kb_per_cpu_s']}, {row['watch_costs_cpu']:+.1%} processor time; "
            f"{row['kb_per_virtual_s_at_115200_baud']} KB a virtual second of at most {UART:.2f} at {BAUD} baud"
        )
    if args.output:
        digest = hashlib.sha256(args.firmware.read_bytes()).hexdigest()
        record = {"firmware_sha256": digest, "cores": os.cpu_count(), "load_before": load, "uart_kb_per_s": UART}
        record |= {"messages": args.messages, "rounds": args.rounds, **figures}
        args.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    met = figures["two firmwares"]["kb_per_wall_s"] >= GOAL
    if not met:
        print(f"lab: two firmwares carry less than {GOAL:g} KB a second of the wall clock", file=sys.stderr)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
