"""The ways on at an SSS's wire: one device's are another's, since the rules ask only who is who."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import z3

from conformance.watching.ways import DEVICES, SOMEBODY, Way, ways_of
from model.profile import HARDENED
from model.rules.base import Effect, Emit, Rule
from model.rules.sss import SSS_EVENTS, SSS_RULES, Wire, WireSetting
from model.state import Step

TIMEOUTS = (7_000, 60_000, 60_000)
PROFILES = (HARDENED, HARDENED.without("reg_5"))


def tells_devices_apart(rule: Rule) -> str:
    """For which device the rule's answer is another than for `SOMEBODY` in its place; empty if for none."""
    device = z3.Int("device")
    state = SimpleNamespace(**{name: z3.Int(name) for name in Wire._fields})
    names = SSS_EVENTS[rule.on or ""]
    given = [z3.Int(f"e_{name}") for name in names]
    named = DEVICES.get(rule.on or "", ())
    sane = [device > 2, device <= 0xFFFF, *(z3.And(a > -SOMEBODY, a < SOMEBODY) for a in given)]
    alike = [z3.If(a == device, SOMEBODY, 0) if n in named else a for n, a in enumerate(given)]
    for profile in PROFILES:
        for removed in (False, True):
            real = _ask(rule, state, names, given, WireSetting(device, profile, removed))
            kept = _ask(rule, state, names, alike, WireSetting(SOMEBODY, profile, removed))
            solver = z3.Solver()
            solver.add(*sane, z3.Not(_same(real, kept, device)))
            if solver.check() != z3.unsat:
                return f"{rule.id}: {solver.model()}"
    return ""


def _ask(rule: Rule, state: Any, names: tuple[str, ...], given: list[Any], setting: WireSetting) -> Effect:
    return rule.body(state, SimpleNamespace(**dict(zip(names, given, strict=True))), setting)


def _same(real: Effect, kept: Effect, device: Any) -> Any:
    alike = [set(real.update) == set(kept.update), len(real.emit) == len(kept.emit)]
    alike += [value == kept.update[name] for name, value in real.update.items()]
    for one, other in zip(real.emit, kept.emit, strict=True):
        alike += [one.kind == other.kind, _truth(one.when) == _truth(other.when)]
        for a, b in zip(one.args, other.args, strict=True):
            alike.append(_number(a) == z3.If(_number(b) == SOMEBODY, device, _number(b)))
    return z3.And(_truth(real.guard) == _truth(kept.guard), z3.Implies(_truth(real.guard), z3.And(*map(_truth, alike))))


def _truth(term: Any) -> Any:
    return z3.BoolVal(bool(term)) if isinstance(term, int) else term


def _number(term: Any) -> Any:
    return z3.IntVal(int(term)) if isinstance(term, int) else term


def test_the_rules_ask_of_a_device_only_whether_it_is_the_one_that_is_named() -> None:
    for rule in SSS_RULES:
        assert not tells_devices_apart(rule)


@pytest.mark.parametrize(
    ("on", "body"),
    [
        ("hello", lambda s, e, c: Effect(c.device > 100)),
        ("certificate", lambda s, e, c: Effect(e.key == e.cn)),
        ("request", lambda s, e, c: Effect(e.dev < c.device)),
        ("flight5", lambda s, e, c: Effect(e.seq == c.device)),
        ("hello", lambda s, e, c: Effect(True, {"expect": c.device})),
        ("hello", lambda s, e, c: Effect(True, emit=(Emit("close", (c.device + 1,)),))),
    ],
)
def test_a_rule_that_asks_for_more_is_found(on: str, body: Callable[[Any, Any, Any], Effect]) -> None:
    assert tells_devices_apart(Rule("X-1", on, (), "", body)).startswith("X-1: ")


@pytest.mark.parametrize("device", [3, 10, 0xFFFF])
def test_each_device_is_told_of_by_its_own_id(device: int) -> None:
    ways = ways_of(TIMEOUTS, True)
    (opened,) = ways.on(Way(Wire()), device, "hello-cookie", (1,))
    assert opened.said == (("flight4", (device, 0)),) and opened.state.step == Step.ACCEPT
    (good,) = ways.on(opened, device, "certificate", (0, device, device))
    assert good.state == opened.state
    for ca, cn, key in ((0, device - 1, device), (0, device, device - 1), (1, device, device), (0, 0, 0)):
        (bad,) = ways.on(opened, device, "certificate", (ca, cn, key))
        assert bad.said == (*opened.said, ("alert", (device,)))
    (removed,) = ways.on(good, device, "certificate", (0, device, device), removed=True)
    assert removed.said[-1] == ("alert", (device,))
    (listening,) = ways.on(Way(good.state), device, "flight5", (0,))
    for asked, op in ((device, 0), (device - 1, -1)):
        (answered,) = ways.on(Way(listening.state), device, "request", (1, asked, 0))
        assert answered.said == (("response", (op, 1)),)
        (again,) = ways.on(Way(listening.state), device, "request", (1, asked, 0), undecided=True)
        assert again.said == (("response", (-1, 1)),) and not again.state.registered
