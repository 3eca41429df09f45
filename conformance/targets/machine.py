"""One running QEMU with its virtual-time shim: the process, its byte streams, the control socket. No verdicts here."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.targets import scrub
from conformance.targets.monitor import Monitor, Qtest, Unanswered
from model.alphabet import Link

IMAGE_ADDRESS = 0x3F000
"""Where the provisioning image lies in flash."""
IMAGE_SIZE = 0x1000
"""Bytes of flash from there to its end."""

_NEVER = 2**64 - 1
_REPORT = struct.Struct("=QQQQ")
_COMMAND = struct.Struct("=Q")
_ANEW = struct.Struct("=QQQ")
"""The command to begin anew: a mark, the host address of the image's place, bytes of it. They follow."""
_IS_NEW = 3
_CHUNK = 65_536
_TEXT_LIMIT = 65_536
"""Bytes kept of what QEMU itself writes, and of the log of guest errors."""


@dataclass(frozen=True, slots=True)
class Board:
    """A machine of QEMU's, and what a firmware for it expects where."""

    machine: str = "lm3s6965evb"
    image_address: int = IMAGE_ADDRESS
    image_size: int = IMAGE_SIZE
    """Bytes that there are for the image."""
    uarts: tuple[Link, ...] = (Link.CPU, Link.SSS, Link.RADIO)
    """Link of each UART, by number."""


LM3S6965 = Board()


@dataclass(frozen=True, slots=True)
class ShimReport:
    """The shim's answer to a command. Times in virtual nanoseconds; `deadline` None if no timer runs.

    `busy` is the CPU time that the vCPU has used since the last event. Not `quiescent`: it used too much, and still
    runs.
    """

    quiescent: bool
    now: int
    deadline: int | None
    busy: int


