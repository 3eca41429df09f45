"""A month of deployment in virtual time: does a clock drift, does anything grow, can everybody still talk?

A lab of two firmwares and two Python SEDs with the SSS, the model beside each. Every day they register anew and talk;
frames are lost, doubled, late and cut off; devices and the SSS fall silent, lose power, are deregistered; junk is
injected: all of it drawn from the seed. Each evening everybody registers again and sends to the next one, which has to
arrive. At midnight, at rest, what could have grown is measured: the Python objects of the SSS and of the controllers,
and, by what the firmware says of itself (the build with -DSCEWL_REPORT_MEMORY), its stack and heap.

No drift: every step's time is the world's, to the millisecond, and the model judges every deadline. No growth: what is
there at the last midnight is what was there after the first WARM days, but for SLACK.

    python benchmarks/month.py [--days 30] [--messages 24] [--seed 1] [--output reports/month.json]
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from memory import build as reporting_build

from conformance.judge import Diverged
from conformance.mixed.build import build
from conformance.mixed.device import Device
from conformance.mixed.file import parse
from conformance.purpose import Step
from conformance.targets.base import HarnessError, IutFault
from conformance.targets.qemu import QemuTarget
from conformance.targets.reference import ReferenceTarget
from model.alphabet import SSS_ID

DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000
"""Milliseconds."""
SIZES = (0, 16, 100, 963, 964, 2_889, 16_384)
"""Bytes of messages."""
FAULTS = 8
"""Faults ordered a day; each is mended after an hour."""
WARM = 2
"""Days after which nothing may grow."""
SLACK = 512
"""Bytes of Python objects that come and go: how long a certificate's numbers are, how large a set once was."""
PEAK_SLACK = 128
"""Bytes by which the firmware's heap peak may rise: how long a signature is depends on its value."""
PROCESS_SLACK_KB = 8_192
"""By which the whole process may grow, which holds what the harness remembers: keys of each session, and cookies."""
MEMORY = re.compile(r"scewl: memory: stack_peak=(\d+) heap_peak=(\d+) heap_used=(\d+)")
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)
"""What no object owns."""


class Grew(Exception):
    """Something is not as it should be at a midnight; the text says what."""


