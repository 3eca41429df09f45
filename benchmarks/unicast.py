"""How long registration and one message take, CPU to CPU, between two firmwares in QEMU with the reference SSS.

The two VMs run at the same time: a frame goes on as soon as its last byte is out. The radio is a broadcast medium, so
the sender hears its own frames too. Virtual time stands still: what is measured is computation and byte streams.

    python benchmarks/unicast.py [--firmware ELF] [--beside ELF] [--pairs N] [--output reports/unicast.json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import select
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from conformance.targets.base import HarnessError, IutFault, Reaction
from conformance.targets.qemu import QemuTarget
from conformance.wire.frames import Frame, FrameReader, Junk
from model.alphabet import MAX_MESSAGE, REGISTER, SSS_ID, Link
from reference.deployment import Deployment
from reference.registration import Request
from reference.sss import Sss

A, B = 10, 11
DEFAULT_FIRMWARE = Path(__file__).resolve().parents[1] / "build/firmware/controller.elf"
LIMIT_S = 60.0
"""Wall seconds after which a measurement counts as failed."""


@dataclass(frozen=True, slots=True)
class Historic:
    """Seconds that the 2021 controller took on a QEMU: as built, and without the delay loop in its UART driver."""

    as_built: tuple[float, float]
    without_delay: tuple[float, float]


REGISTRATION = Historic((1.35, 2.5), (0.8, 1.7))
UNICAST = {16: Historic((1.1, 2.5), (0.7, 1.0)), MAX_MESSAGE: Historic((9.6, 17.6), (5.6, 5.6))}
GOALS = {16: 3.0, MAX_MESSAGE: 10.0}
"""How many times faster than the historic controller's best time as built."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; seconds."""

    what: str
    median: float
    best: float
    worst: float
    historic: Historic
    goal: float | None

    @property
    def ratio(self) -> float:
        """Against the best historic time as built: the cautious comparison."""
        return self.historic.as_built[0] / self.median

    @property
    def ratio_without_delay(self) -> float:
        """Against the best historic time without its delay loop."""
        return self.historic.without_delay[0] / self.median


class Pair:
    """Two firmwares, one radio, one SSS."""

    def __init__(self, elf: Path, options: Mapping[int, Sequence[str]] = MappingProxyType({})) -> None:
        """`options`: further arguments of QEMU's, by node."""
        deployment = Deployment.create([A, B], seed=b"benchmarks/unicast")
        self._sss = Sss(deployment, seed=b"benchmarks/unicast")
        self._targets = {node: QemuTarget(elf, options=options.get(node, ())) for node in (A, B)}
        self._readers = {(node, link): FrameReader() for node in (A, B) for link in Link}
        for node, target in self._targets.items():
            boot = target.boot(deployment.image(node))
            if boot.debug != (f"scewl: ready: id={node}",):
                raise IutFault(f"SED {node} did not come up", list(boot.debug))
            self._sss.connect(node)

    def close(self) -> None:
        """End both QEMUs."""
        for target in self._targets.values():
            target.close()

    def settle(self) -> None:
        """Wait until both are idle and nothing is on its way, so that one measurement does not pay for another."""
        quiet = 0
        while quiet < len(self._targets):
            for node, target in self._targets.items():
                moved = self._carry(node, target.advance(0), lambda _node, _frame: None)
                quiet = 0 if moved else quiet + 1

    def measure(self, node: int, frame: Frame, at: int, expected: Frame) -> float:
        """Seconds from giving `node`'s CPU bus a frame to the last byte of `expected` on the CPU bus of `at`."""
        self.settle()
        arrived: list[Frame] = []

        def on_cpu(where: int, got: Frame) -> None:
            if (where, got) != (at, expected):
                raise IutFault(f"SED {where}'s CPU got {len(got.payload)} bytes from {got.source} that nobody awaited")
            arrived.append(got)

        started = time.monotonic()
        self._targets[node].post(Link.CPU, frame.encode())
        while not arrived:
            if time.monotonic() - started > LIMIT_S:
                raise IutFault(f"SED {at}'s CPU got nothing within {LIMIT_S:g} s")
            owners = {fd: owner for owner, target in self._targets.items() for fd in target.filenos()}
            ready, _, _ = select.select(list(owners), [], [], 1.0)
            for owner in {owners[fd] for fd in ready}:
                self._carry(owner, self._targets[owner].collect(), on_cpu)
        return time.monotonic() - started

    def _carry(self, node: int, reaction: Reaction, on_cpu: Callable[[int, Frame], None]) -> bool:
        """Take a node's output where it belongs; tell whether there was any."""
        for link, data in reaction.chunks:
            for frame in self._readers[node, link].feed(data):
                if isinstance(frame, Junk):
                    raise IutFault(f"SED {node} wrote bytes that are no frame: {frame.data[:16].hex()}")
                if link is Link.RADIO:
                    for target in self._targets.values():
                        target.post(Link.RADIO, frame.encode())
                elif link is Link.SSS:
                    self._sss.receive(node, frame.encode(), 0)
                    for wire, answer in self._sss.outgoing():
                        self._targets[wire].post(Link.SSS, answer)
                else:
                    on_cpu(node, frame)
        return bool(reaction.chunks)


