"""How actions are made: one per rule and event, so that it shows which rule each step of a path carries out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeAlias

from model.alphabet import EVENTS
from model.rules import RULES
from model.rules.base import Rule
from model.rules.sss import SSS_EVENTS, SSS_RULES
from model.state import Mode, Waiting
from model.system.base import Action, Step, Variables
from model.system.layout import Draft, Layout
from model.system.links import carry_out, carry_out_wire
from model.terms import And, Or, Term, one_of

Then: TypeAlias = Callable[[Draft], None]
"""What an action does besides carrying out its rule, before it."""
Guard: TypeAlias = Callable[[Variables], Term]

OF: dict[str | None, tuple[Rule, ...]] = {
    kind: tuple(r for r in RULES if r.on == kind) for kind in {r.on for r in RULES}
}
SSS_OF: dict[str | None, tuple[Rule, ...]] = {
    kind: tuple(r for r in SSS_RULES if r.on == kind) for kind in {r.on for r in SSS_RULES}
}
DROPS = {rules[-1].id for kind, rules in OF.items() if kind is not None and rules[-1].id != "ADV-3.boot"}
"""The last rule of each kind of event: nothing changes."""
SSS_DROPS = {"SES-5.hello-cookie", "CRT-7.accept", "SES-5.flight5", "DTL-7.repeat", "SES-5.request", "SES-5.close"}
SSS_DROPS |= {"SES-5.alert"}


def settled(layout: Layout, v: Variables) -> Term:
    """No controller has something to do by itself, and no timer is due: only then does anything reach anyone."""
    terms: list[Term] = []
    d = layout.draft(v)
    for i in layout.scope.seds:
        busy = d[f"s{i}_mode"] != Mode.IDLE
        terms.append(Or(busy, And(d[f"s{i}_aside"] == 0, d[f"s{i}_waiting"] == Waiting.NONE)))
    terms += [d[name] >= 0 for name in timers(layout)]
    return And(*terms)


def timers(layout: Layout) -> list[str]:
    """The names of all timers."""
    return [n for n in layout.variables if n.endswith("_timer")]


def name_of(who: int, rule: str, event: str, arguments: dict[str, Any], origin: str = "") -> str:
    """`3.SES-3.open(hello-cookie from 4)`."""
    shown = ", ".join(f"{k}={a}" for k, a in arguments.items() if isinstance(a, int) and k != "source")
    source = arguments.get("source")
    came = origin or (f"from {int(source)}" if isinstance(source, int) else "")
    inside = " ".join(x for x in (event, came) if x)
    return f"{who}.{rule}({', '.join(x for x in (inside, shown) if x)})"


class Makers:
    """Makes the actions of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def sed(
        self,
        i: int,
        kind: str,
        event: str | None,
        arguments: Callable[[Draft], tuple[Term, ...]] | tuple[Term, ...] = (),
        *,
        when: Guard = lambda _: True,
        first: Then | None = None,
        last: Then | None = None,
        drops: bool = True,
        only: tuple[str, ...] = (),
        origin: str = "",
        stimulus: tuple[Any, ...] = (),
    ) -> Iterator[Action]:
        """The actions by which SED `i` takes an event, one per rule.

        `when` is the cheap guard. `first` and `last` change the links before and after the rule. Without `drops`, the
        rule that drops the event is left out; with `only`, every rule that is not named.
        """
        layout, setting = self.layout, self.layout.setting(i)
        shown = dict(zip(EVENTS[event], arguments, strict=True)) if event and not callable(arguments) else {}
        for rule in OF[event]:
            if (not drops and rule.id in DROPS) or (only and rule.id not in only):
                continue

            def body(v: Variables, rule: Rule = rule) -> Step:
                d = layout.draft(v)
                values = arguments(d) if callable(arguments) else arguments
                e = SimpleNamespace(**dict(zip(EVENTS[event], values, strict=True))) if event else SimpleNamespace()
                effect = rule.body(d.sed(i), e, setting)
                if effect.guard is False:
                    return Step(False)
                if first:
                    first(d)
                carry_out(layout, d, i, effect)
                watch(layout, d, i, rule, e, v)
                if last:
                    last(d)
                return Step(effect.guard, d.update)

            yield Action(
                name_of(i, rule.id, event or "", shown, origin),
                kind,
                (rule.id,),
                rule.says,
                body,
                self._calm(when) if event else when,
                stimulus=stimulus,
            )

    def wire(
        self,
        i: int,
        kind: str,
        event: str,
        arguments: Callable[[Draft], tuple[Term, ...]] | tuple[Term, ...] = (),
        *,
        when: Guard = lambda _: True,
        first: Then | None = None,
        last: Then | None = None,
        drops: bool = True,
        only: tuple[str, ...] = (),
        origin: str = "",
        stimulus: tuple[Any, ...] = (),
        unusable: bool = False,
    ) -> Iterator[Action]:
        """The actions by which the SSS takes an event on the wire of SED `i`, one per rule."""
        layout, setting = self.layout, self.layout.wire_setting(i)
        for rule in SSS_OF[event]:
            if (not drops and rule.id in SSS_DROPS) or (only and rule.id not in only):
                continue

            def body(v: Variables, rule: Rule = rule) -> Step:
                d = layout.draft(v)
                values = arguments(d) if callable(arguments) else arguments
                e = SimpleNamespace(**dict(zip(SSS_EVENTS[event], values, strict=True)))
                effect = rule.body(d.wire(i), e, setting)
                if effect.guard is False:
                    return Step(False)
                if first:
                    first(d)
                carry_out_wire(layout, d, i, effect, unusable=unusable)
                if rule.id == "REG-3.refuse":
                    d.set("locked", 1, And(e.op == 0, e.dev == i, layout.draft(v)[f"s{i}_registered"] == 0))
                if last:
                    last(d)
                return Step(effect.guard, d.update)

            yield Action(
                name_of(1, rule.id, event, {}, f"{origin or f'from {i}'}{' unusable' if unusable else ''}"),
                kind,
                (f"SSS {rule.id}",),
                rule.says,
                body,
                self._calm(when),
                stimulus=stimulus,
            )

    def other(
        self,
        name: str,
        kind: str,
        says: str,
        then: Then,
        *,
        when: Guard,
        rules: tuple[str, ...] = (),
        stimulus: tuple[Any, ...] = (),
    ) -> Action:
        """An action of the links or the adversary alone."""
        layout = self.layout

        def body(v: Variables) -> Step:
            d = layout.draft(v)
            then(d)
            return Step(True, d.update)

        return Action(name, kind, rules, says, body, self._calm(when), stimulus=stimulus)

    def _calm(self, when: Guard) -> Guard:
        """`when`, and everything else is settled."""
        layout = self.layout

        def both(v: Variables) -> Term:
            guard = when(v)
            return False if guard is False else And(guard, settled(layout, v))

        return both


