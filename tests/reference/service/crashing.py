"""kill -9 at every step of a request: a program of its own, since it forks, and a thread would make that unsafe.

    python crashing.py FOLDER OP [PREPARED]

Each round forks a service of the deployment in FOLDER that kills itself at its n-th step, and a device asks it for OP
(0 registers, 1 deregisters). A step is a frame that is taken, a frame that goes out, a statement to SQLite, and the
moment after a decision is kept. Then a service that does not die takes over, and the device asks to be registered.
The rounds end with the first in which there is no n-th step. Prints one JSON object a round:

    step       its name; empty in the last round
    told       what the device's CPU was told by the first service or in its absence
    kept       the ids that were registered when the second service started
    again      what the CPU was told by the second service
    finally    the ids that are registered at the end
    authority  a fingerprint of the runtime CA, before and at the end (before: null if none was kept yet)
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import shutil
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wires import Device

from reference.deployment import Deployment
from reference.service import program, server, store
from reference.service.limits import Limits
from reference.service.listen import Address
from reference.sss import Sss

SED = 10


class Fuse:
    """Counts steps, and kills this process at one of them."""

    def __init__(self, at: int, tell: int) -> None:
        self.left, self.tell = at, tell

    def step(self, name: str) -> None:
        if self.left == 0:
            os.write(self.tell, name.encode())
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1

    def before(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def stepping(*arguments: Any, **named: Any) -> Any:
            self.step(name)
            return function(*arguments, **named)

        return stepping

    def set(self) -> None:
        """Put it into every place."""
        connect = sqlite3.connect

        def traced(*arguments: Any, **named: Any) -> sqlite3.Connection:
            database = connect(*arguments, **named)
            database.set_trace_callback(lambda statement: self.step("sql " + " ".join(statement.split()[:3])))
            return database

        keep = store.Store.keep

        def kept(*arguments: Any) -> None:
            keep(*arguments)
            self.step("kept")

        store.sqlite3.connect = traced  # type: ignore[attr-defined]
        store.Store.keep = kept  # type: ignore[method-assign]
        Sss.take = self.before(Sss.take, "take")  # type: ignore[method-assign]
        server.asyncio.StreamWriter.write = self.before(asyncio.StreamWriter.write, "send")  # type: ignore


def start(folder: Path, at: int) -> tuple[int, int, int]:
    """Fork a service that dies at its step `at` (negative: it does not); its process, its log, and the step's name."""
    log, log_end = os.pipe()
    told, tell = os.pipe()
    if process := os.fork():
        os.close(log_end)
        os.close(tell)
        return process, log, told
    code = 70
    try:
        Fuse(at, tell).set()
        with os.fdopen(log_end, "w") as stream:
            program.serve(folder, [Address(path=str(folder / "wires"))], Limits(), stream)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def await_start(log: int) -> bool:
    """Wait until the service listens or has died; whether it listens."""
    said = b""
    while b"started" not in said and (more := os.read(log, 4_096)):
        said += more
    return b"started" in said


def end(process: int, log: int, told: int) -> str:
    """End a service; the step at which it had killed itself, or nothing. Raises AssertionError if it ended badly."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGTERM)
    while os.read(log, 4_096):
        pass
    step = os.read(told, 4_096).decode()
    os.close(log)
    os.close(told)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert code == (-signal.SIGKILL if step else 0), f"{code} at {step!r}"
    return step


async def ask(folder: Path, device: Device, op: int) -> int:
    try:
        streams = await asyncio.open_unix_connection(folder / "wires")
    except OSError:
        return -1
    try:
        answer = await device.ask(streams, op)
        with contextlib.suppress(OSError):
            await streams[0].read(1)  # the service's close_notify, or the end of it
        return answer
    finally:
        streams[1].close()
        with contextlib.suppress(OSError):
            await streams[1].wait_closed()


def state(folder: Path) -> tuple[list[int], str | None]:
    deployment = Deployment.load(folder)
    kept = store.Store(folder, deployment.authority.certificate)
    with contextlib.closing(kept):
        authority = kept.authority()
        ids = [row.device for row in kept.registrations()]
    return ids, authority and hashlib.sha256(authority.certificate + authority.key).hexdigest()


def round_of(folder: Path, op: int, at: int) -> dict[str, Any]:
    device = Device(SED, Deployment.load(folder))
    service = start(folder, at)
    await_start(service[1])
    answer = asyncio.run(ask(folder, device, op))
    step = end(*service)
    kept, before = state(folder)
    service = start(folder, -1)
    assert await_start(service[1])
    again = asyncio.run(ask(folder, device, 0))
    assert end(*service) == ""
    finally_, after = state(folder)
    return {
        "step": step,
        "told": answer,
        "kept": kept,
        "again": again,
        "finally": finally_,
        "authority": [before, after],
    }


def main(folder: Path, op: int, prepared: Path | None) -> None:
    at, step = 0, "first"
    while step:
        shutil.rmtree(folder, ignore_errors=True)
        if prepared:
            shutil.copytree(prepared, folder)
        else:
            Deployment.create([SED], seed=b"crashing").save(folder)
        result = round_of(folder, op, at)
        print(json.dumps(result), flush=True)
        at, step = at + 1, result["step"]


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # connections break here; that is what it is about
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None)
