"""Where a byte stream is: a unix socket, a TCP port or a serial port, and how it is opened."""

from __future__ import annotations

import errno
import os
import socket
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import serial

from conformance.targets.base import HarnessError

FORMS: Final = "unix:PATH, tcp:HOST:PORT or serial:DEVICE"
_CHUNK: Final = 65_536


class BadAddress(ValueError):
    """A text that names no stream; it says what one looks like."""


@dataclass(frozen=True, slots=True)
class Address:
    """`kind` is `unix`, `tcp` or `serial`; `where` a path, a host or a device."""

    kind: str
    where: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.where}" + (f":{self.port}" if self.kind == "tcp" else "")


def parse_address(text: str) -> Address:
    """`unix:PATH`, `tcp:HOST:PORT` (an IPv6 host in brackets) or `serial:DEVICE`. Raises BadAddress."""
    kind, _, where = text.partition(":")
    if kind in ("unix", "serial") and where:
        return Address(kind, where)
    host, _, port = where.rpartition(":")
    if kind == "tcp" and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
        return Address(kind, host.strip("[]"), int(port))
    raise BadAddress(f"{text!r} is none of {FORMS}, such as tcp:localhost:7001")


class Stream:
    """An open byte stream. Nothing here blocks."""

    def __init__(self, address: Address, folder: Path, baud: int, patience_s: float) -> None:
        """Open it; a relative path begins at `folder`. Raises HarnessError, with what to do."""
        self.address = address
        self._socket: socket.socket | None = None
        self._port: serial.Serial | None = None
        try:
            if address.kind == "serial":
                self._port = serial.Serial(address.where, baud, timeout=0, write_timeout=0, exclusive=True)
            else:
                self._socket = _connect(address, folder, patience_s)
        except (OSError, serial.SerialException, termios.error) as error:
            raise HarnessError(f"cannot open {address}: {_why(error)}; {_remedy(address)}") from error

    def fileno(self) -> int:
        """Its descriptor, for `poll`."""
        return self._socket.fileno() if self._socket else int(self._port.fileno()) if self._port else -1

    def read(self) -> bytes | None:
        """What there is; None if the other end has closed it."""
        try:
            return os.read(self.fileno(), _CHUNK) or None
        except BlockingIOError:
            return b""
        except OSError:  # a serial port that was pulled out
            return None

    def write(self, data: bytes) -> int:
        """Give it what goes; how many bytes went. Raises OSError when the other end is gone."""
        try:
            return os.write(self.fileno(), data)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        """Close it. Safe to call twice."""
        if self._socket is not None:
            self._socket.close()
        if self._port is not None:
            self._port.close()
        self._socket = self._port = None


def _connect(address: Address, folder: Path, patience_s: float) -> socket.socket:
    if address.kind == "tcp":
        made = socket.create_connection((address.where, address.port), timeout=patience_s)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(patience_s)
        try:
            made.connect(str(folder / address.where))
        except OSError:
            made.close()
            raise
    made.setblocking(False)
    return made


def _why(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EBUSY or "exclusively lock" in str(error):
        return "another program has it open"
    return os.strerror(number) if isinstance(number, int) else str(error) or type(error).__name__


def _remedy(address: Address) -> str:
    if address.kind == "serial":
        return "is the device plugged in, and may you use the port (often: be in the group dialout)?"
    return "is the device, or the program that stands for it, running and listening there?"
