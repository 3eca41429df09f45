"""Two small systems with real engines: one controller by itself, and two of them on a radio with an adversary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from conformance.checking.backend import Backend, Options, Scope, Tick
from conformance.checking.results import CheckReport
from conformance.checking.run import make_plan, run
from model.profile import Profile
from model.state import Mode
from model.state import Step as At
from model.system.base import Action, Kind, Property, Step, System, Variable, Variables
from model.system.defects import Defect
from model.system.outcome import Outcome
from model.terms import And, If, Min, Not, Or, Term

IDLE = {"mode": Mode.IDLE, "step": At.NONE, "timer": 0}


def to(mode: Mode, step: At, timer: int = 7, **more: Term) -> dict[str, Term]:
    return {"mode": mode, "step": step, "timer": timer, **more}


def alone(profile: Profile) -> System:
    """SED 4 sends to and receives from SED 5. Time is in seconds. Without SES-7 no idle timer is armed."""

    def at(step: At) -> Callable[[Variables], Term]:
        return lambda v: v.step == step

    def idle(v: Variables) -> Term:
        return v.mode == Mode.IDLE

    def action(name: str, kind: str, says: str, when: Callable[[Variables], Term], update: dict[str, Term]) -> Action:
        rule = name.partition(".")[2].partition("(")[0]
        return Action(name, kind, (rule,), says, lambda v: Step(True, update), when)

    sending, receiving = Mode.SENDING_MESSAGE, Mode.RECEIVING_MESSAGE
    listen = to(receiving, At.LISTEN, 60 if profile.ses_7 else 0)
    actions = (
        action("4.SES-2.open", "cpu", "The CPU gives a message.", idle, to(sending, At.HELLO)),
        action("4.DTL-3.cookie(verify-request from 5)", "deliver", "A cookie.", at(At.HELLO), to(sending, At.COOKIE)),
        action("4.SES-2.keys(flight4 from 5)", "deliver", "Flight 4 came.", at(At.COOKIE), to(sending, At.KEYS)),
        action("4.SES-2.records(flight6 from 5)", "deliver", "The message goes out.", at(At.KEYS), IDLE),
        action("4.SES-3.open(hello-cookie from 5)", "deliver", "It serves.", idle, to(receiving, At.ACCEPT)),
        action("4.SES-3.listen(flight5 from 5)", "deliver", "The peer proved itself.", at(At.ACCEPT), listen),
        action("4.SES-3.deliver(close from 5)", "deliver", "The message is whole.", at(At.LISTEN), IDLE),
        action("4.SES-7.noise(noise from 5)", "forge", "Noise changes nothing.", lambda v: v.mode != 0, {}),
        Action(
            "4.DTL-6.timeout",
            "timer",
            ("DTL-6.timeout",),
            "The timer fires: the session ends.",
            lambda v: Step(v.timer == 1, dict(IDLE)),
            lambda v: v.mode != Mode.IDLE,
            lambda v: 1,
        ),
        Action(
            "time.1", "time", (), "A second.", lambda v: Step(v.timer > 1, {"timer": v.timer - 1}), elapsed=lambda v: 1
        ),
    )
    properties = (
        Property("back-to-idle", Kind.EVENTUALLY, ("SES-7",), "Every busy state comes back to IDLE.", idle),
        Property("can-be-idle", Kind.POSSIBLE, ("SES-7", "SES-1"), "IDLE can be reached from everywhere.", idle),
        Property("sends", Kind.REACHABLE, ("SES-2",), "A handshake can be completed.", at(At.KEYS)),
        Property("no-fatal", Kind.ALWAYS, ("SES-12",), "No input leads to FATAL_ERROR.", lambda v: v.mode != 4),
        Property(
            "armed",
            Kind.ALWAYS,
            ("DTL-6", "SES-7"),
            "A busy controller has a timer.",
            lambda v: Or(v.mode == 0, v.timer > 0),
        ),
        Property(
            "sss-timer",
            Kind.ALWAYS,
            ("SES-4",),
            "A timer runs with the SSS.",
            lambda v: v.timer < 99,
            lambda v: v.mode == 3,
        ),
    )
    variables = (Variable("mode", 0, 4), Variable("step", 0, 6), Variable("timer", 0, 60))
    variables += (Variable("waiting", 0, 0), Variable("aside", 0, 0))  # nothing ever waits here
    return System("alone", variables, actions, properties, unit=1_000)


def pair(profile: Profile) -> System:
    """SED 3 sends two messages to SED 4; the adversary loses, replays and forges. Without SES-8 a replay succeeds."""

    def replayable(v: Variables) -> Term:
        return And(v.seen > 0, v.wire == 0, Not(And(profile.ses_8, True)))

    actions = (
        Action("3.SES-2.records(message 1)", "cpu", ("SES-2.records",), "A message goes out.",
               lambda v: Step(And(v.wire == 0, v.sent < 2), {"wire": 1, "sent": v.sent + 1})),
        Action("4.SES-3.deliver(data from 3)", "deliver", ("SES-3.deliver",), "The message arrives.",
               lambda v: Step(v.wire == 1, {"wire": 0, "got": Min(v.got + 1, 3), "seen": 1})),
        Action("4.lost(data from 3)", "lose", (), "The radio loses it.", lambda v: Step(v.wire == 1, {"wire": 0})),
        Action("4.SES-3.deliver(data as 3)", "replay", ("SES-3.deliver", "SES-8.gap"), "The adversary sends it again.",
               lambda v: Step(replayable(v), {"got": Min(v.got + 1, 3)})),
        Action("4.SES-7.noise(noise as 3)", "forge", ("SES-7.noise",), "The adversary makes up a frame.",
               lambda v: Step(v.got < 3, {})),
        Action("1.REG-1.register(3)", "urgent", ("SSS REG-1.keys",), "The SSS registers SED 3.",
               lambda v: Step(v.registered == 0, {"registered": 1})),
        Action("a name of another form", "fault", (), "Something else.",
               lambda v: Step(v.registered == 1, {"registered": If(v.got == 3, 1, 0)})),
    )  # fmt: skip
    properties = (
        Property("at-most-once", Kind.ALWAYS, ("SES-8",), "No message is delivered twice.", lambda v: v.got <= v.sent),
        Property("registered", Kind.POSSIBLE, ("REG-5",), "SED 3 can be registered.", lambda v: v.registered == 1),
        Property("all-delivered", Kind.EVENTUALLY, ("SES-2",), "Both messages arrive.", lambda v: v.got >= 2),
    )
    variables = tuple(Variable(name, 0, 3) for name in ("wire", "sent", "got", "seen", "registered"))
    return System("pair", variables, actions, properties)


ENGINES = ("run", "explore")
SCOPES = {
    s.name: s
    for s in (
        Scope("alone", "One controller, which sends to and hears one peer.", alone, ENGINES, bounds={"peers": "1"}),
        Scope(
            "pair", "Two SEDs on a radio with an adversary.", pair, ENGINES, bounds={"messages": "2", "faults": "any"}
        ),
        Scope("large", "The same, not by default.", pair, ENGINES, standard=False),
    )
}


DEFECTS = (
    Defect(1, "A replay is delivered again.", "pair", "at-most-once"),
    Defect(2, "The radio loses messages.", "pair", "all-delivered"),
    Defect(3, "A session without a timer.", "alone", "armed"),
    Defect(4, "It breaks.", "alone", "no-fatal"),
    Defect(5, "With the SSS no timer runs.", "alone", "sss-timer"),
    Defect(6, "Nobody is registered.", "large", "registered"),
    Defect(7, "Keys leak.", why_not="There are none here."),
)


@pytest.fixture
def backend() -> Backend:
    return Backend(SCOPES, defects=DEFECTS)


@dataclass
class Notes:
    """An observer that keeps what it is told."""

    begun: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def begin(self, task: str, number: int, of: int) -> None:
        self.begun.append(f"{number}/{of} {task}")

    def tick(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def end(self, said: str) -> None:
        self.said.append(said)

    def failed(self, error: Exception) -> None:
        self.errors.append(error)


def checked(backend: Backend, **options: object) -> CheckReport:
    plan = make_plan(backend, **({"engines": ["run"]} | options))  # type: ignore[arg-type]
    return run(plan, backend, Notes(), command="scewl check --engine run")


@pytest.fixture(scope="session")
def report() -> CheckReport:
    """A whole run on the toys, by the plain engine; read it, do not change it."""
    return checked(Backend(SCOPES, defects=DEFECTS), matrix=True)


@pytest.fixture(scope="session")
def historic() -> CheckReport:
    """The same for the historic profile."""
    return checked(Backend(SCOPES, defects=DEFECTS), profile="historic")


def interrupted(system: System, options: Options) -> Outcome:
    """An engine during which somebody presses Ctrl-C."""
    options.progress(Tick(1_000, 3, 0.5, 1 << 20))
    raise KeyboardInterrupt


def broken(system: System, options: Options) -> Outcome:
    """An engine that has no compiler."""
    raise RuntimeError("gcc is not installed: <apt-get install gcc>")


@pytest.fixture(scope="session")
def toys() -> SimpleNamespace:
    """All of this module, for tests, which cannot import it."""
    return SimpleNamespace(**globals())
