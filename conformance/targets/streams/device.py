"""A controller at the other end of three byte streams, in real time: to try the streams without a device.

It is the reference, or our firmware's C built for the host, which knows nothing of sockets and clocks; this program
gives it both. SIGHUP is its power switch: it starts again from its image file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import socket
import sys
import time
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from conformance.targets.base import HarnessError, IutFault, Reaction, Target
from conformance.targets.native import NativeTarget
from conformance.targets.reference import ReferenceTarget
from conformance.targets.streams.links import BadAddress, parse_address
from model.alphabet import Link
from reference.deployment import Deployment, DeploymentError
from reference.dialect import STANDARD

_CHUNK: Final = 65_536
_EPILOG: Final = """ADDRESS is unix:PATH or tcp:HOST:PORT, where it listens, or pty:PATH, a name that it gives to one
end of a new pair of pseudo-terminals: for the suite, that is serial:PATH.

example:
  scewl provision fleet --ids 8-13
  python -m conformance.targets.streams.device --image fleet/images/10.bin \\
      --cpu unix:cpu.sock --sss unix:sss.sock --radio unix:radio.sock"""


class Port:
    """One link's end: a listening socket with at most one connection, or a pseudo-terminal."""

    def __init__(self, text: str) -> None:
        """Raises BadAddress and OSError."""
        self._listener: socket.socket | None = None
        self._connection: socket.socket | None = None
        self._master = -1
        self._files: list[int] = []
        kind, _, where = text.partition(":")
        if kind == "pty" and where:
            self._master, slave = os.openpty()  # ours stays open, so that the pair outlives whoever opens it
            self._files = [self._master, slave]
            tty.setraw(slave)
            Path(where).unlink(missing_ok=True)
            Path(where).symlink_to(os.ttyname(slave))
            return
        address = parse_address(text)
        if address.kind == "unix":
            Path(address.where).unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(address.where)
            self._listener.listen(1)
        elif address.kind == "tcp":
            self._listener = socket.create_server((address.where, address.port))
        else:
            raise BadAddress(f"{text!r} is none of unix:PATH, tcp:HOST:PORT or pty:PATH")

    def fileno(self) -> int:
        """What to wait for: the connection, or that there is one."""
        if self._connection is not None:
            return self._connection.fileno()
        return self._listener.fileno() if self._listener is not None else self._master

    def read(self) -> bytes:
        """What came; a new connection or the end of one brings nothing."""
        if self._listener is None:
            return os.read(self._master, _CHUNK)
        if self._connection is None:
            self._connection, _ = self._listener.accept()
            return b""
        try:
            data = self._connection.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            self._connection.close()
            self._connection = None
        return data

    def close(self) -> None:
        """Close it."""
        for end in (self._connection, self._listener):
            if end is not None:
                end.close()
        for file in self._files:
            os.close(file)

    def write(self, data: bytes) -> None:
        """Send it; to nobody, if nobody is there."""
        if self._listener is None:
            while data:
                data = data[os.write(self._master, data) :]
        elif self._connection is not None:
            with contextlib.suppress(OSError):
                self._connection.sendall(data)


def serve(target: Target, image: Path, ports: dict[Link, Port], switch: int) -> None:
    """Run a controller for ever. `switch` becomes readable when it is switched off and on."""
    began, now = _boot(target, image), 0
    deadline: int | None = None
    while True:
        left = None if deadline is None else max(0.0, deadline - (time.monotonic() - began) * 1_000)
        poll = select.poll()
        for file in (switch, *(port.fileno() for port in ports.values())):
            poll.register(file, select.POLLIN)
        ready = {file for file, _ in poll.poll(left)}
        if switch in ready:
            os.read(switch, _CHUNK)
            began, now, deadline = _boot(target, image), 0, None
            continue
        ms = int((time.monotonic() - began) * 1_000) - now
        for reaction in _happenings(target, ms, ports, ready):
            now, deadline = reaction.now, reaction.deadline
            for link, data in reaction.chunks:
                ports[link].write(data)


def _boot(target: Target, image: Path) -> float:
    target.boot(image.read_bytes())
    return time.monotonic()


def _happenings(target: Target, ms: int, ports: dict[Link, Port], ready: set[int]) -> Iterator[Reaction]:
    """Time passes, then what came is taken."""
    yield target.advance(ms)
    for link, port in ports.items():
        if port.fileno() in ready and (data := port.read()):
            yield target.send(link, data)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.targets.streams.device",
        description=(__doc__ or "").split("\n\n")[0],
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--image", type=Path, required=True, help="its provisioning image (`scewl provision` makes one)"
    )
    for link in Link:
        parser.add_argument(f"--{link.name.lower()}", required=True, metavar="ADDRESS", help="where this link is")
    parser.add_argument(
        "--native", type=Path, metavar="PROGRAM", help="our C, built by `make host`; else the reference"
    )
    parser.add_argument(
        "--deployment", type=Path, metavar="DIR", help="the image's, whose settings the reference keeps to"
    )
    parser.add_argument("--pid", type=Path, metavar="FILE", help="write the process id there, once it listens")
    args = parser.parse_args(arguments)
    switch, flip = os.pipe()
    signal.signal(signal.SIGHUP, lambda _number, _frame: os.write(flip, b"!") and None)
    ports: dict[Link, Port] = {}
    try:
        for link in Link:
            ports[link] = Port(getattr(args, link.name.lower()))
        dialect = Deployment.load(args.deployment).dialect if args.deployment else STANDARD
        target: Target = NativeTarget(args.native) if args.native else ReferenceTarget(dialect=dialect)
        if args.pid is not None:
            args.pid.write_text(f"{os.getpid()}\n")
        print("listening", flush=True)
        serve(target, args.image, ports, switch)
    except (BadAddress, DeploymentError, HarnessError, IutFault, OSError) as error:
        print(f"device: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        pass
    finally:
        for port in ports.values():
            port.close()
        os.close(switch)
        os.close(flip)
    return 0


if __name__ == "__main__":
    sys.exit(main())
