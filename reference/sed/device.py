"""A SED in real time: the controller between sockets, with a clock. All that touches either is in this module.

One connection to the radio and one to the SSS, each made again whenever it is gone. Everything runs in one event loop,
so the controller, which is not for several threads, takes one thing after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from model.alphabet import FAA_ID, HIGHEST_ID, MAX_MESSAGE, REFUSED, SSS_ID, Link
from reference.endings import Doing, Ending, How
from reference.frame import Frame, FrameReader
from reference.registration import Request
from reference.sed.node import Node
from reference.sed.words import (
    Event,
    LinkGone,
    Message,
    Refused,
    SedError,
    TimedOut,
    error_of,
    message_event,
    session_event,
)
from reference.service.listen import Address, listen, name_of, short

_CHUNK = 4_096
"""Bytes that are read at once."""
_UNSENT = 1 << 18
"""Bytes that may wait for a radio or an SSS that does not read; frames beyond are lost, as on any radio."""
_KEPT = 1_000
"""Messages that wait for somebody to ask for them; the oldest is dropped for one more."""
_FAREWELL = 1.0
"""Seconds that the end waits for the radio and the SSS to take what they were sent."""
_FIRST_PAUSE, _LAST_PAUSE = 0.05, 2.0
"""Seconds until the next try to connect: doubled each time up to the last."""


class Device:
    """One SED. Made inside a running event loop; `start` connects it, `close` ends it."""

    def __init__(
        self, controller: Node, addresses: dict[Link, Address], tell: Callable[[Event], None], keylog: Path | None
    ) -> None:
        """`addresses` of the radio and, if there is one, the SSS; `tell` gets each event as it happens.

        `keylog` is a file to which session secrets are appended, mode 0600. Raises OSError if it cannot be.
        """
        self.controller = controller
        self.frames_lost = 0
        """Frames that a link did not take in time, or that had no link."""
        self.messages_dropped = 0
        """Messages that nobody asked for until too many waited."""
        self._addresses, self._tell = addresses, tell
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._links: dict[Link, asyncio.StreamWriter] = {}
        self._reasons: dict[Link, str] = {}
        self._messages: deque[Message] = deque()
        self._ending: Ending | None = None
        """The latest of a session of our own: for whoever waits for it."""
        self._answer: int | None = None
        self._under_way = False
        """Whether the controller has a frame of ours and has not said what became of it."""
        self._waiters: list[asyncio.Future[None]] = []
        self._failure = ""
        self._closing = False
        self._turn = asyncio.Lock()
        self._cpu: asyncio.StreamWriter | None = None
        self._cpu_may_go_on = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener: asyncio.Server | None = None
        self._socket = ""
        """The path of the socket on which a CPU is waited for."""
        self._keylog = None if keylog is None else os.open(keylog, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if self._keylog is not None:
            os.fchmod(self._keylog, 0o600)

    # --- from start to end -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Connect, and connect again whenever a link is gone."""
        if self.controller.fatal:
            self._tell(Event("fatal", {"reason": self.controller.fatal}))
        for link, address in self._addresses.items():
            self._spawn(self._keep(link, address))

    async def serve_cpu(self, address: Address) -> str:
        """Let a CPU that speaks frames connect here, one at a time; returns where. Raises ListenError."""
        listener = listen(address)
        self._socket = address.path
        self._listener = await asyncio.start_server(self._welcome_cpu, sock=listener)
        return name_of(listener)

    async def close(self) -> None:
        """Power off: no word to anybody, keys zeroised. What was sent before goes out; safe to call twice."""
        if self._closing:
            return
        self._closing = True
        self._failure = self._failure or "the SED has been switched off"
        self._notify()
        if self._timer:
            self._timer.cancel()
        if self._listener:
            self._listener.close()
            if self._socket:
                Path(self._socket).unlink(missing_ok=True)
        self.controller.switch_off()
        # A radio that writes to a socket that is closed takes the connection for broken, and may not have read the last
        # frame yet: so the own half is ended first, and what comes is read, and dropped, until the other half ends.
        for writer in self._links.values():
            with contextlib.suppress(OSError):
                writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL):
                while self._links:
                    await self._change()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._cpu:
            self._cpu.close()
        if self._keylog is not None:
            os.close(self._keylog)
            self._keylog = None

    def status(self) -> dict[str, Any]:
        """What there is to say of the SED now."""
        links = {
            link.name.lower(): {
                "address": str(address),
                "up": link in self._links,
                "reason": self._reasons.get(link, ""),
            }
            for link, address in self._addresses.items()
        }
        return {
            "id": self.controller.sed_id,
            "state": str(self.controller.state),
            "registered": self.controller.registered,
            "waiting_messages": len(self._messages),
            "links": links,
            "dropped": {
                **self.controller.counters,
                "frames_lost": self.frames_lost,
                "messages_dropped": self.messages_dropped,
            },
        }

    # --- what a CPU asks for -----------------------------------------------------------------------------------------

    async def request(self, op: int, timeout: float | None = None, patience: float | None = None) -> None:
        """Register (0) or deregister (1); the runtime set is gone from the moment of asking (CRT-4).

        `timeout` in seconds, None: as long as the protocol takes; `patience` how long the SSS may be away. Raises
        Refused, TimedOut, LinkGone.
        """
        async with self._alone(timeout):
            await self._need(Link.SSS, patience)
            self._answer = self._ending = None
            own = self.controller.sed_id
            self._give(Frame(SSS_ID, own, Request(own, op).encode()).encode())
            await self._over(Link.SSS, patience)
            if self._answer == REFUSED:
                raise error_of(self._ending) if self._ending else Refused("the request was refused")

    async def send(self, to: int, payload: bytes, timeout: float | None = None, patience: float | None = None) -> None:
        """Send a message; returns when it has gone out whole. Nobody says whether it arrived (SES-2).

        To id 2, the FAA, it goes in the clear (FRM-5). `timeout` and `patience` as for `request`; a message that timed
        out may still be sent. Raises ValueError for an id or a size that no message has, Refused, TimedOut,
        LinkGone.
        """
        own = self.controller.sed_id
        if not FAA_ID <= to <= HIGHEST_ID or to == own:
            raise ValueError(f"a message goes to a SED (3 to {HIGHEST_ID}) or the FAA (2), not to {to}, from {own}")
        if len(payload) > MAX_MESSAGE:
            raise ValueError(f"a message has at most {MAX_MESSAGE:,} bytes, not {len(payload):,} (FRM-2)")
        async with self._alone(timeout):
            await self._need(Link.RADIO, patience)
            self._ending = None
            self._give(Frame(to, own, payload).encode())
            if to == FAA_ID:
                self._under_way = False
                return
            await self._over(Link.RADIO, patience)
            if self._ending and self._ending.how is not How.DONE:
                raise error_of(self._ending)

    async def wait(
        self, source: int | None = None, timeout: float | None = None, patience: float | None = None
    ) -> Message:
        """The oldest message that was not waited for yet, from `source` or from anybody.

        Raises TimedOut, and LinkGone if there is none and the radio is away for longer than `patience`.
        """

        def found() -> Message | None:
            return next((m for m in self._messages if source in (None, m.source)), None)

        whom = "anybody" if source is None else str(source)
        async with _limit(timeout, f"no message from {whom} within {timeout:g} s" if timeout is not None else ""):
            while (message := found()) is None:
                await self._need(Link.RADIO, patience)
                await self._until(lambda: found() is not None or Link.RADIO not in self._links)
        self._messages.remove(message)
        return message

    async def linked(self, patience: float | None) -> None:
        """Wait until every link is there. Raises LinkGone."""
        for link in self._addresses:
            await self._need(link, patience)

    @contextlib.asynccontextmanager
    async def _alone(self, timeout: float | None) -> AsyncIterator[None]:
        """One request after the other: an ending belongs to the one that is under way."""
        if self.controller.fatal:
            raise SedError(f"the SED is in FATAL_ERROR: {self.controller.fatal}")
        async with _limit(timeout, f"not done within {timeout or 0:g} s; it may still come about"), self._turn:
            await self._until(lambda: not self._under_way)
            yield

    async def _over(self, link: Link, patience: float | None) -> None:
        """Wait until the controller is done with the frame that it was given; while the link is gone, be patient."""
        while self._under_way:
            await self._until(lambda: not self._under_way or link not in self._links)
            if self._under_way:
                await self._need(link, patience)

    async def _need(self, link: Link, patience: float | None) -> None:
        if link not in self._addresses:
            raise LinkGone(f"this SED was given no {_NAMES[link]}: say where it is")
        try:
            async with asyncio.timeout(patience):
                await self._until(lambda: link in self._links)
        except TimeoutError:
            where, why = self._addresses[link], self._reasons.get(link, "it does not answer")
            raise LinkGone(f"the {_NAMES[link]} at {where} is not there: {why}") from None

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not self._failure and not condition():
            await self._change()
        if self._failure:
            raise SedError(self._failure)

    async def _change(self) -> None:
        """Wait for whatever happens next."""
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        await waiter

    # --- links -------------------------------------------------------------------------------------------------------

    async def _keep(self, link: Link, address: Address) -> None:
        pause = _FIRST_PAUSE
        while True:
            reason = "it closed the connection"
            try:
                reader, writer = await _connect(address)
            except OSError as error:
                reason = _reason(error)
            else:
                self._links[link] = writer
                try:
                    self._say_link(link, "")
                    while data := await reader.read(_CHUNK):
                        pause = _FIRST_PAUSE  # it did not only accept and hang up
                        self._receive(link, data)
                        await asyncio.sleep(0)
                except OSError as error:
                    reason = _reason(error)
                finally:
                    del self._links[link]
                    self.controller.unplug(link)
                    writer.close()
                    self._notify()
            if self._closing:
                return
            if self._reasons.get(link) != reason:
                self._say_link(link, reason)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    def _say_link(self, link: Link, reason: str) -> None:
        self._reasons[link] = reason
        fields = {"link": link.name.lower(), "up": not reason, "address": str(self._addresses[link]), "reason": reason}
        self._tell(Event("link", fields))
        self._notify()

    def _welcome_cpu(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spawn(self._hear_cpu(reader, writer))

    async def _hear_cpu(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One CPU: its frames go to the controller, whole ones only, so that a half one is nobody else's beginning."""
        if self._cpu is not None:
            writer.close()
            return
        self._cpu, frames = writer, FrameReader(HIGHEST_ID)
        address = name_of(writer.get_extra_info("socket"))
        self._tell(Event("cpu", {"up": True, "address": address}))
        try:
            while data := await reader.read(_CHUNK):
                frames.feed(data)
                while frame := frames.next():
                    self._give(frame.encode())
                    while self.controller.unread:  # as a UART without flow control could not: nothing is lost
                        self._cpu_may_go_on.clear()
                        await self._cpu_may_go_on.wait()
        except OSError:
            pass
        finally:
            self._cpu = None
            writer.close()
            self._tell(Event("cpu", {"up": False, "address": address}))

    # --- the controller ----------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return int((self._loop.time() - self._began) * 1_000)

    def _give(self, frame: bytes) -> None:
        self._under_way = True
        self._receive(Link.CPU, frame)

    def _receive(self, link: Link, data: bytes) -> None:
        if not self._closing:  # what is switched off hears nothing, its CPU neither
            self.controller.receive(link, data, self._now())
            self._after()

    async def _on_time(self) -> None:
        if not self._closing:
            self.controller.on_time(self._now())
            self._after()

    def _after(self) -> None:
        """Carry out what the controller wants done. Secrets first: an onlooker needs them before their records."""
        self._write_secrets()
        for ending in self.controller.endings():
            if ending.doing is not Doing.RECEIVING:
                self._ending = ending
                self._under_way &= ending.doing is Doing.ASKING  # that one is over when the CPU has its answer
            self._tell(session_event(ending))
        for link, data in self.controller.outgoing():
            if link is Link.CPU:
                self._take_for_cpu(data)
            else:
                self._put(self._links.get(link), data)
        if not self.controller.unread:
            self._cpu_may_go_on.set()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if (deadline := self.controller.deadline()) is not None:
            # A millisecond later than due: `_now` rounds down, and must not find the timer still running.
            self._timer = self._loop.call_at(self._began + (deadline + 1) / 1_000, lambda: self._spawn(self._on_time()))
        self._notify()

    def _put(self, writer: asyncio.StreamWriter | None, data: bytes) -> None:
        if writer is None or writer.is_closing() or writer.transport.get_write_buffer_size() > _UNSENT:
            self.frames_lost += 1
        else:
            writer.write(data)

    def _take_for_cpu(self, data: bytes) -> None:
        """A frame for the CPU: an answer of the SSS, or a message."""
        if self._listener:
            self._put(self._cpu, data)
        frames = FrameReader(HIGHEST_ID)
        frames.feed(data)
        frame = frames.next()
        if frame is None:
            return
        if frame.source == SSS_ID:
            answer = Request.decode(frame.payload)
            self._answer = REFUSED if answer is None else answer.op
            self._under_way = False
            self._tell(Event("answer", {"op": self._answer}))
            return
        message = Message(frame.source, frame.payload)
        if not self._listener:
            self._messages.append(message)
            if len(self._messages) > _KEPT:
                self._messages.popleft()
                self.messages_dropped += 1
        self._tell(message_event(message))

    def _write_secrets(self) -> None:
        """Each line in one write: several SEDs may share a file."""
        for random, master in self.controller.secrets():
            if self._keylog is None:
                continue
            try:
                os.write(self._keylog, f"CLIENT_RANDOM {random.hex()} {master.hex()}\n".encode())
            except OSError as error:
                self._tell(Event("keylog", {"reason": error.strerror}))
                os.close(self._keylog)
                self._keylog = None

    def _notify(self) -> None:
        """Something changed: everybody who waits looks whether it is what they wait for."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failure = f"internal error: {type(error).__name__}: {error}"
            self._notify()


_NAMES = {Link.RADIO: "radio", Link.SSS: "SSS"}


async def _connect(address: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if not address.path:
        return await asyncio.open_connection(address.host, address.port)
    with short(address.path) as reachable:
        return await asyncio.open_unix_connection(reachable)


def _reason(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


@contextlib.asynccontextmanager
async def _limit(seconds: float | None, says: str) -> AsyncIterator[None]:
    """Raises TimedOut with these words once so many seconds have passed."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise TimedOut(says) from None
