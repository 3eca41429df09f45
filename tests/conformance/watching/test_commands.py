"""`scewl sss --watch` and `scewl replay` of what it leaves."""

from __future__ import annotations

import asyncio
import functools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import wires
from memory_world import DEPLOYMENT
from watched_worlds import accuse, busy, watched_world, wrong_cookies

from conformance.cli import main
from conformance.watching import Alarm, WatchedSss, watch
from conformance.watching.alarms import AlarmFolder
from model.alphabet import Link
from reference.controller import Controller
from reference.frame import Frame
from reference.service.server import Service
from reference.sss import Sss


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "alarms"


def serve(tmp_path: Path, make_sss: object, monkeypatch: pytest.MonkeyPatch, hostile: int = 0) -> list[int]:
    """What the sixteen devices are told that all register at once with a service."""
    monkeypatch.setattr(wires, "Service", functools.partial(Service, make_sss=make_sss))

    async def run() -> list[int]:
        async with wires.running(tmp_path) as now, wires.siege(now.path, hostile):
            asked = [asyncio.wait_for(now.register(i), 20) for i in wires.IDS]
            return await asyncio.gather(*asked)

    return asyncio.run(run())


def test_the_service_under_siege_gives_no_alarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms: list[Alarm] = []
    told = serve(tmp_path, functools.partial(WatchedSss, alarm=alarms.append), monkeypatch, len(wires.HOSTILE))
    assert told == [0] * 16
    assert not alarms, alarms[0].result


def test_a_wrong_service_is_told_about_in_the_log_and_in_the_folder(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[dict[str, object]] = []
    alarm = AlarmFolder(folder, lambda event, **what: lines.append({"event": event, **what}))
    monkeypatch.setattr(Sss, "_remember", lambda *_: None)
    told = serve(tmp_path, functools.partial(WatchedSss, alarm=alarm, go_on=True), monkeypatch)
    assert told == [0] * 16
    assert {line["event"] for line in lines} == {"diverged"} and len(lines) == 16
    assert (lines[0]["node"], lines[0]["verdict"]) == (1, "FAIL") and "REG-1" in str(lines[0]["requirements"])
    trace = folder / "watched-1-1.jsonl"
    assert oct(trace.stat().st_mode)[-3:] == "600" and oct(folder.stat().st_mode)[-3:] == "700"
    text = (folder / "watched-1-1.txt").read_text("utf-8")
    assert f"scewl replay {trace}" in text and "ClientHello with cookie" in text and "requirement REG-1" in text
    assert main(["replay", str(trace), "--out", str(tmp_path / "again")]) == 1
    shown = capsys.readouterr().out
    assert "is registered now" in shown and str(lines[0]["reason"])[:40] in shown
    assert (tmp_path / "again/watched-1.jsonl").read_text("utf-8") == trace.read_text("utf-8")


def test_alarms_without_end_do_not_fill_the_disk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.watching.alarms.MOST", 2)
    lines: list[dict[str, object]] = []
    alarm = AlarmFolder(folder, lambda event, **what: lines.append(what))
    world, alarms = watched_world(3, 4)
    accuse(world, alarms)
    for _ in range(5):
        alarm(alarms[0])
    assert len(lines) == 5 and len(list(folder.iterdir())) == 4


def test_a_folder_that_takes_no_file_costs_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, object]] = []
    alarm = AlarmFolder(folder, lambda event, **what: lines.append(what))
    world, alarms = watched_world(3, 4)
    accuse(world, alarms)
    folder.rmdir()
    alarm(alarms[0])
    assert lines[0]["text"] == "not written: No such file or directory"


# --- replay -----------------------------------------------------------------------------------------------------------


def recorded(entropy: bytes | None, folder: Path) -> Path:
    """The trace of a controller that checks no cookie."""
    alarms: list[Alarm] = []
    node = watch(Controller(DEPLOYMENT.image(4), boot_entropy=entropy or b""), alarms.append, boot_entropy=entropy)
    caller = Controller(DEPLOYMENT.image(3))
    caller.receive(Link.CPU, Frame(4, 3, b"message").encode(), 0)
    with wrong_cookies():
        for _, data in caller.outgoing():
            node.receive(Link.RADIO, data, 5)
    folder.mkdir()
    path = folder / "watched-4-1.jsonl"
    path.write_text(alarms[0].trace, "utf-8")
    return path


