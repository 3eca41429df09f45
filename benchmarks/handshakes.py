"""Handshakes per second: the reference's sessions beside a loop in C on the same Mbed TLS build.

Both do the same handshake, both ends in one process and in memory: cookie exchange, ECDHE on P-256 with AES-256-GCM,
P-256 certificates on both sides, verified with their names. The C program (`handshakes.c`) is linked with the library
that python-mbedtls brings along and that the reference drives, and does what a program in C would do. The reference
makes of every datagram what its nodes make of it: records taken apart, cookies without state, a session for each
handshake, freed afterwards. A second comparison has two whole controllers, a message of no bytes included: frames,
randomness from all that comes in, close_notify.

Rounds of both follow each other at once, the first of a pair alternating, and processor time counts, so that a busy
machine slows both down alike. The figure is the median of the pairs' ratios. The goal, and the exit code: the
sessions reach 95 % of the C loop.

    python benchmarks/handshakes.py [--rounds 30] [--each 20] [--output reports/handshakes.json]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mbedtls

from model.alphabet import Link
from reference import mbedtls_c, records
from reference.controller import Controller
from reference.credentials import Credentials, Peer
from reference.deployment import Deployment
from reference.dialect import ECDHE_AES_256, RSA_AES_256
from reference.dtls import CookieJar, Session
from reference.frame import Frame
from reference.randomness import Drbg

GOAL = 0.95
CLIENT, SERVER = 3, 4
SUITES = {"ecdhe": ECDHE_AES_256, "rsa": RSA_AES_256}
SOURCE = Path(__file__).with_suffix(".c")
WARNINGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-Wshadow", "-Wconversion", "-Wno-sign-conversion")
Round = Callable[[int], float]
"""So many handshakes; the seconds of processor that they took."""


class Sessions:
    """Two ends that shake hands, as nodes do it."""

    def __init__(self, deployment: Deployment) -> None:
        self._credentials: dict[int, Credentials] = {i: deployment.credentials(i) for i in (CLIENT, SERVER)}
        self._drbgs = {i: Drbg(b"benchmarks/handshakes", bytes([i])) for i in (CLIENT, SERVER)}
        self._cookies = CookieJar(self._drbgs[SERVER])
        self._suite = deployment.suite
        self._peers = {i: Peer(deployment.cn_pattern.format(id=i), is_rsa=deployment.rsa) for i in (CLIENT, SERVER)}

    def round(self, count: int) -> float:
        """Carry out so many handshakes; returns seconds of processor."""
        begin = time.process_time()
        for _ in range(count):
            self._shake_hands()
        return time.process_time() - begin

    def _shake_hands(self) -> None:
        client, server = self._session(CLIENT, SERVER, None), None
        client.start(0)
        while not (client.established and server and server.established):
            for datagram in _taken(client):
                for record in records.split(datagram):
                    server = server or self._open(record, client)
                    if server:
                        server.receive(record, 0)
            for datagram in _taken(server) if server else ():
                for record in records.split(datagram):
                    client.receive(record, 0)
        client.close()
        server.close()

    def _open(self, record: records.Record, client: Session) -> Session | None:
        """A server for a ClientHello with a valid cookie; any other is answered without one."""
        name, hello = str(CLIENT).encode(), records.client_hello(record)
        assert hello is not None
        if self._cookies.is_valid(name, hello.cookie):
            return self._session(SERVER, CLIENT, (self._cookies, name))
        for answer in records.split(records.hello_verify_request(record, hello, self._cookies.cookie(name))):
            client.receive(answer, 0)
        return None

    def _session(self, own: int, peer: int, server: tuple[CookieJar, bytes] | None) -> Session:
        return Session(self._credentials[own], self._peers[peer], self._drbgs[own], suite=self._suite, server=server)


def _taken(session: Session) -> list[bytes]:
    datagrams = list(session.outgoing)
    session.outgoing.clear()
    return datagrams


class Controllers:
    """Two controllers, and messages of no bytes from one to the other."""

    def __init__(self, deployment: Deployment) -> None:
        self._nodes = {i: Controller(deployment.image(i), dialect=deployment.dialect) for i in (CLIENT, SERVER)}

    def round(self, count: int) -> float:
        """Send so many messages; returns seconds of processor."""
        begin = time.process_time()
        for _ in range(count):
            delivered = self._send()
            assert delivered == 1
        return time.process_time() - begin

    def _send(self) -> int:
        message = Frame(SERVER, CLIENT, b"").encode()
        self._nodes[CLIENT].receive(Link.CPU, message, 0)
        delivered = 0
        while moved := [(to, *out) for to, node in self._others() for out in node.outgoing()]:
            for to, link, data in moved:
                if link is Link.CPU:
                    delivered += 1
                else:
                    self._nodes[to].receive(link, data, 0)
        return delivered

    def _others(self) -> Iterator[tuple[int, Controller]]:
        """Each node's peer, and the node."""
        yield SERVER, self._nodes[CLIENT]
        yield CLIENT, self._nodes[SERVER]


