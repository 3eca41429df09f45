"""A radio and SEDs in the test's own event loop, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conformance.faults import Fault
from conformance.radio.control import LINE, Control
from conformance.radio.hub import Hub
from conformance.radio.medium import Medium
from conformance.radio.recorder import Recorder
from model.alphabet import Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.dialect import Dialect
from reference.sed.device import Device
from reference.sed.words import Event
from reference.service.journal import Journal
from reference.service.listen import Address, listen

DEPLOYMENT = Deployment.create([10, 11, 12], seed=b"tests/conformance/radio")


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test that waits in vain for at most a minute."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(bounded())


@dataclass
class Sed:
    """A SED with all that it was heard to say of itself."""

    device: Device = field(init=False)
    events: list[Event] = field(default_factory=list)
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.happened.set()

    async def until(self, kind: str, **fields: Any) -> Event:
        """The first event of this kind with these fields, when it comes."""
        while True:
            for event in self.events:
                if event.event == kind and fields.items() <= event.fields.items():
                    return event
            self.happened.clear()
            await self.happened.wait()


@dataclass
class Air:
    """A radio that runs."""

    hub: Hub
    control: Control
    folder: Path
    log: io.StringIO
    journal: Journal
    seds: dict[int, Sed] = field(default_factory=dict)
    antennas: list[asyncio.StreamWriter] = field(default_factory=list)

    async def sed(
        self,
        number: int,
        sss: str = "",
        first_timeout: int | None = None,
        keylog: Path | None = None,
        deployment: Deployment = DEPLOYMENT,
    ) -> Device:
        """A SED with an antenna, and a wire if there is an SSS."""
        dialect = Dialect(first_timeout=first_timeout)
        controller = Controller(deployment.image(number), boot_entropy=bytes([number]), dialect=dialect)
        addresses = {Link.RADIO: Address(path=str(self.folder / "radio"))}
        if sss:
            addresses[Link.SSS] = Address(path=sss)
        sed = self.seds[number] = Sed()
        device = sed.device = Device(controller, addresses, sed.tell, keylog)
        before = self.hub.accepted
        device.start()
        await device.linked(None)
        await self.until(lambda: self.hub.accepted > before)
        return device

    async def antenna(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that does what the test wants, and that the radio has seen: a frame does not wait for it."""
        before = self.hub.accepted
        streams = await asyncio.open_unix_connection(str(self.folder / "radio"))
        self.antennas.append(streams[1])
        await self.until(lambda: self.hub.accepted > before)
        return streams

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let the event loop turn until something is so; a test that waits in vain is ended by its timeout."""
        while not condition():
            await asyncio.sleep(0)

    def lines(self) -> list[dict[str, Any]]:
        """What was logged; the log is closed by this."""
        self.journal.close()
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@contextlib.asynccontextmanager
async def air(
    folder: Path,
    *faults: Fault,
    recorder: Recorder | None = None,
    most: int = 64,
    rate: float = 1e9,
    hold: float = 30,
    echo: bool = False,
) -> AsyncIterator[Air]:
    """A radio with this schedule, at `radio` and `control` in the folder."""
    log = io.StringIO()
    journal = Journal(log, asyncio.get_running_loop().time, lambda: datetime(2026, 5, 1, tzinfo=UTC))
    hub = Hub(Medium(list(faults)), journal, recorder, most=most, rate=rate, echo=echo)
    control = Control(hub, hold)
    servers = [
        await asyncio.start_server(hub.welcome, sock=listen(Address(path=str(folder / "radio")))),
        await asyncio.start_server(control.welcome, sock=listen(Address(path=str(folder / "control"))), limit=LINE),
    ]
    now = Air(hub, control, folder, log, journal)
    try:
        yield now
    finally:
        for sed in now.seds.values():
            await sed.device.close()
        for server in servers:
            server.close()
        control.close()
        hub.close()
        for writer in now.antennas:
            writer.transport.abort()
        await asyncio.gather(*(w.wait_closed() for w in now.antennas), return_exceptions=True)
        journal.close()
        for name in ("radio", "control"):
            (folder / name).unlink()
