"""What an engine found: the same shape whichever engine looked."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from model.system.base import Values


class Finding(StrEnum):
    """What is known of a property after a check."""

    PROVED = "proved"
    """Holds without any bound (prove)."""
    HOLDS = "holds"
    """Holds in every state of the scope, all of which were looked at."""
    FALSE = "false"
    """There is a path to where it does not hold."""
    VACUOUS = "vacuous"
    """Holds, but its premise was never met: it says nothing here."""
    OPEN = "not exhausted"
    """No counterexample so far, but not everything was looked at (memory or time), or no proof was found."""


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a path: the action (by name) and the state after it."""

    action: str
    state: Values


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found about one property.

    `path` begins at the initial state (which it does not hold) and is a shortest one to the violation; for `reachable`,
    to the state that was asked for. `loop` is the index in `path` of the state to which the last step returns, where
    the counterexample never ends. `how` says how it was found, for people: "1-induction with 4 lemmas".
    """

    property: str
    finding: Finding
    how: str = ""
    path: tuple[PathStep, ...] = ()
    loop: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one engine found about one system."""

    system: str
    engine: str
    answers: tuple[Answer, ...]
    states: int = 0
    transitions: int = 0
    depth: int = 0
    """Length of the longest shortest path (breadth-first levels after the first state)."""
    seconds: float = 0.0
    memory: int = 0
    """Bytes that the engine held at its largest."""
    exhausted: bool = True
    """Whether every reachable state was looked at."""
    taken: dict[str, int] = field(default_factory=dict)
    """How often each action was taken, by name; empty if the engine does not count."""

    def answer(self, name: str) -> Answer:
        """The answer about one property. Raises KeyError."""
        return {a.property: a for a in self.answers}[name]
