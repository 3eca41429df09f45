"""The service: many connections, one `reference.sss.Sss`, one thread for what DTLS computes.

A connection is one wire of one device: SCEWL frames, whose source id in the first of them is the device's for as long
as the connection lasts. Each connection is a task that takes one frame, sends what came of it and lets the others
have a turn. The slowest step, a device's Certificate to Finished, computes for some milliseconds; that is what anybody
waits for anybody else. Whatever touches the disk happens in a thread of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from model.alphabet import DEREGISTER, LOWEST_SED_ID, REGISTER, SSS_ID
from reference.deployment import Deployment
from reference.dtls import MTU
from reference.frame import Frame, FrameReader
from reference.service.figures import Figures
from reference.service.journal import Journal
from reference.service.keys import KeyPool
from reference.service.limits import Bucket, Limits
from reference.service.store import Store, StoreError
from reference.sss import Decision, Notice, Sss, Step, encode_state

_CHUNK = 4_096
"""Bytes that are read at once."""
_AFTER_FAILED_ACCEPT = 0.1
"""Seconds until the next try."""
_FAREWELL = 1.0
"""Seconds that the end of the service waits for clients to take what they were sent."""
_ANSWERS = {REGISTER: "registered", DEREGISTER: "deregistered"}


class _RefusedError(Exception):
    """The connection is to be closed; the text says why."""


@dataclass(eq=False, slots=True)
class _Connection:
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    bucket: Bucket
    since: float
    progress: float
    """When a device last proved something here; at first, when the connection began."""
    frames: FrameReader = field(default_factory=lambda: FrameReader(MTU))
    device: int = 0
    proved: bool = False
    opened: float = 0.0
    task: asyncio.Task[None] | None = None


class Service:
    """Made inside a running event loop; `run` serves until it is cancelled or `stop` is called."""

    def __init__(
        self,
        deployment: Deployment,
        store: Store,
        journal: Journal,
        limits: Limits,
        date: Callable[[], datetime],
        make_sss: Callable[..., Sss] = Sss,
    ) -> None:
        """`date` is the wall clock, by which certificates are judged and made; `make_sss` makes the server, which may
        be one that is watched. Raises StoreError."""
        self.figures = Figures()
        self.deployment = deployment
        self._store, self._journal, self._limits, self._date = store, journal, limits, date
        self._loop = asyncio.get_running_loop()
        self._start = self._loop.time()
        self._stopping = asyncio.Event()
        self._someone_left = asyncio.Event()
        self._connections: dict[int, _Connection] = {}
        self._accepted = 0
        self._devices: dict[int, Bucket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._notices: list[Notice] = []
        self._undecided: list[Decision] = []
        self._keeping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # SQLite waits for locks and for the disk; one thread keeps the changes in the order of the decisions.
        self._storing = ThreadPoolExecutor(1, "store")
        deployment.removed |= store.removed().keys()
        self.keys = KeyPool(limits.keys, deployment.new_key)
        known = store.authority()
        registered = {row.device for row in store.registrations()}
        self._sss = make_sss(
            deployment,
            seed=secrets.token_bytes(48),
            epoch=date(),
            state=encode_state(known.certificate, known.key, registered) if known else None,
            deferred=True,
            make_key=self.keys.take,
            notify=self._notices.append,
        )
        if known is None:
            store.found(*self._sss.runtime_authority())

    # --- running -----------------------------------------------------------------------------------------------------

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve on these sockets until `stop`, then let everybody go."""
        accepting = [self._spawn(self._accept(listener)) for listener in listeners]
        await self._stopping.wait()
        for task in accepting:
            task.cancel()
        await asyncio.gather(*accepting, return_exceptions=True)
        for listener in listeners:
            listener.close()
        leaving = list(self._connections.values())
        for connection in leaving:
            if connection.task:
                connection.task.cancel()
        await asyncio.gather(*(c.task for c in leaving if c.task), return_exceptions=True)
        while self._tasks:  # decisions under way are kept and answered
            await asyncio.wait(self._tasks)
        self._sss.goodbye()
        self._after()
        for connection in leaving:
            connection.writer.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                await asyncio.gather(*(c.writer.wait_closed() for c in leaving), return_exceptions=True)
        for connection in leaving:
            self._drop(connection, "the service ends")
        if self._timer:
            self._timer.cancel()
        self._storing.shutdown()
        self.keys.close()

    def stop(self) -> None:
        """Make `run` come to its end."""
        self._stopping.set()

    def shown(self) -> dict[str, Any]:
        """What `scewl sss status` shows of a running service."""
        return {
            "uptime_s": round(self._loop.time() - self._start, 3),
            "provisioned": len(self.deployment.seds),
            "registered": len(self._sss.registered),
            "removed": len(self.deployment.removed),
            "connections": len(self._connections),
            "proved_connections": sum(c.proved for c in self._connections.values()),
            "connections_limit": self._limits.connections,
            "keys_ready": len(self.keys),
            "keys_made_on_the_spot": self.keys.made_on_the_spot,
            "log_lines_lost": self._journal.lost,
            **self.figures.shown(),
        }

    async def revoke(self, device: int) -> bool:
        """Refuse a device from now on (CRT-8). Returns whether it was registered. Raises StoreError."""
        was = await self._loop.run_in_executor(self._storing, self._store.remove, device, self._date())
        self._sss.remove(device)
        self._after()
        for connection in [c for c in self._connections.values() if c.device == device and c.proved]:
            self._drop(connection, "the device was removed")
        self._journal.say("revoked", device=device, was_registered=was)
        return was

    # --- connections -------------------------------------------------------------------------------------------------

    async def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(listener)
            except OSError as error:  # the client left already, or this process has no descriptor left
                self._journal.say("accept-failed", reason=error.strerror)
                await asyncio.sleep(_AFTER_FAILED_ACCEPT)
                continue
            try:
                await self._make_room()
                await self._welcome(client)
            except OSError:  # it left while it waited
                client.close()
            except BaseException:
                client.close()
                raise

    async def _welcome(self, client: socket.socket) -> None:
        reader = asyncio.StreamReader(_CHUNK)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, client)
        self._accepted += 1
        now = self._loop.time()
        connection = _Connection(
            self._accepted,
            reader,
            asyncio.StreamWriter(transport, protocol, reader, self._loop),
            Bucket(self._limits.burst, self._limits.rate, now),
            since=now,
            progress=now,
        )
        self._connections[connection.number] = connection
        self._sss.connect(connection.number)
        self.figures.count("connections")
        connection.task = asyncio.create_task(self._serve(connection))

    async def _make_room(self) -> None:
        while len(self._connections) >= self._limits.connections:
            now = self._loop.time()
            unproved = [c for c in self._connections.values() if not c.proved]
            victim = min(unproved or self._connections.values(), key=lambda c: (c.progress, c.number))
            left = victim.since + self._limits.grace - now if unproved else 0.0
            if left <= 0:
                self._drop(victim, "it makes room for a newer one")
                continue
            self._someone_left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._someone_left.wait()

    async def _serve(self, connection: _Connection) -> None:
        reason = "the client left"
        try:
            while data := await self._read(connection):
                connection.bucket.spend(len(data) / 1_024, self._loop.time())
                connection.frames.feed(data)
                while frame := connection.frames.next():
                    self._admit(connection, frame)
                    self._take(connection, frame)
                    async with asyncio.timeout(self._limits.write):
                        await connection.writer.drain()
                    await self._pace(connection)
                await self._pace(connection)
        except _RefusedError as refusal:
            reason = str(refusal)
            self.figures.count("refused_connections")
        except TimeoutError:
            reason = "the client does not read what it is sent"
        except OSError as error:
            reason = f"the connection broke ({error.strerror or error})"
        except asyncio.CancelledError:
            return  # dropped, and logged, by whoever cancelled
        except Exception as error:  # whatever we did not foresee costs this client its connection, and nobody else
            reason = f"internal error: {type(error).__name__}: {error}"
            self.figures.count("internal_errors")
        self._drop(connection, reason)

    async def _read(self, connection: _Connection) -> bytes:
        if not self._limits.idle:
            return await connection.reader.read(_CHUNK)
        # Progress may come while this waits, from a decision that was kept: then the time starts anew.
        while (end := connection.progress + self._limits.idle) > self._loop.time():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    return await connection.reader.read(_CHUNK)
        raise _RefusedError("idle for too long")

    def _admit(self, connection: _Connection, frame: Frame) -> None:
        """A connection speaks for one device: the one that its first frame names."""
        if frame.target != SSS_ID or frame.source < LOWEST_SED_ID:
            raise _RefusedError(f"a frame from {frame.source} to {frame.target} does not belong on a wire to the SSS")
        if connection.device not in (0, frame.source):
            raise _RefusedError(f"the source id changed from {connection.device} to {frame.source}")
        connection.device = frame.source

    async def _pace(self, connection: _Connection) -> None:
        """Give the others a turn, and more than one to a connection that has used up its share."""
        now = self._loop.time()
        wait = connection.bucket.wait(now)
        if connection.proved and connection.device in self._devices:
            wait = max(wait, self._devices[connection.device].wait(now))
        if wait > 0:
            self.figures.count("paced")
        await asyncio.sleep(wait)

    def _drop(self, connection: _Connection, reason: str) -> None:
        if self._connections.pop(connection.number, None) is None:
            return
        self._sss.disconnect(connection.number)
        self._after()
        connection.writer.transport.abort()
        if connection.task and connection.task is not asyncio.current_task():
            connection.task.cancel()
        self._someone_left.set()
        self._journal.say(
            "disconnected",
            connection=connection.number,
            device=connection.device or None,
            proved=connection.proved,
            reason=reason,
            oversize_frames=connection.frames.oversize or None,
            junk_bytes=connection.frames.skipped or None,
        )

    # --- the server of `reference.sss` -------------------------------------------------------------------------------

    def _now(self) -> int:
        return int((self._loop.time() - self._start) * 1_000)

    def _take(self, connection: _Connection, frame: Frame) -> None:
        begin = self._loop.time()
        connection.bucket.spend(1, begin)
        self._sss.on_time(self._now())
        self._sss.set_date(self._date(), self._now())
        self._sss.take(connection.number, frame, self._now())
        self._after()
        self.figures.count("frames")
        self.figures.took("step", (self._loop.time() - begin) * 1_000)

    def _on_time(self) -> None:
        self._sss.on_time(self._now())
        self._after()

    def _after(self) -> None:
        """Carry out what the server wants done: notices, decisions, frames, and the next timer."""
        while self._notices:
            self._note(self._notices.pop(0))
        self._undecided += self._sss.decisions()
        if self._undecided and (self._keeping is None or self._keeping.done()):
            self._keeping = self._spawn(self._keep())
        self._sss.secrets()  # of the sessions, for a key log; here they go no further
        for wire, data in self._sss.outgoing():
            connection = self._connections.get(wire)
            if connection and not connection.writer.transport.is_closing():
                connection.writer.write(data)
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if (deadline := self._sss.deadline()) is not None:
            # A millisecond later than due: `_now` rounds down, and must not find the timer still running.
            self._timer = self._loop.call_at(self._start + (deadline + 1) / 1_000, self._on_time)

    async def _keep(self) -> None:
        """First the disk, then the answer: who was told that it is registered is so after any crash.

        What is decided while the disk is busy is kept by the next write, all in one: sixteen devices cost two.
        """
        while self._undecided:
            batch, self._undecided = self._undecided, []
            begin, kept, granted = self._loop.time(), True, [decision.response for decision in batch]
            try:
                await self._loop.run_in_executor(self._storing, self._store.keep, granted, self._date())
            except StoreError as error:
                kept = False
                self.figures.count("not_kept")
                self._journal.say("not-kept", devices=[d.device for d in batch], reason=str(error))
            self.figures.took("store", (self._loop.time() - begin) * 1_000)
            for decision in batch:
                self._sss.settle(decision, kept=kept)
            self._after()

    def _note(self, notice: Notice) -> None:
        connection = self._connections.get(notice.wire)
        self.figures.count(f"sessions_{notice.step}")
        now = self._loop.time()
        if connection is None:
            return
        if notice.step is Step.OPENED:
            connection.opened = now
            connection.bucket.spend(self._limits.handshake_cost, now)
        elif notice.step is Step.PROVED:
            self._prove(connection, now)
        elif notice.step is Step.ANSWERED:
            connection.progress = now
            answer = _ANSWERS.get(int(notice.detail), "refused")
            duration = (now - connection.opened) * 1_000
            self.figures.count(answer)
            self.figures.took(answer, duration)
            self._journal.say(answer, connection=notice.wire, device=notice.device, milliseconds=round(duration, 1))
        elif notice.step is Step.FAILED:
            detail = notice.detail
            if notice.device in self.deployment.removed:
                detail += " (the device was removed)"
            elif notice.device not in self.deployment.seds:
                detail += " (this deployment has no such device)"
            self._journal.say("failed", connection=notice.wire, device=notice.device, reason=detail)

    def _prove(self, connection: _Connection, now: float) -> None:
        """The device is who it says: it gets its share back, and its older connection is history."""
        connection.proved, connection.progress = True, now
        connection.bucket.fill(now)
        fresh = Bucket(self._limits.sessions_burst, self._limits.sessions_rate, now)
        self._devices.setdefault(connection.device, fresh).spend(1, now)
        for other in list(self._connections.values()):
            if other is not connection and other.proved and other.device == connection.device:
                self._drop(other, "the device has a newer connection")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
