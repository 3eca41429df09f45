"""`scewl sed` as a program: scripts, pipes, a terminal, a CPU of one's own, its end, and what it cannot do."""

from __future__ import annotations

import io
import json
import os
import pty
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

from reference.controller import Controller
from reference.deployment import Deployment

Scewl = Callable[..., Any]
PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]
PROMPT_ENDS = b"\x1b[?2004l"
"""What a terminal is told when a line has been taken: pastes are no longer bracketed."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a deployment of 10 to 13, an SSS and a radio, both running."""
    folder = tmp_path_factory.mktemp("world")
    Deployment.create(range(10, 14), seed=b"tests/conformance/cli/sed").save(folder / "deployment")
    running = []
    for words in (
        ["sss", "--deployment", f"{folder}/deployment", "--listen", f"unix:{folder}/sss"],
        ["radio", "--listen", f"unix:{folder}/radio", "--control", f"unix:{folder}/control"],
    ):
        running.append(subprocess.Popen([*PROGRAM, *words], stderr=subprocess.PIPE, text=True))
        stderr = running[-1].stderr
        assert stderr is not None and "started" in stderr.readline()
    yield folder
    for process in running:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "internal" not in process.stderr.read()
        process.stderr.close()


def sed(world: Path, number: int, *more: str) -> list[str]:
    places = ["--radio", f"unix:{world}/radio", "--sss", f"unix:{world}/sss"]
    return ["sed", "--deployment", f"{world}/deployment", "--id", str(number), *places, *more]


def start(world: Path, number: int, *more: str, **how: Any) -> subprocess.Popen[str]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | how
    return subprocess.Popen([*PROGRAM, *sed(world, number, *more)], **pipes)


