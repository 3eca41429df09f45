"""What devices do of their own accord: the frames of their CPUs, and failures of their own and of the SSS."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

from model.alphabet import MAX_MESSAGE
from model.state import Waiting
from model.system.base import Action
from model.system.layout import Draft, Guard, Then
from model.system.makers import OPERATIONS, SSS_RULES_ON, Makers, Occurrence, step_of_sss
from model.terms import And, Term

# --- CPUs ------------------------------------------------------------------------------------------------------------


def cpus(m: Makers) -> Iterator[Action]:
    """The CPUs' frames, and what the controllers do by themselves when a session is over."""
    scope = m.layout.scope
    for i in scope.seds:
        for to in scope.sends.get(i, ()):
            yield from _messages(m, i, to)
        if scope.asks.get(i):
            yield from _requests(m, i)
        may, spend = _quota(i, "todo")
        if "other" in scope.faults and scope.sends.get(i):
            yield from m.sed(i, Occurrence("cpu", "cpu-other", when=may, first=spend, stimulus=("broadcast", i)))
        if "faa" in scope.faults:
            size = (scope.records,)
            yield from m.sed(i, Occurrence("cpu", "cpu-faa", size, when=may, stimulus=("faa", i, "radio")))
            yield from m.sed(i, Occurrence("deliver", "radio-faa", size, stimulus=("faa", i, "cpu")))
        yield from m.urgent(i)


def _messages(m: Makers, i: int, to: int) -> Iterator[Action]:
    """Messages of SED `i`'s CPU to somebody, good ones and bad ones."""
    scope = m.layout.scope
    may, spend = _quota(i, "todo")
    arguments = (to, scope.records)
    send = Occurrence("cpu", "cpu-send", arguments, when=may, first=spend, drops=False, stimulus=("send", i, to))
    yield from m.sed(i, send)
    if "oversize" in scope.faults:
        arguments = (to, MAX_MESSAGE + 1)
        oversize = Occurrence("cpu", "cpu-oversize", arguments, when=may, first=spend, stimulus=("oversize", i, to))
        yield from m.sed(i, oversize)
    if "start" in scope.faults:
        yield from m.sed(i, Occurrence("fault", "start-failure", (to,), when=may, first=spend))


def _requests(m: Makers, i: int) -> Iterator[Action]:
    """Requests of SED `i`'s CPU to the SSS, and one that is too short."""
    may, spend = _quota(i, "asks")
    for op in m.layout.scope.asks[i]:
        arguments, stimulus = (4, i, op), (OPERATIONS[op], i)
        ask = Occurrence("cpu", "cpu-request", arguments, when=may, first=spend, drops=False, stimulus=stimulus)
        yield from m.sed(i, ask)
    if "malformed" in m.layout.scope.faults:
        only = ("SES-4.malformed",)
        short = Occurrence("cpu", "cpu-request", (3, i, 0), when=may, first=spend, only=only, stimulus=("malformed", i))
        yield from m.sed(i, short)


def _quota(i: int, left: str) -> tuple[Guard, Then]:
    """SED `i`'s CPU may hand over another frame (none waits, and some are left, if they are counted); it spends one."""
    name = f"s{i}_{left}"

    def may(d: Draft) -> Term:
        counted = name in d.layout.variables
        return And(d[f"s{i}_waiting"] == Waiting.NONE, d[name] > 0 if counted else True)

    def spend(d: Draft) -> None:
        d.set(name, d[name] - 1, name in d.layout.variables)

    return may, spend


# --- failures --------------------------------------------------------------------------------------------------------


def failures(m: Makers) -> Iterator[Action]:
    """Power cycles, restarts of the SSS, a stranger's half frame."""
    layout = m.layout
    for i in layout.scope.seds:
        if f"s{i}_boots" in layout.variables:
            yield from _power_cycle(m, i)
    if "restarts" in layout.variables:
        yield m.other(
            "1.REG-1.restart()",
            "fault",
            SSS_RULES_ON["restart"][0].says,
            _restart,
            when=lambda d: d["restarts"] > 0,
            rules=("SSS REG-1.restart",),
            stimulus=("restart",),
        )
    if "half-frame" in layout.scope.faults:
        yield m.other(
            "1.half-frame(from a stranger)",
            "forge",
            "A stranger's wire at the SSS stops in the middle of a frame.",
            lambda d: d.set("frozen", 1),
            when=lambda d: d["frozen"] == 0 if "frozen" in layout.variables else False,
            stimulus=("half-frame",),
        )


def _power_cycle(m: Makers, i: int) -> Iterator[Action]:
    def spend(d: Draft) -> None:
        d.set(f"s{i}_boots", d[f"s{i}_boots"] - 1)
        d.set(f"s{i}_owed", 0)
        d.set(f"s{i}_first", 1)

    boot = Occurrence("fault", "boot", when=lambda d: d[f"s{i}_boots"] > 0, first=spend, stimulus=("boot", i))
    yield from m.sed(i, boot)


def _restart(d: Draft) -> None:
    """All wires are reset; the historic SSS makes a new runtime CA."""
    d.set("restarts", d["restarts"] - 1)
    for i in d.layout.scope.seds:
        if d.layout.scope.asks.get(i):
            step_of_sss(d, i, SSS_RULES_ON["restart"][0], SimpleNamespace())
    d.set("gen", 1 - d["gen"], "gen" in d.layout.variables)
