from __future__ import annotations

from types import SimpleNamespace

from conformance.checking.paths import controllers, show, state_of
from model.profile import HARDENED
from model.state import Mode, Step
from model.system.outcome import PathStep
from model.walk import walk


def test_steps_say_what_changed_and_how_long_they_took(toys: SimpleNamespace) -> None:
    system = toys.alone(HARDENED)
    opened = (Mode.SENDING_MESSAGE, Step.HELLO, 7, 0, 0)
    path = (
        PathStep("4.SES-2.open", opened),
        PathStep("time.1", (*opened[:2], 6, 0, 0)),
        PathStep("4.SES-7.noise(noise from 5)", (*opened[:2], 6, 0, 0)),
    )
    shown = show(system, path, loop=1)
    assert [step.changed for step in shown.steps] == [{"mode": 1, "step": 1, "timer": 7}, {"timer": 6}, {}]
    assert [step.elapsed for step in shown.steps] == [0, 1_000, 0]
    assert [(step.kind, step.rules) for step in shown.steps][:2] == [("cpu", ["SES-2.open"]), ("time", [])]
    assert (shown.visits, shown.loop) == (["IDLE", "SENDING_MESSAGE/HELLO"], 1)


def test_the_path_of_an_engine(toys: SimpleNamespace) -> None:
    system = toys.pair(HARDENED)
    answer = walk(system).answer("all-delivered")
    shown = show(system, answer.path, answer.loop)
    assert [step.action for step in shown.steps] == [step.action for step in answer.path]
    assert shown.visits == []


def test_controllers_are_found_by_their_variables(toys: SimpleNamespace) -> None:
    named = SimpleNamespace(names=("s3_mode", "s3_step", "s4_mode", "s4_step", "modest", "w3_step"))
    assert controllers(named) == (("s3_mode", "s3_step"), ("s4_mode", "s4_step"))  # type: ignore[arg-type]
    assert controllers(toys.alone(HARDENED)) == (("mode", "step"),) and controllers(toys.pair(HARDENED)) == ()


def test_states_of_the_diagram_have_names_where_the_model_has_them() -> None:
    assert state_of(Mode.IDLE, Step.NONE).id == "IDLE"
    assert state_of(Mode.TALKING_TO_SSS, Step.READ).id == "TALKING_TO_SSS/READ"
    assert state_of(17, 23).id == "17/23"
