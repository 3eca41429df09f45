"""The program as a process, and what holds for every command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "import sys; from conformance.cli import main; sys.exit(main())"]


@pytest.mark.parametrize("command", ["conform", "replay", "provision"])
def test_help_has_examples(scewl, command: str) -> None:
    ended = scewl(command, "--help")
    assert ended.code == 0 and "examples:" in ended.out and f"scewl {command}" in ended.out


def test_an_interruption_while_a_command_is_loaded(scewl, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("conformance.cli.import_module", interrupted)
    ended = scewl("lab", "lab.toml")
    assert (ended.code, ended.out, ended.err) == (130, "", "scewl: interrupted\n")


def test_help_of_the_program_lists_the_commands_and_exit_codes(scewl) -> None:
    ended = scewl("--help")
    assert ended.code == 0 and "exit codes:" in ended.out
    assert all(command in ended.out for command in ("conform", "replay", "provision"))


def test_no_command_and_a_wrong_one(scewl) -> None:
    assert scewl().code == 2
    ended = scewl("confrom")
    assert ended.code == 2 and "invalid choice: 'confrom'" in ended.err and "Did you mean conform?" in ended.err


@pytest.mark.parametrize("arguments", [["conform", "--list"], ["conform", "--list", "register"], ["--help"]])
def test_a_reader_that_leaves_is_no_error(arguments: list[str]) -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        command = [*PROGRAM, *arguments]
        done = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, env=buffered, timeout=60)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_terminal_without_unicode_gets_all_the_same(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [*PROGRAM, "provision", str(tmp_path / "grün"), "--ids", "10"]
    done = subprocess.run(command, capture_output=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"gr\\xfcn" in done.stdout


def test_the_real_campaign_and_a_replay_of_its_trace(scewl, tmp_path: Path) -> None:
    """The other tests stand in for `conformance.campaign`; this one says that it still is what they take it for."""
    ended = scewl("conform", "register", "--target", "reference", "--json", "--out", tmp_path)
    data = json.loads(ended.out)
    assert (ended.code, data["verdict"], [case["case"] for case in data["cases"]]) == (0, "PASS", ["register"])
    for name in ("index.html", "junit.xml", "report.json", "register.jsonl", "register.pcapng"):
        assert (tmp_path / name).stat().st_size > 0
    ended = scewl("replay", tmp_path / "register.jsonl", "--out", tmp_path / "again")
    assert ended.code == 0 and "request: register" in ended.out
    assert (tmp_path / "again" / "register.pcapng").read_bytes() == (tmp_path / "register.pcapng").read_bytes()
