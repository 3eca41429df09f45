"""From a scope and a profile to a system."""

from __future__ import annotations

from itertools import pairwise

from model.profile import Profile
from model.system.adversary import forgeries
from model.system.alone import alone
from model.system.arrivals import arrivals
from model.system.base import System
from model.system.clock import time
from model.system.devices import cpus, failures
from model.system.layout import Layout
from model.system.losses import losses
from model.system.makers import Makers
from model.system.properties import properties_of
from model.system.reader import reader
from model.system.scope import Scope

SOURCES = (cpus, arrivals, losses, time, failures, forgeries)
"""What makes actions, in the order in which a system has them."""


def build(scope: Scope, profile: Profile) -> System:
    """The system of a scope.

    Actions that no state can ever allow, such as those of a flag that is off, are left out.
    """
    if scope.of == "reader":
        return reader(profile)
    if scope.of == "controller":
        return alone(profile)
    layout = Layout(scope, profile)
    makers = Makers(layout)
    found = [action for source in SOURCES for action in source(makers)]
    whole = System(scope.name, tuple(layout.variables.values()), tuple(found), (), scope.unit)
    possible = tuple(a for a, step in zip(found, whole.symbolic, strict=True) if not _never(step.guard))
    return System(scope.name, whole.variables, possible, properties_of(layout), scope.unit, _symmetries(layout))


def _symmetries(layout: Layout) -> tuple[dict[str, str], ...]:
    """Any two SEDs can change places where nothing looks at ids: where each talks to the SSS alone, in the same way.

    With messages between SEDs the lower id goes first (SES-9); with forged hellos, too.
    """
    scope = layout.scope
    if scope.sends or scope.forging or scope.removed or len({scope.asks.get(i) for i in scope.seds}) > 1:
        return ()
    return tuple(_exchange(layout, i, j) for i, j in pairwise(scope.seds))


def _exchange(layout: Layout, i: int, j: int) -> dict[str, str]:
    """All variables of SED `i` and its wire for those of SED `j`, and the other way round."""
    places = {f"s{i}": f"s{j}", f"w{i}": f"w{j}", f"s{j}": f"s{i}", f"w{j}": f"w{i}"}
    split = {name: name.partition("_") for name in layout.variables}
    return {name: f"{places[owner]}_{field}" for name, (owner, _, field) in split.items() if owner in places}


def _never(guard: object) -> bool:
    """A guard that is false whatever the state."""
    import z3

    return guard is False or (z3.is_expr(guard) and z3.is_false(z3.simplify(guard)))
