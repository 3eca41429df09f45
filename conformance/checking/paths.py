"""Paths as reports hold them: what each step did, how long it took, what it changed, where the controllers were."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.checking.results import PathResult, StateResult, StepResult
from model.state import Mode, Step
from model.system.base import Action, System, Values
from model.system.outcome import PathStep


def controllers(system: System) -> tuple[tuple[str, str], ...]:
    """The pairs of variables that hold a controller's mode and step: their names differ in just these two words."""
    names = set(system.names)
    return tuple(
        (name, step) for name in system.names if "mode" in name and (step := name.replace("mode", "step", 1)) in names
    )


def state_of(mode: int, step: int) -> StateResult:
    """A state of the diagram. Numbers that the model does not name stay numbers."""
    mode_name = Mode(mode).name if mode in list(Mode) else str(mode)
    step_name = Step(step).name if step in list(Step) else str(step)
    shown = "" if step == Step.NONE else step_name
    return StateResult(f"{mode_name}/{shown}" if shown else mode_name, mode_name, shown)


def projections(system: System, values: Values) -> list[StateResult]:
    """The state of the diagram that each controller is in."""
    v = system.bind(values)
    return [state_of(getattr(v, mode), getattr(v, step)) for mode, step in controllers(system)]


def elapsed(system: System, action: Action, before: Values) -> int:
    """Milliseconds that an action takes in a state."""
    return int(action.elapsed(system.bind(before))) * system.unit if action.elapsed is not None else 0


def show(system: System, path: Sequence[PathStep], loop: int | None = None) -> PathResult:
    """A path of a system for a report. Raises KeyError if it takes an action that the system does not have."""
    actions = {action.name: action for action in system.actions}
    before, steps = system.initial, []
    visits = {state.id: None for state in projections(system, before)}
    for taken in path:
        action = actions[taken.action]
        pairs = zip(system.names, before, taken.state, strict=True)
        changed = {name: after for name, old, after in pairs if old != after}
        spent = elapsed(system, action, before)
        steps.append(StepResult(action.name, action.kind, action.says, list(action.rules), spent, changed))
        before = taken.state
        visits |= {state.id: None for state in projections(system, before)}
    return PathResult(steps, loop, list(visits))