@contextmanager
def loop_in_c(deployment: Deployment) -> Iterator[Round]:
    """The C program, built and running. Ends the program if it cannot be built or breaks."""
    with tempfile.TemporaryDirectory(prefix="scewl-") as name:
        folder = Path(name)
        program = build(folder)
        own, peer = deployment.credentials(CLIENT), deployment.credentials(SERVER)
        for file, content in {
            "ca.der": own.ca,
            "client.der": own.certificate,
            "client.key.der": bytes(own.key),
            "server.der": peer.certificate,
            "server.key.der": bytes(peer.key),
        }.items():
            (folder / file).write_bytes(content)
        command = [str(program), name, f"{deployment.suite:#06x}"]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None

        def round_of(count: int) -> float:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{count}\n")
            process.stdin.flush()
            answer = process.stdout.readline().split()
            if not answer:
                sys.exit(f"{program.name} ended with exit code {process.wait()}")
            return int(answer[0]) / 1e9

        try:
            yield round_of
        finally:
            process.stdin.close()
            process.stdout.close()
            process.wait()


def build(folder: Path) -> Path:
    """Compile `handshakes.c` against the library that the reference uses. Ends the program if that fails."""
    program = folder / "handshakes"
    libraries = [str(library._name) for library in (mbedtls_c.tls, mbedtls_c.x509, mbedtls_c.crypto)]
    where = Path(libraries[0]).parent
    command = [os.environ.get("CC", "cc"), *WARNINGS, "-o", str(program), str(SOURCE), *libraries]
    done = subprocess.run([*command, f"-Wl,-rpath,{where}"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{SOURCE.name} does not compile:\n{done.stderr}")
    return program


def compare(python: Round, c: Round, rounds: int, each: int, name: str) -> dict[str, Any]:
    """Pairs of rounds, after one that warms up; medians."""
    pairs = []
    for n in range(-1, rounds):
        if n % 2:
            ours, theirs = python(each), c(each)
        else:
            theirs, ours = c(each), python(each)
        if n >= 0:
            pairs.append((ours, theirs))
        print(f"\r{name}: round {n + 1} of {rounds}", end="\n" if n + 1 == rounds else "", file=sys.stderr, flush=True)
    shares = [theirs / ours for ours, theirs in pairs]
    low, _, high = statistics.quantiles(shares, n=4)
    return {
        "rounds": rounds,
        "each": each,
        "python_ms": round(statistics.median(ours for ours, _ in pairs) * 1_000 / each, 3),
        "c_ms": round(statistics.median(theirs for _, theirs in pairs) * 1_000 / each, 3),
        "share_of_c": round(statistics.median(shares), 4),
        "quartiles": [round(low, 4), round(high, 4)],
    }


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30, help="pairs of rounds (default: 30; at least 2)")
    parser.add_argument("--each", type=int, default=20, help="handshakes of a round (default: 20)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the figures there as JSON")
    args = parser.parse_args()
    if args.rounds < 2 or args.each < 1:
        parser.error("--rounds is at least 2, --each at least 1")
    results: dict[str, dict[str, Any]] = {}
    for exchange, suite in SUITES.items():
        deployment = Deployment.create([CLIENT, SERVER], seed=b"benchmarks/handshakes", suite=suite)
        with loop_in_c(deployment) as c:
            for what, rounds in (
                ("sessions", Sessions(deployment).round),
                ("controllers", Controllers(deployment).round),
            ):
                results[f"{exchange}_{what}"] = compare(rounds, c, args.rounds, args.each, f"{exchange}, {what}")
    report = {
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "python_mbedtls": mbedtls.__version__,
            "mbedtls": ".".join(str(mbedtls_c.crypto.mbedtls_version_get_number() >> at & 0xFF) for at in (24, 16, 8)),
            "load": round(os.getloadavg()[0], 1),
        },
        "goal": GOAL,
        **results,
    }
    for name, one in results.items():
        print(
            f"{name:18} {1_000 / one['python_ms']:6.1f} a second in Python ({one['python_ms']:.2f} ms), "
            f"{1_000 / one['c_ms']:6.1f} in C ({one['c_ms']:.2f} ms): {one['share_of_c']:.1%} of C "
            f"(quartiles {one['quartiles'][0]:.1%} to {one['quartiles'][1]:.1%})"
        )
    if args.output:
        args.output.write_text(json.dumps(report, indent=1) + "\n")
    return int(results["ecdhe_sessions"]["share_of_c"] < GOAL)


if __name__ == "__main__":
    sys.exit(main())
