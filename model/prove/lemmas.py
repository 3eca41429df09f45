"""What a proof may rest on: lemmas, each of them proved together with the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from model.system.base import System, Variable, Variables
from model.terms import And, Term


@dataclass(frozen=True, slots=True)
class Lemma:
    """Something that holds in every reachable state and is proved only because other proofs rest on it.

    `says` is one sentence on why it holds; `needs` are the ids of the requirements that it comes from, if any.
    """

    name: str
    says: str
    holds: Callable[[Variables], Term]
    needs: tuple[str, ...] = ()


def ranges(system: System, names: Iterable[str]) -> tuple[Lemma, ...]:
    """A lemma for each of some variables: that it stays within its range. Raises KeyError for an unknown name.

    Proofs assume no ranges of themselves. A variable that grows without bound has none.
    """
    variables = {v.name: v for v in system.variables}
    return tuple(_range(variables[name]) for name in names)


def _range(variable: Variable) -> Lemma:
    low, high = variable.low, variable.high

    def holds(v: Variables) -> Term:
        value = getattr(v, variable.name)
        return And(value >= low, value <= high)

    return Lemma(f"range of {variable.name}", f"{variable.name} is always from {low} to {high}.", holds)
