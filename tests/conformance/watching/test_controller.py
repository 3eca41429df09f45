"""A controller with the model beside it: silent about a right one, and it says what is wrong with another."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from memory_world import DEPLOYMENT, World
from watched_worlds import accuse, busy, watched_world

from conformance.report.console import Style, details
from conformance.report.requirements import load_requirements
from conformance.watching import WatchedController, watch
from conformance.watching import recording as recordings
from conformance.watching.recording import Recording, retell
from model.alphabet import Link
from model.verdict import Verdict
from reference.controller import Controller
from reference.frame import Frame


def test_nothing_is_said_about_a_right_controller_and_nothing_changes_in_what_it_does() -> None:
    plain = World.of(3, 4)
    busy(plain)
    watched, alarms = watched_world(3, 4)
    busy(watched)
    assert alarms == []
    assert (watched.heard, watched.sent) == (plain.heard, plain.sent), "byte for byte, at the same times"
    assert [n.counters for n in watched.nodes.values()] == [n.counters for n in plain.nodes.values()]


@pytest.mark.parametrize("seed", range(3))
def test_streams_in_pieces_with_junk_between_are_no_alarm(seed: int) -> None:
    chance = random.Random(seed)
    world, alarms = watched_world(3, 4)
    node = world.nodes[3]
    stream = b"".join(
        chance.choice(
            (
                chance.randbytes(chance.randrange(40)),
                Frame(4, 3, chance.randbytes(20)).encode(),
                Frame(chance.choice((0, 1, 2, 3, 9)), 3, chance.randbytes(chance.randrange(9))).encode(),
                Frame(4, 3, bytes(16_385)).encode(),
            )
        )
        for _ in range(30)
    )
    while stream:
        cut = chance.choice((1, 7, 200, 20_000))
        node.receive(Link.CPU, stream[:cut], world.now)
        node.receive(Link.RADIO, chance.randbytes(60), world.now)
        node.receive(Link.RADIO, Frame(3, chance.choice((3, 4, 5)), chance.randbytes(60)).encode(), world.now)
        stream = stream[cut:]
        world.settle()
        world.run(until=world.now + chance.choice((0, 6_999, 7_000, 61_000)))
    world.run()
    assert alarms == []


def test_a_finished_that_overtook_its_key_exchange_is_no_alarm() -> None:
    """The watch learns a session's secret only with the ClientKeyExchange."""
    world, alarms = watched_world(3, 4)
    held: list[Frame] = []

    def finished_first(_medium: str, frame: Frame) -> bool:
        first = frame.payload[13:14] == b"\x0b" and frame.source == 3  # Certificate: the first datagram of flight 5
        if first and len(held) == 0:
            held.append(frame)
        return not (first and len(held) == 1)

    world.judge = finished_first
    world.cpu(3, 4, b"late")
    world.judge = lambda _medium, _frame: True
    assert held and world.messages(4) == []
    world.inject(4, Link.RADIO, held[0].encode())
    assert world.messages(4) == [(3, b"late")]
    assert alarms == []


def test_time_in_which_nothing_happens_is_one_step_however_often_it_is_told_of_it() -> None:
    traces = []
    for pieces in ([6_999], [1, 2_000, 4_998], [0, 6_999, 0]):
        world, alarms = watched_world(3)
        node = world.nodes[3]
        assert isinstance(node, WatchedController)
        world.cpu(3, 4, b"nobody answers")
        for ms in pieces:
            world.now += ms
            node.on_time(world.now)
        assert node.states == ("SENDING_MESSAGE/HELLO with 4 (unregistered, timer 1 ms)",)
        node.receive(Link.RADIO, Frame(3, 4, b"junk").encode(), world.now)
        world.now += 1
        node.on_time(world.now)
        node.on_time(world.now + 1_000)
        traces.append([(s["t"], s["stimulus"], s["outputs"]) for s in steps_of(node)])
        assert alarms == []
    assert traces[0][2:] == [  # before: what its CPU gave, and its own hello on the air
        (6_999, {"ms": 6_999}, []),
        (6_999, traces[0][3][1], []),
        (7_000, {"ms": 1}, [["hello", 4]]),
        (8_000, {"ms": 1_000}, []),
    ]
    assert traces == [traces[0]] * 3


def steps_of(node: WatchedController) -> list[dict[str, Any]]:
    told = node.told()
    assert told.result.verdict is Verdict.PASS
    return [json.loads(line) for line in told.trace.splitlines()[1:-1]]


def test_quiet_time_counts_for_the_next_thing_that_is_wrong() -> None:
    world, alarms = watched_world(3, 4, go_on=True)
    for _ in range(5):
        world.now += 1_000
        world.nodes[4].on_time(world.now)
    alarm = accuse(world, alarms)
    assert alarm.result.divergence is not None and alarm.result.divergence.time == 5_000
    world.now += 100_000
    world.nodes[4].on_time(world.now)
    world.run()
    world.cpu(3, 4, b"right again")
    assert world.messages(4)[-1] == (3, b"right again") and len(alarms) == 1


# --- wrong controllers ------------------------------------------------------------------------------------------------


def test_what_is_wrong_is_told_with_rule_ladder_and_a_trace_that_shows_it_again() -> None:
    world, alarms = watched_world(3, 4)
    assert world.request(4, 0) == 0
    alarm = accuse(world, alarms)
    assert alarm.node == 4 and alarm.result.verdict is Verdict.FAIL
    found = alarm.result.divergence
    assert found is not None and found.requirements[0] == "SES-6"
    assert found.observed == ["flight4(to=3, ca=runtime)"] and found.allowed == [["verify-request(to=3)"]]
    text = "\n".join(details(alarm.result, load_requirements(), Style(120), frames=60))
    assert "requirement SES-6" in text and "ClientHello" in text and "request: register" in text
    again = retell(Recording.from_trace(alarm.trace))
    assert again.result.divergence == found and again.trace == alarm.trace


