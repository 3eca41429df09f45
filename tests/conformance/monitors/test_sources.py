"""Monitors over recorded traces and over the model's own runs."""

from __future__ import annotations

import random

import pytest

from conformance.case import run_case
from conformance.monitors import CATALOGUE, Alarm, Monitors
from conformance.monitors.sources import MODEL_KINDS, ModelSigns, applicable, watch_trace
from conformance.purpose import FOLDER, load
from conformance.targets.base import Reaction
from conformance.targets.reference import ReferenceTarget
from conformance.wire.secrets import KeyLog
from model.alphabet import PLAINTEXT, REGISTER, SSS_ID, Ca, Event, Link
from model.profile import HARDENED, HISTORIC, Setting
from model.run import react
from model.state import State, Step

ME, PEER = 10, 11
APPLICABLE = [m.id for m in CATALOGUE.values() if applicable(m)]


def run(setting: Setting, events: list[Event]) -> list[Alarm]:
    """A run of the model, with the controller's first way to take each event."""
    state, source, monitors, alarms = State(), ModelSigns(setting), Monitors(APPLICABLE), []
    for event in events:
        if not possible(state, event):
            continue
        if event.kind == "time" and 0 < state.timer < event.args[0]:
            event = Event("time", (state.timer,))  # no further than to the next deadline
        reaction = react(state, event, setting)[0]
        state = reaction.state
        for sign in source.step([event], reaction.outputs, state):
            alarms += monitors.take(sign)
    return alarms + monitors.end()


NEEDED_STEP = {"flight4": Step.COOKIE, "flight5": Step.ACCEPT, "flight6": Step.KEYS}
REPEATED_STEP = {4: Step.KEYS, 5: Step.LISTEN, 6: Step.READ}


def possible(state: State, event: Event) -> bool:
    """Whether the abstraction could tell it: what authenticates is the session's peer's, once there are keys."""
    named = event.named()
    if event.kind in NEEDED_STEP:
        return (state.peer, state.step) == (named["source"], NEEDED_STEP[event.kind])
    if event.kind == "repeat":
        return (state.peer, state.step) == (named["source"], REPEATED_STEP[named["flight"]])
    if event.kind == "certificate":
        return state.peer == named["source"] and state.step in (Step.COOKIE, Step.ACCEPT)
    if event.kind == "response":
        return state.step == Step.READ
    if named.get("seq", PLAINTEXT) != PLAINTEXT:
        return state.peer == named["source"] and state.step in (Step.READ, Step.LISTEN)
    return True


def until_served(seq: int = 0) -> list[Event]:
    """A peer's handshake with this controller, up to flight 6."""
    return [
        Event("hello", (PEER,)),
        Event("hello-cookie", (PEER, 1)),
        Event("certificate", (PEER, Ca.PROVISIONING, PEER)),
        Event("flight5", (PEER, seq)),
    ]


class TestTheModel:
    def test_it_shows_a_third_of_the_monitors(self) -> None:
        assert 20 <= len(APPLICABLE) < len(CATALOGUE)
        assert {"delivered-with-a-gap", "request-not-answered", "flight-1-resent-early"} <= set(APPLICABLE)
        assert not {"nonce-reused", "weak-suite-chosen", "early-ccs-accepted"} & set(APPLICABLE)

    def test_every_kind_that_it_tells_of_is_told_somewhere(self) -> None:
        heard = {kind for m in CATALOGUE.values() for kind in m.kinds()}
        assert MODEL_KINDS - heard == set(), "a sign that nobody listens to"

    @pytest.mark.parametrize("profile", [HARDENED, HISTORIC], ids=["hardened", "historic"])
    def test_a_served_message_is_honest(self, profile: object) -> None:
        events = [*until_served(), Event("data", (PEER, 1, 16)), Event("close", (PEER, 2)), Event("time", (60_000,))]
        assert run(Setting(ME, HARDENED if profile is HARDENED else HISTORIC), events) == []

    def test_a_gap_is_delivered_by_the_historic_profile_alone(self) -> None:
        events = [
            *until_served(),
            Event("data", (PEER, 1, 16)),
            Event("data", (PEER, 3, 16)),
            Event("close", (PEER, 4)),
        ]
        (alarm,) = run(Setting(ME, HISTORIC), events)
        assert (alarm.monitor, alarm.party, alarm.requirements) == ("delivered-with-a-gap", ME, ("SES-8",))
        assert alarm.frames[-1] == len(events)
        assert run(Setting(ME, HARDENED), events) == []

    def test_a_silent_sss_leaves_the_historic_cpu_without_an_answer(self) -> None:
        asks = Event("cpu-request", (4, ME, REGISTER))
        waits = [Event("time", (ms,)) for ms in (7_000, 14_000, 28_000, 56_000, 60_000)]
        events = [asks, *waits, asks, *waits]
        historic = [a.monitor for a in run(Setting(ME, HISTORIC), events)]
        assert historic == ["request-not-answered"]
        assert run(Setting(ME, HARDENED), events) == []

    def test_the_schedule_of_flights_is_watched(self) -> None:
        events = [Event("cpu-send", (PEER, 16)), *[Event("time", (ms,)) for ms in (1_000, 2_000, 4_000, 8_000)]]
        assert [a.monitor for a in run(Setting(ME, HARDENED, first_timeout=1_000), events)] == ["flight-1-resent-early"]

    @pytest.mark.parametrize("seed", range(60))
    def test_the_hardened_profile_is_silent_whatever_its_world_does(self, seed: int) -> None:
        alarms = [a for a in run(Setting(ME, HARDENED), world(random.Random(seed), 150)) if a.party == ME]
        assert alarms == [], [a.text for a in alarms]


