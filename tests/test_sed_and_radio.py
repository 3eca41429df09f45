"""The page `docs/sed-and-radio.md`: its commands run, and its Python says what the page says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

from conformance.capture import CapturedFrame, read_capture
from conformance.onlooker import Standing, judge_capture
from conformance.radio import Middle
from conformance.radio.schedule import parse_schedule
from conformance.wire.secrets import KeyLog
from reference.deployment import Deployment

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/sed-and-radio.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|python|toml|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
LIMIT_S = 120


def block(kind: str, holds: str) -> str:
    (found,) = [text for name, text in BLOCKS if name == kind and holds in text]
    return str(found)


def environment() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def background(command: list[str], folder: Path) -> subprocess.Popen[str]:
    """Start a program that goes on, and wait until it says that it has started."""
    process = subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "started" in process.stderr.readline()
    return process


def end(process: subprocess.Popen[str]) -> None:
    """End it, whatever it is doing, and close what it was read from."""
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


def test_the_commands_of_the_page(tmp_path: Path) -> None:
    """The first block, with the programs in the background; then the man in the middle, and the capture."""
    first, judged = block("sh", "provision"), block("sh", "--judge")
    provision, sss, radio, eleven, ten = first.strip().splitlines()
    shell = ["bash", "-eu", "-c"]
    started = []
    try:
        subprocess.run([*shell, provision], cwd=tmp_path, env=environment(), check=True, stdout=subprocess.DEVNULL)
        for line in (sss, radio):
            started.append(background(["bash", "-c", f"exec {line}"], tmp_path))
        listener = subprocess.Popen(
            [*shell, f"exec {eleven}"],
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(listener)
        assert listener.stdout is not None and listener.stdout.readline() == "registered\n"
        sent = subprocess.run(
            [*shell, ten], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
        )
        assert sent.stdout == "registered\nsent to 11, 5 B\n"
        assert listener.stdout.read() == "message from 10, 5 B: hello\n" and listener.wait(LIMIT_S) == 0

        code = [sys.executable, "-c", block("python", "Sed(")]
        said = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert said.stdout == block("text", "of another authority")

        started[1].send_signal(signal.SIGTERM)
        assert started[1].wait(LIMIT_S) == 0
        shown = subprocess.run([*shell, judged], cwd=tmp_path, env=environment(), capture_output=True, text=True)
        # A machine that stands still for half a second makes the program doubt; the verdict here is more patient.
        assert shown.returncode in (0, 3), shown.stdout + shown.stderr
        captured = [entry for entry in read_capture(tmp_path / "radio.pcapng") if isinstance(entry, CapturedFrame)]
        keys = KeyLog((tmp_path / "keys.txt").read_text())
        verdicts = judge_capture(captured, keys, tolerance_us=3_000_000)
        assert {verdict.sed: verdict.standing for verdict in verdicts} == {10: Standing.ALLOWED, 11: Standing.ALLOWED}
        assert "message, 5 B" in shown.stdout or "data #1, 5 B" in shown.stdout, "decrypted"
    finally:
        for process in started:
            end(process)


def test_the_man_in_the_middle_of_the_page(tmp_path: Path) -> None:
    Deployment.create([10, 11], seed=b"tests/sed-and-radio").save(tmp_path / "deployment")
    scewl = str(Path(sys.executable).with_name("scewl"))
    sed = [scewl, "sed", "--deployment", "deployment", "--radio", "unix:radio.sock", "--id"]
    pipe = {"cwd": tmp_path, "stdout": subprocess.PIPE, "text": True}
    started = [background([scewl, "radio", "--listen", "unix:radio.sock", "--control", "unix:control.sock"], tmp_path)]
    try:
        eleven = subprocess.Popen([*sed, "11", "--json", "-c", "stay"], **pipe)  # type: ignore[call-overload]
        started.append(eleven)
        assert json.loads(eleven.stdout.readline())["up"]
        code = block("python", "Middle(")
        middle = subprocess.Popen([sys.executable, "-c", code], **pipe)  # type: ignore[call-overload]
        started.append(middle)
        with Middle(f"unix:{tmp_path}/control.sock") as other:
            while not (status := other.status())["man_in_the_middle"] or len(status["antennas"]) < 1:
                assert middle.poll() is None
        words = ["-c", "send 11 hello", "-c", "wait 60 from 2"]
        ten = subprocess.run([*sed, "10", *words], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_S)
        assert ten.stdout == "sent to 11, 5 B\nmessage from 2, 11 B: from nobody\n", ten.stderr
        broken = json.loads(eleven.stdout.readline())
        assert (broken["event"], broken["peer"], broken["how"]) == ("session", 10, "broken")
        said, _ = middle.communicate(timeout=LIMIT_S)
        assert said.startswith("10 > 11 ClientHello\n11 > 10 HelloVerifyRequest\n") and middle.returncode == 0
    finally:
        for process in started:
            end(process)


def test_the_schedule_of_the_page() -> None:
    faults = parse_schedule("the page", tomllib.loads(block("toml", "faults")))
    assert [fault.action for fault in faults] == ["lose", "lose", "duplicate", "delay", "cut", "swap"]