def watch(layout: Layout, d: Draft, i: int, rule: Rule, e: SimpleNamespace, v: Variables) -> None:
    """Monitors: what a property forbids is noted when it happens."""
    before = layout.draft(v)
    s = before.sed(i)
    if rule.id == "FRM-5.drop":
        d.set("faa_lost", 1, s.mode != Mode.FATAL_ERROR)
    if rule.id in ("DTL-6.give-up", "SES-7.idle", "SES-7.idle-sss"):
        d.set("spurious", 1)
    if f"s{i}_lost" in layout.variables and rule.id not in ("SES-2.write", "SES-9.yield"):
        over = d[f"s{i}_mode"] != Mode.SENDING_MESSAGE
        present = one_of(s.peer, *layout.scope.seds)
        d.set(f"s{i}_lost", 1, And(s.mode == Mode.SENDING_MESSAGE, over, present))
    if rule.id == "CRT-7.reject":
        for j in layout.others[i]:
            honest = And(e.source == j, e.cn == j)
            both = And(before[f"s{i}_registered"] == 1, before[f"s{j}_registered"] == 1)
            d.set("split", 1, And(honest, both, e.ca == 2))
    if rule.on == "cpu-request":
        d.set(f"s{i}_owed", d[f"s{i}_owed"] + 1, d[f"s{i}_owed"] < 2)