def line(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Its next JSON line, read without a buffer, of which `select` would know nothing."""
    assert process.stdout is not None
    text = b""
    while not text.endswith(b"\n"):
        assert select.select([process.stdout], [], [], 60)[0], f"no line within a minute, but {text!r}"
        piece = os.read(process.stdout.fileno(), 1)
        assert piece, f"it ended: {text!r}"
        text += piece
    found: dict[str, Any] = json.loads(text)
    return found


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    process.communicate(timeout=60)
    return process.returncode


def test_a_script_in_words_and_as_json(world: Path, scewl: Scewl, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    commands = ["-c", "register", "-c", "# nothing", "-c", "send 2 hi", "-c", "status", "-c", "deregister"]
    ended = scewl(*sed(world, 10, "--keylog", str(keys), *commands))
    assert ended.code == 0, ended
    said = ended.out.splitlines()
    assert said.pop(5).startswith("  dropped: ")
    assert said == [
        "registered",
        "sent to 2, 2 B",
        "SED 10: IDLE, registered, 0 messages wait",
        f"  radio  unix:{world}/radio: there",
        f"  sss    unix:{world}/sss: there",
        "deregistered",
    ]
    assert keys.stat().st_mode & 0o777 == 0o600 and keys.read_text().count("CLIENT_RANDOM") == 2
    ended = scewl(*sed(world, 10, "--json", *commands))
    assert ended.code == 0 and ended.err == ""
    events = [json.loads(text) for text in ended.out.splitlines()]
    assert [e["op"] for e in events if e["event"] == "answer"] == [0, 1]
    (status,) = [e for e in events if e["event"] == "status"]
    assert status["registered"] and status["links"]["radio"]["up"]


def test_a_script_ends_where_it_fails(world: Path, scewl: Scewl) -> None:
    ended = scewl(*sed(world, 10, "-c", "deregister", "-c", "register"))
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.endswith("deregister: the SSS: it did not grant the request\n")
    ended = scewl(*sed(world, 10, "--json", "-c", "wait 0.01 from 11", "-c", "register"))
    assert ended.code == 1
    assert json.loads(ended.out.splitlines()[-1]) == {
        "event": "failed",
        "command": "wait 0.01 from 11",
        "kind": "timed-out",
        "error": "no message from 11 within 0.01 s",
    }


def test_two_talk(world: Path, scewl: Scewl, tmp_path: Path) -> None:
    listener = start(world, 11, "--json", "-c", "wait", "-c", "wait")
    assert line(listener)["event"] == line(listener)["event"] == "link"
    (tmp_path / "a file").write_bytes(bytes(range(256)))
    script = tmp_path / "script"
    script.write_text(f"send 11 \x1b[2J Grüße\nsend-file 11 '{tmp_path}/a file'\n")
    assert scewl(*sed(world, 10, "--script", str(script))).code == 0
    out, _ = listener.communicate(timeout=60)
    messages = [e for e in map(json.loads, out.splitlines()) if e["event"] == "message"]
    assert messages[0]["text"] == "\x1b[2J Grüße" and messages[0]["from"] == 10
    assert bytes.fromhex(messages[1]["hex"]) == bytes(range(256)) and listener.returncode == 0


def test_with_the_model_beside_them_two_talk_and_nothing_is_wrong(world: Path, scewl: Scewl, tmp_path: Path) -> None:
    watch = ["--watch", f"{tmp_path}/alarms"]
    listener = start(world, 11, "--json", "-c", "register", "-c", "wait", *watch)
    assert line(listener)["event"] == line(listener)["event"] == "link"
    while line(listener)["event"] != "answer":
        pass
    ended = scewl(*sed(world, 10, "-c", "register", "-c", f"send 11 {'x' * 2_000}", "-c", "deregister", *watch))
    assert (ended.code, ended.out.splitlines()) == (0, ["registered", "sent to 11, 2000 B", "deregistered"])
    assert "message" in listener.communicate(timeout=60)[0] and listener.returncode == 0
    assert list((tmp_path / "alarms").iterdir()) == []


@pytest.mark.parametrize("go_on", [False, True])
def test_a_wrong_controller_is_told_about(
    world: Path, scewl: Scewl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, go_on: bool
) -> None:
    answer = Controller._answer
    monkeypatch.setattr(Controller, "_answer", lambda node, op: (answer(node, op), answer(node, op)))
    watch = ["--watch", f"{tmp_path}/alarms", *["--go-on"] * go_on]
    ended = scewl(*sed(world, 10, "--json", "-c", "register", "-c", "status", *watch))
    events = [json.loads(text) for text in ended.out.splitlines()]
    (alarm,) = [e for e in events if e["event"] == "diverged"]
    assert ended.code == 1 and "REG-4" in alarm["requirements"]
    assert any(e["event"] == "status" for e in events) is go_on  # without it, the SED has ended
    assert {p.name for p in (tmp_path / "alarms").iterdir()} == {"watched-10-1.jsonl", "watched-10-1.txt"}
    assert scewl("replay", f"{tmp_path}/alarms/watched-10-1.jsonl").code == 1


def test_commands_from_a_pipe(world: Path, scewl: Scewl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("register\n\nsned 11 x\nderegister\n"))
    ended = scewl(*sed(world, 12))
    assert (ended.code, ended.out) == (2, "registered\n")
    assert ended.err.endswith("there is no command 'sned'; did you mean send?\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("help\nquit\nnonsense"))
    ended = scewl(*sed(world, 12))
    assert ended.code == 0 and "send ID TEXT" in ended.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_its_end(world: Path, number: int, code: int) -> None:
    process = start(world, 12, "--json", "-c", "stay")
    assert line(process)["up"]
    assert end(process, number) == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_its_end_in_the_middle_of_a_session(world: Path, tmp_path: Path, number: int, code: int) -> None:
    """A power cut: the SSS hears no more after the hello, and the request has neither failed nor succeeded."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/sss")
        listener.listen(1)
        listener.settimeout(60)
        process = start(world, 12, "--json", "-c", "register", "--sss", f"unix:{tmp_path}/sss")
        wire, _ = listener.accept()
        with wire:
            wire.settimeout(60)
            assert wire.recv(4_096).startswith(b"SC")
            process.send_signal(number)
            assert wire.recv(4_096) == b""
        out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, "")
    assert {json.loads(text)["event"] for text in out.splitlines()} == {"link"}


