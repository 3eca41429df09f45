"""A SED for scripts: plain calls, plain exceptions. The SED itself runs in a thread that all of a program's SEDs share.

They share it because Mbed TLS's time source is the process's (decision 0006): sessions do not compute in parallel.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from model.alphabet import DEREGISTER, REGISTER, Link
from reference.controller import Controller
from reference.deployment import Deployment, DeploymentError
from reference.image import SEED_SIZE
from reference.sed.device import Device
from reference.sed.words import Event, Message, SedError
from reference.service.listen import Address, ListenError

PATIENCE = 10.0
"""Seconds that the radio or the SSS may be away before what needs it raises LinkGone."""
_Result = TypeVar("_Result")
_lock = threading.Lock()
_shared: list[asyncio.AbstractEventLoop] = []


class Sed:
    """One powered-up SED of a deployment, unregistered, connected to its radio and its SSS."""

    def __init__(
        self,
        deployment: str | Path,
        sed_id: int,
        *,
        radio: str,
        sss: str | None = None,
        keylog: str | Path | None = None,
        patience: float | None = PATIENCE,
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        """`deployment` is the folder that `scewl provision` made, `radio` and `sss` are addresses such as
        `unix:/tmp/radio.sock` or `tcp:host:port`; without `sss` it cannot register. `keylog` is a file to which session
        secrets are appended. `patience` is how many seconds the radio or the SSS may be away, now and later; None: for
        ever. `tell` gets each event, in another thread. Raises LinkGone if one is not there, SedError for anything
        else.
        """
        try:
            addresses = {Link.RADIO: Address.parse(radio)} | ({Link.SSS: Address.parse(sss)} if sss else {})
            controller = power_up(Path(deployment), sed_id)
        except (DeploymentError, ListenError) as error:
            raise SedError(str(error)) from error
        self._patience = patience
        self._loop = _background()

        async def make() -> Device:
            device = Device(controller, addresses, tell, None if keylog is None else Path(keylog))
            device.start()
            return device

        try:
            self._device = self._do(make())
        except OSError as error:
            raise SedError(f"{error.filename}: {error.strerror}: choose another file for the secrets") from error
        try:
            self._do(self._device.linked(patience))
        except BaseException:
            self.close()
            raise

    def register(self, timeout: float | None = None) -> None:
        """Ask the SSS for a runtime certificate (SES-4). `timeout` in seconds; None: as long as the protocol takes.

        Raises Refused, TimedOut or LinkGone. The runtime set that was there is gone in any case (CRT-4).
        """
        self._do(self._device.request(REGISTER, timeout, self._patience))

    def deregister(self, timeout: float | None = None) -> None:
        """Give the registration back, as `register` asked for it."""
        self._do(self._device.request(DEREGISTER, timeout, self._patience))

    def send(self, to: int, payload: bytes, timeout: float | None = None) -> None:
        """Send a message of at most 16,384 bytes; returns when it has gone out whole to a peer that proved who it is.

        Nobody says whether it arrived (SES-2). Raises ValueError for an id or a size that cannot be, and Refused,
        TimedOut or LinkGone.
        """
        self._do(self._device.send(to, payload, timeout, self._patience))

    def wait(self, source: int | None = None, timeout: float | None = None) -> Message:
        """The next message, from `source` or from anybody; those that came before are kept.

        Raises TimedOut, and LinkGone if the radio is gone.
        """
        return self._do(self._device.wait(source, timeout, self._patience))

    @property
    def registered(self) -> bool:
        """Whether its runtime set is in force (CRT-3)."""
        return bool(self.status()["registered"])

    def status(self) -> dict[str, Any]:
        """Its state, links and counters."""

        async def ask() -> dict[str, Any]:
            return self._device.status()

        return self._do(ask())

    def close(self) -> None:
        """Power off. Safe to call twice."""
        self._do(self._device.close())

    def __enter__(self) -> Sed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


def power_up(folder: Path, sed_id: int) -> Controller:
    """The controller of a SED, with a boot seed of this power-up (ADV-3). Raises DeploymentError."""
    deployment = Deployment.load(folder)
    image = deployment.image(sed_id, os.urandom(SEED_SIZE))
    return Controller(image, boot_entropy=os.urandom(SEED_SIZE), dialect=deployment.dialect)


def _background() -> asyncio.AbstractEventLoop:
    """The event loop of all SEDs of this program; its thread ends with the program."""
    with _lock:
        if not _shared:
            loop = asyncio.new_event_loop()
            threading.Thread(target=loop.run_forever, name="seds", daemon=True).start()
            _shared.append(loop)
        return _shared[0]
