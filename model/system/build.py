"""From a scope and a profile to a system."""

from __future__ import annotations

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
    return System(scope.name, whole.variables, possible, properties_of(layout), scope.unit)


def _never(guard: object) -> bool:
    """A guard that is false whatever the state."""
    import z3

    return guard is False or (z3.is_expr(guard) and z3.is_false(z3.simplify(guard)))