def test_whoever_reads_it_may_leave(world: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    process = start(world, 12, "--json", "-c", "stay", stdout=write)
    os.close(write)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (141, "")


def test_a_cpu_of_ones_own(world: Path, tmp_path: Path) -> None:
    """It gets frames; what another left half is not continued, and there is one at a time."""
    process = start(world, 13, "--json", "--cpu", f"unix:{tmp_path}/cpu")
    while line(process)["event"] != "listening":
        pass

    def connect() -> socket.socket:
        cpu = socket.socket(socket.AF_UNIX)
        cpu.settimeout(60)
        cpu.connect(f"{tmp_path}/cpu")
        return cpu

    request = b"SC" + struct.pack("<HHHHh", 1, 13, 4, 13, 0)
    with connect() as first:
        while line(process) != {"event": "cpu", "up": True, "address": f"unix:{tmp_path}/cpu"}:
            pass
        with connect() as second:
            assert second.recv(1) == b""
        first.sendall(request + request[:-1] + b"\1" + b"SC" + struct.pack("<HHH", 2, 13, 500) + bytes(100))
        answers = b"".join(first.recv(1) for _ in range(24))
        assert [answers[10:12], answers[22:24]] == [b"\0\0", b"\xff\xff"], "op 0, then an op that is none: -1"
    while line(process) != {"event": "cpu", "up": False, "address": f"unix:{tmp_path}/cpu"}:
        pass
    with connect() as cpu:
        cpu.sendall(request)
        assert b"".join(cpu.recv(1) for _ in range(12))[10:] == b"\0\0"
    assert end(process, signal.SIGTERM) == 0
    assert not (tmp_path / "cpu").exists()


def test_a_terminal(world: Path) -> None:
    """What arrives stands above the prompt, and what was typed so far is drawn anew."""
    master, slave = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "80"}
    process = start(world, 10, stdin=slave, stdout=slave, stderr=slave, env=environment)
    os.close(slave)
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            assert select.select([master], [], [], 60)[0], seen
            seen += os.read(master, 4_096)
        seen = seen.partition(text)[2]

    try:
        until(b"10>")
        os.write(master, b"status\r")
        until(b"SED 10: IDLE, not registered")
        os.write(master, b"nonsense\r")
        until(b"there is no command 'nonsense'")
        os.write(master, b"halfaline")
        until(b"halfaline")
        assert subprocess.run([*PROGRAM, *sed(world, 13, "-c", "send 10 hi there")], timeout=60).returncode == 0
        until(b"message from 13, 8 B: hi there")
        until(b"halfaline")
        os.write(master, b"\x03wait\r")
        until(b"10>")
        for command in (b"wait", b"stay"):  # an earlier `wait` found the message that has come
            os.write(master, command + b"\r")
            until(PROMPT_ENDS)  # before that, SIGINT would drop the line
            while b"not waited for any longer" not in seen:
                process.send_signal(signal.SIGINT)  # lost if the command has not quite begun: then once more
                while b"not waited for any longer" not in seen and select.select([master], [], [], 2)[0]:
                    seen += os.read(master, 4_096)
            until(b"not waited for any longer")
            until(b"10>")
        os.write(master, b"\x04")
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--id", "10", "--radio", "nowhere"], 2, "'nowhere' is no address: write unix:/path"),
        (["--id", "99", "--radio", "unix:/x"], 2, "SED 99 is not in this deployment, which has [10, 11, 12, 13]"),
        (["--id", "10", "--radio", "unix:/x", "-c", "x", "--cpu", "unix:/y"], 2, "three ways to say what it does"),
        (["--id", "10", "--radio", "unix:/x", "--timeout", "0"], 2, "--timeout is more than 0"),
        (
            ["--id", "10", "--radio", "unix:/x", "-c", "quit", "-c", "send 9999999 x"],
            2,
            "-c, line 2: `send` needs the id",
        ),
        (["--id", "10", "--radio", "unix:/x", "-c", "send-hex 11 0g"], 2, "'0g' is not hexadecimal"),
        (["--id", "10", "--radio", "unix:/x", "-c", "send-file 11 /none"], 2, "/none: No such file or directory"),
        (["--id", "10", "--radio", "unix:/x", "-c", f"send 11 {'x' * 16_385}"], 2, "at most 16,384 bytes (FRM-2)"),
        (["--id", "10", "--radio", "unix:/x", "-c", "stay", "--go-on"], 2, "it goes with --watch DIR"),
        (["--id", "10", "--radio", "unix:/x", "-c", "stay", "--watch", "/dev/null"], 2, "/dev/null: it is no folder"),
        (["--id", "10", "--radio", "unix:/x", "-c", "wait for it"], 2, "`wait` is followed by seconds"),
        (["--id", "10", "--radio", "unix:/x", "-c", "wait inf"], 2, "nobody can wait for inf s"),
        (["--id", "10", "--radio", "unix:/x", "-c", "register now"], 2, "`register` stands alone"),
        (["--id", "10", "--radio", "unix:/x", "--script", "/none"], 3, "/none: No such file or directory"),
        (["--id", "10", "--radio", "unix:/x", "--keylog", "/none/keys", "-c", "stay"], 3, "/none/keys: No such file"),
        (
            ["--id", "10", "--radio", "unix:/x/y", "--patience", "0", "-c", "wait"],
            3,
            "wait: the radio at unix:/x/y is not",
        ),
        (["--id", "10", "--radio", "unix:/x", "--patience", "0", "-c", "register"], 3, "this SED was given no SSS"),
        (
            ["--id", "10", "--radio", "unix:/x", "--cpu", "unix:/none/cpu"],
            2,
            "unix:/none/cpu: No such file or directory",
        ),
    ],
)
def test_what_cannot_be_done_is_said(world: Path, scewl: Scewl, arguments: list[str], code: int, says: str) -> None:
    ended = scewl("sed", "--deployment", world / "deployment", *arguments)
    assert ended.code == code and says in ended.err, ended
