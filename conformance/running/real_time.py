"""A case once more in real time: an unmodified QEMU without the shim, and the clock on the wall.

The shim (`conformance/targets/timeshim.c`) lets time stand still while the firmware computes, lets input reach it only
while it sleeps, and jumps from timer to timer. Here nothing does. What the firmware was given in a run in virtual time
is given again at the same times, and it has to answer with the same bytes, timers included, at the right moment.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from conformance.targets.base import HarnessError
from conformance.targets.machine import Machine
from model.alphabet import Link

TOLERANCE_MS: Final = 500
"""How much later than it must an answer to a timer may come: the host has other things to do, and the answer has to be
computed. Earlier it may not come, but for the rounding of `EARLY_MS`."""
EARLY_MS: Final = 2
MARGIN_MS: Final = 500
"""What is given nearer than this before a deadline cannot be given in time for sure."""
QUIET_S: Final = 0.1
"""So long nothing may follow what was expected."""
ANSWER_S: Final = 20.0
"""So long an answer may take to compute."""
LONGEST_MS: Final = 30_000
"""Virtual time of a case that is run in real time: longer ones cost patience."""
SAMPLE: Final = (
    "broadcast",
    "cpu-waits",
    "cut-flight-4",
    "delayed-flight-2",
    "deregister",
    "duplicate-flight-4",
    "faa-idle",
    "glare-higher",
    "glare-lower",
    "junk-radio",
    "lost-flight-1",
    "lost-flight-2",
    "lost-flight-3",
    "lost-flight-4",
    "lost-flight-5",
    "overheard",
    "record-lost-2",
    "register",
    "registered-16",
    "registered-16384",
    "repeat-does-not-rearm-client",
    "response-bad-ca",
    "unregistered-16",
    "yield-with-cpu-waiting",
)
"""Cases with little virtual time: both roles, registration, all lengths, each first timeout."""


@dataclass
class Unsuitable(Exception):
    """This case cannot be run in real time. Nothing is wrong with anybody."""

    why: str


@dataclass
class Differs(Exception):
    """The firmware behaves otherwise in real time."""

    why: str
    evidence: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Timing:
    """What a run in real time found."""

    steps: int = 0
    deadlines: int = 0
    """How many answers to timers were timed."""
    latest_ms: float = 0.0
    """How long after its moment in virtual time the latest of them came: what the firmware computed before it armed the
    timer and after it fired, and what kept the host."""

    def __str__(self) -> str:
        told = f"in real time: {self.steps} steps the same"
        return f"{told}, {self.deadlines} timers at most {self.latest_ms:.0f} ms late" if self.deadlines else told


@dataclass(slots=True)
class _Timer:
    """The firmware's next timer: what it is in virtual time, and between which moments it was armed (seconds)."""

    due: int
    armed: int
    first: float
    last: float

    def moment(self, virtual: int) -> float:
        """The earliest moment of a virtual time, as far as this timer goes."""
        return self.first + (virtual - self.armed) / 1000


def rerun(trace: str, elf: Path, image: bytes, *, qemu: str = "qemu-system-arm") -> Timing:
    """Give a firmware what it was given in a trace of virtual time; `image` is its provisioning image.

    Raises Differs, Unsuitable, and HarnessError without a QEMU.
    """
    steps = [json.loads(line) for line in trace.splitlines()[1:-1]]
    _check(steps)
    try:
        machine = Machine(elf, image, None, qemu, 0, 0)
    except FileNotFoundError as error:
        raise HarnessError(f"no `{qemu}` on PATH; install it (Debian: apt install qemu-system-arm)") from error
    try:
        return _Run(machine).all(steps)
    finally:
        machine.close()


def _check(steps: Sequence[dict[str, Any]]) -> None:
    """Raises Unsuitable."""
    if sum("boot" in step["stimulus"] for step in steps) != 1:
        raise Unsuitable("the firmware boots more than once in it")
    if steps[-1]["t"] > LONGEST_MS:
        raise Unsuitable(f"it takes {steps[-1]['t'] / 1000:g} s; the limit is {LONGEST_MS // 1000} s")
    for before, step in pairwise(steps):
        due = before["deadline"]
        if due is not None and due != step["t"] and step["t"] > due - MARGIN_MS:
            raise Unsuitable(f"step {step['n']} comes {due - step['t']} ms before a timer")