@dataclass(slots=True)
class Times:
    """What one firmware took, in seconds: each registration, and each message by its size."""

    registrations: list[float] = field(default_factory=list)
    unicasts: dict[int, list[float]] = field(default_factory=lambda: {size: [] for size in UNICAST})

    def rows(self) -> list[Row]:
        """The table's lines."""
        rows = [row("registration", self.registrations, REGISTRATION, None)]
        return rows + [row(f"unicast {s:,} B", times, UNICAST[s], GOALS[s]) for s, times in self.unicasts.items()]


def run(elves: Sequence[Path], pairs: int) -> list[list[Row]]:
    """With each of so many fresh pairs of each firmware, in turn, register both and send each size three times.

    Raises IutFault, HarnessError.
    """
    found = [Times() for _ in elves]
    for fresh in range(pairs):
        for elf, times in zip(elves, found, strict=True):
            once(elf, fresh, times)
    return [times.rows() for times in found]


def once(elf: Path, fresh: int, into: Times) -> None:
    """With one fresh pair."""
    pair = Pair(elf)
    try:
        for node in (A, B):
            body = Request(node, REGISTER).encode()
            answer = Frame(node, SSS_ID, body)
            into.registrations.append(pair.measure(node, Frame(SSS_ID, node, body), node, answer))
        for size, times in into.unicasts.items():
            payload = bytes((i * 7 + fresh) % 256 for i in range(size))
            times += (pair.measure(A, Frame(B, A, payload), B, Frame(B, A, payload)) for _ in range(3))
    finally:
        pair.close()


def row(what: str, times: list[float], historic: Historic, goal: float | None) -> Row:
    """A line from its measurements."""
    return Row(what, statistics.median(times), min(times), max(times), historic, goal)


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "| | median | best to worst | historic as built | without its delay loop | times faster | goal |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        old, bare = r.historic.as_built, r.historic.without_delay
        goal = f"{r.goal:g}" if r.goal else ""
        lines.append(
            f"| {r.what} | {r.median:.3f} s | {r.best:.3f} to {r.worst:.3f} s | {old[0]:g} to {old[1]:g} s"
            f" | {bare[0]:g} to {bare[1]:g} s | {r.ratio:.1f} ({r.ratio_without_delay:.1f}) | {goal} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Exit codes: 0 goals met, 1 missed or the firmware broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE)
    parser.add_argument("--pairs", type=int, default=5, metavar="N", help="fresh pairs of VMs (default: 5)")
    parser.add_argument("--beside", type=Path, metavar="ELF", help="another firmware, measured in turn with this one")
    parser.add_argument("--output", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if options.pairs < 1:
        parser.error("--pairs needs at least 1")
    load = os.getloadavg()[0]
    try:
        rows, *others = run([options.firmware, *([options.beside] if options.beside else [])], options.pairs)
    except (IutFault, HarnessError) as error:
        print(f"unicast: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 1 if isinstance(error, IutFault) else 3
    print(table(rows))
    for r, old in zip(rows, others[0] if others else (), strict=False):
        print(f"{r.what}: {old.median:.3f} s beside, {old.median / r.median:.2f} times as fast as that")
    if options.output:
        digest = hashlib.sha256(options.firmware.read_bytes()).hexdigest()
        figures = [asdict(r) | {"ratio": r.ratio, "ratio_without_delay": r.ratio_without_delay} for r in rows]
        beside = {old.what: old.median for old in others[0]} if others else {}
        record: dict[str, Any] = {"firmware_sha256": digest, "cores": os.cpu_count(), "load_before": load}
        record |= {"rows": figures, "beside": beside}
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    missed = [r.what for r in rows if r.goal and r.ratio < r.goal]
    if missed:
        print(f"unicast: below the goal: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
