"""A man in the middle in Python: sees every frame on a running `scewl radio`, and says what becomes of it.

with Middle("unix:/tmp/radio-control.sock") as middle:
    for caught in middle:
        if "ClientHello" in caught.what:
            middle.drop(caught)
        else:
            middle.let_pass(caught)
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from conformance.wire.frames import HEADER, Frame
from reference.service.listen import Address, ListenError, short

_CHUNK = 1 << 16
_WRONG_PORT = ": is this what `scewl radio` was given as --control, not as --listen?"
_PATIENCE = 10.0
"""Seconds for connecting, and for the answer to a command."""


class RadioError(Exception):
    """The radio is not there, or it refused a command; the text says why."""


@dataclass(frozen=True, slots=True)
class Caught:
    """A frame that an antenna has sent and that waits for what is said about it."""

    number: int
    time_ms: int
    """Since the radio's start."""
    antenna: int
    """The number of the connection that it came from, whatever source it claims."""
    what: str
    """Such as `ClientHello`, `Certificate, ...`, `data #3, 100 B (sealed)`, `FAA, 5 B`."""
    frame: Frame

    @property
    def source(self) -> int:
        """The SCEWL id that it claims to be from."""
        return self.frame.source

    @property
    def target(self) -> int:
        """The SCEWL id that it is for."""
        return self.frame.target


class Middle:
    """A connection to the radio's second port. Frames wait for a decision from `intercept`, or the first `for`, on."""

    def __init__(self, control: str, timeout: float | None = None) -> None:
        """`control` is what `scewl radio --control` was given; `timeout` is how many seconds a frame is waited for;
        None: for ever. Raises RadioError."""
        try:
            address = Address.parse(control)
            self._socket = _connect(address)
        except (OSError, ListenError) as error:
            raise RadioError(
                f"{control}: no radio answers there ({error}): is `scewl radio --control` running?"
            ) from error
        self._control, self._timeout = control, timeout
        self._buffer = bytearray()
        self._early: list[Caught] = []
        self._intercepting = False

    def intercept(self) -> None:
        """Stand in the middle from now on. Raises RadioError, also if somebody else does."""
        self._ask({"do": "intercept"})
        self._intercepting = True

    def faults(self, faults: list[dict[str, Any]]) -> None:
        """Replace the radio's schedule of faults; entries as in its file. Raises RadioError."""
        self._ask({"do": "faults", "faults": faults})

    def status(self) -> dict[str, Any]:
        """The radio's figures."""
        return self._ask({"do": "status"})

    def next(self) -> Caught:
        """The next frame. Raises TimeoutError, and RadioError when the radio is gone or refused a command."""
        if not self._intercepting:
            self.intercept()
        if self._early:
            return self._early.pop(0)
        return self._caught(self._read(self._timeout))

    def let_pass(self, caught: Caught) -> None:
        """Let it go on as it is."""
        self._say({"do": "pass", "frame": caught.number})

    def drop(self, caught: Caught) -> None:
        """Let nobody hear it."""
        self._say({"do": "drop", "frame": caught.number})

    def change(self, caught: Caught, frame: Frame) -> None:
        """Let another frame go on instead."""
        self._say({"do": "change", "frame": caught.number, "hex": frame.encode().hex()})

    def inject(self, frame: Frame) -> None:
        """Let everybody hear a frame that no antenna sent."""
        self._say({"do": "inject", "hex": frame.encode().hex()})

    def close(self) -> None:
        """Leave, when the radio has taken all that was said: what waits goes on."""
        with contextlib.suppress(OSError):  # a radio that cannot tell him of a frame takes the connection for broken
            self._socket.settimeout(_PATIENCE)
            self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(_CHUNK):
                pass
        self._socket.close()

    def __iter__(self) -> Iterator[Caught]:
        while True:
            yield self.next()

    def __enter__(self) -> Middle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Give a command that is answered; frames that come before the answer are kept."""
        self._say(command)
        try:
            while "frame" in (line := self._read(_PATIENCE)):
                self._early.append(self._caught(line))
        except TimeoutError as error:
            raise RadioError(f"{self._control}: no answer within {_PATIENCE:g} s{_WRONG_PORT}") from error
        return line

    def _say(self, command: dict[str, Any]) -> None:
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.sendall(json.dumps(command).encode() + b"\n")
        except OSError as error:
            raise RadioError(f"the radio is gone ({error})") from error

    def _read(self, timeout: float | None) -> dict[str, Any]:
        self._socket.settimeout(timeout)
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                data = self._socket.recv(_CHUNK)
            except TimeoutError:
                raise
            except OSError as error:
                raise RadioError(f"the radio is gone ({error})") from error
            if not data:
                raise RadioError("the radio has ended the connection")
            self._buffer += data
        text = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict):
            raise RadioError(f"{self._control}: the answer is not a radio's{_WRONG_PORT}")
        if "error" in line:
            raise RadioError(line["error"])
        return line

    def _caught(self, line: dict[str, Any]) -> Caught:
        data = bytes.fromhex(line["hex"])
        frame = Frame(line["target"], line["source"], data[HEADER.size :])
        return Caught(line["frame"], line["time_ms"], line["antenna"], line["what"], frame)


def _connect(address: Address) -> socket.socket:
    if not address.path:
        return socket.create_connection((address.host, address.port), _PATIENCE)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(_PATIENCE)
        with short(address.path) as reachable:
            client.connect(reachable)
    except BaseException:
        client.close()
        raise
    return client
