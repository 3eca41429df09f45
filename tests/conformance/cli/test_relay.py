"""`scewl relay` as a program: what it passes on, what it drops, how it ends, and what keeps it from starting."""

from __future__ import annotations

import asyncio
import json
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reference.frame import Frame, FrameReader
from reference.service.relay import Relay, Sides

PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "relay", "--json"]
PATIENCE = 20


class Running:
    """A relay of device 20, which talks to 10, in JSON."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "--id", "20", "--to", "10", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], PATIENCE)[0]
        started = json.loads(self.process.stdout.readline())
        host, _, port = started["udp"].rpartition(":")
        self.udp = (host, int(port))

    def end(self, number: int | None = None) -> tuple[int, dict[str, int], str]:
        """The exit code, the counts and what was said on stderr."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, json.loads(out)["counts"], err


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def start(*options: str) -> Running:
        running.append(Running(*options))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.communicate()


@pytest.fixture
def client() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(PATIENCE)
        yield udp


def connected(path: Path) -> socket.socket:
    bus = socket.socket(socket.AF_UNIX)
    bus.settimeout(PATIENCE)
    bus.connect(str(path))
    return bus


def frame(bus: socket.socket) -> Frame:
    """The next frame, and no byte more."""
    _, target, source, length = struct.unpack("<2sHHH", exactly(bus, 8))
    return Frame(target, source, exactly(bus, length))


def exactly(bus: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = bus.recv(size - len(data))
        assert piece, "the relay closed the connection"
        data += piece
    return data


def test_what_is_passed_on_and_what_is_dropped(start: Any, client: socket.socket, tmp_path: Path) -> None:
    relay = start("--listen", f"unix:{tmp_path}/bus", "--udp-client", "127.0.0.1:0")
    with connected(tmp_path / "bus") as bus:
        while True:  # until the relay has seen this connection, whose place the next one takes
            client.sendto(b"?", relay.udp)
            if select.select([bus], [], [], 0.05)[0]:
                break
        assert frame(bus) == Frame(10, 20, b"?")
        with connected(tmp_path / "bus") as newer:
            while bus.recv(4_096):
                pass  # to its end
            for datagram in (b"", bytes(1_001), bytes(1_000), b"one"):
                client.sendto(datagram, relay.udp)
            assert frame(newer) == Frame(10, 20, bytes(1_000))
            assert frame(newer) == Frame(10, 20, b"one")
            newer.sendall(b"junkS" + Frame(20, 11, b"of another").encode() + Frame(21, 10, b"for another").encode())
            newer.sendall(Frame(20, 10, bytes(60_000)).encode() + Frame(20, 10, b"").encode())
            for byte in Frame(20, 10, b"back").encode():
                newer.sendall(bytes([byte]))
            assert client.recvfrom(2_048) == (b"back", relay.udp)
    code, counts, err = relay.end(signal.SIGTERM)
    assert (code, err) == (0, "") and not (tmp_path / "bus").exists()
    assert counts.pop("to-bus") >= 3
    counts.pop("no-bus", None)
    assert counts == {"empty": 1, "junk-bytes": 5, "others": 3, "oversize": 1, "to-udp": 1, "too-long": 1}


def test_whoever_sent_last_gets_the_answers(start: Any, client: socket.socket, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "bus"))
        listener.listen(1)
        relay = start("--connect", f"unix:{tmp_path}/bus", "--udp-client", "127.0.0.1:0")
        bus, _ = listener.accept()
        with bus, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second:
            bus.settimeout(PATIENCE)
            second.settimeout(PATIENCE)
            for number, udp in enumerate((client, second, client)):
                udp.sendto(b"%d" % number, relay.udp)
                assert frame(bus).payload == b"%d" % number
                bus.sendall(Frame(20, 10, b"answer %d" % number).encode())
                assert udp.recv(2_048) == b"answer %d" % number
        code, counts, err = relay.end()
    assert code == 3 and counts == {"to-bus": 3, "to-udp": 3}
    assert f"unix:{tmp_path}/bus: the other end of the bus closed the connection" in err


