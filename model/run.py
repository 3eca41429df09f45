"""The run reading: the rules on plain integers.

`react` gives every way in which a controller may take one event: the rule chosen, then the urgent rules that follow it,
until the controller is quiescent.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from model.alphabet import Event, Output
from model.profile import Setting
from model.rules import RULES, Effect, Rule
from model.state import State

BY_KIND: dict[str | None, tuple[Rule, ...]] = {
    kind: tuple(r for r in RULES if r.on == kind) for kind in {r.on for r in RULES}
}
NOTHING = SimpleNamespace()
"""The arguments of no event, for urgent rules."""

URGENT_LIMIT = 8
"""More urgent rules in a row than any state allows: beyond it the rules themselves are wrong."""


@dataclass(frozen=True, slots=True)
class Reaction:
    """One way to take an event: the state after it, the outputs in order, and the rules that were taken."""

    state: State
    outputs: tuple[Output, ...]
    rules: tuple[Rule, ...]


def apply(state: State, effect: Effect) -> tuple[State, tuple[Output, ...]]:
    """Carry out an effect whose guard holds."""
    outputs = tuple(Output(o.kind, tuple(int(a) for a in o.args)) for o in effect.emit if o.when)
    return state._replace(**{name: int(value) for name, value in effect.update.items()}), outputs


def enabled(state: State, event: Event | None, setting: Setting) -> list[tuple[Rule, Effect]]:
    """The rules that apply to an event (None: the urgent ones), with their effects."""
    arguments = SimpleNamespace(**event.named()) if event else NOTHING
    effects = ((r, r.body(state, arguments, setting)) for r in BY_KIND[event.kind if event else None])
    return [(r, effect) for r, effect in effects if effect.guard]


def react(state: State, event: Event, setting: Setting) -> list[Reaction]:
    """Every way to take an event. Never empty: the rules are complete."""
    reactions = []
    for first, effect in enabled(state, event, setting):
        after, outputs = apply(state, effect)
        reactions.extend(_settle(Reaction(after, outputs, (first,)), setting))
    return reactions


def _settle(reaction: Reaction, setting: Setting) -> list[Reaction]:
    """Take urgent rules until none applies."""
    if len(reaction.rules) > URGENT_LIMIT:
        raise RuntimeError(f"urgent rules without end: {[r.id for r in reaction.rules]}")
    urgent = enabled(reaction.state, None, setting)
    if not urgent:
        return [reaction]
    settled = []
    for taken, effect in urgent:
        after, outputs = apply(reaction.state, effect)
        settled.extend(_settle(Reaction(after, reaction.outputs + outputs, (*reaction.rules, taken)), setting))
    return settled
