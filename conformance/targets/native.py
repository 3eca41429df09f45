"""A controller's C, built for this machine under sanitizers, as a target: firmware/port/host/, one process each."""

from __future__ import annotations

import contextlib
import os
import select
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from model.alphabet import Link

_COMMAND = struct.Struct("<IIQ")
_ANSWER = struct.Struct("<QQ3Bx4I4x")
_BOOT, _SEND, _ADVANCE, _KEEP, _RETURN, _FORGET, _EXHAUST = range(7)
_STREAMS = (Link.CPU, Link.SSS, Link.RADIO)
"""Link of each stream, by the number that `port.h` gives it; the debug channel is the one after."""
_NEVER = 2**64 - 1
_LAST_LINES = 40
_RULE = "scewl: rule "


class NativeTarget(Target):
    """One controller built by `make -C firmware host`, as a process of its own.

    Beyond the interface of a target, `keep` and `back` make it a tree of controllers: a copy is the whole controller.
    `wall_limit_s` bounds every call. Raises HarnessError if the program is missing. Any call raises IutFault, with the
    sanitizers' report as evidence, if the controller breaks, and ends it.
    """

    def __init__(self, program: Path, *, arguments: Sequence[str] = (), wall_limit_s: float = 60.0) -> None:
        if not program.is_file():
            raise HarnessError(f"no {program}; build it with `make -C firmware host`")
        if not os.access(program, os.X_OK):
            raise HarnessError(f"{program} is no program: it may not be executed")
        self.name = "native"
        self._command = [str(program.absolute()), *arguments]
        self._wall_limit_s = wall_limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = bytearray()
        self.state = 0
        """Which of the five states it is in (SES-1), by the numbers of `model.state.Mode`."""
        self.registered, self.waiting = 0, 0
        """1 while the runtime set is in force (CRT-3), and while a CPU frame waits (SES-5)."""
        self.rules: tuple[str, ...] = ()
        """What it said in the last step of the rules that it took: lines `scewl: rule taken|asked: ID ID...`."""

    # ---- the target interface ----

    def boot(self, image: bytes) -> Reaction:
        """Start from a provisioning image. Copies of before are gone."""
        self.close()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                process_group=0,  # Ctrl-C is for the harness, as with QEMU
            )
        except OSError as error:
            raise HarnessError(f"{self._command[0]} cannot be run: {error.strerror}") from error
        return self._ask(_BOOT, 0, len(image), image)

    def send(self, link: Link, data: bytes) -> Reaction:
        """Give it bytes of a stream at the present time."""
        return self._ask(_SEND, _STREAMS.index(link), len(data), data)

    def advance(self, ms: int) -> Reaction:
        """Let time pass; each timer fires exactly when it is due."""
        if ms < 0:
            raise HarnessError(f"time cannot go back by {-ms} ms")
        return self._ask(_ADVANCE, 0, ms)

    def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        self._unread.clear()
        if process is not None:
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            process.stdout.close()
            process.kill()
            process.wait()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    # ---- copies ----

    def keep(self, copy: int) -> None:
        """Copy the controller as it is now; `copy` is below 8,192."""
        self._ask(_KEEP, 0, copy)

    def back(self, copy: int) -> None:
        """Make it what it was at a copy, which stays. Nothing is written by this."""
        self._ask(_RETURN, 0, copy)

    def forget(self, copy: int) -> None:
        """Free a copy."""
        self._ask(_FORGET, 0, copy)

    def exhaust(self) -> None:
        """Leave it no memory for another session, until `back` (SES-11)."""
        self._ask(_EXHAUST, 0, 0)

    # ---- the pipe ----

    def _ask(self, kind: int, link: int, number: int, data: bytes = b"") -> Reaction:
        process = self._process
        if process is None:
            raise HarnessError("the controller does not run; call boot() first (after a fault, again)")
        assert process.stdin is not None
        try:
            process.stdin.write(_COMMAND.pack(kind, link, number) + data)
        except BrokenPipeError:
            raise self._fault() from None
        limit = time.monotonic() + self._wall_limit_s
        now, deadline, self.state, self.registered, self.waiting, *lengths = _ANSWER.unpack(
            self._read(_ANSWER.size, limit)
        )
        streams = [self._read(length, limit) for length in lengths]
        chunks = {link: data for link, data in zip(_STREAMS, streams, strict=False) if data}
        lines = streams[-1].decode("utf-8", "replace").splitlines()
        self.rules = tuple(line for line in lines if line.startswith(_RULE))
        return Reaction(
            now,
            None if deadline == _NEVER else deadline,
            tuple((link, chunks[link]) for link in sorted(chunks)),
            tuple(line for line in lines if not line.startswith(_RULE)),
        )

    def _read(self, size: int, limit: float) -> bytes:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        while len(self._unread) < size:
            ready, _, _ = select.select([process.stdout], [], [], max(0.0, limit - time.monotonic()))
            if not ready:
                raise self._fault(f"never quiescent: did not settle within {self._wall_limit_s:g} s")
            data = process.stdout.read(65_536)
            if not data:
                raise self._fault()
            self._unread += data
        taken = bytes(self._unread[:size])
        del self._unread[:size]
        return taken

    def _fault(self, what: str = "") -> IutFault:
        """What broke, in the words of the sanitizer or of the port; ends the process."""
        process = self._process
        assert process is not None
        if not what:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "backslashreplace").splitlines()
        said = [line for line in lines if "ERROR: " in line or "runtime error: " in line or line.startswith("host: ")]
        status = process.returncode
        self.close()
        what = what or (said[0].strip() if said else f"the controller ended (status {status})")
        return IutFault(what, lines[:_LAST_LINES])
