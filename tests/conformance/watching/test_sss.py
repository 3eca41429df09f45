"""The SSS with the model beside each of its wires: silent about a right one, and it says what is wrong with another."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from memory_world import DEPLOYMENT, FOREIGN, World
from watched_worlds import busy, watched_sss

from conformance.report.console import Style, details
from conformance.report.requirements import load_requirements
from conformance.watching import Alarm
from conformance.watching.wires import read_wire, retell_wire
from model.alphabet import Link
from model.verdict import Verdict
from reference.authority import Authority
from reference.controller import Controller
from reference.credentials import Peer
from reference.dtls import CookieJar
from reference.frame import Frame
from reference.registration import Request, Response
from reference.sss import Decision, Sss


def in_words(alarms: list[Alarm]) -> str:
    return "\n".join("\n".join(details(a.result, load_requirements(), Style(120))) for a in alarms)


def test_nothing_is_said_about_a_right_sss_and_nothing_changes_in_what_it_does() -> None:
    plain = World.of(3, 4)
    busy(plain)
    world, sss, alarms = watched_sss(3, 4)
    busy(world)
    assert not alarms, in_words(alarms)
    assert (world.heard, world.sent) == (plain.heard, plain.sent), "byte for byte, at the same times"
    assert plain.sss is not None and sss.state() == plain.sss.state()


@pytest.mark.parametrize("seed", range(3))
def test_losses_silence_and_junk_are_no_alarm(seed: int) -> None:
    chance = random.Random(seed)
    world, sss, alarms = watched_sss(3, 4, 5)
    world.nodes[5] = Controller(FOREIGN.image(5))
    for _ in range(12):
        world.judge = lambda _medium, _frame: chance.random() > 0.2
        world.cpu(chance.choice((3, 4, 5)), 1, Request(chance.choice((3, 4, 5)), chance.choice((0, 0, 1, 7))).encode())
        sss.receive(3, Frame(1, chance.choice((0, 2, 3, 4)), chance.randbytes(40)).encode(), world.now)
        sss.receive(4, chance.randbytes(20).replace(b"S", b"T"), world.now)
        world.run(until=world.now + chance.choice((0, 7_000, 61_000, 200_000)))
    world.judge = lambda _medium, _frame: True
    world.run()
    assert not alarms, in_words(alarms)
    sss.remove(3)
    assert world.request(3, 0) == -1, "removed"
    sss.goodbye()
    assert not alarms, in_words(alarms)


def test_decisions_that_wait_for_the_disk_are_followed() -> None:
    world, sss, alarms = watched_sss(3, 4, deferred=True)

    def settled(kept: bool) -> list[Decision]:
        decisions = sss.decisions()
        for decision in decisions:
            sss.settle(decision, kept=kept)
        world.settle()
        return decisions

    for sed, op, kept, answer in ((3, 0, True, 0), (3, 0, False, -1), (3, 1, True, 1), (3, 1, True, -1)):
        world.cpu(sed, 1, Request(sed, op).encode())
        settled(kept)
        assert world.messages(3)[-1] == (1, Request(3, answer).encode())
    world.cpu(3, 1, Request(3, 0).encode())
    world.run(until=world.now + 60_000)  # both give up before it is kept
    assert settled(True) and sss.registered == {3}
    assert world.request(4, 0) is None
    sss.remove(4)
    settled(True)
    assert sss.registered == {3}
    assert not alarms, in_words(alarms)


def test_two_wires_of_one_device_and_one_decision_at_a_time() -> None:
    world, sss, alarms = watched_sss(3, deferred=True)
    other = Controller(DEPLOYMENT.image(3), boot_entropy=b"other")
    world.nodes[30] = other  # the same device on another wire
    world.cpu(3, 1, Request(3, 0).encode())
    world.cpu(30, 1, Request(3, 0).encode())
    for decision in sss.decisions():
        sss.settle(decision, kept=True)
    world.settle()
    assert [world.messages(i)[-1][1] for i in (3, 30)] == [Request(3, 0).encode(), Request(3, -1).encode()]
    assert not alarms, in_words(alarms)


def test_what_the_rules_do_not_speak_of_loses_the_thread_until_the_session_is_over() -> None:
    world, sss, alarms = watched_sss(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Request, "encode", lambda _: b"\3\0")
        world.nodes[3].receive(Link.CPU, Frame(1, 3, b"\3\0\0\0").encode(), world.now)
        world.settle()
    assert sss._judges[3].describe() == []
    world.run()
    assert sss._judges[3].describe() == ["no session (unregistered)"]
    assert not alarms, in_words(alarms)
    assert world.request(3, 0) == 0 and not alarms


# --- wrong ones -------------------------------------------------------------------------------------------------------

Wrong = Callable[[pytest.MonkeyPatch], dict[str, Any]]


def no_cookie(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(CookieJar, "is_valid", lambda *_: True)
    return {}


def any_key(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(Peer, "faults", lambda *_, **__: 0)
    return {}


def any_name(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    decide = Sss._decide
    patch.setattr(Sss, "_decide", lambda s, peer, request, now: decide(s, peer, Request(peer, request.op), now))
    return {}


def one_key_for_all(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    key = DEPLOYMENT.new_key(bytes(32))
    return {"make_key": lambda: key}


def cut_off(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"respond": lambda response: response.encode()[:-1]}


def refused_too_short(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"respond": lambda response: response.encode()[: 4 if response.op == -1 else None]}


def other_serial(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    issue = Authority.issue
    patch.setattr(Authority, "issue", lambda s, cn, key, serial, *dates: issue(s, cn, key, serial + 1, *dates))
    return {}


def for_a_year(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    issue = Authority.issue
    year = timedelta(days=365)
    patch.setattr(Authority, "issue", lambda s, cn, key, n, begin, _: issue(s, cn, key, n, begin, begin + year))
    return {}


def forgets(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(Sss, "_remember", lambda *_: None)
    return {}


def answers_twice(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    answer = Sss._answer

    def twice(sss: Sss, wire: int, response: Response) -> None:
        answer(sss, wire, response)
        answer(sss, wire, response)

    patch.setattr(Sss, "_answer", twice)
    return {}


def says_nothing(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(Sss, "_answer", lambda *_: None)
    return {}


def registers_once(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    decide = Sss._decide

    def once(sss: Sss, peer: int, request: Request, now: int) -> Response:
        return Response(peer, -1) if peer in sss._registered and request.op == 0 else decide(sss, peer, request, now)

    patch.setattr(Sss, "_decide", once)
    return {}


def impatient(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr("reference.dtls.FIRST_TIMEOUT", 6_999)
    return {}


def no_calendar(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    faults = Peer.faults
    patch.setattr(Peer, "faults", lambda s, der, leaf: faults(Peer(s.cn, None, s.public_key), der, leaf))
    return {"epoch": datetime(2099, 1, 1, tzinfo=UTC)}


def two_wires(patch: pytest.MonkeyPatch) -> dict[str, Any]:
    send = Sss._send

    def everywhere(sss: Sss, wire: int, peer: int, datagrams: list[bytes]) -> None:
        for each in sss._wires:
            send(sss, each, peer, datagrams)

    patch.setattr(Sss, "_send", everywhere)
    return {}


def live(world: World) -> None:
    """Register, once more, in another's name, and end it."""
    for node in (3, 4):
        world.cpu(node, 1, Request(node, 0).encode())
        world.run(until=world.now + 1_000)
    for dev, op in ((3, 0), (4, 0), (3, 1), (3, 1)):
        world.cpu(3, 1, Request(dev, op).encode())
        world.run(until=world.now + 1_000)
    world.nodes[3] = Controller.from_credentials(3, DEPLOYMENT.issue("3", b"clone"), b"clone")
    world.cpu(3, 1, Request(3, 0).encode())
    world.run(until=world.now + 200_000)


