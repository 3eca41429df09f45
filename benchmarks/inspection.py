"""How long `scewl inspect` takes for the table of a capture, and tshark with scewl.lua for its own, side by side.

The capture is made of those of every purpose on the reference, repeated under other ids and at later times until it has
enough frames; the session secrets are inside, and both decrypt. The two run in turn, each as a process, its output
thrown away. Then a capture of the size asked for with --bytes is inspected once, and the memory that it takes measured.

    python benchmarks/inspection.py [--frames N] [--runs N] [--bytes N] [--output reports/inspect.json]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.campaign import load_purposes
from conformance.capture import CapturedFrame, write_capture
from conformance.case import run_case
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import HEADER, MAGIC
from model.alphabet import LOWEST_SED_ID

GOAL = 1.0
"""How many times as fast as tshark."""
MEMORY_GOAL = 200 * 2**20
"""Bytes of resident memory at the most, whatever the capture's size."""
STRIDE = 100
"""Between the ids of two copies; those of a purpose are below 100, or stay as they are."""
COPIES = (0xFFFF - STRIDE) // STRIDE
SECTION = 50_000
"""Frames in a section of the large capture."""
SCRIPT = Path("conformance/wireshark/scewl.lua")
SCEWL = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "inspect"]


def originals() -> tuple[list[list[CapturedFrame]], list[tuple[bytes, bytes]]]:
    """The frames of each purpose's case, and all session secrets."""
    outcomes = [run_case(purpose, ReferenceTarget, profile="hardened", seed=0) for purpose in load_purposes()]
    return [outcome.frames for outcome in outcomes], [pair for outcome in outcomes for pair in outcome.secrets]


def copies(cases: list[list[CapturedFrame]]) -> Iterator[CapturedFrame]:
    """The cases one after another, again and again, each time under other ids; endless."""
    now = 0
    for copy in itertools.count():
        shift = copy % COPIES * STRIDE
        for case in cases:
            begin = now
            for frame in case:
                now = begin + frame.time_us
                yield replace(
                    frame,
                    time_us=now,
                    sed=shifted(frame.sed, shift),
                    frame=renamed(frame.frame, shift),
                    comment="",
                )
            now += 1_000_000


def shifted(scewl_id: int, shift: int) -> int:
    """The id in a copy."""
    return scewl_id + shift if LOWEST_SED_ID <= scewl_id < STRIDE else scewl_id


def renamed(frame: bytes, shift: int) -> bytes:
    """A frame between the same parties of a copy; bytes that are no frame stay as they are."""
    if len(frame) < HEADER.size or frame[:2] != MAGIC:
        return frame
    magic, target, source, length = HEADER.unpack_from(frame)
    return HEADER.pack(magic, shifted(target, shift), shifted(source, shift), length) + frame[HEADER.size :]


def write_sections(path: Path, frames: Iterator[CapturedFrame], secrets: list[tuple[bytes, bytes]], size: int) -> None:
    """A capture of about `size` bytes, section by section: a section is made in memory."""
    part = path.with_suffix(".part")
    with path.open("wb") as whole:
        while whole.tell() < size:
            write_capture(part, itertools.islice(frames, SECTION), secrets)
            whole.write(part.read_bytes())


def timed(command: list[str]) -> dict[str, float]:
    """Seconds on the clock and of the processor, and the most memory, of one process. Raises CalledProcessError."""
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }


def side_by_side(path: Path, runs: int) -> dict[str, Any]:
    """The figures of both on the same capture, run in turn."""
    commands = {
        "inspect": [*SCEWL, str(path)],
        "tshark": ["tshark", "-X", f"lua_script:{SCRIPT}", "-n", "-r", str(path)],
    }
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            rows[name].append(timed(command))
            print(f"  {name}: {rows[name][-1]['seconds']:.2f} s", file=sys.stderr)
    return {
        name: {key: statistics.median(run[key] for run in row) for key in row[0]} | {"runs": row}
        for name, row in rows.items()
    }


def main() -> int:
    """Exit codes: 0 goals met, 1 missed, 3 one of the programs broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000, metavar="N", help="default: %(default)s")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="runs of each, in turn (default: 5)")
    parser.add_argument("--bytes", type=int, default=0, metavar="N", help="also inspect a capture of this size once")
    parser.add_argument("--output", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    if options.runs < 1 or options.frames < 1:
        parser.error("--runs and --frames need at least 1")
    if shutil.which("tshark") is None:
        parser.error("tshark is not installed")
    load = os.getloadavg()[0]
    cases, secrets = originals()
    record: dict[str, Any] = {"cores": os.cpu_count(), "load_before": load, "goal": GOAL, "frames": options.frames}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "capture.pcapng"
        write_capture(path, itertools.islice(copies(cases), options.frames), secrets)
        record["bytes"] = path.stat().st_size
        try:
            record["programs"] = side_by_side(path, options.runs)
            if options.bytes:
                write_sections(path, copies(cases), secrets, options.bytes)
                record["large"] = {"bytes": path.stat().st_size} | timed([*SCEWL, str(path)])
        except subprocess.CalledProcessError as error:
            print(f"inspect: {error}", file=sys.stderr)
            return 3
    ours, theirs = record["programs"]["inspect"], record["programs"]["tshark"]
    record["ratio"] = theirs["seconds"] / ours["seconds"]
    record["cpu_ratio"] = theirs["cpu_seconds"] / ours["cpu_seconds"]
    print("| | seconds | frames a second | CPU seconds | MB |\n|---|---|---|---|---|")
    for name, row in record["programs"].items():
        rate = options.frames / row["seconds"]
        print(f"| {name} | {row['seconds']:.2f} | {rate:,.0f} | {row['cpu_seconds']:.2f} | {row['peak_bytes'] >> 20} |")
    print(f"\n{record['ratio']:.2f} times as fast as tshark ({record['cpu_ratio']:.2f} by CPU time); goal {GOAL:g}")
    met = record["ratio"] >= GOAL
    if large := record.get("large"):
        rate = large["bytes"] / large["seconds"] / 1e6
        memory = large["peak_bytes"] >> 20
        print(f"{large['bytes']:,} bytes in {large['seconds']:.0f} s ({rate:.1f} MB/s), at most {memory} MB")
        met = met and large["peak_bytes"] <= MEMORY_GOAL
    if options.output:
        options.output.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
