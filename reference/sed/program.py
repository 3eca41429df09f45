"""The SED from start to end: commands from a script, a pipe or a terminal, signals, what is printed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.alphabet import DEREGISTER, REGISTER, Link
from reference.controller import Controller
from reference.sed.commands import HELP, BadCommandError, Command, parse
from reference.sed.device import Device
from reference.sed.node import Node
from reference.sed.words import Event, LinkGone, Refused, SedError, TimedOut
from reference.service.listen import Address

DONE, FAILED, USAGE, GONE, INTERRUPTED = 0, 1, 2, 3, 130
"""What `run` returns: all commands done; one failed; a line of the pipe is none; a link is gone; SIGINT."""


_KINDS = ((Refused, "refused"), (TimedOut, "timed-out"), (LinkGone, "link-gone"))


@dataclass(frozen=True, slots=True)
class Settings:
    """What `scewl sed` was told."""

    addresses: dict[Link, Address]
    keylog: Path | None = None
    cpu: Address | None = None
    as_json: bool = False
    timeout: float | None = None
    """Seconds for each command; None: as long as the protocol takes."""
    patience: float | None = None
    """Seconds that a link may be away."""
    go_on: bool = False
    """Whether an alarm of the watch leaves the SED running."""


Watch = Callable[[Controller, Callable[..., None]], Node]
"""Puts something around the controller that tells its alarms: an event's name, then what belongs to it."""


def run(controller: Controller, settings: Settings, script: list[Command] | None, watch: Watch | None = None) -> int:
    """Be the SED until its commands are done or a signal comes; returns the exit code.

    Without a script commands come from standard input, or, with `settings.cpu`, frames from a CPU. What `watch` puts
    around the controller runs in its place; its alarm is a failure. Raises ListenError, OSError for a key log that
    cannot be written, BrokenPipeError.
    """

    async def whole() -> int:
        program = _Program(controller, settings, watch)
        code = await program.run(script)
        return FAILED if program.diverged and code == DONE else code

    return asyncio.run(whole())


