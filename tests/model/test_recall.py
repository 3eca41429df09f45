"""Remembered answers: those of the rules themselves, for any timer; and the rules keep to what that takes."""

from __future__ import annotations

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import z3

from model.alphabet import EVENTS, Event
from model.oracle import Oracle
from model.profile import PROFILES, Setting
from model.recall import LONG, STANDING, Recall
from model.rules import RULES
from model.rules.base import Effect, Emit, Rule
from model.rules.sss import SSS_EVENTS, SSS_RULES, Wire, WireSetting
from model.run import react
from model.state import State

ME, PEER = 11, 12
PASSES = {
    "none is armed": lambda t, ms: z3.And(t == 0, ms > 0),
    "not due yet": lambda t, ms: z3.And(ms > 0, ms < t),
    "due": lambda t, ms: z3.And(ms > 0, ms == t),
    "was due before": lambda t, ms: z3.And(t > 0, t < ms),
}
"""What a timer and the time that passes can be to each other, in the order of `STANDING`."""


def differs(rule: Rule, fields: tuple[str, ...], names: tuple[str, ...], setting: Any) -> str:
    """For which timers the rule's answer is another than the one for the timer that stands for it; empty if none."""
    state = {name: z3.Int(name) for name in fields}
    given = {name: z3.Int(f"e_{name}") for name in names}
    sane = [state["timer"] >= 0, state["timer"] < LONG // 4, state["timeout"] >= 0, state["timeout"] < LONG // 4]
    if rule.on == "time":
        cases = [
            (case, stand, {"ms": ms}, apply(state["timer"], given["ms"]))
            for (case, apply), (stand, (ms,)) in zip(PASSES.items(), STANDING, strict=True)
        ]
        sane.append(given["ms"] < LONG // 4)
    else:
        cases = [("armed", LONG, {}, state["timer"] > 0)]
    for case, stand, told, condition in cases:
        real = rule.body(SimpleNamespace(**state), SimpleNamespace(**given), setting)
        kept = rule.body(
            SimpleNamespace(**{**state, "timer": z3.IntVal(stand)}),
            SimpleNamespace(**{**given, **{k: z3.IntVal(v) for k, v in told.items()}}),
            setting,
        )
        put_back = {LONG: state["timer"]} if stand == LONG else {}
        if stand > LONG:
            put_back = {stand: state["timer"], stand - LONG: state["timer"] - given["ms"]}
        solver = z3.Solver()
        solver.add(*sane, condition, z3.Not(same(real, kept, put_back)))
        if solver.check() != z3.unsat:
            return f"{rule.id}: {case}: {solver.model()}"
    return ""


def same(real: Effect, kept: Effect, put_back: dict[int, Any]) -> Any:
    """Whether two effects are alike once the timer is put back."""

    def restored(value: Any) -> Any:
        value = z3.IntVal(value) if isinstance(value, int) else value
        for stand, timer in put_back.items():
            value = z3.If(value == stand, timer, value)
        return value

    alike = [set(real.update) == set(kept.update), len(real.emit) == len(kept.emit)]
    for name, value in real.update.items():
        alike.append(value == (restored(kept.update[name]) if name == "timer" else kept.update[name]))
    for one, other in zip(real.emit, kept.emit, strict=True):
        alike += [one.kind == other.kind, truth(one.when) == truth(other.when)]
        alike += [a == b for a, b in zip(one.args, other.args, strict=True)]
    return z3.And(truth(real.guard) == truth(kept.guard), z3.Implies(truth(real.guard), z3.And(*map(truth, alike))))


def truth(term: Any) -> Any:
    return z3.BoolVal(bool(term)) if isinstance(term, int) else term


@pytest.mark.parametrize("profile", PROFILES)
def test_the_rules_ask_of_a_timer_only_whether_it_is_armed_and_due(profile: str) -> None:
    controller, wire = Setting(ME, PROFILES[profile]), WireSetting(ME, PROFILES[profile])
    for rule in RULES:
        assert not differs(rule, State._fields, EVENTS[rule.on] if rule.on else (), controller)
    for rule in SSS_RULES:
        assert not differs(rule, Wire._fields, SSS_EVENTS[rule.on or ""], wire)


@pytest.mark.parametrize(
    ("on", "body"),
    [
        ("hello", lambda s, e, c: Effect(s.timer < 5_000)),
        ("hello", lambda s, e, c: Effect(True, {"timer": s.timer + 1})),
        ("hello", lambda s, e, c: Effect(True, {"size": s.timer})),
        ("hello", lambda s, e, c: Effect(True, emit=(Emit("data", (c.me, s.timer, 1)),))),
        ("time", lambda s, e, c: Effect(e.ms < s.timer - 100)),
        ("time", lambda s, e, c: Effect(e.ms < s.timer, {"timer": 2 * s.timer - e.ms})),
        ("time", lambda s, e, c: Effect(s.timer == e.ms, {"timer": s.timeout + e.ms})),
        ("time", lambda s, e, c: Effect(s.timer == 0, {"size": e.ms})),
        (None, lambda s, e, c: Effect(s.timer > 60_000)),
    ],
)
def test_a_rule_that_asks_for_more_is_found(on: str | None, body: Callable[[Any, Any, Any], Effect]) -> None:
    rule = Rule("X-1", on, (), "", body)
    assert differs(rule, State._fields, EVENTS[on] if on else (), Setting(ME)).startswith("X-1: ")


def test_what_is_remembered_is_what_the_rules_say_for_every_timer() -> None:
    """Walks over the rules, with timers and times of all kinds; each place is met with many timers."""
    rng, setting, met = random.Random(4), Setting(ME), 0
    recall = Oracle(setting)._recall
    for _ in range(60):
        states = [State(registered=rng.randrange(2))]
        for event in _session(rng):
            timed = [
                s._replace(timer=t) for s in states for t in {s.timer, rng.randrange(1, 60_000)} if s.timer or not t
            ]
            for state in timed:
                due = state.timer or 500
                for asked in (event, *(Event("time", (ms,)) for ms in (0, 1, due - 1, due, due + 1))):
                    told = [(r.state, (r.outputs, r.rules)) for r in react(state, asked, setting)]
                    assert recall.ways(state, asked.kind, asked.args) == told
                    met += bool(told)
            states = [r.state for s in states for r in react(s, event, setting)][:3]
    assert met > 3_000


def _session(rng: random.Random) -> list[Event]:
    sending = [
        Event("cpu-send", (PEER, 100)),
        Event("verify-request", (PEER,)),
        Event("certificate", (PEER, 0, PEER)),
        Event("flight4", (PEER,)),
        Event("flight6", (PEER, 0)),
    ]
    serving = [
        Event("hello-cookie", (PEER, 1)),
        Event("certificate", (PEER, 0, PEER)),
        Event("flight5", (PEER, 0)),
        Event("data", (PEER, 1, 100)),
        Event("close", (PEER, 2)),
    ]
    events = rng.choice([sending, serving])
    odd = [Event("forged", (PEER,)), Event("cpu-send", (3, 5)), Event("noise", (PEER,)), Event("hello-cookie", (3, 2))]
    events.insert(rng.randrange(len(events) + 1), rng.choice(odd))
    return events


def test_it_forgets_rather_than_grow() -> None:
    asked: list[int] = []

    def rules(state: Wire, kind: str, arguments: tuple[int, ...]) -> list[tuple[Wire, None]]:
        asked.append(state.expect)
        return [(state, None)]

    recall = Recall(Wire, rules, most=3)
    for expect in (0, 1, 2, 0, 1, 2):
        recall.ways(Wire(expect=expect, timer=expect + 1), "hello", ())
    assert asked == [0, 1, 2]
    recall.ways(Wire(expect=3), "hello", ())
    recall.ways(Wire(expect=0, timer=9), "hello", ())
    assert asked == [0, 1, 2, 3, 0]
