"""How actions are made: one per rule and event, so that it shows which rule each step of a path carries out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import TypeAlias

from model.alphabet import DEREGISTER, EVENTS, PLAINTEXT, REGISTER, Ca
from model.rules import RULES
from model.rules.base import Rule
from model.rules.sss import SSS_EVENTS, SSS_RULES
from model.state import Mode, Waiting
from model.state import Step as At
from model.system.base import Action, Step, Variables
from model.system.layout import Draft, Guard, Layout, Reply, Then
from model.system.links import carry_out, carry_out_wire
from model.terms import And, Or, Term, one_of

Arguments: TypeAlias = tuple[Term, ...] | Callable[[Draft], tuple[Term, ...]]
"""An event's arguments in order, fixed or read from the state."""
Stimulus: TypeAlias = tuple[str | int, ...]
"""As in `Action`."""
OPERATIONS = {REGISTER: "register", DEREGISTER: "deregister"}
"""What a CPU asks of the SSS, in words."""


def _by_event(rules: list[Rule]) -> dict[str | None, tuple[Rule, ...]]:
    return {event: tuple(r for r in rules if r.on == event) for event in {r.on for r in rules}}


RULES_ON, SSS_RULES_ON = _by_event(RULES), _by_event(SSS_RULES)
"""The rules of a SED and of the SSS for each kind of event; None: those that need none."""
DROPS = {rules[-1].id for event, rules in RULES_ON.items() if event is not None} - {"ADV-3.boot"}
SSS_DROPS = {"SES-5.hello-cookie", "CRT-7.accept", "SES-5.flight5", "DTL-7.repeat", "SES-5.request", "SES-5.close"}
SSS_DROPS |= {"SES-5.alert"}
"""The last rule for each kind of event: nothing changes."""


def always(_: Draft) -> Term:
    """No guard."""
    return True


def nothing(_: Draft) -> None:
    """No change."""


def at_rest(d: Draft, i: int) -> Term:
    """SED `i` has nothing to do by itself."""
    return Or(d[f"s{i}_mode"] != Mode.IDLE, And(d[f"s{i}_aside"] == 0, d[f"s{i}_waiting"] == Waiting.NONE))


def settled(d: Draft) -> Term:
    """No controller has something to do by itself, and no timer is due: only then does anything reach anyone."""
    return And(
        *(at_rest(d, i) for i in d.layout.scope.seds),
        *(d[name] >= 0 for name in d.layout.timers),
    )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """An event that a SED or the SSS takes, and what becomes of the links and the adversary then.

    `kind` and `stimulus` are those of `Action`. `when` is the cheap guard. `first` and `last` change what a draft holds
    before and after the rule. Without `drops`, the rule that drops the event is left out; with `only`, every rule that
    is not named. `origin` says where it comes from, for people; where it is empty, the event's `source` does.
    """

    kind: str
    event: str
    arguments: Arguments = ()
    when: Guard = always
    first: Then = nothing
    last: Then = nothing
    drops: bool = True
    only: tuple[str, ...] = ()
    origin: str = ""
    stimulus: Stimulus = ()

    def rules(self, of: dict[str | None, tuple[Rule, ...]], drops: set[str]) -> Iterator[Rule]:
        """Those that may take it, in order."""
        for rule in of[self.event]:
            if (self.drops or rule.id not in drops) and (not self.only or rule.id in self.only):
                yield rule

    def values(self, d: Draft) -> tuple[Term, ...]:
        """The arguments in a state."""
        return self.arguments if isinstance(self.arguments, tuple) else self.arguments(d)


