"""The firmware as a target: an unmodified qemu-system-arm (`lm3s6965evb`) whose clock the harness moves.

Two runs with the same bytes at the same times give the same bytes: the guest's clock stands still while it computes,
and input reaches it only while it sleeps (`timeshim.c`). So the firmware must sleep (WFI) when it has nothing to do.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from conformance.targets.elf import Elf
from conformance.targets.machine import LM3S6965, Board, Machine
from conformance.targets.shim import build_shim
from conformance.targets.spare import Spare
from model.alphabet import Link

_MS = 1_000_000
"""Nanoseconds in a millisecond."""
_LAST_LINES = 20
"""Lines of each channel that a fault shows."""


class QemuTarget(Target):
    """One controller firmware in QEMU.

    `wall_limit_s` bounds every call. `busy_limit_s` is how long, in CPU time of its own, the firmware may compute
    without sleeping before it counts as never quiescent. `output_limit` bounds the bytes of one step, all channels
    together.
    `busy_poll_ms` is for firmware that polls instead of sleeping: it counts as idle after that much CPU time since the
    last event, which must exceed its longest computation; such runs are not exactly repeatable.
    `spare` is where a QEMU is kept when this target is closed, and taken from when it boots: a warm boot does what a
    new QEMU does, byte for byte, and much sooner. Without it, each boot is a new QEMU.

    Raises HarnessError if `elf` is not an ARM executable or QEMU is missing, and from `boot` if a compiler is. Any call
    raises IutFault if the firmware breaks, and ends QEMU then.
    """

    def __init__(
        self,
        elf: Path,
        *,
        wall_limit_s: float = 30.0,
        busy_limit_s: float = 5.0,
        output_limit: int = 1 << 20,
        busy_poll_ms: float | None = None,
        qemu: str = "qemu-system-arm",
        options: Sequence[str] = (),
        spare: Spare | None = None,
        board: Board = LM3S6965,
    ) -> None:
        self._elf = Elf(elf)
        if shutil.which(qemu) is None:
            raise HarnessError(f"no `{qemu}` on PATH; install it (Debian: apt install qemu-system-arm)")
        self.name = "qemu"
        self.deadline_ns: int | None = None
        """The exact deadline, virtual ns since boot. `Reaction.deadline` is this, rounded up to whole milliseconds."""
        self._wall_limit_s = wall_limit_s
        self._busy_limit_ns = int(busy_limit_s * 1e9)
        self._output_limit = output_limit
        self._busy_is_idle_ns = int((busy_poll_ms or 0) * _MS)
        self._qemu = qemu
        self._options = tuple(options)
        # Only firmware that sleeps is known to be at rest, and only this chip is known well enough.
        self._spare = None if busy_poll_ms or board != LM3S6965 else spare
        self._key = (self._elf.version, qemu, self._busy_limit_ns, self._options)
        self._rests = False
        """Whether the last step ended well: the firmware sleeps."""
        self._board = board
        self._machine: Machine | None = None
        self._now_ns = 0
        self._lines: list[str] = []

    @property
    def pid(self) -> int:
        """Process id of QEMU. Raises HarnessError when it does not run."""
        return self._running().process.pid

    # ---- the target interface ----

    def boot(self, image: bytes) -> Reaction:
        """Start QEMU with the image at the end of flash and let the firmware settle; that moment is time 0."""
        room = self._board.image_size
        if len(image) > room:
            raise HarnessError(f"the provisioning image has {len(image)} bytes; flash has room for {room}")
        self.close()
        self._now_ns, self.deadline_ns = 0, None
        self._lines = []
        self._machine = self._warm(image) or self._cold(image)
        return self._step(0, booting=True)

    def _warm(self, image: bytes) -> Machine | None:
        """The spare machine, about to boot this image, if there is one and it can."""
        machine = self._spare.take(self._key) if self._spare is not None else None
        if machine is None or machine.restart(image, self._wall_limit_s):
            return machine
        machine.close()
        return None

    def _cold(self, image: bytes) -> Machine:
        """A new machine with this image."""
        shim = build_shim()
        return Machine(
            self._elf.path,
            image,
            shim,
            self._qemu,
            self._busy_limit_ns,
            self._busy_is_idle_ns,
            self._options,
            self._board,
        )

    def send(self, link: Link, data: bytes) -> Reaction:
        """Write to a UART. What the firmware does not read stays queued and flows when it reads on."""
        self._running().write(link, data)
        return self._step(0)

    def advance(self, ms: int) -> Reaction:
        """Move the firmware's clock by `ms` milliseconds, timer by timer."""
        if ms < 0:
            raise HarnessError(f"time cannot go back by {-ms} ms")
        self._running()
        return self._step(ms * _MS)

    def close(self) -> None:
        """End it: keep QEMU as a spare, or kill it. Safe to call twice."""
        machine, self._machine = self._machine, None
        rests, self._rests = self._rests, False
        if machine is None:
            return
        if rests and self._spare is not None:
            self._spare.put(self._key, machine)
        else:
            machine.close()

    # ---- without waiting: for programs that run several targets at once ----

    def post(self, link: Link, data: bytes) -> None:
        """Give it bytes and return at once; `collect` brings what it does."""
        self._rests = False
        self._running().write(link, data)

    def collect(self, timeout_s: float = 0.0) -> Reaction:
        """What it wrote so far; waits up to `timeout_s` for some. `now` and `deadline` are those of the last step."""
        alive = self._running().pump(timeout_s)
        self._check_output()
        if not alive:
            raise self._ended()
        self._check_log()
        return self._reaction()

    def filenos(self) -> list[int]:
        """Descriptors that become readable when `collect` has something, for `select`."""
        return self._running().filenos()

    def memory(self, address: int, size: int) -> bytes:
        """What `size` bytes of the chip's memory hold; nothing in the firmware moves. Raises HarnessError."""
        content = self._running().memory(address, size, self._wall_limit_s)
        if content is None or len(content) != size:
            raise HarnessError(f"QEMU's monitor does not give {size} bytes from {address:#x}")
        return content

    # ---- steps ----

    def _running(self) -> Machine:
        if self._machine is None:
            raise HarnessError("the firmware does not run; call boot() first (after a fault, again)")
        return self._machine

    def _step(self, advance_ns: int, *, booting: bool = False) -> Reaction:
        machine = self._running()
        self._rests = False
        started = time.monotonic()
        machine.command(advance_ns)
        while True:
            left = self._wall_limit_s - (time.monotonic() - started)
            alive = machine.pump(max(0.0, left))
            self._check_output()
            if machine.reports:
                report = machine.reports.popleft()
                if not report.quiescent:
                    raise self._fault(f"never quiescent: computed for {report.busy / 1e9:.1f} s without sleeping")
                self._now_ns, self.deadline_ns = report.now, report.deadline
                if not machine.wrote:
                    break
                machine.command(0)  # the firmware had read on, so that more of the queue went out meanwhile
            elif not alive:
                raise self._ended(booting)
            elif left <= 0:
                raise self._fault(f"never quiescent: did not settle within {self._wall_limit_s:g} s")
        machine.pump(0)  # what was written just before the report may have come after this poll looked
        self._check_output()
        self._check_log()
        if booting:
            machine.messages.clear()  # this board's start-up always warns about its Ethernet
        self._rests = True
        return self._reaction()

    def _reaction(self) -> Reaction:
        machine = self._running()
        links: dict[Link, bytearray] = {}
        for link, data in machine.received:
            links.setdefault(link, bytearray()).extend(data)
        chunks = tuple((link, bytes(links[link])) for link in sorted(links))
        machine.received.clear()
        *whole, rest = machine.debug.split(b"\n")
        machine.debug[:] = rest
        debug = [line.decode("utf-8", "replace").rstrip("\r") for line in whole]
        self._lines = (self._lines + debug)[-_LAST_LINES:]
        deadline = None if self.deadline_ns is None else -(-self.deadline_ns // _MS)
        return Reaction(self._now_ns // _MS, deadline, chunks, tuple(debug))

    def _check_output(self) -> None:
        machine = self._running()
        size = sum(len(data) for _, data in machine.received) + len(machine.debug)
        if size > self._output_limit:
            raise self._fault(f"flood: more than {self._output_limit:,} bytes of output in one step")

    def _check_log(self) -> None:
        machine = self._running()
        log = [line for line in _lines(machine.guest_errors) if not self._elf.is_cleared_by_the_loader(line)]
        if not log:
            return
        if log[0].startswith("qemu: fatal:"):  # about to abort: wait for the register dump
            limit = time.monotonic() + self._wall_limit_s
            while machine.pump(1.0) and time.monotonic() < limit:
                pass
            raise self._ended()
        raise self._fault(f"guest error: {log[0]}")

    # ---- faults ----

    def _ended(self, booting: bool = False) -> IutFault | HarnessError:
        """QEMU has ended: the firmware's doing, or, while booting, perhaps ours."""
        machine = self._running()
        how = machine.ended()
        if how == "SIGABRT":
            return self._fault("the firmware locked up: a fault inside its fault handling (registers in the evidence)")
        if booting and how == "exit status 1" and machine.messages:
            evidence = self._evidence()
            self.close()
            return HarnessError(f"QEMU refuses to start {self._elf.path.name}: {_lines(machine.messages)[0]}", evidence)
        return self._fault(f"the firmware ended QEMU ({how})")

    def _fault(self, what: str) -> IutFault:
        """The fault, with evidence; ends QEMU."""
        fault = IutFault(what, self._evidence())
        self._rests = False
        self.close()
        return fault

    def _evidence(self) -> list[str]:
        machine = self._running()
        size = sum(len(data) for _, data in machine.received)
        lines = [f"at {self._now_ns / _MS:g} ms since boot; {size} bytes of unread output on the links"]
        lines += [f"debug: {line}" for line in (self._lines + _lines(machine.debug))[-_LAST_LINES:]]
        lines += [f"log: {line}" for line in _lines(machine.guest_errors)[:_LAST_LINES]]
        lines += [f"qemu: {line}" for line in _lines(machine.messages)[:_LAST_LINES]]
        return lines


def _lines(text: bytearray) -> list[str]:
    """The lines of a text that may be hostile."""
    return [line for line in bytes(text).decode("utf-8", "backslashreplace").splitlines() if line]