class _Program:
    def __init__(self, controller: Controller, settings: Settings, watch: Watch | None) -> None:
        self.diverged = False
        """Whether the watch has seen what no rule allows."""
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int] = self._loop.create_future()
        self._command: asyncio.Task[None] | None = None
        self._interactive = script_is_a_person() and settings.cpu is None
        node = watch(controller, self._alarm) if watch else controller
        self._device = Device(node, settings.addresses, self._tell, settings.keylog)

    async def run(self, script: list[Command] | None) -> int:
        self._interactive &= script is None
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._signalled, number)
        try:
            if self._settings.cpu:
                where = await self._device.serve_cpu(self._settings.cpu)
                self._say({"event": "listening", "cpu": where}, f"the CPU may connect at {where}", aside=True)
            self._device.start()
            work = asyncio.create_task(self._work(script))
            await asyncio.wait({work, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if work.done() and not self._ended.done():
                return work.result()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            return self._ended.result()
        finally:
            await self._device.close()

    async def _work(self, script: list[Command] | None) -> int:
        if self._settings.cpu:
            return await asyncio.shield(self._ended)
        if script is not None:
            for command in script:
                if command.do == "quit":
                    break
                if (code := await self._carry_out(command)) != DONE:
                    return code
            return DONE
        if self._interactive:
            from reference.sed.terminal import lines

            return await self._converse(lines(self._device.controller.sed_id))
        return await self._converse(_piped())

    async def _converse(self, lines: AsyncIterator[str]) -> int:
        """Commands as they come: a person goes on after a mistake, a pipe does not."""
        async for line in lines:
            try:
                command = parse(line)
            except BadCommandError as error:
                self._say(
                    {"event": "failed", "command": line, "kind": "usage", "error": str(error)}, str(error), aside=True
                )
                if not self._interactive:
                    return USAGE
                continue
            if command is None:
                continue
            if command.do == "quit":
                break
            code = await self._carry_out(command)
            if code != DONE and not self._interactive:
                return code
        return DONE

    async def _carry_out(self, command: Command) -> int:
        """One command, and what is said of how it ended."""
        self._command = asyncio.create_task(self._do(command))
        try:
            await self._command
        except (SedError, ValueError) as error:
            kind = next((name for sort, name in _KINDS if isinstance(error, sort)), "error")
            fields = {"event": "failed", "command": command.line, "kind": kind, "error": str(error)}
            self._say(fields, f"{command.do}: {error}", aside=True)
            return GONE if isinstance(error, LinkGone) else FAILED
        except asyncio.CancelledError:
            if not self._command.cancelled() or self._ended.done():
                raise
            fields = {"event": "failed", "command": command.line, "kind": "interrupted", "error": "interrupted"}
            self._say(fields, f"{command.do}: not waited for any longer; it may still come about", aside=True)
            return INTERRUPTED
        finally:
            self._command = None
        return DONE

    async def _do(self, command: Command) -> None:
        device, timeout, patience = self._device, self._settings.timeout, self._settings.patience
        if command.do == "send":
            await device.send(command.to, command.payload, timeout, patience)
            fields = {"event": "sent", "to": command.to, "size": len(command.payload)}
            self._say(fields, f"sent to {command.to}, {len(command.payload)} B")
        elif command.do in ("register", "deregister"):
            await device.request(REGISTER if command.do == "register" else DEREGISTER, timeout, patience)
        elif command.do == "wait":
            seconds = timeout if command.seconds is None else command.seconds
            await device.wait(command.source, seconds, patience)
        elif command.do == "status":
            status = device.status()
            self._say({"event": "status", **status}, _status(status))
        elif command.do == "help":
            self._say({"event": "help", "text": HELP}, HELP)
        else:  # stay; whoever interrupts it must not cancel the end itself
            await asyncio.shield(self._ended)

    # --- what is printed ---------------------------------------------------------------------------------------------

    def _tell(self, event: Event) -> None:
        """An event as it happens. What only follows from a command of one's own is told by that command."""
        own_end = event.event == "session" and (
            event.fields["how"] == "done" or event.fields["doing"] != "RECEIVING_MESSAGE"
        )
        refused = event.event == "answer" and event.fields["op"] < 0 and self._settings.cpu is None
        if self._settings.as_json or not (own_end or refused):
            aside = event.event not in ("message", "answer")
            self._say({"event": event.event, **event.fields}, event.words(), aside=aside)

    def _alarm(self, event: str, **fields: Any) -> None:
        self._say({"event": event, **fields}, f"{fields['verdict']}: {fields['reason']} ({fields['text']})", aside=True)
        if fields["verdict"] == "FAIL":
            self.diverged = True
            if not self._settings.go_on and not self._ended.done():  # it takes and says nothing more
                self._ended.set_result(FAILED)

    def _say(self, fields: dict[str, Any], words: str, *, aside: bool = False) -> None:
        """A JSON line, or words: results on stdout, everything else (`aside`) on stderr."""
        try:
            if self._settings.as_json:
                print(json.dumps(fields), flush=True)
            else:
                print(words, file=sys.stderr if aside else sys.stdout, flush=True)
        except BrokenPipeError as error:  # whoever read it has left
            if not self._ended.done():
                self._ended.set_exception(error)

    def _signalled(self, number: int) -> None:
        if self._interactive and number == signal.SIGINT:  # as in a shell: it ends what is under way, and no more
            if self._command:
                self._command.cancel()
        elif not self._ended.done():
            self._ended.set_result(DONE if number == signal.SIGTERM else INTERRUPTED)


def script_is_a_person() -> bool:
    """Whether commands are typed: standard input and output are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def read_script(name: str, lines: Iterable[str]) -> list[Command]:
    """All commands of a script, before the first is carried out. Raises BadCommandError with the line's number."""
    commands = []
    for number, line in enumerate(lines, 1):
        try:
            command = parse(line)
        except BadCommandError as error:
            raise BadCommandError(f"{name}, line {number}: {error}") from None
        if command:
            commands.append(command)
    return commands


async def _piped() -> AsyncIterator[str]:
    """Lines of standard input, which may be a file, a pipe or nothing; read by a thread, as not all of them can be
    waited for."""
    loop, waiting = asyncio.get_running_loop(), asyncio.Queue[str]()

    def read() -> None:
        with contextlib.suppress(RuntimeError, ValueError, OSError):  # the program has ended
            for line in sys.stdin:
                loop.call_soon_threadsafe(waiting.put_nowait, line)
            loop.call_soon_threadsafe(waiting.put_nowait, "")

    threading.Thread(target=read, name="stdin", daemon=True).start()
    while line := await waiting.get():
        yield line


def _status(status: dict[str, Any]) -> str:
    registered = "registered" if status["registered"] else "not registered"
    lines = [f"SED {status['id']}: {status['state']}, {registered}, {status['waiting_messages']} messages wait"]
    for name, link in status["links"].items():
        lines.append(f"  {name:6} {link['address']}: " + ("there" if link["up"] else link["reason"] or "not yet there"))
    dropped = ", ".join(f"{name} {count}" for name, count in status["dropped"].items() if count)
    return "\n".join([*lines, f"  dropped: {dropped or 'nothing'}"])
