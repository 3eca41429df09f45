"""`scewl radio` as a program: it starts, answers questions, ends with a whole capture, and says what it cannot do."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.capture import CapturedFrame, KeyLogText, read_capture

Scewl = Callable[..., Any]
PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())", "radio"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_from_start_to_end(tmp_path: Path, scewl: Scewl, number: int, code: int) -> None:
    (tmp_path / "faults.toml").write_text('faults = [{ do = "lose", flight = 2, by = 11, to = 10 }]')
    places = ["--listen", f"unix:{tmp_path}/radio", "--listen", "tcp:127.0.0.1:0", "--control", f"unix:{tmp_path}/c"]
    files = ["--faults", str(tmp_path / "faults.toml"), "--capture", str(tmp_path / "air.pcapng")]
    files += ["--keylog", str(tmp_path / "keys")]
    process = subprocess.Popen([*PROGRAM, *places, *files], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        started = json.loads(process.stderr.readline())
        assert started["event"] == "started" and started["faults"] == 1
        port = int(started["listening"][1].rpartition(":")[2])
        with socket.socket(socket.AF_UNIX) as antenna, socket.create_connection(("127.0.0.1", port)) as other:
            antenna.connect(f"{tmp_path}/radio")
            while json.loads(process.stderr.readline())["antenna"] != 2:
                pass
            antenna.sendall(b"SC\x0b\0\x0a\0\1\0x")
            assert other.recv(9) == b"SC\x0b\0\x0a\0\1\0x"
            status = scewl("radio", "status", "--control", f"unix:{tmp_path}/c")
            assert status.code == 0 and "SED 10" in status.out and "(silent)" in status.out
            assert "fault         lose flight=2 nth=1 by=11 to=10 times=1: struck 0" in status.out
            shown = json.loads(scewl("radio", "--json", "status", "--control", f"unix:{tmp_path}/c").out)
            assert shown["counts"] == {"heard": 1, "sent": 1} and shown["capture"]["frames"] == 2
        (tmp_path / "keys").write_text(f"CLIENT_RANDOM {'ab' * 32} {'cd' * 48}\n")
        process.send_signal(number)
        assert process.wait(60) == code
    finally:
        process.kill()
        process.communicate()
    kinds = [type(entry) for entry in read_capture(tmp_path / "air.pcapng")]
    assert kinds == [KeyLogText, CapturedFrame, CapturedFrame], "a late secret stands in front all the same"
    assert not (tmp_path / "radio").exists() and not (tmp_path / "c").exists()
    gone = scewl("radio", "status", "--control", f"unix:{tmp_path}/c")
    assert gone.code == 3 and "no radio answers there" in gone.err


@pytest.mark.parametrize(
    ("said", "says"), [(b"", "no answer within"), (b"220 [1]\n", "not a radio's"), (b"[]\n", "not a radio's")]
)
def test_a_port_that_is_another_s(
    scewl: Scewl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: bytes, says: str
) -> None:
    """Such as the one for antennas, which hears the command and says nothing."""
    monkeypatch.setattr("conformance.radio.middle._PATIENCE", 60 if said else 0.01)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/port")
        listener.listen(1)

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(said)
                while client.recv(4_096):
                    pass

        other = threading.Thread(target=answer)
        other.start()
        ended = scewl("radio", "status", "--control", f"unix:{tmp_path}/port")
        other.join()
    assert ended.code == 3 and f"unix:{tmp_path}/port: " in ended.err and says in ended.err
    assert "was given as --control, not as --listen?" in ended.err


def test_after_kill_9_what_was_captured_is_there(tmp_path: Path) -> None:
    command = [*PROGRAM, "--listen", f"unix:{tmp_path}/radio", "--capture", str(tmp_path / "air.pcapng")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "started" in process.stderr.readline()
    with socket.socket(socket.AF_UNIX) as antenna:
        antenna.connect(f"{tmp_path}/radio")
        antenna.sendall(b"SC\x0b\0\x0a\0\1\0x")
        while "spoke" not in process.stderr.readline():
            pass
        while not any(isinstance(entry, CapturedFrame) for entry in read_capture(tmp_path / "air.pcapng")):
            assert process.poll() is None
        process.kill()
        process.communicate()
    assert sum(isinstance(entry, CapturedFrame) for entry in read_capture(tmp_path / "air.pcapng")) == 1


@pytest.mark.parametrize(
    ("schedule", "says"),
    [
        ("faults = 1", "a schedule is a list `faults`"),
        ("fault = []", "a schedule is a list `faults`"),
        ("faults = [", "not TOML"),
        ("faults = [1]", "fault 1: a step is a table with `do`"),
        ('faults = [{ do = "register" }]', "fault 1: no fault 'register'"),
        ('faults = [{ do = "lose" }]', "fault 1 (lose): name either a flight (1 to 6) or a record"),
        ('faults = [{ do = "lose", flight = 9 }]', "`flight` is 1 to 6, not 9"),
        ('faults = [{ do = "delay", flight = 1 }]', "`ms` is missing"),
        ('faults = [{ do = "lose", flight = 1, to = 2 }]', "`to` is the id of a SED, 3 to 65535, not 2"),
        ('faults = [{ do = "lose", flight = 1, to = true }]', "`to` is the id of a SED"),
        ('faults = [{ do = "lose", flight = 1, by = 70000 }]', "`by` must be"),
        ('faults = [{ do = "lose", flihgt = 1 }]', "no key 'flihgt'; did you mean flight"),
    ],
)
def test_what_is_no_schedule_is_said(tmp_path: Path, scewl: Scewl, schedule: str, says: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(schedule)
    ended = scewl("radio", "--listen", "tcp:127.0.0.1:0", "--faults", path)
    assert ended.code == 2 and str(path) in ended.err and says in ended.err, ended


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "nowhere to listen: give --listen"),
        (["--listen", "9000"], 2, "'9000' is no address"),
        (["--listen", "unix:/proc/nothing/here"], 2, "choose another address"),
        (["--listen", "tcp:127.0.0.1:0", "--antennas", "0"], 2, "--antennas is at least 1"),
        (["--listen", "tcp:127.0.0.1:0", "--rate", "nan"], 2, "--rate and --hold are more than 0"),
        (["--listen", "tcp:127.0.0.1:0", "--keylog", "keys"], 2, "give --capture FILE as well"),
        (["--listen", "tcp:127.0.0.1:0", "--faults", "/none"], 2, "/none: No such file or directory"),
        (["--listen", "tcp:127.0.0.1:0", "--capture", "/none/here"], 3, "/none/here: No such file or directory"),
        (["status"], 2, "which radio? Give --control ADDRESS"),
        (["status", "--control", "unix:/none"], 3, "no radio answers there"),
        (["stauts"], 2, "Did you mean status"),
    ],
)
def test_what_cannot_be_done_is_said(scewl: Scewl, arguments: list[str], code: int, says: str) -> None:
    ended = scewl("radio", *arguments)
    assert ended.code == code and says in ended.err, ended
