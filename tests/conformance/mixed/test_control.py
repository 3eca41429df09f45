"""Pace, pause, step and commands: what a person does to a lab. The wall clock here is a number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conformance.mixed.build import build
from conformance.mixed.control import Control
from conformance.mixed.file import parse
from conformance.mixed.words import CONTROLS, STEPS


@dataclass
class Wall:
    """A clock that goes when it is told to."""

    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    control: Control
    wall: Wall
    events: list[tuple[int, str, dict[str, Any]]]

    def let(self, wall_s: float = 1e9) -> None:
        """Let so many wall seconds pass, or as many as it takes until only a command can go on."""
        left = wall_s
        while (wait := self.control.wait_s()) is not None and wait <= left:
            self.wall.now += wait
            left -= wait
            self.control.advance()
        self.wall.now += left if left < 1e8 else 0

    def got(self) -> list[tuple[int, int, str]]:
        return [(now, facts["device"], facts["what"]) for now, kind, facts in self.events if kind == "cpu-gets"]


@pytest.fixture
def bench() -> Callable[..., Bench]:
    def make(pace: float = 1, until: int | None = None, stays: bool = True, **keys: Any) -> Bench:
        devices = [{"id": 10, "kind": "python"}, {"id": 11, "kind": "python"}]
        keys = {"link": {"radio": {"latency": "100ms"}, "sss": {"latency": "1ms"}}} | keys
        world, acts = build(parse(Path("lab.toml"), {"device": devices, **keys}))
        wall, events = Wall(), []
        world.listeners.append(lambda *event: events.append(event))
        world.boot()
        return Bench(Control(world, acts, pace=pace, until=until, clock=wall, stays=stays), wall, events)

    return make


SEND = [{"when": "1s", "do": "send", "by": 10, "to": 11, "text": "hello"}]
ARRIVAL = 1_700
"""Six flights and the records, 100 ms each."""


@pytest.mark.parametrize(("pace", "wall_s"), [(1, 1.7), (10, 0.17), (0.5, 3.4), (0, 0.0)])
def test_the_pace_is_how_fast_virtual_time_goes(bench: Callable[..., Bench], pace: float, wall_s: float) -> None:
    at = bench(pace, script=SEND)
    while not at.got():
        wait = at.control.wait_s()
        assert wait is not None
        at.wall.now += wait
        at.control.advance()
    assert at.got() == [(ARRIVAL, 11, "message, 5 B")]
    assert at.wall.now - 100 == pytest.approx(wall_s)


def test_a_pause_takes_no_virtual_time(bench: Callable[..., Bench]) -> None:
    at = bench(script=SEND)
    at.let(1.25)
    assert at.control.shown_now() == 1_250 and at.control.command("pause") == []
    assert at.control.wait_s() is None
    at.wall.now += 1_000
    assert at.control.shown_now() == 1_250
    at.control.command("go")
    at.let(0.4)
    assert at.got() == []
    at.let(0.06)
    assert at.got() == [(ARRIVAL, 11, "message, 5 B")]


def test_a_step_is_one_delivery_and_the_frame_can_be_struck_before(bench: Callable[..., Bench]) -> None:
    at = bench(script=SEND)
    at.control.command("run 1s")
    at.let()
    assert at.control.world.now == 1_000 and at.control.paused
    (flying,) = at.control.flying()
    assert flying == "#1  at 1.100 s  10 -> 11  radio  ClientHello"
    before = len(at.events)
    at.control.command("step")
    at.let()
    kinds = [(now, kind) for now, kind, _ in at.events[before:]]
    assert kinds == [(1_100, "arrives"), (1_100, "sent")], "the delivery, and the answer to it"
    assert at.control.flying() == ["#2  at 1.200 s  11 -> 10  radio  HelloVerifyRequest"]
    assert at.control.command("drop 2") == [] and at.control.flying()[0].endswith("(lost)")
    assert at.control.command("drop 2") == ["not done: no frame 2 is on its way; `flying` lists those that are"]
    at.control.command("run")
    at.let()
    assert at.got() == [(ARRIVAL + 7_000, 11, "message, 5 B")], "flight 1 comes again after seven seconds"


def test_a_frame_that_is_doubled_comes_twice(bench: Callable[..., Bench]) -> None:
    at = bench(script=SEND)
    at.control.command("run 1s")
    at.let()
    at.control.command("double #1")
    at.control.command("step 2")
    at.let()
    sent = [(now, facts["what"]) for now, kind, facts in at.events if kind == "sent"]
    assert sent == [(1_000, "ClientHello"), *[(1_100, "HelloVerifyRequest")] * 2]


def test_commands_are_the_steps_of_a_script(bench: Callable[..., Bench]) -> None:
    at = bench()
    for line in ("register 10", "register by=11", "send 10 11 5", "send by=11 to=10 text='good morning'"):
        assert at.control.command(line) == []
    at.control.command("run")
    at.let()
    assert {(device, what) for _, device, what in at.got()} == {
        (10, "answer: register"),
        (11, "answer: register"),
        (11, "message, 5 B"),
        (10, "message, 12 B"),
    }
    assert re.search(r"^ +10  python +IDLE registered +IDLE registered +no timer$", at.control.command("show")[0])
    assert at.control.command("show")[2].split() == ["1", "SSS", "registered:", "10,", "11", "no", "timer"]
    at.control.command("inject 10 radio 5343ffff")
    at.control.command("silence 11")
    assert "python (silent)" in at.control.command("show")[1]
    at.control.command("expect 11 answer")
    assert at.control.command("expect 11 nothing") == [] and len(at.control.unmet) == 1
    assert "the CPU of 11 got 5 B from 10" in at.control.unmet[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", "nothing to do"),
        ("snd 10 11 5", "no command 'snd'; did you mean send"),
        ("send 10", "`to` is missing"),
        ("send 10 11 5 x y", "too many words; it takes by, to, size, text"),
        ("send 10 11 many", "`size` is a whole number, not 'many'"),
        ("send 10 11 size=99999999999", "`size` is a whole number"),
        ("send 10 11 'x", "No closing quotation"),
        ("register 12", "there is no device 12; there are 10, 11"),
        ("run fast", "'fast' is no time"),
        ("step -1", "it is `step [N]`"),
        ("step 0", "it is `step [N]`"),
        ("drop", "it is `drop N`"),
        ("pace much", "pace much: it is 0 to 1000000"),
        ("pace nan", "pace nan: it is 0 to 1000000"),
    ],
)
def test_a_wrong_command_says_what_is_right_and_does_nothing(bench: Callable[..., Bench], line: str, says: str) -> None:
    at = bench()
    before = len(at.events)
    (reply,) = at.control.command(line)
    assert reply.startswith("not done: ") and says in reply
    assert len(at.events) == before and not at.control.unmet and not at.control.ended


def test_help_names_every_command(bench: Callable[..., Bench]) -> None:
    words = {line.split()[0] for line in bench().control.command("help")}
    assert words == STEPS.keys() | {name.split()[0] for name in CONTROLS}


def test_where_a_lab_ends(bench: Callable[..., Bench]) -> None:
    at = bench(0, stays=False, script=SEND)
    at.let()
    assert at.control.ended and at.control.world.now == ARRIVAL + 100, "all is at rest when the goodbye has come"
    at = bench(0, until=1_350, stays=False, script=SEND)
    at.let()
    assert at.control.ended and at.control.world.now == 1_350 and not at.got()
    at = bench(0, script=SEND)
    at.let()
    assert not at.control.ended and at.got()
    at.control.command("quit")
    assert at.control.ended and at.control.wait_s() is None
