"""Time passes for all at once; then the timers that are due (-1) fire, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace

from model.rules.base import Rule
from model.system.base import Action, Step, Variables
from model.system.layout import Draft, Guard, Layout, Proof
from model.system.makers import RULES_ON, SSS_RULES_ON, Makers, at_rest, step_of_sed, step_of_sss
from model.terms import And, If, Min, Term

WAIT = "DTL-6.wait"
"""The rule by which nothing happens but that time passes."""
DUE = -1
"""Value of a timer whose time is over and that has not fired yet."""


def time(m: Makers) -> Iterator[Action]:
    """The steps of time that the scope has, then every timer."""
    deadline = "time.to the next deadline", _next_deadline, 1
    yield from {
        "jump": [_pass(m, *deadline)],
        "both": [_pass(m, *deadline), _pass(m, "time.to just before the next deadline", _just_before, 2)],
        "tick": [_pass(m, "time.one unit", lambda _: 1, 1)],
    }[m.layout.scope.time]
    for i in m.layout.scope.seds:
        yield from _timer_of_sed(m, i)
        yield from _timer_of_sss(m, i)


# --- passing ---------------------------------------------------------------------------------------------------------


def _never(layout: Layout) -> int:
    """A time that is farther than any deadline."""
    return max(layout.last, layout.idle) + 1


def _next_deadline(d: Draft) -> Term:
    """Units until the first timer is due."""
    least: Term = _never(d.layout)
    for name in d.layout.timers:
        least = If(d[name] > 0, Min(d[name], least), least)
    return least


def _just_before(d: Draft) -> Term:
    return _next_deadline(d) - 1


def _pass(m: Makers, name: str, amount: Guard, least: int) -> Action:
    """So many units pass, where the next deadline is `least` units away, or more, and nothing is on its way."""

    def body(v: Variables) -> Step:
        d = m.layout.draft(v)
        passed = amount(d)
        return Step(True, {timer: _after(d[timer], passed) for timer in m.layout.timers})

    def when(d: Draft) -> Term:
        until = _next_deadline(d)
        return And(_quiet(d), until >= least, until < _never(d.layout))

    return Action(name, "time", (WAIT,), "Time passes.", body, m.calm(when), elapsed=m.layout.reading(amount))


def _after(timer: Term, passed: Term) -> Term:
    return If(timer == passed, DUE, If(timer > 0, timer - passed, timer))


def _quiet(d: Draft) -> Term:
    """On prompt links nothing is on its way."""
    if d.layout.scope.free:
        return True
    return And(*(d[name] != Proof.SENT if name.endswith("f5") else d[name] == 0 for name in d.layout.pending))


# --- firing ----------------------------------------------------------------------------------------------------------


def _timer_of_sed(m: Makers, i: int) -> Iterator[Action]:
    for rule in RULES_ON["time"]:
        if rule.id != WAIT:
            body, when = partial(_sed_fires, m.layout, i, rule), _due(m.layout, f"s{i}_timer")
            yield Action(f"{i}.{rule.id}(timer)", "timer", (rule.id,), rule.says, body, when)


def _timer_of_sss(m: Makers, i: int) -> Iterator[Action]:
    if f"w{i}_timer" not in m.layout.variables:
        return
    for rule in SSS_RULES_ON["time"]:
        if rule.id != WAIT:
            body, when = partial(_sss_fires, m.layout, i, rule), _due(m.layout, f"w{i}_timer")
            yield Action(f"1.{rule.id}(timer, wire {i})", "timer", (f"SSS {rule.id}",), rule.says, body, when)


def _due(layout: Layout, timer: str) -> Callable[[Variables], Term]:
    """The timer is due, and what controllers do by themselves has been done."""
    return layout.reading(lambda d: And(d[timer] == DUE, *(at_rest(d, i) for i in layout.scope.seds)))


def _sed_fires(layout: Layout, i: int, rule: Rule, v: Variables) -> Step:
    d = layout.draft(v)
    return step_of_sed(d, i, rule, _last_unit(d, f"s{i}_timer"))


def _sss_fires(layout: Layout, i: int, rule: Rule, v: Variables) -> Step:
    d = layout.draft(v)
    return step_of_sss(d, i, rule, _last_unit(d, f"w{i}_timer"))


def _last_unit(d: Draft, timer: str) -> SimpleNamespace:
    """The rules look at a timer that has one unit left, and at the event that this unit passes."""
    d.set(timer, 1)
    return SimpleNamespace(ms=1)