def test_replay_judges_a_recording_once_more(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = recorded(b"entropy", folder)
    assert main(["replay", str(trace), "--out", str(folder), "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["divergence"]["requirements"][0] == "SES-6" and result["verdict"] == "FAIL"


def test_with_the_deployment_another_reference_takes_the_stimuli(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DEPLOYMENT.save(tmp_path / "deployment")
    arguments = ["replay", str(recorded(b"entropy", folder)), "--out", str(folder)]
    arguments += ["--deployment", str(tmp_path / "deployment")]
    assert main(arguments) == 0, "a right one"
    assert main([*arguments, "--json"]) == 0
    evidence = json.loads(capsys.readouterr().out.partition("{")[2].join(("{", "")))["evidence"]
    assert evidence == ["from step 1 on it does something else than was recorded, and may"]
    with wrong_cookies():
        assert main(arguments) == 1, "one that is wrong in the same way"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "reference"], "only --deployment goes with it"),
        (["--deployment", "nowhere"], "there is no folder nowhere"),
    ],
)
def test_what_does_not_fit_is_said(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["replay", str(recorded(b"", folder)), "--out", str(folder), *arguments]) in (2, 3)
    assert message in capsys.readouterr().err


def test_a_recording_without_its_entropy_cannot_be_repeated(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DEPLOYMENT.save(tmp_path / "deployment")
    arguments = ["--out", str(folder), "--deployment", str(tmp_path / "deployment")]
    assert main(["replay", str(recorded(None, folder)), *arguments]) == 3
    assert "replay it without --deployment" in capsys.readouterr().err
    other = folder / "other.jsonl"
    other.write_text('{"trace":1}\n', "utf-8")
    assert main(["replay", str(other), *arguments]) == 2
    assert "this is none" in capsys.readouterr().err
    other.write_text('{"trace":1,"watched":[]}\n', "utf-8")
    assert main(["replay", str(other), "--out", str(folder)]) == 3


def test_all_that_a_right_controller_did_repeats_byte_for_byte() -> None:
    from conformance.watching.recording import Recording
    from conformance.watching.replay import repeat

    world, alarms = watched_world(3, 4)
    for sed in (3, 4):
        world.nodes[sed] = watch(Controller(DEPLOYMENT.image(sed)), alarms.append, boot_entropy=b"")  # type: ignore
    busy(world)
    told = world.nodes[3].told()  # type: ignore[attr-defined]
    again = repeat(Recording.from_trace(told.trace), DEPLOYMENT)
    assert again.trace == told.trace and again.result.evidence == [] and not alarms


# --- the program ------------------------------------------------------------------------------------------------------


def test_the_program_watches(tmp_path: Path, folder: Path) -> None:
    wires.DEPLOYMENT.save(tmp_path / "deployment")
    command = ["sss", "--deployment", str(tmp_path / "deployment"), "--listen", f"unix:{tmp_path}/wires"]
    program = "import sys; from conformance.cli import main; sys.exit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *command, "--watch", str(folder)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    lines = [json.loads(process.stderr.readline())]

    async def register() -> int:
        streams = await asyncio.open_unix_connection(f"{tmp_path}/wires")
        try:
            return await wires.Device(10).ask(streams, 0)
        finally:
            streams[1].close()

    try:
        assert asyncio.run(register()) == 0
    finally:
        process.send_signal(signal.SIGTERM)
        lines += map(json.loads, process.communicate(timeout=30)[1].splitlines())
    assert process.returncode == 0
    assert "registered" in {line["event"] for line in lines} and "diverged" not in {line["event"] for line in lines}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("wrong", [["--go-on"], ["--watch", __file__]])
def test_usage(wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wires.DEPLOYMENT.save(tmp_path / "deployment")
    command = ["sss", "--deployment", str(tmp_path / "deployment"), "--listen", f"unix:{tmp_path}/wires"]
    assert main([*command, *wrong]) == 2
    assert "--watch" in capsys.readouterr().err