class Month:
    """One lab, day after day."""

    def __init__(self, firmware: Path, devices: dict[int, str], seed: int, messages: int) -> None:
        """`devices` gives each id its kind; `messages` is how many are sent on a day, but for the evening's."""
        tables = [
            {"id": i, "kind": k, **({"elf": str(firmware)} if k == "firmware" else {})} for i, k in devices.items()
        ]
        links = {"radio": {"latency": "2ms"}, "sss": {"latency": "1ms"}}
        lab = parse(Path("month.toml"), {"seed": seed, "device": tables, "link": links})
        self.world, self._acts = build(lab)
        self._chance = random.Random(seed)
        self._messages = messages
        self.done: Counter[str] = Counter()
        self.told: dict[int, list[tuple[int, int, int]]] = {}
        """What each firmware said of its memory, in bytes, since midnight: stack peak, heap peak, heap used."""
        for device in self.world.devices.values():
            if device.kind == "firmware":
                self.told[device.number] = []
            device.told = partial(self._step, device)

    def _step(self, device: Device, step: dict[str, Any]) -> None:
        self.done["judged steps"] += 1
        for line in step["debug"]:
            if found := MEMORY.fullmatch(line):
                stack, peak, used = map(int, found.groups())
                self.told[device.number].append((stack, peak, used))

    def day(self, number: int) -> dict[str, Any]:
        """Live through a day, counted from 0; what is there at midnight. Raises Diverged, IutFault, Grew."""
        world, begin = self.world, number * DAY
        for told in self.told.values():
            told.clear()
        plan = sorted(self._plan(), key=lambda entry: entry[0])
        world.agenda = [(begin + when, partial(self._do, step)) for when, step in plan]
        self._until(begin + 23 * HOUR)
        self._evening(begin + 23 * HOUR)
        self._until(begin + DAY)
        self._clocks()
        return self._sizes(number)

    def _until(self, end: int) -> None:
        world = self.world
        while (due := world.due()) is not None and due <= end:
            world.step()
        world.pass_time(end)

    def _do(self, step: Step) -> None:
        self.done[step.kind] += 1
        self._acts.do(step)

    def _plan(self) -> Iterator[tuple[int, Step]]:
        """A day's steps and their times, from one o'clock to ten at night."""
        chance, ids = self._chance, list(self.world.devices)

        def some_time() -> int:
            return chance.randrange(1 * HOUR, 21 * HOUR)

        for device in ids:
            yield chance.randrange(HOUR), Step("register", {"by": device})
        for _ in range(self._messages):
            by, to = chance.sample(ids, 2)
            yield some_time(), Step("send", {"by": by, "to": to, "size": chance.choice(SIZES)})
        for _ in range(FAULTS):
            kind = chance.choice(("lose", "lose", "duplicate", "delay", "cut"))
            what: dict[str, Any] = {"flight": chance.randint(1, 6)} if chance.random() < 0.7 else {"record": "data"}
            what |= {"nth": chance.randint(1, 2), "times": chance.choice((1, 1, 2, 6))}
            when = some_time()
            yield when, Step(kind, what | ({"ms": chance.choice((50, 8_000))} if kind == "delay" else {}))
            yield when + HOUR, Step("mend", {})
        for who in (*chance.sample(ids, 1), *([SSS_ID] if chance.random() < 0.3 else [])):
            when = some_time()
            yield when, Step("silence", {"who": who})
            yield when + HOUR, Step("restore", {"who": who})
        for _ in range(2):
            raw = b"SC" + bytes((chance.choice(ids), 0, chance.choice(ids), 0, 40, 0)) + chance.randbytes(40)
            yield some_time(), Step("inject", {"at": chance.choice(ids), "link": "radio", "raw": raw.hex()})
        if chance.random() < 0.5:
            yield some_time(), Step("boot", {"by": chance.choice(ids)})
        if chance.random() < 0.5:
            yield some_time(), Step("deregister", {"by": chance.choice(ids)})
        if chance.random() < 0.15:
            yield some_time(), Step("restart", {})

    def _evening(self, begin: int) -> None:
        """Nothing is broken any more: everybody registers, and sends to the next one. Raises Grew."""
        world, ids = self.world, list(self.world.devices)
        self._do(Step("mend", {}))
        world.silent.clear()
        self._until(begin + 10 * MINUTE)  # whatever ran has ended by then
        if not world.links.flying and any(d.deadline is not None for d in world.devices.values()):
            raise Grew(f"a timer still runs ten minutes after the last disturbance, at {world.now} ms")
        for got in world.inbox.values():
            got.clear()
        world.pending.clear()
        for device in ids:
            self._do(Step("register", {"by": device}))
        self._until(begin + 20 * MINUTE)
        for device in ids:
            self._expected(device, "answer", "it could not be registered")
        for by, to in zip(ids, ids[1:] + ids[:1], strict=True):
            self._do(Step("send", {"by": by, "to": to, "size": 100}))
            self._until(world.now + 5 * MINUTE)
            self._expected(to, "message", f"the evening's message from {by} did not come")

    def _expected(self, device: int, what: str, otherwise: str) -> None:
        got = self.world.inbox[device]
        good = [f for f in got if (f.payload[2:4] == b"\0\0" if what == "answer" else len(f.payload) == 100)]
        if len(got) != 1 or not good:
            raise Grew(f"SED {device}, {self.world.now} ms: {otherwise}; its CPU got {len(got)} frames")
        got.clear()

    def _clocks(self) -> None:
        """Everybody's clock shows what the world's does. Raises IutFault if one does not."""
        for device in self.world.devices.values():
            if device.pass_time(self.world.now) or device.deadline is not None:
                raise Grew(f"SED {device.number} is not at rest at midnight, {self.world.now} ms")

    def _sizes(self, day: int) -> dict[str, Any]:
        world = self.world
        assert world.sss is not None
        gc.collect()
        sizes: dict[str, Any] = {"day": day + 1, "sss_bytes": reach(world.sss._sss)}
        sizes["controller_bytes"] = {
            d.number: reach(d.target.controller)
            for d in world.devices.values()
            if isinstance(d.target, ReferenceTarget)
        }
        sizes["firmware_bytes"] = {
            number: {
                "stack_peak": max(stack for stack, _, _ in told),
                "heap_peak": max(peak for _, peak, _ in told),
                "heap_used": sorted({used for _, _, used in told}),
            }
            for number, told in self.told.items()
        }
        sizes["process_kb"] = resident(os.getpid())
        sizes["qemu_kb"] = {
            d.number: resident(d.target.pid) for d in world.devices.values() if isinstance(d.target, QemuTarget)
        }
        return sizes


def reach(root: object) -> int:
    """Bytes of all Python objects that one reaches, itself included."""
    seen: dict[int, object] = {}
    left = [root]
    while left:
        thing = left.pop()
        if id(thing) in seen or isinstance(thing, _SHARED):
            continue
        seen[id(thing)] = thing
        left += gc.get_referents(thing)
    return sum(map(sys.getsizeof, seen.values()))


