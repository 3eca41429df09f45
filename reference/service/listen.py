"""Where the service can be reached: its addresses, and the lock that makes it the only one of a deployment."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOCK, CONTROL = "sss.lock", "sss.sock"
"""In the deployment's folder: who runs, and where a running service takes commands."""
_BACKLOG = 512
"""Connections that wait to be accepted; the kernel may cut it."""

_LONGEST = 108
"""Bytes of a socket's path, with the zero at its end."""


class ListenError(Exception):
    """An address that cannot be used, or a service that runs already; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """A path, or a host and a port (0: one that is free)."""

    path: str = ""
    host: str = ""
    port: int = 0

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `unix:/path`, `tcp:host:port` or `tcp:[::1]:port`. Raises ListenError."""
        kind, _, rest = text.partition(":")
        if kind == "unix" and rest:
            return cls(path=rest)
        host, _, port = rest.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if kind == "tcp" and host and port.isascii() and port.isdigit() and int(port) <= 0xFFFF:
            return cls(host=host, port=int(port))
        raise ListenError(f"{text!r} is no address: write unix:/path/to/socket, tcp:127.0.0.1:9000 or tcp:[::1]:9000")

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"


def listen(address: Address) -> socket.socket:
    """A listening socket. A path's is for its owner alone (0600). Raises ListenError."""
    try:
        return _listen_unix(address.path) if address.path else _listen_tcp(address)
    except OSError as error:
        raise ListenError(f"{address}: {error.strerror or error}: choose another address") from error


def name_of(listener: socket.socket) -> str:
    """Where a socket listens, as `--listen` takes it."""
    name = listener.getsockname()
    return f"unix:{name}" if isinstance(name, str) else str(Address(host=name[0], port=name[1]))


def _listen_tcp(address: Address) -> socket.socket:
    family, kind, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what the last run left may linger
        listener.bind(where)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _listen_unix(path: str) -> socket.socket:
    _clear_away(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            with short(path) as reachable:
                listener.bind(reachable)
        finally:
            os.umask(before)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _clear_away(path: str) -> None:
    """Remove the socket of a program that is gone; raise ListenError if it is not, or if this is no socket."""
    try:
        if not stat.S_ISSOCK(Path(path).stat().st_mode):
            raise ListenError(f"unix:{path}: something that is no socket is there: choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe, short(path) as reachable:
        probe.setblocking(False)
        try:
            probe.connect(reachable)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody listens
    raise ListenError(f"unix:{path}: another program listens there: end it, or choose another path")


@contextlib.contextmanager
def short(path: str) -> Iterator[str]:
    """The path in a form that fits a socket's address (107 bytes), however long it is."""
    folder = os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield path if len(os.fsencode(path)) < _LONGEST else f"/proc/self/fd/{folder}/{Path(path).name}"
    finally:
        os.close(folder)


@contextlib.contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the deployment's lock, which the kernel frees when the process ends. Raises ListenError if it is held."""
    path = folder / LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ListenError(f"{path} cannot be opened ({error.strerror}): make it writable for this user") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise ListenError(f"an SSS of {folder} runs already (process {pid}): end it first") from error
        os.ftruncate(lock, 0)
        # On a full disk the number is missing, and nothing else.
        with contextlib.suppress(OSError):
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(lock)