class Machine:
    """QEMU with one firmware. All that it writes is drained by `pump`; nothing here blocks for longer than asked."""

    def __init__(
        self,
        elf: Path,
        image: bytes,
        shim: Path | None,
        qemu: str,
        busy_limit_ns: int,
        busy_is_idle_ns: int,
        options: Sequence[str] = (),
        board: Board = LM3S6965,
    ) -> None:
        """Start QEMU. `image` goes through an anonymous file: its keys reach no disk.

        Without a `shim` it runs in real time, and only `write`, `pump` and `close` work. `options` are further
        arguments of QEMU's. Raises FileNotFoundError if there is no QEMU.
        """
        self._board = board
        self.received: deque[tuple[Link, bytes]] = deque()
        """Bytes that left the firmware, in order within a link."""
        self.debug = bytearray()
        """Bytes of the debug channel (semihosting)."""
        self.messages = bytearray()
        """What QEMU itself said: errors, the register dump of a lockup."""
        self.guest_errors = bytearray()
        """QEMU's log of what no correct firmware does."""
        self.reports: deque[ShimReport] = deque()
        self.wrote = False
        """Whether bytes went to a UART since the last command: then a report may be older than they are."""
        self._report = bytearray()
        self._is_new = False
        """Whether the shim has begun anew."""
        self._image_host_address = 0
        self._outbox = {link: bytearray() for link in Link}
        self._readers: dict[int, Link | str] = {}
        self._files: list[socket.socket | int] = []
        self._poll = select.poll()
        self._uarts: dict[Link, socket.socket] = {}
        with _inherited() as child:
            try:
                command = [qemu, *self._arguments(elf, image, child), *options]
                control, theirs = self._pair(child)
                self._control = control
                self._watch(control.fileno(), "control")
                errors_read, errors_write = os.pipe()
                child.append(errors_write)
                self._files.append(errors_read)
                self._watch(errors_read, "messages")
                environment = dict(os.environ)
                if shim is not None:
                    library = os.open(shim, os.O_RDONLY)
                    child.append(library)
                    environment |= {
                        "LD_PRELOAD": f"/proc/self/fd/{library}",  # a path would be split at blanks
                        "SCEWL_SHIM_CONTROL": str(theirs),
                        "SCEWL_SHIM_STREAMS": self._streams,
                        "SCEWL_SHIM_BUSY_LIMIT": str(busy_limit_ns),
                        "SCEWL_SHIM_BUSY_IS_IDLE": str(busy_is_idle_ns),
                    }
                self.process = subprocess.Popen(
                    command,
                    env=environment,
                    pass_fds=child,
                    stdin=subprocess.DEVNULL,
                    stdout=errors_write,
                    stderr=errors_write,
                    process_group=0,  # Ctrl-C is for the program, which lets the case end
                )
            except BaseException:
                self._close_files()
                raise

    def _arguments(self, elf: Path, image: bytes, child: list[int]) -> list[str]:
        """QEMU's arguments; opens the UARTs, the debug channel and the log."""
        argv = ["-M", self._board.machine, "-nodefaults", "-display", "none", "-name", "scewl,debug-threads=on"]
        argv += ["-kernel", str(elf)]
        if image:
            memory = os.memfd_create("scewl-image", os.MFD_CLOEXEC)
            child.append(memory)
            os.write(memory, image)
            argv += ["-device", f"loader,file=/dev/fd/{memory},addr={self._board.image_address:#x},force-raw=on"]
        streams = []
        for number, link in enumerate(self._board.uarts):
            ours, theirs = self._pair(child)
            self._uarts[link] = ours
            self._watch(ours.fileno(), link)
            streams.append(theirs)
            argv += ["-chardev", f"socket,id=u{number},fd={theirs}", "-serial", f"chardev:u{number}"]
        channel, theirs = self._pair(child)
        self._monitor = Monitor(channel)
        argv += ["-chardev", f"socket,id=monitor,fd={theirs}", "-mon", "chardev=monitor,mode=control"]
        channel, theirs = self._pair(child)
        self.qtest = Qtest(channel)
        argv += ["-chardev", f"socket,id=qtest,fd={theirs}", "-qtest", "chardev:qtest", "-qtest-log", "none"]
        self._dump = os.memfd_create("scewl-dump", os.MFD_CLOEXEC)
        self._files.append(self._dump)
        child.append(os.dup(self._dump))
        self._dump_theirs = child[-1]
        ours, theirs = self._pair(child)
        self._watch(ours.fileno(), "debug")
        streams.append(theirs)
        argv += ["-chardev", f"socket,id=debug,fd={theirs}"]
        argv += ["-semihosting-config", "enable=on,target=native,chardev=debug"]
        log_read, log_write = os.pipe()
        child.append(log_write)
        self._files.append(log_read)
        self._watch(log_read, "guest_errors")
        argv += ["-d", "guest_errors", "-D", f"/dev/fd/{log_write}"]
        self._streams = ",".join(map(str, streams))
        return argv

    def _pair(self, child: list[int]) -> tuple[socket.socket, int]:
        """A socket pair: our end, and the number of the child's."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self._files.append(ours)
        child.append(theirs.detach())
        return ours, child[-1]

    def _watch(self, fd: int, what: Link | str) -> None:
        os.set_blocking(fd, False)
        self._readers[fd] = what
        self._poll.register(fd, select.POLLIN)

    # ---- in and out ----

    def command(self, advance_ns: int) -> None:
        """Ask for `advance_ns` of virtual time (0: none) and a report when quiescent."""
        self.wrote = False
        with contextlib.suppress(OSError):  # gone; `pump` will see it
            self._control.send(_COMMAND.pack(advance_ns))

    def write(self, link: Link, data: bytes) -> None:
        """Queue bytes for a UART, and write what goes."""
        self._outbox[link] += data
        self._write_queued()

    def _write_queued(self) -> None:
        """Write what goes of the queues."""
        for link, queue in self._outbox.items():
            while queue:
                try:
                    sent = self._uarts[link].send(queue)
                except BlockingIOError:
                    break
                except OSError:  # gone; `pump` will see it
                    queue.clear()
                    break
                del queue[:sent]
                self.wrote = True
            self._poll.modify(self._uarts[link], select.POLLIN | (select.POLLOUT if queue else 0))

    def pump(self, timeout_s: float) -> bool:
        """Read all that is there, waiting up to `timeout_s` for something. False once QEMU ended and all was read."""
        if not self._readers:
            return False
        for fd, _ in self._poll.poll(timeout_s * 1000):
            self._read(fd)
        if any(self._outbox.values()):
            self._write_queued()
        return bool(self._readers)

    def _read(self, fd: int) -> None:
        what = self._readers[fd]
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._poll.unregister(fd)
            del self._readers[fd]
        elif isinstance(what, Link):
            self.received.append((what, data))
        elif what == "debug":
            self.debug += data
        elif what == "control":
            self._report += data
            while len(self._report) >= _REPORT.size:
                kind, now, deadline, busy = _REPORT.unpack_from(self._report)
                del self._report[: _REPORT.size]
                if kind == _IS_NEW:
                    self._is_new = True
                else:
                    self.reports.append(ShimReport(kind == 1, now, None if deadline == _NEVER else deadline, busy))
        else:
            text = self.messages if what == "messages" else self.guest_errors
            text += data[: max(0, _TEXT_LIMIT - len(text))]

    def filenos(self) -> list[int]:
        """Descriptors that become readable when `pump` has something to do."""
        return list(self._readers)

    def memory(self, address: int, size: int, timeout_s: float) -> bytes | None:
        """What `size` bytes of the guest's memory hold, by QEMU's monitor; None if it does not answer.

        Call it while the firmware sleeps.
        """
        place = f"/dev/fd/{self._dump_theirs}"
        try:
            self._monitor.ask("pmemsave", timeout_s, val=address, size=size, filename=place)
        except Unanswered:
            return None
        return os.pread(self._dump, size, 0)

    # ---- once more from the beginning ----

    def restart(self, image: bytes, timeout_s: float) -> bool:
        """A warm boot: what follows is what a new QEMU would do, 50 ms sooner, and its translated code is still there.

        Call it while the firmware sleeps. The chip is reset, whatever of it a reset leaves alone is put back
        (`scrub`), its SRAM is zero, `image` lies in flash, time is 0, and bytes that were under way are gone. False
        if QEMU does not answer, or the firmware has touched what cannot be put back: then it is of no more use.
        """
        try:
            if not self._image_host_address:
                told = self._monitor.ask(
                    "human-monitor-command", timeout_s, **{"command-line": f"gpa2hva {IMAGE_ADDRESS:#x}"}
                )
                self._image_host_address = int(str(told).rsplit(" ", 1)[-1], 16)
            for queue in self._outbox.values():
                queue.clear()
            self._begin_anew(image.ljust(IMAGE_SIZE, b"\0"), timeout_s)
            self._monitor.ask("stop", timeout_s)
            touched = self.qtest.run(scrub.READ_UNTOUCHED, timeout_s)
            if [int(value, 16) for value in touched] != list(scrub.UNTOUCHED.values()):
                return False
            self.qtest.run(scrub.BEFORE_RESET, timeout_s)
            self._fill_fifos(timeout_s)
            self.qtest.run(scrub.FIFOS_FULL, timeout_s)
            self._monitor.forget_events()
            self._monitor.ask("system_reset", timeout_s)
            self._monitor.wait_for("RESET")
            self.qtest.run(scrub.AFTER_RESET, timeout_s)
            self.pump(0)
            for text in (self.received, self.debug, self.messages, self.guest_errors, self.reports):
                text.clear()
            self._monitor.tell("cont", timeout_s)
            self._monitor.wait_for("RESUME")  # `cont` returns when the firmware has computed for the first time
        except (Unanswered, OSError, ValueError):
            return False
        return True

    def _begin_anew(self, image: bytes, timeout_s: float) -> None:
        """Tell the shim. Raises Unanswered."""
        self._is_new = False
        try:
            self._control.send(_ANEW.pack(_NEVER, self._image_host_address, len(image)) + image)
        except OSError as error:
            raise Unanswered(str(error)) from error
        limit = time.monotonic() + timeout_s
        while not self._is_new:
            if not self.pump(1.0) or time.monotonic() > limit:
                raise Unanswered("the clock does not begin anew")

    def _fill_fifos(self, timeout_s: float) -> None:
        """Fill the empty receive FIFOs with zero bytes. Raises Unanswered."""
        for uart in self._uarts.values():
            uart.send(bytes(scrub.FIFO))
        limit = time.monotonic() + timeout_s
        while not all(int(flags, 16) & scrub.FIFO_IS_FULL for flags in self.qtest.run(scrub.FIFO_FLAGS, timeout_s)):
            if time.monotonic() > limit:
                raise Unanswered("the UARTs take nothing")

    # ---- the end ----

    def ended(self, wait_s: float = 2.0) -> str:
        """How QEMU ended: `exit status 1`, `SIGABRT`. Kills it if it does not end within `wait_s`."""
        try:
            status = self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return f"exit status {status}" if status >= 0 else signal.Signals(-status).name

    def close(self) -> None:
        """Kill QEMU and free everything."""
        self.process.kill()
        self.process.wait()
        self._close_files()

    def _close_files(self) -> None:
        for file in self._files:
            if isinstance(file, int):
                os.close(file)
            else:
                file.close()
        self._files.clear()
        self._readers.clear()


@contextlib.contextmanager
def _inherited() -> Iterator[list[int]]:
    """A list of descriptors for a child; ours are closed at the end."""
    fds: list[int] = []
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