class _Run:
    """One run. Moments are in seconds of `time.monotonic`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._timer: _Timer | None = None
        self._timing = Timing()

    def all(self, steps: Sequence[dict[str, Any]]) -> Timing:
        """Every step. Raises Differs."""
        for step in steps:
            began = time.monotonic()
            stimulus, timer = step["stimulus"], self._timer
            expected = {link: bytes.fromhex(data) for link, data in step["chunks"]}
            if "link" in stimulus:
                self._machine.write(Link[stimulus["link"].upper()], bytes.fromhex(stimulus["hex"]))
            elif "ms" in stimulus and timer is not None and timer.due == step["t"]:
                began = self._wait_for(timer, step, expected)
            elif "ms" in stimulus:
                # What is given before a timer fires keeps its distance from that, not from the last computation.
                until = began + stimulus["ms"] / 1000 if timer is None else timer.moment(step["t"])
                self._silence(step, until)
            self._answer(step, expected)
            self._note(step, began)
            self._timing.steps += 1
        return self._timing

    def _wait_for(self, timer: _Timer, step: dict[str, Any], expected: dict[str, bytes]) -> float:
        """Let a timer fire; if one can see it, at the right moment. Returns the first moment at which it could."""
        first, last = timer.moment(timer.due), timer.last + (timer.due - timer.armed) / 1000
        self._timer = None
        limit = last + TOLERANCE_MS / 1000
        if not any(expected.values()):
            self._silence(step, limit)
            return first
        self._silence(step, first - EARLY_MS / 1000)
        while not self._machine.received:
            if time.monotonic() > limit:
                raise Differs(
                    f"Step {step['n']}: no answer to a timer within {TOLERANCE_MS} ms after it was due.",
                    ["on a machine that is busy with other things, try again"],
                )
            self._pump(step, limit - time.monotonic())
        self._timing.deadlines += 1
        self._timing.latest_ms = max(self._timing.latest_ms, (time.monotonic() - first) * 1000)
        return first

    def _silence(self, step: dict[str, Any], until: float) -> None:
        """Let time pass, in which nothing may come. Raises Differs."""
        while (left := until - time.monotonic()) > 0:
            self._pump(step, left)
            if time.monotonic() < until:  # else what was read may have come after that moment
                self._compare(step, {})

    def _answer(self, step: dict[str, Any], expected: dict[str, bytes]) -> None:
        """Wait for what the firmware has to say in this step, and whether it says more. Raises Differs."""
        limit = time.monotonic() + ANSWER_S
        while self._came() != expected or self._machine.debug.count(b"\n") < len(step["debug"]):
            if time.monotonic() > limit:
                raise Differs(f"Step {step['n']}: less than in virtual time.", self._told(expected))
            self._pump(step, limit - time.monotonic())
            self._compare(step, expected)
        quiet = time.monotonic() + QUIET_S
        while (left := quiet - time.monotonic()) > 0:
            self._pump(step, left)
        self._compare(step, expected)
        if self._machine.debug.decode("utf-8", "replace").splitlines() != step["debug"]:
            raise Differs(f"Step {step['n']}: other words on the debug channel.", self._told(expected))
        self._machine.received.clear()
        self._machine.debug.clear()

    def _came(self) -> dict[str, bytes]:
        """What has come since the last step, by link."""
        came: dict[str, bytes] = {}
        for link, data in self._machine.received:
            came[link.name.lower()] = came.get(link.name.lower(), b"") + data
        return came

    def _compare(self, step: dict[str, Any], expected: dict[str, bytes]) -> None:
        """Raises Differs unless what came is what was expected, or the beginning of it."""
        for link, data in self._came().items():
            if not expected.get(link, b"").startswith(data):
                if self._timer is not None and time.monotonic() > self._timer.moment(self._timer.due):
                    raise Unsuitable(
                        f"this machine is too slow for it now: a timer was due before step {step['n']} ended"
                    )
                raise Differs(f"Step {step['n']}: not the bytes of virtual time, {link} link.", self._told(expected))

    def _told(self, expected: dict[str, bytes]) -> list[str]:
        """Evidence: both sides, and the debug channel."""
        lines = [f"in virtual time, {link}: {data.hex()}" for link, data in sorted(expected.items())]
        lines += [f"in real time, {link}: {data.hex()}" for link, data in sorted(self._came().items())]
        return lines + [f"debug: {line}" for line in self._machine.debug.decode("utf-8", "replace").splitlines()]

    def _pump(self, step: dict[str, Any], seconds: float) -> None:
        """Read what comes, for so long at most. Raises Differs if QEMU has ended."""
        if not self._machine.pump(max(seconds, 0.0)):
            raise Differs(f"Step {step['n']}: the firmware ended QEMU ({self._machine.ended()}).", self._told({}))

    def _note(self, step: dict[str, Any], began: float) -> None:
        """Which timer runs after a step, and between which moments it was armed."""
        due, now = step["deadline"], time.monotonic()
        if due is None:
            self._timer = None
        elif self._timer is None or self._timer.due != due:
            self._timer = _Timer(due, step["t"], began, now)
        elif step["t"] == self._timer.armed:  # it may have been armed anew, at the same virtual time
            self._timer.last = now
