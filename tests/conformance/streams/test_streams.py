"""Devices in real time: a process of its own at the other end of sockets and pseudo-terminals, and devices that break.

Nothing here asserts how long anything took; what must not hang has a limit of its own in the file of the IUT.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conformance.campaign import Job
from conformance.iut import parse
from conformance.purpose import load_purposes
from conformance.results import CaseResult
from conformance.targets.base import HarnessError
from conformance.targets.streams import device
from conformance.targets.streams.links import BadAddress, parse_address
from conformance.wire.frames import Frame, FrameReader
from model.verdict import Verdict
from reference.deployment import Deployment

PURPOSES = {p.id: p for p in load_purposes()}
LINKS = ("cpu", "sss", "radio")
FAST = {"quiet_ms": 30, "tolerance_ms": 1_500, "settle_ms": 500, "patience_s": 20}


class Fleet:
    """A folder with a deployment, its images, and devices that were started there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.deployment = Deployment.create(range(8, 14), seed=b"streams")
        self.deployment.save(folder / "fleet")
        (folder / "10.bin").write_bytes(self.deployment.image(10))
        self.running: list[subprocess.Popen[str]] = []

    def device(self, **links: str) -> None:
        words = [sys.executable, "-m", "conformance.targets.streams.device", "--image", "10.bin", "--pid", "pid"]
        words += [word for link in LINKS for word in (f"--{link}", links[link])]
        process = subprocess.Popen(words, cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self.running.append(process)
        assert process.stdout is not None and process.stdout.readline() == "listening\n"

    def run(self, case: str, *, tables: dict[str, Any] | None = None, **target: Any) -> CaseResult:
        """One case; `tables` and `target` are of the IUT's file."""
        given = {"kind": "given", "deployment": "fleet"}
        document = {"name": "x", "target": {"kind": "streams"} | FAST | target, "provisioning": given} | (tables or {})
        out = self.folder / "out"
        out.mkdir(exist_ok=True)
        iut = parse(self.folder / "f.toml", document)
        return Job(PURPOSES[case], "streams", None, "hardened", 0, out, iut=iut).run()


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    for process in made.running:
        process.terminate()
        process.communicate()


def unix(**more: str) -> dict[str, str]:
    return {link: f"unix:{link}" for link in LINKS} | more


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_sockets(fleet: Fleet) -> None:
    links = unix(cpu=f"tcp:127.0.0.1:{free_port()}")
    fleet.device(**links)
    for case in ("register", "unregistered-16", "lost-flight-2", "deregister-unregistered"):  # one device for all
        done = fleet.run(case, **links)
        assert done.verdict is Verdict.PASS, done.reason
    assert done.ladder and (fleet.folder / "out" / "lost-flight-2.pcapng").stat().st_size


def test_serial_ports(fleet: Fleet) -> None:
    fleet.device(**{link: f"pty:{link}" for link in LINKS})
    ports = {link: f"serial:{fleet.folder / link}" for link in LINKS}
    for case in ("register", "registered-16384"):
        done = fleet.run(case, **ports)
        assert done.verdict is Verdict.PASS, done.reason


def test_a_reset_command_gives_it_another_identity(fleet: Fleet) -> None:
    fleet.device(**unix())
    (fleet.folder / "reset.py").write_text(
        "import os, pathlib, shutil, signal, sys\n"
        "here = pathlib.Path(__file__).parent\n"
        "shutil.copy(sys.argv[1], here / '10.bin')\n"
        "os.kill(int((here / 'pid').read_text()), signal.SIGHUP)\n"
    )
    reset = ["{python}", "{folder}/reset.py", "{image}"]
    image = {"provisioning": {"kind": "image"}}
    for case in ("power-cycle", "register"):
        done = fleet.run(case, tables=image, reset=reset, **unix())
        assert done.verdict is Verdict.PASS, done.reason
    skipped = fleet.run("power-cycle", **unix())
    assert (skipped.verdict, skipped.reason.split(",")[0]) == (Verdict.SKIPPED, "It power-cycles the device")


@pytest.mark.parametrize(("timeout", "says"), [(2_000, "nothing"), (9_000, "hello(to=")])
def test_a_timer_outside_its_window_fails(fleet: Fleet, timeout: int, says: str) -> None:
    """The device's first timeout is 7 s: it is silent when 2 s are over, and speaks before 9 s are."""
    fleet.device(**unix())
    done = fleet.run(
        "absent-peer", patience_s=2, tolerance_ms=800, tables={"protocol": {"first_timeout_ms": timeout}}, **unix()
    )
    assert done.verdict is Verdict.FAIL and done.divergence is not None
    assert [o.split("(")[0] for o in done.divergence.observed] == ([] if says == "nothing" else ["hello"])
    assert "DTL-6" in done.divergence.requirements and done.divergence.time < 9_000 - 800


# --- devices that break ---


Conduct = Callable[[dict[str, socket.socket], bytes], None]


@contextlib.contextmanager
def broken(folder: Path, conduct: Conduct) -> Iterator[None]:
    """A device that grants the first request, so that a case begins, and does `conduct` at the next bytes it gets."""
    listeners = {}
    for link in LINKS:
        listeners[link] = socket.socket(socket.AF_UNIX)
        listeners[link].bind(str(folder / link))
        listeners[link].listen(1)

    def live() -> None:
        links = {link: listener.accept()[0] for link, listener in listeners.items()}
        reader = FrameReader()
        while not [f for f in reader.feed(links["cpu"].recv(65_536)) if isinstance(f, Frame)]:
            pass
        links["cpu"].sendall(Frame(10, 1, bytes.fromhex("0a00ffff")).encode())
        with contextlib.suppress(OSError):
            while data := links["cpu"].recv(65_536):
                conduct(links, data)
        for link in links.values():
            link.close()

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        for listener in listeners.values():
            listener.close()


def hang_up(links: dict[str, socket.socket], _: bytes) -> None:
    links["sss"].shutdown(socket.SHUT_RDWR)


def flood(links: dict[str, socket.socket], _: bytes) -> None:
    links["radio"].sendall(bytes(1 << 21))


def chatter(links: dict[str, socket.socket], _: bytes) -> None:
    while True:
        links["radio"].sendall(b"S")


@pytest.mark.parametrize(
    ("conduct", "says"),
    [
        (lambda _links, _data: None, "Came: nothing. Allowed: hello"),
        (hang_up, "The IUT broke: the device closed the sss link (unix:sss), or its cable was pulled out"),
        (flood, "The IUT broke: flood: more than 1,048,576 bytes"),
        (chatter, "The IUT broke: "),
    ],
)
def test_a_device_that_breaks_fails(fleet: Fleet, conduct: Conduct, says: str) -> None:
    with broken(fleet.folder, conduct):
        done = fleet.run("register", patience_s=1, **unix())
    assert done.verdict is Verdict.FAIL and done.reason.startswith(says), done.reason


def test_a_device_that_is_not_there_is_an_error(fleet: Fleet) -> None:
    done = fleet.run("register", **unix())
    assert done.verdict is Verdict.ERROR
    assert done.reason.startswith("the cpu link: cannot open unix:cpu: No such file or directory; is the device")
    done = fleet.run("register", **unix(cpu=f"tcp:127.0.0.1:{free_port()}"))
    assert done.verdict is Verdict.ERROR and "Connection refused; is the device, or the program" in done.reason
    done = fleet.run("register", **unix(cpu="serial:/dev/none"))
    assert done.verdict is Verdict.ERROR and "No such file or directory; is the device plugged in" in done.reason


def test_a_device_that_says_nothing_is_an_error(fleet: Fleet) -> None:
    listeners = [socket.socket(socket.AF_UNIX) for _ in LINKS]
    for listener, link in zip(listeners, LINKS, strict=True):
        listener.bind(str(fleet.folder / link))
        listener.listen(1)
    done = fleet.run("register", patience_s=1, **unix())
    assert done.verdict is Verdict.ERROR
    assert (
        done.reason.startswith("the device does not answer on the cpu link within 1 s") and "the id 10" in done.reason
    )
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("import sys; print('no programmer'); sys.exit(4)", "ended with status 4"),
        ("", "the cpu link: cannot open unix:cpu"),
    ],
)
def test_a_reset_that_fails_is_an_error(fleet: Fleet, script: str, says: str) -> None:
    listeners = []
    for link in LINKS if script else ():
        listeners.append(socket.socket(socket.AF_UNIX))
        listeners[-1].bind(str(fleet.folder / link))
        listeners[-1].listen(1)
    done = fleet.run("register", reset=["{python}", "-c", script], **unix())
    assert done.verdict is Verdict.ERROR and says in done.reason
    assert done.evidence == (["no programmer"] if script else [])
    for listener in listeners:
        listener.close()


