"""QEMU's two control channels: its monitor (QMP), and qtest, which reads and writes the chip's registers and memory."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

_CHUNK = 65_536


class Unanswered(Exception):
    """QEMU does not answer on a control channel, or refuses."""


class Monitor:
    """A QMP session. Its calls return what QEMU answers; all may raise Unanswered."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._unread = bytearray()
        self._events: list[str] = []
        self._greeted = False

    def tell(self, command: str, timeout_s: float, **arguments: object) -> None:
        """Give a command, and do not wait until it is done."""
        if not self._greeted:
            self._greeted = True
            self.ask("qmp_capabilities", timeout_s)
        question = {"execute": command, "arguments": arguments, "id": command}
        _send(self._channel, json.dumps(question).encode(), timeout_s)

    def ask(self, command: str, timeout_s: float, **arguments: object) -> Any:
        """Give a command; what it returns."""
        self.tell(command, timeout_s, **arguments)
        while True:
            message = self._message()
            if message.get("id") == command:
                if "return" not in message:
                    raise Unanswered(f"{command}: {message.get('error')}")
                return message["return"]

    def forget_events(self) -> None:
        """From now on `wait_for` means what comes after this."""
        self._events.clear()

    def wait_for(self, event: str) -> None:
        """Return once the event has come."""
        while event not in self._events:
            self._message()

    def _message(self) -> dict[str, Any]:
        while b"\n" not in self._unread:
            self._unread += _receive(self._channel)
        line, _, self._unread = self._unread.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        if "event" in message:
            self._events.append(message["event"])
        return message


class Qtest:
    """The chip's registers and memory, past the processor. May raise Unanswered."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def run(self, commands: Sequence[str], timeout_s: float) -> list[str]:
        """Give commands such as `writel 0x4000c030 0x300`, all at once; what each returns, without the `OK`."""
        _send(self._channel, "".join(f"{command}\n" for command in commands).encode(), timeout_s)
        answers = b""
        while answers.count(b"\n") < len(commands):
            answers += _receive(self._channel)
        lines = answers.decode("ascii", "replace").splitlines()
        for command, line in zip(commands, lines, strict=True):
            if not line.startswith("OK"):
                raise Unanswered(f"{command}: {line}")
        return [line[2:].strip() for line in lines]


def _send(channel: socket.socket, data: bytes, timeout_s: float) -> None:
    try:
        channel.settimeout(timeout_s)
        channel.sendall(data)
    except OSError as error:
        raise Unanswered(str(error)) from error


def _receive(channel: socket.socket) -> bytes:
    try:
        data = channel.recv(_CHUNK)
    except OSError as error:
        raise Unanswered(str(error)) from error
    if not data:
        raise Unanswered("it has ended")
    return data
