"""How many instructions the firmware executes for each of its operations.

QEMU has no model of a Cortex-M3's cycles, so these are instructions, not cycles: exact, and the same on every machine
and under any load, but for the few by which bytes arrive in other portions. `instructions.c` counts them, inside QEMU.

    python benchmarks/instructions.py [--firmware ELF] [--output reports/instructions.json]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from unicast import DEFAULT_FIRMWARE, A, B, Pair

from conformance.targets.base import HarnessError, IutFault
from conformance.targets.shim import build_shim
from conformance.wire.frames import Frame
from model.alphabet import DEREGISTER, MAX_MESSAGE, REGISTER, SSS_ID
from reference.registration import Request

RECORD, RECORDS = 963, 17
"""Bytes of application data in a full record (DTL-5), and how many of them fit a message."""
_COUNT = struct.Struct("=Q")


class Counter:
    """The number of instructions that one QEMU has executed, in memory that its plugin shares."""

    def __init__(self, plugin: Path) -> None:
        self._file = os.memfd_create("instructions")
        os.truncate(self._file, _COUNT.size)
        self._memory = mmap.mmap(self._file, _COUNT.size)
        # By number, and of this process: QEMU would split a path at its commas.
        self.options = ("-plugin", f"{plugin},count=/proc/{os.getpid()}/fd/{self._file}")

    def read(self) -> int:
        """Instructions since the start."""
        count: int = _COUNT.unpack_from(self._memory)[0]
        return count

    def close(self) -> None:
        """Free the memory; QEMU must be gone."""
        self._memory.close()
        os.close(self._file)


@dataclass(frozen=True, slots=True)
class CountedPair:
    """Two firmwares that talk to each other, and the counter of each."""

    pair: Pair
    counters: dict[int, Counter]

    def count(self, node: int, frame: Frame, at: int, expected: Frame) -> dict[int, int]:
        """Instructions of each node from giving `node`'s CPU bus a frame until both are idle again."""
        self.pair.settle()
        before = {n: counter.read() for n, counter in self.counters.items()}
        self.pair.measure(node, frame, at, expected)
        self.pair.settle()
        return {n: counter.read() - before[n] for n, counter in self.counters.items()}


@contextmanager
def counted_pair(elf: Path) -> Iterator[CountedPair]:
    """Two booted firmwares, each in a QEMU that counts. Raises IutFault, HarnessError."""
    plugin = build_shim(Path(__file__).with_name("instructions.c"))
    with ExitStack() as stack:
        counters = {node: Counter(plugin) for node in (A, B)}
        for counter in counters.values():
            stack.callback(counter.close)
        pair = Pair(elf, {node: counter.options for node, counter in counters.items()})
        stack.callback(pair.close)
        yield CountedPair(pair, counters)


def operations(elf: Path) -> dict[str, int]:
    """Instructions of each operation, by name. Raises IutFault, HarnessError."""
    with counted_pair(elf) as counted:
        found = {"boot": counted.counters[A].read()}
        for node in (A, B):
            found["registration"] = counted.count(*_request(node, REGISTER))[node]
        sent, received = {}, {}
        for size in (0, RECORD * RECORDS, MAX_MESSAGE):
            payload = bytes(i * 7 % 256 for i in range(size))
            counts = counted.count(A, Frame(B, A, payload), B, Frame(B, A, payload))
            sent[size], received[size] = counts[A], counts[B]
        found["deregistration"] = counted.count(*_request(A, DEREGISTER))[A]
    return found | {
        "session as client, empty message": sent[0],
        "session as server, empty message": received[0],
        # The mean of many, as two handshakes differ by more than a record: other random numbers, other work.
        "record of 963 B, sending": (sent[RECORD * RECORDS] - sent[0]) // RECORDS,
        "record of 963 B, receiving": (received[RECORD * RECORDS] - received[0]) // RECORDS,
        "message of 16,384 B, sending": sent[MAX_MESSAGE],
        "message of 16,384 B, receiving": received[MAX_MESSAGE],
    }


def _request(node: int, op: int) -> tuple[int, Frame, int, Frame]:
    """A request to the SSS, for CountedPair.count: its answer has the same four bytes."""
    body = Request(node, op).encode()
    return node, Frame(SSS_ID, node, body), node, Frame(node, SSS_ID, body)


def main() -> int:
    """Exit codes: 0 counted, 1 the firmware broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--firmware", type=Path, default=DEFAULT_FIRMWARE, metavar="ELF", help="default: %(default)s")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the figures here, as JSON")
    options = parser.parse_args()
    try:
        found = operations(options.firmware)
    except (IutFault, HarnessError) as error:
        print(f"instructions: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 1 if isinstance(error, IutFault) else 3
    for name, count in found.items():
        print(f"{count:>12,}  {name}")
    if options.output:
        digest = hashlib.sha256(options.firmware.read_bytes()).hexdigest()
        record = {"firmware_sha256": digest, "operations": found}
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