def resident(process: int) -> int:
    """Kilobytes of memory that a process has."""
    status = Path(f"/proc/{process}/status").read_text("ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS:")).split()[1])


def growth(midnights: list[dict[str, Any]]) -> list[str]:
    """What is more at the last midnight than after the warm days; empty if nothing is."""
    first, last = midnights[min(WARM, len(midnights)) - 1], midnights[-1]
    found = []
    if last["sss_bytes"] - first["sss_bytes"] > SLACK:
        found.append(f"the SSS: {first['sss_bytes']} B, then {last['sss_bytes']} B")
    for number, size in last["controller_bytes"].items():
        if size - first["controller_bytes"][number] > SLACK:
            found.append(f"controller {number}: {first['controller_bytes'][number]} B, then {size} B")
    for number, now in last["firmware_bytes"].items():
        used = {tuple(m["firmware_bytes"][number]["heap_used"]) for m in midnights}
        if len(used) > 1 or len(now["heap_used"]) > 1:
            found.append(f"firmware {number}: bytes of heap in use after a session: {sorted(used)}")
        for peak, slack in (("stack_peak", PEAK_SLACK), ("heap_peak", PEAK_SLACK)):
            early = max(m["firmware_bytes"][number][peak] for m in midnights[: max(WARM, len(midnights) // 3)])
            if now[peak] - early > slack:
                found.append(f"firmware {number}: {peak} {early} B, then {now[peak]} B")
    if last["process_kb"] - first["process_kb"] > PROCESS_SLACK_KB:
        found.append(f"the process: {first['process_kb']} KB, then {last['process_kb']} KB")
    for number, size in last["qemu_kb"].items():
        if size - first["qemu_kb"][number] > PROCESS_SLACK_KB:
            found.append(f"the QEMU of {number}: {first['qemu_kb'][number]} KB, then {size} KB")
    return found


def live(month: Month, days: int, progress: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
    """So many days; the figures. Raises Diverged, IutFault, Grew, HarnessError."""
    world = month.world
    began = time.monotonic()
    try:
        world.boot()
        midnights = []
        for number in range(days):
            midnights.append(month.day(number))
            progress(number + 1)
        grew = growth(midnights)
        wall = time.monotonic() - began
        return {
            "days": days,
            "devices": {number: device.kind for number, device in world.devices.items()},
            "virtual_s": world.now / 1000,
            "wall_s": round(wall, 1),
            "times_faster": round(world.now / 1000 / wall),
            "done": dict(sorted(month.done.items())),
            "frames": world.counts.frames,
            "messages": {"given": world.counts.given, "delivered": world.counts.delivered},
            "answers": {str(op): count for op, count in sorted(world.counts.answers.items())},
            "clocks_ms": {number: device.now for number, device in world.devices.items()},
            "midnights": [midnights[n] for n in sorted({0, min(WARM, days) - 1, days // 2, days - 1})],
            "grew": grew,
            "same": not grew and {d.now for d in world.devices.values()} == {days * DAY},
        }
    finally:
        world.close()


def main() -> int:
    """Exit codes: 0 nothing grew or drifted, 1 something did or a device broke, 3 our side broke."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--days", type=int, default=30, metavar="N", help="default: %(default)s")
    parser.add_argument("--messages", type=int, default=24, metavar="N", help="a day (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="default: %(default)s")
    parser.add_argument("--firmware", type=Path, metavar="ELF", help="a reporting build (default: made)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures here as JSON")
    args = parser.parse_args()
    if args.days <= WARM or args.messages < 1:
        parser.error(f"--days needs more than {WARM}, --messages at least 1")
    kinds = {10: "firmware", 11: "firmware", 12: "python", 13: "python"}
    began = time.monotonic()

    def progress(done: int) -> None:
        print(f"day {done} of {args.days}, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    month = Month(args.firmware or reporting_build(), kinds, args.seed, args.messages)
    try:
        figures = live(month, args.days, progress)
    except (Diverged, IutFault, Grew) as error:
        evidence = error.evidence if isinstance(error, IutFault) else []
        print(f"month: at {month.world.now} ms, SED {month.world.at}: {error}", *evidence, sep="\n  ", file=sys.stderr)
        return 1
    except HarnessError as error:
        print(f"month: {error}", *error.evidence, sep="\n  ", file=sys.stderr)
        return 3
    print(json.dumps(figures, indent=1))
    if args.output:
        args.output.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return 0 if figures["same"] else 1


if __name__ == "__main__":
    sys.exit(main())
