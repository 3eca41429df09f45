"""What a system is: variables, actions and properties, as data that every engine reads.

A system is closed: nothing reaches it from outside. An action has a guard and an update, both made of the operators of
`model.terms`, so that one body is evaluated on integers (run), and once on Z3 terms (explore, SPIN, prove).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from types import SimpleNamespace
from typing import Any, TypeAlias

from model.terms import And, Term

Values: TypeAlias = tuple[int, ...]
"""One state: a value per variable, in the order of `System.variables`."""
Variables: TypeAlias = Any
"""Something with an attribute per variable: integers, or Z3 terms of sort Int."""


@dataclass(frozen=True, slots=True)
class Variable:
    """An integer with its inclusive range and its first value. The name is a C identifier."""

    name: str
    low: int
    high: int
    init: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What an action does where `guard` holds: new values, all computed from the old ones; what is not named stays."""

    guard: Term
    update: dict[str, Term] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Action:
    """Something that can happen.

    `when` is the cheap part of the guard; where it is false, `body` is not evaluated on integers. `rules` are the ids
    of the rules that it carries out. `kind` says whose doing it is: one of `KINDS`. `elapsed` gives the time that
    passes, in the system's units. `stimulus` tells a replay what to do: a name and arguments, empty for what happens
    by itself.
    """

    name: str
    kind: str
    rules: tuple[str, ...]
    says: str
    body: Callable[[Variables], Step]
    when: Callable[[Variables], Term] = lambda _: True
    elapsed: Callable[[Variables], Term] | None = None
    stimulus: tuple[Any, ...] = ()

    def step(self, v: Variables) -> Step:
        """Guard and update, with `when` in the guard. On integers the body is left out where `when` is false."""
        first = self.when(v)
        if first is False:
            return Step(False)
        rest = self.body(v)
        return Step(And(first, rest.guard), rest.update)


KINDS = ("cpu", "urgent", "timer", "time", "deliver", "lose", "replay", "forge", "fault")
"""Kinds of actions: the CPU's frames; what a component does by itself; a timer that fires; time that passes; a message
that arrives; is lost; arrives (again) by the adversary's doing; is made up by it; a reboot or another own failure."""


class Kind(StrEnum):
    """What a property says of a system."""

    ALWAYS = "always"
    """`holds` in every reachable state."""
    REACHABLE = "reachable"
    """`holds` in some reachable state."""
    POSSIBLE = "always possible"
    """From every reachable state, a state where it `holds` can be reached (AG EF)."""
    EVENTUALLY = "eventually"
    """Every maximal path from a reachable state comes to a state where it `holds` (AF). Self-loops do not count as
    going on: the stated fairness is that something that changes the state goes on happening while anything can."""


@dataclass(frozen=True, slots=True)
class Property:
    """A named question. `premise` must be reachable, or else an `always` is vacuous; None where that says nothing."""

    name: str
    kind: Kind
    needs: tuple[str, ...]
    says: str
    holds: Callable[[Variables], Term]
    premise: Callable[[Variables], Term] | None = None


@dataclass(frozen=True)
class System:
    """A closed system. `unit` is the length of one unit of time in milliseconds."""

    name: str
    variables: tuple[Variable, ...]
    actions: tuple[Action, ...]
    properties: tuple[Property, ...]
    unit: int = 1
    symmetries: tuple[dict[str, str], ...] = ()
    """Permutations of variable names under which the system looks the same, where that is sound."""

    def __post_init__(self) -> None:
        for what in (self.variables, self.actions, self.properties):
            names = [x.name for x in what]
            if len(set(names)) != len(names):
                raise ValueError(f"{self.name}: a name occurs twice: {sorted(n for n in names if names.count(n) > 1)}")

    @property
    def initial(self) -> Values:
        """The first state."""
        return tuple(v.init for v in self.variables)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The variables' names in order."""
        return tuple(v.name for v in self.variables)

    def bind(self, values: Values) -> SimpleNamespace:
        """A state as something with an attribute per variable."""
        return SimpleNamespace(**dict(zip(self.names, values, strict=True)))

    def successors(self, values: Values) -> Iterator[tuple[int, Values]]:
        """The run reading: every action that can happen, by its index, and the state after it, in order."""
        v = self.bind(values)
        index = self._index
        for number, action in enumerate(self.actions):
            step = action.step(v)
            if step.guard:
                after = list(values)
                for name, value in step.update.items():
                    after[index[name]] = int(value)
                yield number, tuple(after)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.names)}

    @cached_property
    def symbols(self) -> SimpleNamespace:
        """A Z3 constant of sort Int per variable, by name."""
        import z3

        return SimpleNamespace(**{name: z3.Int(name) for name in self.names})

    @cached_property
    def symbolic(self) -> tuple[Step, ...]:
        """The actions' steps on `symbols`, in order: what explore, SPIN and prove read."""
        return tuple(action.step(self.symbols) for action in self.actions)

    def property(self, name: str) -> Property:
        """A property by its name. Raises KeyError."""
        return {p.name: p for p in self.properties}[name]
