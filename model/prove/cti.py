"""Counterexamples to induction: what to read when a proof fails."""

from __future__ import annotations

from dataclasses import dataclass

from model.system.base import System, Values
from model.system.outcome import PathStep

SHORT = 10
"""Most variables that the short form shows."""


@dataclass(frozen=True, slots=True)
class Cti:
    """A state that the hypotheses allow, and steps from it to one where the goal does not hold.

    The state need not be reachable: then a lemma that excludes it is missing. `path` is empty where the goal does not
    even hold in the first state of the system, which is `before` then.
    """

    goal: str
    before: Values
    path: tuple[PathStep, ...]


def changes(system: System, old: Values, new: Values) -> list[str]:
    """The variables that differ, with their new values."""
    return [f"{name}={b}" for name, a, b in zip(system.names, old, new, strict=True) if a != b]


def describe(system: System, cti: Cti) -> str:
    """For whoever writes lemmas: what differs from the initial state, and what each step changes, a line each."""
    lines = [f"{cti.goal}: before  {' '.join(changes(system, system.initial, cti.before)) or '(the first state)'}"]
    state = cti.before
    for step in cti.path:
        lines.append(f"    {step.action}  {' '.join(changes(system, state, step.state)) or '(nothing changes)'}")
        state = step.state
    return "\n".join(lines)


def short(system: System, cti: Cti) -> str:
    """In one line, not all of it where it is long."""
    if not cti.path:
        return "does not hold in the first state"
    differs = changes(system, system.initial, cti.before)
    state = " ".join(differs[:SHORT]) + (" ..." if len(differs) > SHORT else "")
    return f"not inductive: {', '.join(s.action for s in cti.path)} from {state or 'the first state'}"