class Makers:
    """Makes the actions of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.prompt = not layout.scope.free
        """Links that are prompt: every frame arrives at once and once, unless it is lost."""
        self.arrival = "deliver" if self.prompt else "replay"
        """The kind of action by which something honest arrives."""

    def sed(self, i: int, o: Occurrence) -> Iterator[Action]:
        """The actions by which SED `i` takes an event, one per rule."""
        for rule in o.rules(RULES_ON, DROPS):
            body = partial(self._sed_takes, i, o, rule)
            yield Action(_name(i, rule, o), o.kind, (rule.id,), rule.says, body, self.calm(o.when), stimulus=o.stimulus)

    def _sed_takes(self, i: int, o: Occurrence, rule: Rule, v: Variables) -> Step:
        d = self.layout.draft(v)
        e = SimpleNamespace(**dict(zip(EVENTS[o.event], o.values(d), strict=True)))
        return step_of_sed(d, i, rule, e, o.first, o.last)

    def wire(self, i: int, o: Occurrence, grant: Reply = Reply.REGISTERED) -> Iterator[Action]:
        """The actions by which the SSS takes an event on the wire of SED `i`, one per rule."""
        origin = (o.origin or f"from {i}") + (" unusable" if grant == Reply.UNUSABLE else "")
        for rule in o.rules(SSS_RULES_ON, SSS_DROPS):
            yield Action(
                f"1.{rule.id}({o.event} {origin})",
                o.kind,
                (f"SSS {rule.id}",),
                rule.says,
                partial(self._sss_takes, i, o, grant, rule),
                self.calm(o.when),
                stimulus=o.stimulus,
            )

    def _sss_takes(self, i: int, o: Occurrence, grant: Reply, rule: Rule, v: Variables) -> Step:
        d = self.layout.draft(v)
        e = SimpleNamespace(**dict(zip(SSS_EVENTS[o.event], o.values(d), strict=True)))
        return step_of_sss(d, i, rule, e, o.first, o.last, grant)

    def urgent(self, i: int) -> Iterator[Action]:
        """What SED `i` does by itself, before anything else can reach anyone."""
        for rule in RULES_ON[None]:
            yield Action(f"{i}.{rule.id}()", "urgent", (rule.id,), rule.says, partial(self._by_itself, i, rule))

    def _by_itself(self, i: int, rule: Rule, v: Variables) -> Step:
        return step_of_sed(self.layout.draft(v), i, rule, SimpleNamespace())

    def other(
        self,
        name: str,
        kind: str,
        says: str,
        then: Then,
        *,
        when: Guard,
        rules: tuple[str, ...] = (),
        stimulus: Stimulus = (),
    ) -> Action:
        """An action of the links or the adversary alone."""

        def body(v: Variables) -> Step:
            d = self.layout.draft(v)
            then(d)
            return Step(True, d.update)

        return Action(name, kind, rules, says, body, self.calm(when), stimulus=stimulus)

    def calm(self, when: Guard) -> Callable[[Variables], Term]:
        """`when`, and everything else is settled."""

        def both(d: Draft) -> Term:
            guard = when(d)
            return False if guard is False else And(guard, settled(d))

        return self.layout.reading(both)


def step_of_sed(d: Draft, i: int, rule: Rule, e: SimpleNamespace, first: Then = nothing, last: Then = nothing) -> Step:
    """A rule of SED `i` with all that it does to the links; `first` and `last` change these before and after it."""
    effect = rule.body(d.sed(i), e, d.layout.setting(i))
    if effect.guard is False:
        return Step(False)
    first(d)
    carry_out(d, i, effect)
    _watch(d, i, rule, e)
    last(d)
    return Step(effect.guard, d.update)


def step_of_sss(
    d: Draft,
    i: int,
    rule: Rule,
    e: SimpleNamespace,
    first: Then = nothing,
    last: Then = nothing,
    grant: Reply = Reply.REGISTERED,
) -> Step:
    """A rule of the SSS for the wire of SED `i`, likewise. `grant` is what a registration gets."""
    effect = rule.body(d.wire(i), e, d.layout.wire_setting(i))
    if effect.guard is False:
        return Step(False)
    first(d)
    carry_out_wire(d, i, effect, grant)
    if rule.id == "REG-3.refuse":
        d.set("locked", 1, And(e.op == REGISTER, e.dev == i, d.before()[f"s{i}_registered"] == 0))
    last(d)
    return Step(effect.guard, d.update)


def _watch(d: Draft, i: int, rule: Rule, e: SimpleNamespace) -> None:
    """Monitors: what a property forbids is noted when it happens."""
    before = d.before()
    mode = before[f"s{i}_mode"]
    if rule.on in ("cpu-faa", "radio-faa") and rule.id not in ("FRM-5.to-radio", "FRM-5.to-cpu"):
        d.set("faa_lost", 1, mode != Mode.FATAL_ERROR)
    if rule.id in ("DTL-6.give-up", "SES-7.idle", "SES-7.idle-sss"):
        d.set("spurious", 1)
    if rule.on == "cpu-send" and (due := f"due{i}{e.to}") in d.layout.variables:
        d.set(due, d[due] + 1)
    if rule.on in ("forged", "alert"):
        plain = True if rule.on == "forged" else e.seq == PLAINTEXT
        proved = one_of(before[f"s{i}_step"], At.READ, At.LISTEN)
        d.set("killed", 1, And(plain, proved, d[f"s{i}_step"] == At.NONE))
    if rule.on == "response":
        d.set("useless", 1, And(e.usable == 0, d[f"s{i}_registered"] == 1))
    if rule.id in ("SES-4.malformed", "SES-5.take-malformed"):
        d.set("kept", 1, d[f"s{i}_registered"] == 1)
    if rule.id == "CRT-7.reject":
        for j in d.layout.others[i]:
            both = And(before[f"s{i}_registered"] == 1, before[f"s{j}_registered"] == 1)
            d.set("split", 1, And(e.source == j, e.cn == j, both, e.ca == Ca.OTHER))
    if rule.on == "cpu-request":
        d.set(f"s{i}_owed", d[f"s{i}_owed"] + 1, d[f"s{i}_owed"] < 2)


def _name(i: int, rule: Rule, o: Occurrence) -> str:
    """`3.SES-3.open(hello-cookie from 4, handshake=1)`: who, the rule, the event, and its arguments that are fixed."""
    fixed = dict(zip(EVENTS[o.event], o.arguments, strict=True)) if isinstance(o.arguments, tuple) else {}
    source = fixed.pop("source", None)
    origin = o.origin or ("" if source is None else f"from {int(source)}")
    said = " ".join(x for x in (o.event, origin) if x)
    return f"{i}.{rule.id}({', '.join([said, *(f'{name}={value}' for name, value in fixed.items())])})"
