"""The radio and two SEDs in real time: messages per second, bytes per second, and what hostile antennas cost.

The radio is a process of its own (`scewl radio`), and so are the hostile antennas, of the kinds of
`tests/conformance/radio/hostile.py`, in turn. The two SEDs run in this process, unregistered, through
`reference.sed.Sed`; a message's time is from `send` to the return of the other's `wait`, with its whole session.

The goal, and the exit code: every message arrives, byte for byte.

    python benchmarks/radio.py [--messages 50] [--hostile 30] [--output reports/radio.json]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/conformance/radio"))

from hostile import KINDS  # noqa: E402
from programs import SCEWL, besieged, processor_time  # noqa: E402

from conformance.radio import Middle  # noqa: E402
from reference.deployment import Deployment  # noqa: E402
from reference.sed import Sed, SedError  # noqa: E402
from reference.service.figures import percentiles  # noqa: E402

SIZES = (16, 16_384)
PATIENCE_S = 60.0
"""For one message."""


@contextlib.contextmanager
def radio(folder: Path, *options: str) -> Iterator[int]:
    """`scewl radio` in this folder; its process."""
    places = ["--listen", f"unix:{folder}/radio", "--control", f"unix:{folder}/control"]
    command = [*SCEWL, "radio", *places, "--log", f"{folder}/log", *options]
    process = subprocess.Popen(command)
    while not (folder / "log").exists() or "started" not in (folder / "log").read_text():
        if process.poll() is not None:
            sys.exit("the radio did not start")
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        if code := process.wait(60):
            sys.exit(f"the radio ended with exit code {code}")


async def lay_siege(path: str, count: int) -> None:
    """For ever; whoever is thrown out, or has ended, comes back."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # that connections break is what a siege is about
    kinds = list(KINDS.values())
    begun = 0

    async def one(number: int) -> None:
        nonlocal begun
        while True:
            with contextlib.suppress(OSError):
                streams = await asyncio.open_unix_connection(path)
                begun += 1
                await kinds[number % len(kinds)](*streams)
                await asyncio.sleep(1)
                streams[1].transport.abort()
            await asyncio.sleep(0)

    tasks = [asyncio.create_task(one(number)) for number in range(count)]
    while begun < count:
        await asyncio.sleep(0)
    print("all have begun", flush=True)
    await asyncio.gather(*tasks)


def talk(sender: Sed, receiver: Sed, size: int, count: int) -> dict[str, Any]:
    """So many messages of so many bytes, one after the other."""
    durations, arrived = [], 0
    begin = time.perf_counter()
    for number in range(count):
        payload = number.to_bytes(4, "big") * (size // 4)
        now = time.perf_counter()
        with contextlib.suppress(SedError):
            sender.send(11, payload, timeout=PATIENCE_S)
            arrived += receiver.wait(timeout=PATIENCE_S).payload == payload
        durations.append((time.perf_counter() - now) * 1_000)
    seconds = time.perf_counter() - begin
    return {
        "bytes": size,
        "messages": count,
        "arrived": arrived,
        "per_second": round(arrived / seconds, 1),
        "kilobytes_per_second": round(arrived * size / seconds / 1_000, 1),
        "ms": percentiles(durations),
    }


def case(name: str, hostile: int, messages: int, *options: str) -> dict[str, Any]:
    """One radio, with so many hostile antennas."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        Deployment.create([10, 11], seed=b"benchmarks/radio").save(folder / "deployment")
        options = tuple(option.replace("FOLDER", temporary) for option in options)
        with radio(folder, *options) as process:
            place = {"radio": f"unix:{folder}/radio", "keylog": f"{folder}/keys"}
            ten, eleven = Sed(folder / "deployment", 10, **place), Sed(folder / "deployment", 11, **place)
            with ten, eleven, besieged(__file__, str(folder / "radio"), hostile):
                before = processor_time(process)
                talks = [talk(ten, eleven, size, messages) for size in SIZES]
                used = processor_time(process) - before
                with Middle(f"unix:{folder}/control") as control:
                    counts = control.status()["counts"]
    return {"case": name, "hostile": hostile, "talks": talks, "radio_cpu_s": round(used, 2), "counts": counts}


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=50, help="of each size, in each case (default: 50)")
    parser.add_argument("--hostile", type=int, default=30, help="hostile antennas (default: 30)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument("--siege", metavar="PATH", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.siege:
        asyncio.run(lay_siege(args.siege, args.hostile))
    cases = [
        case("alone", 0, args.messages),
        case("captured", 0, args.messages, "--capture", "FOLDER/air.pcapng", "--keylog", "FOLDER/keys"),
        case("besieged", args.hostile, args.messages),
    ]
    for one in cases:
        for row in one["talks"]:
            spread = "  ".join(f"{name} {value}" for name, value in row["ms"].items())
            print(
                f"{one['case']:9} {row['bytes']:>6} B: {row['arrived']} of {row['messages']} arrived, "
                f"{row['per_second']} a second, {row['kilobytes_per_second']} KB/s; ms: {spread}"
            )
    if args.output:
        machine = {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
        args.output.write_text(
            json.dumps({"machine": machine, "kinds": sorted(KINDS), "cases": cases}, indent=1) + "\n"
        )
    return int(any(row["arrived"] < row["messages"] for one in cases for row in one["talks"]))


if __name__ == "__main__":
    sys.exit(main())