@pytest.mark.parametrize(
    ("wrong", "requirement"),
    [
        (no_cookie, "SES-6"),
        (any_key, "CRT-8"),
        (any_name, "REG-2"),
        (one_key_for_all, "REG-1"),
        (cut_off, "REG-1"),
        (refused_too_short, "REG-3"),
        (other_serial, "REG-1"),
        (for_a_year, "REG-1"),
        (forgets, "REG-1"),
        (answers_twice, "REG-1"),
        (says_nothing, "REG-1"),
        (registers_once, "REG-5"),
        (impatient, "DTL-6"),
        (no_calendar, "CRT-8"),
        (two_wires, "REG-7"),
    ],
)
def test_a_wrong_sss_is_found_out(wrong: Wrong, requirement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, alarms = watched_sss(3, 4, **wrong(monkeypatch))
    live(world)
    assert alarms, "nothing was said"
    result = alarms[0].result
    assert result.verdict is Verdict.FAIL
    if requirement == "REG-7":
        assert requirement in result.reason
        return
    assert result.divergence is not None
    assert requirement in result.divergence.requirements[:3], in_words(alarms[:1])
    again = retell_wire(*read_wire(alarms[0].trace))
    assert again.result.divergence == result.divergence, "the trace shows it again"
    assert again.trace == alarms[0].trace


def test_the_same_life_with_a_right_sss_is_no_alarm() -> None:
    world, _, alarms = watched_sss(3, 4)
    live(world)
    assert not alarms, in_words(alarms)


def test_the_wire_stops_or_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    for go_on in (False, True):
        settings = refused_too_short(monkeypatch)
        world, sss, alarms = watched_sss(3, 4, go_on=go_on, **settings)
        assert world.request(3, 5) == (-1 if go_on else None), "what the alarm is about is not said"
        world.run()
        assert len(alarms) == 1 and sss.deadline() is None
        assert world.request(3, 0) == (0 if go_on else None)
        assert world.request(4, 0) == 0, "the other wires are served"
        assert len(alarms) == 1


def test_a_judge_that_breaks_costs_the_sss_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.watching.wire.WireJudge.step", lambda *_: 1 / 0)
    world, _, alarms = watched_sss(3)
    assert world.request(3, 0) == 0
    assert {a.result.verdict for a in alarms} == {Verdict.ERROR}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace('"ca":"30', '"ca":"31'),
        lambda text: text.replace('"what":"took"', '"what":"give"'),
        lambda text: text.replace('"hex":"5343', '"hex":"0000'),
        lambda text: text.replace("+00:00", ""),
        lambda text: text.replace('"deadline":', '"deadline":-'),
        lambda text: text[: len(text) // 2],
    ],
)
def test_a_trace_that_is_none_is_refused_in_words(spoil: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, alarms = watched_sss(3, **cut_off(monkeypatch))
    world.request(3, 0)
    with pytest.raises(ValueError, match="not the trace of a watched SSS"):
        read_wire(spoil(alarms[0].trace))
