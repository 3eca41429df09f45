"""A SED's last second: what it still says, what it still hears, and how long it stays. No clock is waited for: the
second is made an hour where somebody else ends it, and nothing where nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from model.alphabet import Link
from reference.controller import Controller
from reference.deployment import Deployment
from reference.frame import Frame, FrameReader
from reference.sed import device as device_module
from reference.sed.device import Device
from reference.sed.words import Event, SedError
from reference.service.listen import Address
from reference.sss import Sss

DEPLOYMENT = Deployment.create([10], seed=b"tests/reference/sed/farewell")
PATIENCE = 60
"""Seconds after which a test that waits in vain fails."""
EOF = b""


@dataclass
class Ends:
    """A SED between a radio and an SSS that are two sockets of the test."""

    device: Device
    radio: socket.socket
    sss: socket.socket
    told: list[Event] = field(default_factory=list)

    async def hears(self, wire: socket.socket, size: int = 65_536) -> bytes:
        """What the radio or the SSS gets next; EOF."""
        return await asyncio.get_running_loop().sock_recv(wire, size)

    async def all_of(self, wire: socket.socket) -> bytes:
        """All that it gets until the SED has ended its half of the connection."""
        data = b""
        while (piece := await self.hears(wire)) != EOF:
            data += piece
        return data


@contextlib.asynccontextmanager
async def ends(folder: Path, cpu: Address | None = None) -> AsyncIterator[Ends]:
    loop, accepted = asyncio.get_running_loop(), {}
    with contextlib.ExitStack() as closing:
        listeners = {}
        for link in (Link.RADIO, Link.SSS):
            listeners[link] = closing.enter_context(socket.socket(socket.AF_UNIX))
            listeners[link].bind(str(folder / link.name))
            listeners[link].listen(1)
            listeners[link].setblocking(False)
        told: list[Event] = []
        addresses = {link: Address(path=str(folder / link.name)) for link in listeners}
        device = Device(Controller(DEPLOYMENT.image(10)), addresses, told.append, None)
        if cpu:
            await device.serve_cpu(cpu)
        device.start()
        for link, listener in listeners.items():
            accepted[link], _ = await loop.sock_accept(listener)
            closing.enter_context(accepted[link])
        await device.linked(PATIENCE)
        yield Ends(device, accepted[Link.RADIO], accepted[Link.SSS], told)


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, Callable[[], Coroutine[Any, Any, None]]], None]:
    """Run a test whose last second has so many."""

    async def bounded(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with asyncio.timeout(PATIENCE):
            await test()

    def run(farewell: float, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        monkeypatch.setattr(device_module, "_FAREWELL", farewell)
        asyncio.run(bounded(test))

    return run


Within = Callable[[float, Callable[[], Coroutine[Any, Any, None]]], None]


def test_a_session_ends_without_a_word(tmp_path: Path, within: Within) -> None:
    """The SSS has the request, then no close_notify but the end; its answer, which comes too late, is for nobody."""

    async def test() -> None:
        async with ends(tmp_path) as at:
            asking = asyncio.create_task(at.device.request(0))
            sss = Sss(DEPLOYMENT, seed=b"tests/reference/sed/farewell", deferred=True)
            while not (granted := sss.decisions()):
                sss.receive(0, await at.hears(at.sss), 0)
                at.sss.sendall(b"".join(frame for _, frame in sss.outgoing()))
            assert at.device.status()["state"] == "TALKING_TO_SSS"
            closing = asyncio.create_task(at.device.close())
            assert await at.hears(at.sss) == await at.hears(at.radio) == EOF
            with pytest.raises(SedError, match="the SED has been switched off"):
                await asking
            before = list(at.told)
            sss.settle(granted[0], kept=True)
            answer = b"".join(frame for _, frame in sss.outgoing())
            at.sss.sendall(answer)  # it still reads: its end breaks nobody's connection
            at.radio.sendall(Frame(10, 2, b"too late").encode())
            assert not closing.done()
            at.sss.close()
            at.radio.close()
            await closing
            assert at.told == before, "it has heard nothing of that"
            await at.device.close()

    within(3_600, test)


def test_what_was_sent_before_goes_out_whole(tmp_path: Path, within: Within) -> None:
    """More than a socket holds waits for a radio that does not read until the SED is asked to end."""

    async def test() -> None:
        async with ends(tmp_path) as at:
            at.radio.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            sent = [struct.pack(">I", number) * 4_096 for number in range(16)]
            for payload in sent:
                await at.device.send(2, payload)
            closing = asyncio.create_task(at.device.close())
            assert await at.hears(at.sss) == EOF
            frames = FrameReader(0xFFFF)
            frames.feed(await at.all_of(at.radio))
            assert [frames.next() for _ in range(17)] == [*(Frame(2, 10, payload) for payload in sent), None]
            at.sss.close()
            at.radio.close()
            await closing
            assert at.device.frames_lost == 0

    within(3_600, test)


def test_whoever_never_ends_his_half_holds_nobody_up(tmp_path: Path, within: Within) -> None:
    async def test() -> None:
        async with ends(tmp_path) as at:
            await at.device.close()
            assert await at.hears(at.sss) == await at.hears(at.radio) == EOF
            with pytest.raises(BrokenPipeError):
                at.radio.sendall(b"it has left")

    within(0, test)


def test_a_cpu_has_no_say_any_more(tmp_path: Path, within: Within) -> None:
    """What it asks for in the last second would begin a session with keys that are wiped."""

    async def test() -> None:
        async with ends(tmp_path, Address(path=str(tmp_path / "cpu"))) as at:
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "cpu"))
            writer.write(Frame(2, 10, b"here").encode())
            assert await at.hears(at.radio) == Frame(2, 10, b"here").encode()
            closing = asyncio.create_task(at.device.close())
            assert await at.hears(at.sss) == EOF
            writer.write(Frame(1, 10, struct.pack("<Hh", 10, 0)).encode() + Frame(2, 10, b"help").encode())
            await writer.drain()
            at.sss.close()
            assert await at.hears(at.radio) == EOF
            at.radio.close()
            await closing
            assert await reader.read() == EOF, "and no answer"
            assert at.device.status()["state"] == "IDLE" and at.device.frames_lost == 0
            writer.close()

    within(3_600, test)


def test_whoever_asks_it_afterwards_is_told(tmp_path: Path, within: Within) -> None:
    async def test() -> None:
        async with ends(tmp_path) as at:
            waiting = asyncio.create_task(at.device.wait())
            await asyncio.sleep(0)
            await at.device.close()
            later = (at.device.wait(), at.device.send(2, b"x"), at.device.request(0), at.device.linked(None))
            for ask in (waiting, *later):
                with pytest.raises(SedError, match="the SED has been switched off"):
                    await ask

    within(0, test)