def test_a_server_that_is_not_there_yet(start: Any, tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    relay = start("--listen", f"unix:{tmp_path}/bus", "--udp-server", f"127.0.0.1:{port}")
    with connected(tmp_path / "bus") as bus, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        bus.sendall(Frame(20, 10, b"lost").encode() * 3)
        server.settimeout(PATIENCE)
        server.bind(("127.0.0.1", port))
        while True:
            bus.sendall(Frame(20, 10, b"again").encode())
            if select.select([server], [], [], 0.05)[0]:
                break
        data, sender = server.recvfrom(2_048)
        assert data in (b"lost", b"again") and sender == relay.udp
        server.sendto(b"here", sender)
        assert frame(bus) == Frame(10, 20, b"here")
    assert relay.end(signal.SIGINT)[0] == 130


def test_a_bus_that_does_not_read_costs_datagrams_and_no_memory() -> None:
    async def flood() -> tuple[Relay, int]:
        relay, (ours, theirs) = Relay(20, 10), socket.socketpair()
        with theirs:
            sides = Sides(relay, is_server=False)
            reader, writer = await asyncio.open_connection(sock=ours)
            following = asyncio.create_task(sides.follow(reader, writer))
            await asyncio.sleep(0)
            sides.udp.send(b"before anybody is there")
            for _ in range(2_000):
                sides.udp.datagram_received(bytes(1_000), ("127.0.0.1", 1))
            waiting = writer.transport.get_write_buffer_size()
        await following  # the bus is gone
        return relay, waiting

    relay, waiting = asyncio.run(flood())
    assert relay.counts["no-peer"] == 1
    assert relay.counts["to-bus"] + relay.counts["busy-bus"] == 2_000 and relay.counts["busy-bus"] > 1_000
    assert 65_536 < waiting < 65_536 + 1_008


def test_junk_is_counted_and_never_raises() -> None:
    relay, reader = Relay(20, 10), FrameReader(1_000)
    for data in (b"S" * 5_000, b"SC\xff\xff", bytes(range(256)) * 300, Frame(20, 10, b"x").encode() * 2):
        assert set(relay.datagrams(reader, data)) <= {b"x"}
    assert relay.counts["junk-bytes"] > 5_000


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--id", "2"], "--id 2: it is 1, the SSS, or a SED's id, 3 to 65535"),
        (["--to", "65536"], "--to 65536: it is 1"),
        (["--to", "20"], "nobody talks to itself"),
        (["--udp-client", "4433"], "'4433' is no UDP address"),
        (["--udp-client", "localhost:65536"], "is no UDP address"),
        (["--udp-client", "localhost:\N{SUPERSCRIPT TWO}"], "is no UDP address"),
        (["--udp-client", "192.0.2.1:4433"], "udp 192.0.2.1:4433: "),
        (["--connect", "wires"], "'wires' is no address"),
        (["--connect", "unix:none/wires"], "unix:none/wires: No such file or directory: does the bus listen there?"),
        (["--connect", "tcp:127.0.0.1:1"], "does the bus listen there?"),
    ],
)
def test_usage(scewl: Any, tmp_path: Path, arguments: list[str], says: str) -> None:
    given = {"--id": "20", "--to": "10", "--connect": f"unix:{tmp_path}/none", "--udp-client": "127.0.0.1:0"}
    given |= dict(zip(arguments[::2], arguments[1::2], strict=True))
    ended = scewl("relay", *(word for pair in given.items() for word in pair))
    assert ended.code == 2 and says in ended.err and ended.out == ""


def test_a_server_needs_a_port(scewl: Any, tmp_path: Path) -> None:
    ended = scewl("relay", "--id", "20", "--to", "10", "--listen", f"unix:{tmp_path}/b", "--udp-server", "localhost:0")
    assert ended.code == 2 and "'localhost:0' is no UDP address" in ended.err


def test_an_address_that_is_taken(scewl: Any, tmp_path: Path, client: socket.socket) -> None:
    taken = f"127.0.0.1:{client.getsockname()[1]}"
    ended = scewl("relay", "--id", "20", "--to", "10", "--listen", f"unix:{tmp_path}/b", "--udp-client", taken)
    assert ended.code == 2 and f"udp {taken}: Address already in use: choose another" in ended.err
    (tmp_path / "b").write_text("no socket")
    free = ["--udp-client", "127.0.0.1:0"]
    ended = scewl("relay", "--id", "20", "--to", "10", "--listen", f"unix:{tmp_path}/b", *free)
    assert ended.code == 2 and "something that is no socket is there" in ended.err
