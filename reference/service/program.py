"""The service from start to end: files, sockets, signals; and what can be asked of it from outside."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import resource
import signal
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from reference.deployment import Deployment
from reference.service import control
from reference.service.journal import Journal
from reference.service.limits import Limits
from reference.service.listen import CONTROL, Address, ListenError, listen, name_of, only_one
from reference.service.server import Service
from reference.service.store import FILE, Store
from reference.sss import Sss

_OTHER_FILES = 64
"""Descriptors that the process needs beside those of its connections."""


def wall_clock() -> datetime:
    """The machine's date: it may be wrong, and may jump."""
    return datetime.now(UTC)


def serve(
    folder: Path,
    addresses: Iterable[Address],
    limits: Limits,
    log: TextIO,
    watched: Callable[[Callable[..., None]], Callable[..., Sss]] | None = None,
) -> int:
    """Serve the deployment in this folder until SIGTERM or SIGINT; return that signal's number.

    `watched`, given what writes a line of the log, gives what makes the server in place of `Sss` itself.
    Raises DeploymentError, StoreError or ListenError for what keeps it from starting.
    """
    deployment = Deployment.load(folder)
    with only_one(folder), contextlib.ExitStack() as closing:
        _check_descriptors(limits.connections)
        store = Store(folder, deployment.authority.certificate)
        closing.callback(store.close)
        journal = Journal(log, time.monotonic, wall_clock)
        closing.callback(journal.close)
        listeners = []
        for address in addresses:
            listeners.append(listen(address))
            closing.callback(_remove, address.path)
            closing.callback(listeners[-1].close)
        commands = listen(Address(path=str(folder / CONTROL)))
        closing.callback(_remove, str(folder / CONTROL))
        closing.callback(commands.close)
        make_sss = watched(journal.say) if watched else Sss
        return asyncio.run(_serve(deployment, store, journal, limits, listeners, commands, make_sss))


async def _serve(
    deployment: Deployment,
    store: Store,
    journal: Journal,
    limits: Limits,
    listeners: list[Any],
    commands: Any,
    make_sss: Callable[..., Sss],
) -> int:
    service = Service(deployment, store, journal, limits, wall_clock, make_sss)
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        service.stop()
        for other in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(other)  # whoever asks again means it

    loop = asyncio.get_running_loop()
    warnings = logging.getLogger("asyncio")  # what it has to say is a line of the log like any other
    warnings.handlers, warnings.propagate = [_ToJournal(journal)], False
    loop.set_exception_handler(lambda _, context: journal.say("internal-error", reason=repr(context.get("exception"))))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    names = [name_of(listener) for listener in listeners]
    extra = {"running": True, "pid": os.getpid(), "listening": names, "settings": deployment.settings()}
    server = await asyncio.start_unix_server(functools.partial(control.answer, service, extra), sock=commands)
    journal.say("started", listening=names, pid=os.getpid(), devices=len(deployment.seds), **deployment.settings())
    await service.run(listeners)
    server.close()
    journal.say("stopped", signal=signal.Signals(received[0]).name)
    return received[0]


class _ToJournal(logging.Handler):
    def __init__(self, journal: Journal) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        self._journal.say("asyncio", reason=record.getMessage())


def status(folder: Path) -> dict[str, Any]:
    """What there is to say of the deployment's service, running or not.

    Raises DeploymentError, StoreError or ListenError.
    """
    deployment = Deployment.load(folder)
    if (running := control.ask(folder, {"do": "status"})) is not None:
        return running
    shown = {"running": False, "settings": deployment.settings(), "provisioned": len(deployment.seds)}
    registered, removed = _read(folder, deployment)
    return shown | {"registered": len(registered), "removed": len(removed)}


def devices(folder: Path) -> list[dict[str, Any]]:
    """Every provisioned device: `device`, `state` (`registered`, `unregistered`, `removed`), and its dates.

    It is read from the disk, whether the service runs or not. Raises DeploymentError or StoreError.
    """
    deployment = Deployment.load(folder)
    registered, removed = _read(folder, deployment)
    rows: list[dict[str, Any]] = []
    for device in sorted(deployment.seds):
        if device in removed:
            rows.append({"device": device, "state": "removed", "since": removed[device]})
        elif device in registered:
            rows.append({"device": device, "state": "registered", **registered[device]})
        else:
            rows.append({"device": device, "state": "unregistered"})
    return rows


def revoke(folder: Path, device: int) -> dict[str, Any]:
    """Refuse a device from now on, by the running service or, if none runs, on the disk alone.

    Returns `device`, `was_registered` and `running`. Raises DeploymentError, StoreError or ListenError.
    """
    deployment = Deployment.load(folder)
    deployment.credentials(device)  # says so if there is no such device
    answered = control.ask(folder, {"do": "revoke", "device": device})
    if answered is None:
        with only_one(folder), contextlib.closing(Store(folder, deployment.authority.certificate)) as store:
            store.authority()  # says so if the file is of another deployment
            was = store.remove(device, wall_clock())
        return {"device": device, "was_registered": was, "running": False}
    if "error" in answered:
        raise ListenError(f"the running service could not do it: {answered['error']}")
    return {"device": device, "was_registered": answered["was_registered"], "running": True}


def _read(folder: Path, deployment: Deployment) -> tuple[dict[int, dict[str, Any]], dict[int, str | None]]:
    """The registered devices with what is known of them, and the removed ones with the date, if it is known."""
    removed: dict[int, str | None] = dict.fromkeys(deployment.removed)
    if not (folder / FILE).exists():
        return {}, removed
    with contextlib.closing(Store(folder, deployment.authority.certificate)) as store:
        store.authority()
        rows = store.registrations()
        removed |= store.removed()
    known = {
        row.device: {
            "since": row.since,
            "valid_until": row.valid_until,
            "serial": row.serial,
            "fingerprint": row.fingerprint,
        }
        for row in rows
    }
    return known, removed


def _check_descriptors(connections: int) -> None:
    """Make room for so many connections among the process's descriptors. Raises ListenError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ListenError(
            f"{connections} connections need {wanted} file descriptors, and this process may have {hard}: "
            "raise that limit (ulimit -n), or lower --connections"
        )
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _remove(path: str) -> None:
    if path:
        Path(path).unlink(missing_ok=True)
