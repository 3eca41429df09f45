"""The radio from start to end: sockets, signals, the log, the capture."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from conformance.faults import Fault
from conformance.radio.control import LINE, Control
from conformance.radio.hub import Hub
from conformance.radio.medium import Medium
from conformance.radio.recorder import Recorder
from reference.service.journal import Journal
from reference.service.listen import Address, listen, name_of


@dataclass(frozen=True, slots=True)
class Settings:
    """What `scewl radio` was told."""

    listen: tuple[Address, ...]
    control: tuple[Address, ...] = ()
    faults: tuple[Fault, ...] = ()
    capture: Path | None = None
    key_logs: tuple[Path, ...] = ()
    antennas: int = 64
    rate: float = 262_144.0
    """Bytes a second of one antenna."""
    hold: float = 10.0
    """Seconds that a man in the middle may think about a frame."""
    echo: bool = False


def serve(settings: Settings, log: TextIO) -> int:
    """Be the radio until SIGTERM or SIGINT; return that signal's number. Raises ListenError and OSError."""
    with contextlib.ExitStack() as closing:
        journal = Journal(log, time.monotonic, lambda: datetime.now(UTC))
        closing.callback(journal.close)
        listeners = [[_open(address, closing) for address in group] for group in (settings.listen, settings.control)]
        recorder = None if settings.capture is None else Recorder(settings.capture, settings.key_logs)
        return asyncio.run(_serve(settings, journal, recorder, *listeners))


def _open(address: Address, closing: contextlib.ExitStack) -> socket.socket:
    listener = listen(address)
    if address.path:
        closing.callback(lambda: Path(address.path).unlink(missing_ok=True))
    closing.callback(listener.close)
    return listener


async def _serve(
    settings: Settings,
    journal: Journal,
    recorder: Recorder | None,
    antennas: list[socket.socket],
    controls: list[socket.socket],
) -> int:
    loop = asyncio.get_running_loop()
    # What the event loop has to say (a connection that could not be accepted, for one) goes where all else does.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop.set_exception_handler(lambda _, context: journal.say("internal-error", reason=repr(context.get("exception"))))
    hub = Hub(
        Medium(list(settings.faults)),
        journal,
        recorder,
        most=settings.antennas,
        rate=settings.rate,
        echo=settings.echo,
    )
    control = Control(hub, settings.hold)
    ended: asyncio.Future[int] = loop.create_future()

    def stop(number: int) -> None:
        if not ended.done():
            ended.set_result(number)
        for other in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(other)  # whoever asks again means it

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    servers = [await asyncio.start_server(hub.welcome, sock=listener) for listener in antennas]
    servers += [await asyncio.start_server(control.welcome, sock=listener, limit=LINE) for listener in controls]
    journal.say(
        "started",
        listening=[name_of(listener) for listener in antennas],
        control=[name_of(listener) for listener in controls],
        pid=os.getpid(),
        faults=len(settings.faults),
    )
    received = await ended
    for server in servers:
        server.close()
    control.close()
    hub.close()
    journal.say("stopped", signal=signal.Signals(received).name)
    return received
