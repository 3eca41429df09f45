"""`scewl lab` as a program: the file that it writes runs as it is, with our firmware in the real QEMU."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

Scewl = Callable[..., "object"]

PYTHON = """
[[device]]
id = 10
kind = "python"
[[device]]
id = 11
kind = "python"
[[script]]
when = "1s"
do = "send"
by = 10
to = 11
text = "hello"
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    (tmp_path / "lab.toml").write_text(PYTHON)
    return tmp_path / "lab.toml"


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_the_file_that_init_writes_runs(tmp_path: Path, scewl: Scewl, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "lab.toml"
    monkeypatch.chdir(Path(__file__).parents[3])
    assert scewl("lab", "--init", file).code == 0
    again = scewl("lab", "--init", file)
    assert again.code == 2 and "is there already" in again.err
    monkeypatch.chdir(tmp_path)
    ended = scewl("lab", file, "--record", tmp_path / "record", "--json")
    assert ended.code == 0 and ended.err == ""
    *events, end = map(json.loads, ended.out.splitlines())
    assert end["event"] == "end" and end["verdict"] == "PASS" and end["t"] == 12_000
    assert (end["delivered"], end["given"], end["registered"]) == (2, 2, 2)
    assert {e["event"] for e in events} >= {"sent", "arrives", "state", "cpu-sends", "cpu-gets", "timer", "lost"}
    assert [e["t"] for e in events] == sorted(e["t"] for e in events)
    looked = scewl("inspect", tmp_path / "record/lab.pcapng", "--judge")
    assert looked.code == 0 and looked.out.count("ALLOWED") >= 2 and "NOT_ALLOWED" not in looked.out
    assert looked.out.count("of 38 frames are allowed") + looked.out.count("of 39 frames are allowed") == 2
    assert "6 sessions, 6 decrypted" in looked.out
    replayed = scewl("replay", tmp_path / "record/10.jsonl")
    assert replayed.code == 3 and "run the lab's file again" in replayed.err


def test_lines_for_people(small: Path, scewl: Scewl) -> None:
    ended = scewl("lab", small)
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert "       1.000     10 -> 11     radio  ClientHello" in lines
    assert "       1.000     11 -> CPU    cpu    message, 5 B from 10" in lines
    assert lines[-1].startswith("PASS  1.000 s virtual") and "1 of 1 messages delivered, 5 B" in lines[-1]
    assert "\x1b" not in ended.out


def test_commands_from_standard_input(small: Path, scewl: Scewl, commands: Callable[[str], None]) -> None:
    commands("# nothing moves by itself\nshow\nrun 1s\n\nstep 3\nflying\nsend 11 10 4\nrun\nsnd\nquit\nshow\n")
    ended = scewl("lab", small, "--commands", "--no-watch")
    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0].split() == ["10", "python", "IDLE", "unregistered", "not", "watched", "no", "timer"]
    assert lines[-2] == ("not done: no command 'snd'; did you mean send?") and "2 of 2 messages delivered" in lines[-1]


@dataclass
class Wall:
    """A wall clock on which only sleeping takes time."""

    now: float = 100.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr("conformance.cli.lab.time", wall)
    return wall


