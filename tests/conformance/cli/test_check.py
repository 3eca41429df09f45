"""`scewl check` on the two small systems of tests/conformance/checking, with the real engines."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance.checking import backend
from conformance.checking.backend import ENGINES, Backend, Engine, Tick
from conformance.checking.results import CheckReport
from conformance.cli.check import Progress, describe_tick, parse_size
from conformance.cli.shared import UsageError


@pytest.fixture(scope="module")
def toys() -> SimpleNamespace:
    path = Path(__file__).parents[1] / "checking" / "conftest.py"
    spec = importlib.util.spec_from_file_location("toys_of_check", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["toys_of_check"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return SimpleNamespace(**vars(module))


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, toys: SimpleNamespace) -> Callable[..., None]:
    """Puts the toys in the place of the real scopes, and other engines beside the real ones."""

    def give(**engines: Engine) -> None:
        monkeypatch.setattr(backend, "load", lambda: Backend(toys.SCOPES, dict(ENGINES) | engines))

    give()
    return give


def test_a_whole_run(use, scewl, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    ended = scewl("check", "--out", out)
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == f"report: {out / 'index.html'}"
    for needed in ("all-delivered is false in pair (explore)", "checked within bounds", "SES-8", "for ever"):
        assert needed in ended.out
    report = CheckReport.load(out / "report.json")
    assert report.command == "scewl check --profile hardened" and report.matrix and report.states
    assert (out / "report.md").is_file() and (out / "index.html").is_file()
    lines = [line for line in ended.err.splitlines() if ", " in line]
    assert "[ 1/19] explore: alone: 5 holds, 1 vacuous, 89 states, 0.0 s" in lines


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--property", "at-most-once"], 0),
        (["--property", "at-most-once", "--profile", "historic"], 1),
        (["--property", "sss-timer"], 3),
        (["--scope", "pair"], 1),
    ],
)
def test_exit_codes(use, scewl, tmp_path: Path, arguments: list[str], code: int) -> None:
    ended = scewl("check", "--out", tmp_path, *arguments)
    assert ended.code == code
    assert CheckReport.load(tmp_path / "report.json").matrix == []


def test_an_engine_in_error_is_no_success(use, scewl, toys, tmp_path: Path) -> None:
    use(explore=toys.broken)
    ended = scewl("check", "--property", "at-most-once", "--out", tmp_path)
    assert ended.code == 3 and "error: RuntimeError: gcc is not installed: <apt-get install gcc>" in ended.out
    assert "Traceback" not in ended.err
    ended = scewl("check", "--property", "at-most-once", "--out", tmp_path, "--debug")
    assert ended.code == 3 and "Traceback" in ended.err


def test_options_are_kept_in_the_command(use, scewl, tmp_path: Path) -> None:
    arguments = ["--scope", "pair", "--scope", "alone", "--engine", "run", "--property", "no-fatal", "--matrix"]
    ended = scewl("check", *arguments, "--memory", "100M", "-j", 1, "--json", "--out", tmp_path)
    report = json.loads(ended.out)
    assert report["command"] == (
        "scewl check --profile hardened --scope pair --scope alone --property no-fatal --engine run --matrix"
    )
    assert [(c["scope"], c["engine"]) for c in report["checks"]] == [("alone", "run")]
    assert len(report["matrix"]) > 8 and "report: " in ended.err


def test_memory_and_jobs_reach_the_engine(use, scewl, toys, tmp_path: Path) -> None:
    seen = []

    def engine(system, options):  # type: ignore[no-untyped-def]
        seen.append((system.name, options.memory, options.jobs, options.properties))
        return ENGINES["run"](system, options)

    use(explore=engine)
    scewl("check", "--memory", "2G", "-j", 2, "--property", "registered", "--out", tmp_path)
    assert seen == [("pair", 2 << 30, 2, ("registered",))]


def test_too_little_memory_leaves_it_open(use, scewl, toys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "WALK_LIMIT", 5)
    ended = scewl("check", "--engine", "run", "--property", "at-most-once", "--out", tmp_path)
    assert ended.code == 3 and "5, not all" in ended.out and "not exhausted" in ended.out


def test_interrupted_keeps_what_was_finished(use, scewl, toys, tmp_path: Path) -> None:
    use(explore=toys.interrupted)
    ended = scewl("check", "--engine", "run", "--engine", "explore", "--out", tmp_path)
    assert ended.code == 130 and "interrupted before 4 tasks were finished" in ended.err
    report = CheckReport.load(tmp_path / "report.json")
    assert [(c.scope, c.engine) for c in report.checks] == [("alone", "run")]
    assert "Incomplete" in (tmp_path / "index.html").read_text("utf-8")


def test_nothing_selected(use, scewl, tmp_path: Path) -> None:
    ended = scewl("check", "--engine", "spin", "--out", tmp_path / "out")
    assert (ended.code, ended.out) == (4, "") and "nothing selected" in ended.err
    ended = scewl("check", "--scope", "alone", "--property", "registered", "--out", tmp_path / "out")
    assert ended.code == 4 and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scope", "pear"], "no scope pear. Did you mean pair?"),
        (["--scope", "qqq"], "`scewl check --list` shows all"),
        (["--property", "at-most-twice"], "Did you mean at-most-once?"),
        (["--explain", "no-fatel"], "no property no-fatel. Did you mean no-fatal?"),
        (["--engine", "exlpore"], "Did you mean explore?"),
        (["--profile", "hard"], "invalid choice: 'hard'"),
        (["--memory", "much"], "--memory much"),
        (["--memory", "0"], "--memory 0"),
        (["-j", "0"], "-j 0: at least one core"),
        (["--matrix", "--profile", "historic"], "--matrix goes with --profile hardened"),
    ],
)
def test_usage(use, scewl, tmp_path: Path, arguments: list[str], says: str) -> None:
    ended = scewl("check", *arguments, "--out", tmp_path / "out")
    assert ended.code == 2 and says in ended.err and ended.out == ""
    assert not (tmp_path / "out").exists()


def test_list(use, scewl) -> None:
    ended = scewl("check", "--list")
    assert ended.code == 0 and "  pair   Two SEDs on a radio with an adversary. [run, explore]" in ended.out
    data = json.loads(scewl("check", "--list", "--json").out)
    assert [s["name"] for s in data["scopes"]] == ["alone", "pair", "large"]
    (row,) = [p for p in data["properties"] if p["name"] == "registered"]
    assert (row["kind"], row["requirements"], row["scopes"]) == ("always possible", ["REG-5"], ["pair", "large"])


def test_explain(use, scewl) -> None:
    ended = scewl("check", "--explain", "armed")
    assert ended.code == 0 and "armed: A busy controller has a timer." in ended.out
    assert "SES-7: Whatever arrives, a controller is IDLE again within a bound." in ended.out
    data = json.loads(scewl("check", "--explain", "armed", "--json").out)
    assert data["scopes"] == {"alone": ["run", "explore"]} and data["requirements"]["DTL-6"]


def test_the_folder_cannot_be_written(use, scewl, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = scewl("check", "--property", "at-most-once", "--out", tmp_path / "file" / "out")
    assert ended.code == 3 and "Not a directory" in ended.err


def test_the_real_scopes_can_be_listed(scewl) -> None:
    """The other tests stand in for the model's scopes; this one says that they are what these take them for."""
    ended = scewl("check", "--list")
    assert ended.code == 0 and "  pair " in ended.out and "  no-fatal-error " in ended.out


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("500M", 500 << 20), ("64k", 65_536), ("1.5 GiB", 3 << 29), ("123", 123)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "4X", "0.1", "1e9", "0k"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError):
        parse_size(text)


