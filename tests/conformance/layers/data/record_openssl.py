"""Record handshakes of OpenSSL's own client and server: the `.hex` files beside this script.

    python record_openssl.py

A line is a datagram, `> hex` from the client and `< hex` from the server, comments begin with `#`. Each run gives other
bytes (randoms, keys), so the files are kept and the tests read them. The keys are made for the run and thrown away.
"""

from __future__ import annotations

import select
import socket
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
RUNS = {
    "ecdhe-ecdsa": ("ec -pkeyopt ec_paramgen_curve:P-256", "ECDHE-ECDSA-AES256-GCM-SHA384", ("-mtu", "400")),
    "rsa": ("rsa:2048", "AES256-SHA256", ()),
}
"""By name: the kind of key, the suite, and further options of both ends. A small MTU gives fragments."""


def openssl(*words: str, folder: Path) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)


def own(name: str) -> tuple[str, ...]:
    return "-cert", f"{name}.crt", "-key", f"{name}.key"


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def record(kind: str, suite: str, options: tuple[str, ...], folder: Path) -> list[str]:
    for name in ("server", "client"):
        openssl(
            *f"req -x509 -newkey {kind} -nodes -keyout {name}.key -out {name}.crt -days 30".split(),
            "-subj",
            f"/CN={name}",
            folder=folder,
        )
    port = free_port()
    common = ("-dtls1_2", "-cipher", suite, *options)
    server = subprocess.Popen(
        ["openssl", "s_server", *common, "-accept", str(port), *own("server"), "-CAfile", "client.crt", "-Verify", "1"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as front,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as back,
    ):
        front.bind(("127.0.0.1", 0))
        back.connect(("127.0.0.1", port))
        client = subprocess.Popen(
            ["openssl", "s_client", *common, "-connect", f"127.0.0.1:{front.getsockname()[1]}", *own("client")],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        lines = relay(front, back, client)
    for process in (client, server):
        process.kill()
        process.wait()
    return lines


def relay(front: socket.socket, back: socket.socket, client: subprocess.Popen[bytes]) -> list[str]:
    """Pass datagrams on until both sides are silent for a second; then a line of data, then the close."""
    lines: list[str] = []
    address = None
    assert client.stdin
    for word in (b"", b"a line of data\n", None):
        if word is None:
            client.stdin.close()
        else:
            client.stdin.write(word)
            client.stdin.flush()
        while ready := select.select([front, back], [], [], 1)[0]:
            for end in ready:
                try:
                    data, sender = end.recvfrom(65536)
                except ConnectionRefusedError:  # a server that is gone
                    continue
                lines.append(f"{'>' if end is front else '<'} {data.hex()}")
                if end is front:
                    address = sender
                    back.send(data)
                elif address:
                    front.sendto(data, address)
    return lines


def main() -> None:
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=True).stdout.strip()
    for name, (kind, suite, options) in RUNS.items():
        with tempfile.TemporaryDirectory() as folder:
            lines = record(kind, suite, options, Path(folder))
        head = f"# {version}: {suite} {' '.join(options)}".rstrip()
        (HERE / f"openssl-{name}.hex").write_text("\n".join([head, *lines]) + "\n")


if __name__ == "__main__":
    main()
