"""With OpenSSL's and GnuTLS's command lines, over UDP on the loopback interface: nothing is shared with those."""

from __future__ import annotations

import re
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ends import DEPLOYMENT, client, server

from conformance.peer.endpoint import AES_128, AES_256, Endpoint
from conformance.wire.handshake import Fragment, HandshakeType, parse_fragments
from conformance.wire.records import Malformed, parse_datagram
from reference.authority import load_key

PATIENCE = 60
"""Seconds before a test gives up."""
BOTH = pytest.mark.parametrize("suite", [AES_256, AES_128], ids=["aes256", "aes128"])
OPENSSL_SUITES = {AES_256: "ECDHE-ECDSA-AES256-GCM-SHA384", AES_128: "ECDHE-ECDSA-AES128-GCM-SHA256"}
GNUTLS_SUITES = {AES_256: "AES-256-GCM", AES_128: "AES-128-GCM"}


class Program:
    """A program at the other end, and the socket towards it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.port = int(self.udp.getsockname()[1])
        self.sent: list[bytes] = []
        self.said = b""
        """What it wrote so far."""
        self._limit = time.monotonic() + PATIENCE
        self._process: subprocess.Popen[bytes] | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.udp, selectors.EVENT_READ)

    def run(self, sed_id: int, *command: str) -> None:
        """Start it with a SED's certificate and key in `certificate`, `key` and `ca`."""
        if shutil.which(command[0]) is None:
            pytest.skip(f"{command[0]} is not installed: apt-get install openssl gnutls-bin")
        own = DEPLOYMENT.credentials(sed_id)
        for name, der in (("certificate", own.certificate), ("ca", own.ca)):
            (self.folder / name).write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
        key = load_key(bytes(own.key))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        (self.folder / "key").write_bytes(pem)
        self._process = subprocess.Popen(
            command, cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        assert self._process.stdout is not None
        self._selector.register(self._process.stdout, selectors.EVENT_READ)

    def write(self, text: bytes) -> None:
        """Type something. It waits in the pipe until the program reads."""
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(text)

    def finish_input(self) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()

    def drive(self, end: Endpoint, done: Callable[[], bool], port: int = 0) -> None:
        """Carry datagrams, at real time, until `done`; `port` is the program's, else whence a datagram came."""
        while not done():
            self._send(end, port)
            assert time.monotonic() < self._limit, f"{end.log}\n{self.said.decode(errors='replace')}"
            deadline = end.deadline()
            wait = 1.0 if deadline is None else max(0.0, min(1.0, deadline / 1_000 - time.monotonic()))
            for key, _ in self._selector.select(wait):
                if key.fileobj is self.udp:
                    datagram, (_, port) = self.udp.recvfrom(65_536)
                    self.port_there = port
                    end.receive(datagram, self.now())
                else:
                    self._hear()
            if deadline is not None and deadline <= self.now():
                end.on_time(self.now())
        self._send(end, port)

    def hear(self, pattern: bytes) -> re.Match[bytes]:
        """Wait until it has written something; nothing is sent to it meanwhile."""
        while not (found := re.search(pattern, self.said)):
            assert time.monotonic() < self._limit, self.said.decode(errors="replace")
            if any(key.fileobj is not self.udp for key, _ in self._selector.select(1.0)):
                self._hear()
        return found

    @staticmethod
    def now() -> int:
        return int(time.monotonic() * 1_000)

    def _send(self, end: Endpoint, port: int) -> None:
        for datagram in end.outgoing():
            self.sent.append(datagram)
            self.udp.sendto(datagram, ("127.0.0.1", port or self.port_there))

    def _hear(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        piece = self._process.stdout.read(65_536)
        self.said += piece or b""
        if not piece:
            self._selector.unregister(self._process.stdout)

    def close(self) -> None:
        if self._process is not None:
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
        self._selector.close()
        self.udp.close()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    try:
        yield program
    finally:
        program.close()


OPENSSL = ["-cert", "certificate", "-key", "key", "-CAfile", "ca", "-verify_return_error", "-dtls1_2"]
GNUTLS = ["--x509certfile", "certificate", "--x509keyfile", "key", "--x509cafile", "ca"]


def priority(suite: int) -> list[str]:
    return [
        "--priority",
        f"NONE:+VERS-DTLS1.2:+ECDHE-ECDSA:+{GNUTLS_SUITES[suite]}:+AEAD:+GROUP-SECP256R1:+SIGN-ALL:+COMP-NULL:+CTYPE-X509",
    ]


def answered_a_cookie(datagrams: list[bytes], own_type: HandshakeType) -> bool:
    records = [r for d in datagrams for r in parse_datagram(d) if not isinstance(r, Malformed) and r.epoch == 0]
    types = [f.type for r in records for f in parse_fragments(r.fragment) if isinstance(f, Fragment)]
    wanted = 2 if own_type is HandshakeType.CLIENT_HELLO else 1
    return types.count(own_type) == wanted


@BOTH
def test_our_server_and_openssl(program: Program, suite: int) -> None:
    address = f"127.0.0.1:{program.port}"
    program.run(
        3, "openssl", "s_client", "-connect", address, "-verify", "1", *OPENSSL, "-cipher", OPENSSL_SUITES[suite]
    )
    ours = server(suite=suite)
    ours.start(program.now())
    ours.send(b"from ours\n")
    program.write(b"from theirs\n")
    program.drive(ours, lambda: b"".join(ours.received) == b"from theirs\n" and b"from ours\n" in program.said)
    program.finish_input()
    program.drive(ours, lambda: ours.peer_closed)
    assert ours.established and ours.closed
    assert answered_a_cookie(program.sent, HandshakeType.HELLO_VERIFY_REQUEST)


@BOTH
@pytest.mark.parametrize("listen", [["-listen"], []], ids=["listen", "accept"])
def test_our_client_and_openssl(program: Program, suite: int, listen: list[str]) -> None:
    files = ["-Verify", "1", *listen, *OPENSSL, "-cipher", OPENSSL_SUITES[suite]]
    program.run(4, "openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", *files)
    there = int(program.hear(rb"ACCEPT .*:(\d+)\n")[1])
    ours = client(suite=suite)
    ours.start(program.now())
    ours.send(b"from ours\n")
    program.write(b"from theirs\n")
    program.drive(ours, lambda: b"".join(ours.received) == b"from theirs\n" and b"from ours\n" in program.said, there)
    ours.close()
    program.drive(ours, lambda: ours.peer_closed, there)
    assert answered_a_cookie(program.sent, HandshakeType.CLIENT_HELLO)


@BOTH
def test_our_server_and_gnutls(program: Program, suite: int) -> None:
    files = [*GNUTLS, *priority(suite), "--verify-hostname", "4", "--no-ca-verification"]
    program.run(3, "gnutls-cli", "--udp", "127.0.0.1", "-p", str(program.port), *files)
    ours = server(suite=suite)
    ours.start(program.now())
    ours.send(b"from ours\n")
    program.write(b"from theirs\n")
    program.drive(ours, lambda: b"".join(ours.received) == b"from theirs\n" and b"from ours\n" in program.said)
    program.finish_input()
    program.drive(ours, lambda: ours.peer_closed)
    assert ours.established and ours.closed


@BOTH
def test_our_client_and_gnutls(program: Program, suite: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        there = int(free.getsockname()[1])
    required = ["--require-client-cert", "--verify-client-cert", "--echo"]
    program.run(4, "gnutls-serv", "--udp", "-p", str(there), *GNUTLS, *priority(suite), *required)
    program.hear(rb"port \d+\.\.\.done\n")
    ours = client(suite=suite)
    ours.start(program.now())
    ours.send(b"back and forth\n")
    program.drive(ours, lambda: ours.received == [b"back and forth\n"], there)
    ours.close()
    program.drive(ours, lambda: ours.closed, there)
    assert answered_a_cookie(program.sent, HandshakeType.CLIENT_HELLO)