def test_the_page_s_example_waits_for_nothing(
    tmp_path: Path, scewl: Scewl, commands: Callable[[str], None], wall: Wall, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs/lab.md").read_text()
    example = re.search(r"^printf '(.*)' \| scewl lab lab.toml --commands$", page, re.MULTILINE)
    assert example is not None
    commands(example[1].replace("\\n", "\n"))
    monkeypatch.chdir(Path(__file__).parents[3])
    scewl("lab", "--init", tmp_path / "lab.toml")
    ended = scewl("lab", tmp_path / "lab.toml", "--commands")
    assert ended.code == 0 and "#46  at 12.002 s  10 -> 11  radio  ClientHello" in ended.out
    assert "      19.014     11 -> CPU    cpu    message, 64 B from 10" in ended.out.splitlines()
    assert wall.now == 100, "for nineteen virtual seconds"


@pytest.mark.parametrize(
    ("options", "typed", "waited"),
    [
        (["--plain"], "", 0),
        (["--plain", "--pace", "2"], "", 0.5),
        (["--commands"], "run\n", 0),
        (["--commands", "--pace", "4"], "run\n", 0.25),
        (["--commands"], "pace 10\nrun\n", 0.1),
    ],
)
def test_only_who_asks_for_a_pace_waits(
    small: Path,
    scewl: Scewl,
    commands: Callable[[str], None],
    wall: Wall,
    options: list[str],
    typed: str,
    waited: float,
) -> None:
    commands(typed)
    assert scewl("lab", small, *options).code == 0
    assert wall.now - 100 == pytest.approx(waited), "until the message of one second"


def test_what_is_not_met_is_exit_code_1(small: Path, scewl: Scewl, commands: Callable[[str], None]) -> None:
    commands("run\nexpect 10 message\n")
    ended = scewl("lab", small, "--commands")
    assert ended.code == 1 and ended.out.splitlines()[-1].startswith("FAIL")
    assert "expectation not met: expect at=10 what=message: the CPU of 10 got nothing" in ended.out


def test_a_firmware_that_breaks_is_shown_with_what_it_left(
    build: Callable[[str], Path], tmp_path: Path, scewl: Scewl
) -> None:
    text = f'[[device]]\nid = 10\nkind = "firmware"\nelf = "{build("echo")}"\n'
    (tmp_path / "lab.toml").write_text('[[script]]\nwhen = "1s"\ndo = "register"\nby = 10\n' + text)
    ended = scewl("lab", tmp_path / "lab.toml")
    assert ended.code == 1
    assert "FAIL SED 10: firmware, in a lab" in ended.out and "observed: unknown(link=2)" in ended.out
    assert "allowed:  hello(to=1)" in ended.out and "request: register" in ended.out
    told = scewl("lab", tmp_path / "lab.toml", "--json")
    end = json.loads(told.out.splitlines()[-1])
    assert told.code == 1 and end["verdict"] == "FAIL" and end["device"] == 10
    assert end["divergence"]["allowed"] == [["hello(to=1)"]] and end["ladder"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--until", "soon"], "--until: 'soon' is no time"),
        (["--pace", "-1"], "--pace -1: it is 0"),
        (["--seed", "-1"], "--seed -1: it is 0 to"),
    ],
)
def test_usage(small: Path, scewl: Scewl, options: list[str], says: str) -> None:
    ended = scewl("lab", small, *options)
    assert ended.code == 2 and says in ended.err


def test_errors_of_the_file_and_the_disk(small: Path, scewl: Scewl) -> None:
    assert "`scewl lab --init" in scewl("lab", small.parent / "none.toml").err
    small.write_text(PYTHON + "[lnk]\n")
    wrong = scewl("lab", small)
    assert wrong.code == 2 and "lab.toml: no key 'lnk'; did you mean link?" in wrong.err
    small.write_text(PYTHON)
    (small.parent / "file").touch()
    taken = scewl("lab", small, "--record", small.parent / "file")
    assert taken.code == 3 and "file: File exists" in taken.err


def test_the_end_of_time(small: Path, scewl: Scewl) -> None:
    ended = scewl("lab", small, "--until", "1h", "--json")
    assert json.loads(ended.out.splitlines()[-1])["virtual_ms"] == 3_600_000


def test_an_interrupted_lab_keeps_what_it_recorded(small: Path, tmp_path: Path, scewl: Scewl) -> None:
    program = "import sys; from conformance.cli import main; sys.exit(main())"
    options = ["--plain", "--pace", "1", "--until", "30d", "--record", str(tmp_path / "record")]
    command = [sys.executable, "-c", program, "lab", str(small), *options]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stdout is not None
    while "message, 5 B from 10" not in (line := running.stdout.readline()):
        assert line, running.communicate()
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130 and told == "scewl: interrupted\n"
    assert json.loads((tmp_path / "record/11.jsonl").read_text().splitlines()[-1])["reason"] == "interrupted"
    assert "NOT_ALLOWED" not in (looked := scewl("inspect", tmp_path / "record/lab.pcapng", "--judge")).out
    assert looked.code == 0
