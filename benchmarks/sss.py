"""The SSS as a service: registrations per second and their latency, with and without a hundred hostile connections.

The service is a process of its own (`scewl sss`), and so is the siege. Sixteen devices, real controllers, each with
a connection of its own, register again and again, all at once; the latency is what a device's CPU waits, from its
request to its answer. The siege is a hundred connections of the thirteen kinds of `tests/reference/service/wires.py`,
in turn: they hold, dribble, flood, begin handshakes, lie and come back. It starts before and ends after the devices.

The goal, and the exit code: every registration is granted.

    python benchmarks/sss.py [--rounds 10] [--hostile 100] [--output reports/sss.json]
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
from itertools import chain
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/reference/service"))

from programs import SCEWL, besieged, processor_time  # noqa: E402
from wires import DEPLOYMENT, HOSTILE, IDS, Device, siege  # noqa: E402

from reference.service.figures import percentiles  # noqa: E402


@contextlib.contextmanager
def service(folder: Path, *options: str) -> Iterator[int]:
    """`scewl sss` of a new deployment in this folder; its process."""
    DEPLOYMENT.save(folder)
    command = [*SCEWL, "sss", "--deployment", str(folder), "--listen", f"unix:{folder}/wires"]
    process = subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    print(process.stderr.readline().strip(), file=sys.stderr)
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)  # a log that is read
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(60)
        process.stderr.close()
        drain.wait()
        if code:
            sys.exit(f"the service ended with exit code {code}")


async def lay_siege(path: str, count: int) -> None:
    """For ever."""
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # that connections break is what a siege is about
    async with siege(path, count):
        print("all have begun", flush=True)
        await asyncio.Event().wait()


async def device(path: str, sed_id: int, rounds: int) -> list[tuple[int, float]]:
    """The answer and the milliseconds of each registration."""
    streams = await asyncio.open_unix_connection(path)
    made, results = Device(sed_id, entropy=os.urandom(16)), []
    for _ in range(rounds):
        begin = time.perf_counter()
        answer = await made.ask(streams, 0)
        results.append((answer, (time.perf_counter() - begin) * 1_000))
    streams[1].close()
    return results


async def measure(path: str, rounds: int) -> dict[str, Any]:
    """All devices at once."""
    begin = time.perf_counter()
    results = list(chain(*await asyncio.gather(*(device(path, sed_id, rounds) for sed_id in IDS))))
    seconds = time.perf_counter() - begin
    return {
        "devices": len(IDS),
        "registrations": len(results),
        "granted": sum(answer == 0 for answer, _ in results),
        "per_second": round(len(results) / seconds, 1),
        "latency_ms": percentiles([duration for _, duration in results]),
    }


def case(hostile: int, rounds: int) -> dict[str, Any]:
    """One service, with so many hostile connections."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "deployment"
        path = str(folder / "wires")
        with service(folder) as process, besieged(__file__, path, hostile):
            before = processor_time(process)
            figures = asyncio.run(measure(path, rounds))
            used = processor_time(process) - before
            command = [*SCEWL, "sss", "status", "--deployment", str(folder), "--json"]
            status = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    kept = {name: status[name] for name in ("registered", "counters", "durations_ms")}
    per_registration = round(used * 1_000 / figures["registrations"], 1)
    return {"hostile_connections": hostile, **figures, "service_cpu_ms_each": per_registration, "service": kept}


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="registrations of each device (default: 10)")
    parser.add_argument("--hostile", type=int, default=100, help="hostile connections (default: 100)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures there as JSON")
    parser.add_argument("--siege", metavar="PATH", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.siege:
        asyncio.run(lay_siege(args.siege, args.hostile))
    cases = [case(hostile, args.rounds) for hostile in (0, args.hostile)]
    report = {
        "machine": {"processors": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]},
        "kinds": sorted(HOSTILE),
        "cases": cases,
    }
    for one in cases:
        spread = "  ".join(f"{name} {value}" for name, value in one["latency_ms"].items())
        print(
            f"{one['hostile_connections']:>4} hostile: {one['granted']} of {one['registrations']} granted, "
            f"{one['per_second']} a second, {one['service_cpu_ms_each']} ms of the service's processor each; "
            f"ms until the answer: {spread}"
        )
    if args.output:
        args.output.write_text(json.dumps(report, indent=1) + "\n")
    return int(any(one["granted"] < one["registrations"] for one in cases))


if __name__ == "__main__":
    sys.exit(main())
