"""Our sessions against OpenSSL's DTLS, which shares no code with them, over UDP on the loopback interface."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from memory_world import DEPLOYMENT

from reference.authority import load_key
from reference.credentials import Credentials, Peer
from reference.dtls import AES_128, AES_256, CookieJar, Kind, Session
from reference.randomness import Drbg
from reference.records import client_hello, is_client_hello, split

PATIENCE = 20
"""Seconds before a test gives up on OpenSSL."""


@pytest.fixture
def wire() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        udp.settimeout(PATIENCE)
        yield udp


def openssl(folder: Path, credentials: Credentials, *command: str) -> subprocess.Popen[bytes]:
    if shutil.which("openssl") is None:
        pytest.skip("OpenSSL's command line is not installed: apt-get install openssl")
    certificate = x509.load_der_x509_certificate(credentials.certificate).public_bytes(Encoding.PEM)
    ca = x509.load_der_x509_certificate(credentials.ca).public_bytes(Encoding.PEM)
    key = load_key(bytes(credentials.key))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    for name, content in (("certificate", certificate), ("ca", ca), ("key", pem)):
        (folder / name).write_bytes(content)
    files = ["-cert", "certificate", "-key", "key", "-CAfile", "ca", "-verify_return_error", "-Verify", "1"]
    if command[0] == "s_client":
        files[-2:] = ["-verify", "1"]
    return subprocess.Popen(
        ["openssl", *command, "-dtls1_2", *files],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.mark.parametrize("suite", [AES_256, AES_128])
def test_our_client_and_their_server(tmp_path: Path, wire: socket.socket, suite: int) -> None:
    process = openssl(tmp_path, DEPLOYMENT.credentials(4), "s_server", "-accept", "127.0.0.1:0", "-naccept", "1")
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        lines = iter(process.stdout.readline, b"")
        port = next(int(line.rsplit(b":", 1)[1]) for line in lines if line.startswith(b"ACCEPT"))
        session = Session(DEPLOYMENT.credentials(3), Peer("4"), Drbg(b"client"), suite=suite)
        session.start(0)
        while not session.established:
            for datagram in session.outgoing:
                wire.sendto(datagram, ("127.0.0.1", port))
            session.outgoing.clear()
            for record in split(wire.recv(2_048)):
                assert session.receive(record, 0).kind in (Kind.NOTHING, Kind.ESTABLISHED)
        session.write(b"from ours to theirs\n")
        session.say_goodbye()
        for datagram in session.outgoing:
            wire.sendto(datagram, ("127.0.0.1", port))
        assert b"from ours to theirs\n" in lines
    finally:
        process.kill()
        process.communicate()


def test_their_client_and_our_server(tmp_path: Path, wire: socket.socket) -> None:
    address = f"127.0.0.1:{wire.getsockname()[1]}"
    process = openssl(tmp_path, DEPLOYMENT.credentials(3), "s_client", "-connect", address)
    assert process.stdin is not None
    jar, drbg, session = CookieJar(Drbg(b"jar")), Drbg(b"server"), None
    received = b""
    try:
        while received != b"from theirs to ours\n":
            datagram, sender = wire.recvfrom(2_048)
            for record in split(datagram):
                if is_client_hello(record):
                    assert client_hello(record) is not None
                    session = Session(DEPLOYMENT.credentials(4), Peer("3"), drbg, server=(jar, b"3"))
                assert session is not None
                happening = session.receive(record, 0)
                assert happening.kind not in (Kind.FAILED, Kind.ALERTED)
                assert happening.in_order
                received += happening.data
                if happening.kind is Kind.ESTABLISHED:
                    process.stdin.write(b"from theirs to ours\n")
                    process.stdin.flush()
                for out in session.outgoing:
                    wire.sendto(out, sender)
                session.outgoing.clear()
    finally:
        process.kill()
        process.communicate()