def test_it_stops_and_says_nothing_of_what_no_rule_allows() -> None:
    world, alarms = watched_world(3, 4)
    accuse(world, alarms)
    assert [f.source for _, _, f in world.sent] == [3], "flight 4 never left it"
    assert world.nodes[4].deadline() is None
    world.cpu(4, 3, b"more")
    world.nodes[4].on_time(10**6)
    assert len(alarms) == 1 and world.nodes[4].outgoing() == []


def test_or_it_goes_on_and_is_judged_again_from_its_next_idle_on() -> None:
    world, alarms = watched_world(3, 4, go_on=True)
    accuse(world, alarms)
    world.run()
    busy(world)
    assert len(alarms) == 1, "one alarm for one mistake"
    accuse(world, alarms)
    assert len(alarms) == 2
    again = retell(Recording.from_trace(alarms[1].trace))
    assert again.result.divergence is not None and again.result.divergence.requirements[0] == "SES-6"


def test_a_timer_that_is_due_and_does_nothing_is_not_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    world, alarms = watched_world(3)
    node = world.nodes[3]
    assert isinstance(node, WatchedController)
    world.cpu(3, 4, b"nobody answers")
    monkeypatch.setattr(node.node, "on_time", lambda now: None)
    node.on_time(6_999)
    assert alarms == []
    node.on_time(7_000)
    found = alarms[0].result.divergence
    assert found is not None and (found.time, found.stimulus) == (7_000, "time(ms=7000)")
    assert found.allowed == [["hello(to=4)"]] and "DTL-6" in found.requirements


def test_a_controller_that_breaks_after_a_quiet_time_has_that_in_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    world, alarms = watched_world(3)
    node = world.nodes[3]
    assert isinstance(node, WatchedController)
    world.cpu(3, 4, b"nobody answers")
    node.on_time(6_000)
    monkeypatch.setattr(node.node, "on_time", lambda now: 1 / 0)
    node.on_time(7_000)
    assert json.loads(alarms[0].trace.splitlines()[-2])["t"] == 6_000


def test_a_controller_that_breaks_is_told_about() -> None:
    world, alarms = watched_world(3)

    def crash(*_: object) -> None:
        raise RuntimeError("no more")

    world.nodes[3].node._take_cpu = crash  # type: ignore[attr-defined]
    world.cpu(3, 4, b"message")
    assert [a.result.reason for a in alarms] == ["The controller broke: RuntimeError: no more"]
    assert any("in crash" in line for line in alarms[0].result.evidence)


def test_a_judge_that_breaks_costs_the_controller_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world, alarms = watched_world(3, 4)
    monkeypatch.setattr("conformance.judge.Judge.weigh", lambda *_, **__: 1 / 0)
    world.cpu(3, 4, b"message")
    assert world.messages(4) == [(3, b"message")]
    assert {a.result.verdict for a in alarms} == {Verdict.ERROR} and len(alarms) == 2


def test_an_image_that_does_not_start_cannot_be_watched() -> None:
    with pytest.raises(ValueError, match="provisioning-magic"):
        watch(Controller(b"nothing"), lambda _: None)


# --- for months -------------------------------------------------------------------------------------------------------


def test_nothing_grows_with_the_number_of_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "WINDOW", 40)
    monkeypatch.setattr("conformance.watching.controller.MOST_SECRETS", 3)
    world, alarms = watched_world(3, 4)
    assert world.request(3, 0) == 0 and world.request(4, 0) == 0
    for _ in range(12):
        world.cpu(3, 4, b"message")
        world.cpu(3, 9, b"for nobody")
        world.run()
    node = world.nodes[4]
    assert isinstance(node, WatchedController)
    memory, recording = node._judge.abstraction.memory, node._history.recording()
    kept = (memory.sessions, memory.hellos, memory.complete, memory.messages, memory._handshakes)
    assert not any(kept) and len(node._keylog) <= 4
    assert recording is not None and len(recording.moments) < 3 * 40
    assert not recording.beginning.booted and recording.beginning.registered
    accuse(world, alarms)
    again = retell(Recording.from_trace(alarms[0].trace))
    assert again.result.divergence is not None and again.result.divergence.observed == ["flight4(to=3, ca=runtime)"]


# --- hostile traces ---------------------------------------------------------------------------------------------------


def one_trace() -> str:
    world, alarms = watched_world(3, 4)
    return accuse(world, alarms).trace


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace('"node":4', '"node":"4"'),
        lambda text: text.replace('"ca":"30', '"ca":"31'),
        lambda text: text.replace('"cookies":{', '"cookies":{"x":[],'),
        lambda text: text.replace('"deadline":', '"deadline":-'),
        lambda text: text.replace('"hex":"', '"hex":"zz'),
        lambda text: text.replace('"link":"radio"', '"link":"tape"'),
        lambda text: text[: len(text) // 2],
    ],
)
def test_a_trace_that_is_none_is_refused_in_words(spoil: Callable[[str], str]) -> None:
    with pytest.raises(ValueError, match="not the trace of a watched controller"):
        Recording.from_trace(spoil(one_trace()))


def test_the_trace_holds_no_key_of_the_node() -> None:
    trace = one_trace()
    sed = DEPLOYMENT.seds[4]
    assert sed.key.hex() not in trace and sed.boot_seed.hex() not in trace
