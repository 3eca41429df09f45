"""`scewl sss` as a program: it starts, answers questions, ends, and says what keeps it from starting."""

from __future__ import annotations

import json
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reference.deployment import Deployment

Scewl = Callable[..., "object"]
PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "sss"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Deployment.create([10, 11], seed=b"tests/conformance/cli/sss").save(tmp_path / "deployment")
    return tmp_path / "deployment"


class Service:
    """A running `scewl sss` whose log is read line by line."""

    def __init__(self, folder: Path, *options: str) -> None:
        command = [*PROGRAM, "--deployment", str(folder), *options]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        self.log = self.process.stderr

    def line(self) -> dict[str, object]:
        assert select.select([self.log], [], [], 60)[0], "no line of the log within a minute"
        text = self.log.readline()
        assert text.startswith("{"), text + self.log.read()
        line: dict[str, object] = json.loads(text)
        return line

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(60)
        self.log.close()
        return code


@pytest.fixture
def service(folder: Path) -> Iterator[Service]:
    running = Service(folder, "--listen", f"unix:{folder}/wires", "--listen", "tcp:127.0.0.1:0")
    yield running
    if running.process.poll() is None:
        running.end(signal.SIGKILL)


def test_from_start_to_end(folder: Path, service: Service, scewl: Scewl) -> None:
    started = service.line()
    assert started["event"] == "started" and started["devices"] == 2
    assert scewl("sss", "list", "--deployment", folder).code == 0
    status = json.loads(scewl("sss", "status", "--deployment", folder, "--json").out)
    assert status["running"] and status["pid"] == service.process.pid and status["registered"] == 0
    assert status["listening"] == started["listening"] and status["connections"] == 0
    shown = scewl("sss", "--deployment", folder, "status")
    assert shown.code == 0 and f"process {service.process.pid}" in shown.out

    second = scewl("sss", "--deployment", folder, "--listen", "tcp:127.0.0.1:0")
    assert second.code == 2 and f"runs already (process {service.process.pid}): end it first" in second.err

    revoked = scewl("sss", "revoke", "11", "--deployment", folder)
    assert revoked.out == "device 11 is refused from now on (was not registered; by the running service, at once)\n"
    assert service.line()["event"] == "revoked"
    assert json.loads(scewl("sss", "--json", "list", "--deployment", folder).out)[1]["state"] == "removed"

    assert service.end(signal.SIGTERM) == 0
    assert not (folder / "wires").exists() and not (folder / "sss.sock").exists()
    assert (
        scewl("sss", "status", "--deployment", folder).out
        == "not running\nsettings      0xC02C, {id}, 10-byte responses\ndevices       2, registered 0, removed 1\n"
    )


def test_interrupted(service: Service) -> None:
    service.line()
    assert service.end(signal.SIGINT) == 130


def test_after_kill_9_it_starts_again(folder: Path, service: Service) -> None:
    service.line()
    assert service.end(signal.SIGKILL) == -signal.SIGKILL
    assert (folder / "sss.sock").exists() and (folder / "wires").exists(), "what a killed service leaves"
    again = Service(folder, "--listen", f"unix:{folder}/wires", "--log", str(folder / "log"))
    while not (folder / "log").exists() or "started" not in (folder / "log").read_text():
        assert again.process.poll() is None
    assert again.end(signal.SIGTERM) == 0
    assert (folder / "log").stat().st_mode & 0o777 == 0o600


def test_revoking_without_a_service(folder: Path, scewl: Scewl) -> None:
    revoked = scewl("sss", "revoke", "10", "11", "--deployment", folder, "--json")
    assert json.loads(revoked.out) == [
        {"device": 10, "was_registered": False, "running": False},
        {"device": 11, "was_registered": False, "running": False},
    ]
    rows = json.loads(scewl("sss", "list", "--deployment", folder, "--json").out)
    assert [row["state"] for row in rows] == ["removed", "removed"]


def test_a_device_that_provisioning_removed_is_listed(folder: Path, scewl: Scewl) -> None:
    deployment = Deployment.load(folder)
    deployment.remove(10)
    deployment.save_index(folder)
    listed = scewl("sss", "list", "--deployment", folder)
    assert [line.split() for line in listed.out.splitlines()[1:]] == [["10", "removed"], ["11", "unregistered"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--deployment", "D"], "nowhere to listen: give --listen"),
        (["--listen", "tcp:127.0.0.1:0"], "which deployment? Give --deployment DIR"),
        (["--deployment", "D", "--listen", "9000"], "'9000' is no address"),
        (["--deployment", "D", "--listen", "tcp:127.0.0.1:0", "--connections", "0"], "--connections is at least 1"),
        (["--deployment", "D", "--listen", "tcp:127.0.0.1:0", "--connections", "99999999"], "ulimit -n"),
        (["--deployment", "D/away", "--listen", "tcp:127.0.0.1:0"], "there is no folder"),
        (["--deployment", "D", "--listen", "unix:/proc/nothing/here"], "choose another address"),
        (["--deployment", "D", "--listen", "tcp:127.0.0.1:0", "--log", "/proc/nothing/here"], "No such file"),
        (["revoke", "99", "--deployment", "D"], "SED 99 is not in this deployment, which has [10, 11]"),
        (["status", "--deployment", "D/away"], "away: `scewl provision"),
        (["stauts", "--deployment", "D"], "Did you mean status"),
    ],
)
def test_what_cannot_be_done_is_said(folder: Path, scewl: Scewl, arguments: list[str], message: str) -> None:
    ended = scewl(
        "sss", *[argument.replace("D", str(folder), 1) if argument[0] == "D" else argument for argument in arguments]
    )
    assert ended.code in (2, 3) and message in ended.err, ended


def test_a_damaged_database_is_an_error_that_says_what_to_do(folder: Path, scewl: Scewl) -> None:
    (folder / "sss.sqlite").write_bytes(b"not a database" * 100)
    for arguments in (["status"], ["list"], ["revoke", "10"], ["--listen", "tcp:127.0.0.1:0"]):
        ended = scewl("sss", *arguments, "--deployment", folder)
        assert "internal" not in ended.err
        assert ended.code == 3 and "sss.sqlite: file is not a database: restore it from a copy" in ended.err
    assert not (folder / "sss.sock").exists()
