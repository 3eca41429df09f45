"""What importing the layers does to the machine: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, socket, sys

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg") and args[0].family != socket.AF_NETLINK:
        raise SystemExit(f"{event} {args}")  # Scapy asks the kernel (netlink) which interfaces there are
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen"):
        raise SystemExit(f"{event} {args}")
    if event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise SystemExit(f"{event} {args}")

before = dict(os.environ)
sys.addaudithook(watch)
sys.dont_write_bytecode = True
import conformance.layers
assert dict(os.environ) == before
from scapy.config import conf
assert conf.l2types.num2layer[147] is conformance.layers.SCEWLCapture
"""


def run(home: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**kept, "HOME": str(home), **environment},
    )


def test_the_import_writes_says_and_sends_nothing(tmp_path: Path) -> None:
    for environment in ({}, {"XDG_CACHE_HOME": str(tmp_path / "cache")}):
        done = run(tmp_path, SCRIPT, **environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert list(tmp_path.iterdir()) == []


def test_scapy_alone_would_write(tmp_path: Path) -> None:
    """Else the test above shows nothing."""
    assert run(tmp_path, "import scapy.packet").returncode == 0
    assert list(tmp_path.iterdir()) != []
