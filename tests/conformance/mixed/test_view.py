"""The terminal view, with its keys, in a terminal of textual's own."""

from __future__ import annotations

import asyncio
import os
import pty
import select
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Input, RichLog, Static

from conformance.judge import Diverged
from conformance.mixed.build import build
from conformance.mixed.control import Control
from conformance.mixed.file import parse
from conformance.mixed.view import View
from conformance.targets.reference import ReferenceTarget

SEND = [{"when": "1s", "do": "send", "by": 10, "to": 11, "text": "hello"}]
Play = Callable[[View, "Pilot[None]"], Awaitable[None]]


def view(until: int | None = None, **keys: Any) -> View:
    """A view of two Python SEDs whose wall clock stands still: nothing moves but by commands and steps."""
    devices = [{"id": 10, "kind": "python"}, {"id": 11, "kind": "python"}]
    links = {"radio": {"latency": "100ms"}, "sss": {"latency": "1ms"}}
    world, acts = build(parse(Path("lab.toml"), {"device": devices, "link": links, **keys}))
    world.boot()
    return View(Control(world, acts, pace=1, until=until, clock=lambda: 0.0, stays=True))


def play(shown: View, acts: Play) -> None:
    async def played() -> None:
        async with shown.run_test(size=(140, 40)) as pilot:
            await acts(shown, pilot)

    asyncio.run(played())


async def type_in(shown: View, pilot: Pilot[None], line: str) -> None:
    shown.query_one(Input).value = line
    await pilot.press("enter")
    shown.tick()
    await pilot.pause()


def text(shown: View, name: str) -> str:
    return str(shown.query_one(name, Static).render())


def log(shown: View) -> list[str]:
    return [strip.text.rstrip() for strip in shown.query_one(RichLog).lines]


def rows(shown: View) -> list[list[str]]:
    table = shown.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]


def test_what_is_shown_while_a_lab_is_stepped() -> None:
    async def acts(shown: View, pilot: Pilot[None]) -> None:
        assert rows(shown)[0] == ["10", "python", "IDLE unregistered", "IDLE unregistered", "no timer"]
        assert rows(shown)[2] == ["1", "SSS", "registered: nobody", "", "no timer"]
        assert text(shown, "#clock").startswith("0.000 s  pace 1  0 of 0 messages delivered")
        assert text(shown, "#flying") == "nothing is on its way"
        await pilot.press("f5")
        assert "paused" in text(shown, "#clock")
        await pilot.press("f8")  # the script's step
        shown.tick()
        await pilot.press("f8")  # the CPU's frame is taken
        shown.tick()
        await pilot.pause()
        assert rows(shown)[0][2:4] == ["SENDING_MESSAGE unregistered", "SENDING_MESSAGE/HELLO with 11 unregistered"]
        assert rows(shown)[0][4] == "timer at 8.000 s"
        assert text(shown, "#flying") == "#1  at 1.100 s  10 -> 11  radio  ClientHello"
        assert "       1.000     10 -> 11     radio  ClientHello" in log(shown)
        await type_in(shown, pilot, "drop 1")
        assert text(shown, "#flying").endswith("ClientHello (lost)")
        await type_in(shown, pilot, "pace 0")
        await type_in(shown, pilot, "run")
        while not shown.control.paused:
            shown.tick()
        shown.refresh_lab()
        assert "1 of 1 messages delivered" in text(shown, "#clock") and "paused" in text(shown, "#clock")
        await pilot.pause()
        assert "       8.700     11 -> CPU    cpu    message, 5 B from 10" in log(shown)

    play(view(script=SEND), acts)


def test_commands_and_their_answers() -> None:
    async def acts(shown: View, pilot: Pilot[None]) -> None:
        await type_in(shown, pilot, "snd 10")
        assert log(shown)[-2:] == ["> snd 10", "not done: no command 'snd'; did you mean send?"]
        await pilot.press("f1")
        await pilot.pause()
        assert any(line.startswith("inject AT LINK RAW") for line in log(shown))
        await type_in(shown, pilot, "silence 11")
        shown.tick()
        assert rows(shown)[1][1] == "python (silent)"
        await pilot.press("f10")

    shown = view()
    play(shown, acts)
    assert shown.control.ended and shown.return_code == 0


def test_a_divergence_stops_the_lab_and_is_raised_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = ReferenceTarget.send

    def deaf(self: ReferenceTarget, link: Any, data: bytes) -> Any:
        return honest(self, link, data[:-1])

    async def acts(shown: View, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(ReferenceTarget, "send", deaf)
        await type_in(shown, pilot, "pace 0")
        await type_in(shown, pilot, "send 10 11 5")
        assert isinstance(shown.stopped, Diverged) and "stopped" in text(shown, "#clock")
        before = shown.control.world.counts.steps
        await type_in(shown, pilot, "send 11 10 5")
        assert shown.control.world.counts.steps == before
        assert log(shown)[-1] == "the lab has stopped; F10 ends it and shows all that is known"
        assert any(line.startswith("SED 10: Came: nothing. Allowed: hello(to=11)") for line in log(shown))
        await pilot.press("f10")

    play(view(), acts)


def test_the_view_leaves_when_the_lab_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    async def acts(shown: View, pilot: Pilot[None]) -> None:
        monkeypatch.setattr(shown, "exit", lambda: left.append(shown.control.world.now))
        await type_in(shown, pilot, "pace 0")
        while not shown.control.ended:
            assert not left
            shown.tick()
        assert left[0] == 500

    shown = view(until=500, script=SEND)
    play(shown, acts)
    assert shown.control.world.now == 500


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)


def test_the_program_in_a_real_terminal(tmp_path: Path, terminal: tuple[int, int]) -> None:
    """`scewl lab` draws, hears a command and a key, and ends with the summary and exit code 0."""
    file = tmp_path / "lab.toml"
    file.write_text('[[device]]\nid = 10\nkind = "python"\n')
    ours, theirs = terminal
    program = "import sys; from conformance.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "lab", str(file)]
    environment = os.environ | {"TERM": "xterm", "NO_COLOR": "1", "COLUMNS": "120", "LINES": "40"}
    running = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    drawn = b""

    def until(what: bytes) -> None:
        nonlocal drawn
        while what not in drawn:
            assert select.select([ours], [], [], 60)[0], f"{what!r} is not drawn within a minute: {drawn[-500:]!r}"
            try:
                drawn += os.read(ours, 65_536)
            except OSError:  # it has ended
                break

    until(b"IDLE unregistered")
    os.write(ours, b"register 10\r")
    until(b"answer: register")
    os.write(ours, b"quit\r")
    until(b" registered, 0 deregistered")
    assert b"PASS  " in drawn and b"Traceback" not in drawn
    assert running.wait(60) == 0