@pytest.mark.parametrize(
    "text", ["", "cpu", "unix:", "tcp:host", "tcp:host:", "tcp::1", "tcp:h:65536", "udp:h:1", "serial:"]
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(BadAddress, match="none of unix:PATH"):
        parse_address(text)


def test_addresses() -> None:
    assert str(parse_address("tcp:[::1]:70")) == "tcp:::1:70" and parse_address("tcp:[::1]:70").where == "::1"
    assert parse_address("serial:/dev/tty:0").where == "/dev/tty:0"


def test_the_device_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    links = [word for link in LINKS for word in (f"--{link}", f"unix:{link}")]
    assert device.main(["--image", "none.bin", *links]) == 3
    assert "device: " in capsys.readouterr().err
    assert device.main(["--image", "x", "--cpu", "udp:1", "--sss", "unix:s", "--radio", "unix:r"]) == 3
    assert "none of unix:PATH, tcp:HOST:PORT" in capsys.readouterr().err


def test_a_device_runs_one_case_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from conformance.cli import main

    lines = ['name = "x"', "[target]", 'kind = "streams"', *(f'{link} = "unix:{link}"' for link in LINKS)]
    lines += ["[provisioning]", 'kind = "given"', 'deployment = "fleet"']
    (tmp_path / "f.toml").write_text("\n".join(lines))
    assert main(["conform", "--iut", str(tmp_path / "f.toml"), "-j", "2"]) == 2
    assert "-j 2: x is one device, which runs one case at a time" in capsys.readouterr().err


def test_nothing_is_run_without_a_device(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path)
    with pytest.raises(HarnessError, match="the cpu link: cannot open"):
        Job(
            PURPOSES["register"],
            "streams",
            None,
            "hardened",
            0,
            tmp_path,
            iut=parse(
                tmp_path / "f.toml",
                {"name": "x", "target": {"kind": "streams", "reset": ["x", "{image}"], **unix()}},
            ),
        ).make_target()
    assert fleet.running == []