def world(draw: random.Random, steps: int) -> list[Event]:
    """What a world may do to a controller, attackers among it, as far as the abstraction would ever tell it."""
    numbers = {PEER: 0, 9: 0, SSS_ID: 0}
    events: list[Event] = []
    for _ in range(steps):
        peer = draw.choice([PEER, 9, SSS_ID])
        sed = draw.choice([PEER, 9])
        numbers[peer] += draw.choice([1, 1, 1, 2])
        seq = numbers[peer]
        events += draw.choice(
            [
                [Event("cpu-send", (sed, 16))],
                [Event("cpu-request", (draw.choice([4, 5]), ME, REGISTER))],
                [Event("hello", (sed,))],
                [Event("hello-cookie", (sed, draw.randrange(9)))],
                [Event("verify-request", (peer,))],
                [Event("certificate", (peer, Ca.PROVISIONING, peer)), Event("flight4", (peer,))],
                [Event("certificate", (sed, Ca.PROVISIONING, sed)), Event("flight5", (sed, numbers[sed]))],
                [Event("flight6", (peer, numbers[peer]))],
                [Event("repeat", (peer, draw.choice([4, 5, 6]), numbers[peer]))],
                [Event("forged", (peer,))],
                [Event("data", (peer, seq, 16))],
                [Event("close", (peer, seq))],
                [Event("alert", (peer, draw.choice([seq, PLAINTEXT])))],
                [Event("response", (REGISTER, 1, 1))],
                [Event("noise", (peer,))],
                [Event("time", (draw.choice([1, 1_000, 7_000]),))],
            ]
        )
    return events


class Twice(ReferenceTarget):
    """Tells its CPU everything twice."""

    def send(self, link: Link, data: bytes) -> Reaction:
        reaction = super().send(link, data)
        chunks = tuple(c for c in reaction.chunks for _ in range(2 if c[0] is Link.CPU else 1))
        return Reaction(reaction.now, reaction.deadline, chunks, reaction.debug)


class TestTraces:
    def test_an_honest_trace_is_silent(self) -> None:
        outcome = run_case(load(FOLDER / "registered-16.toml"), ReferenceTarget, profile="hardened", seed=0)
        assert watch_trace(outcome.trace.splitlines(), secrets(outcome.secrets)) == []

    def test_a_wrong_one_is_not(self) -> None:
        outcome = run_case(load(FOLDER / "deregister-unregistered.toml"), Twice, profile="hardened", seed=0)
        alarms = watch_trace(outcome.trace.splitlines(), secrets(outcome.secrets))
        assert [(a.monitor, a.party) for a in alarms] == [("answered-more-than-once", ME)]
        steps = len(outcome.trace.splitlines()) - 2
        assert alarms[0].frames[-1] == steps - 1, "the step's number, which is the last of a trace that failed"

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"purpose":{}}\n{"t":0}\n{}', "no json"])
    def test_what_is_no_trace_is_refused(self, text: str) -> None:
        with pytest.raises((ValueError, KeyError, TypeError)):
            watch_trace(text.splitlines() or [""], KeyLog())


def secrets(pairs: list[tuple[bytes, bytes]]) -> KeyLog:
    keylog = KeyLog()
    for client_random, master in pairs:
        keylog.add(client_random, master)
    return keylog