def test_how_far_an_engine_is() -> None:
    assert describe_tick(Tick(2_500_000, 34, 2.0, 120_000_000), 9.0) == (
        "2,500,000 states, 1.25 M/s, depth 34, 120.0 MB"
    )
    assert describe_tick(Tick(says="3 of 40 questions"), 9.0) == "3 of 40 questions"
    assert describe_tick(Tick(), 9.4) == "9 s"


def test_progress_is_a_line_a_second_or_one_that_changes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 0.5, 1.5, 2.0, 2.6, 10.0, 12.0])
    monkeypatch.setattr("conformance.cli.check.time.monotonic", lambda: next(clock))
    lines = Progress()
    lines.begin("explore: pair", 3, 12)
    for states in (10, 20, 30, 40):
        lines.tick(Tick(states, 1, 1.0))
    lines.end("all hold")
    assert capsys.readouterr().err.splitlines() == [
        "[ 3/12] explore: pair: 20 states, 0.00 M/s, depth 1",
        "[ 3/12] explore: pair: 40 states, 0.00 M/s, depth 1",
        "[ 3/12] explore: pair: all hold",
    ]
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    line = Progress()
    line.begin("explore: pair", 3, 12)
    line.tick(Tick(50, 1, 1.0))
    line.end("all hold")
    assert capsys.readouterr().err == (
        "\r\x1b[K[ 3/12] explore: pair"
        "\r\x1b[K[ 3/12] explore: pair: 50 states, 0.00 M/s, depth 1"
        "\r\x1b[K[ 3/12] explore: pair: all hold\n"
    )
