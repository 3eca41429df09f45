"""The observable controller machine: the model's controller, as far as anybody outside can tell it apart.

States are those of the model's one controller, with what nobody outside can tell apart taken together: numbers of
records and handshakes, sizes and the remaining time count only relatively. Inputs are what a purpose can do, each
after a millisecond, so that a timer that was set again shows. Where the rules leave a choice, an input goes one way.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from conformance.sayings import SAYINGS
from model.alphabet import DEREGISTER, REGISTER, Event, Output
from model.profile import HARDENED, Setting
from model.run import Reaction, react
from model.state import State, Step, Waiting
from model.system.alone import HIGHER, LOWER, ME

StepTable = dict[str, Any]
SETTING: Final = Setting(ME, HARDENED)
SIZE: Final = 16
"""Bytes of what CPUs and the FAA send."""
SECOND_MS: Final = 14_000
"""The second timeout (DTL-6). The third to fifth are one input, since nothing tells them apart but their length."""
QUIET_MS: Final = 200_000
"""Longer than anything that a controller could still wait for (DTL-6: 165 s)."""
TOLD: Final = 2
"""Bytes of a response after which its op shows, so that it cannot become another."""
REFUSED, IGNORED = "DTL-7.forged", "DTL-7.forged-ignored"
FORGED: Final[dict[str, tuple[int, str, Callable[[State], bool]]]] = {
    "forged-message": (0, REFUSED, lambda s: s.step != Step.HELLO),
    "forged-verify-request": (2, REFUSED, lambda s: s.step == Step.HELLO),
    "forged-data": (6, IGNORED, lambda _: True),
}
"""Inputs after which a controller in a handshake may go two ways: the forgery, the way that the machine goes, which is
that of our controllers, and where."""


@dataclass(frozen=True, slots=True)
class Input:
    """Something that a purpose can do to an IUT: its steps, and what it is for the model in a state where it fits."""

    name: str
    steps: tuple[StepTable, ...]
    events: Callable[[State], tuple[Event, ...]]
    fits: Callable[[State], bool] = lambda _: True
    chooses: str = ""
    """The rule by which the machine goes on, where the rules leave a choice."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One transition, by numbers of states."""

    number: int
    source: int
    input: Input
    outputs: tuple[Output, ...]
    rules: tuple[str, ...]
    target: int
    timer: int
    """Milliseconds until the next deadline after it; 0 if there is none."""
    ms: int
    """How long it lasts."""

    @property
    def silent(self) -> bool:
        """Whether nothing comes of it."""
        return self.source == self.target and not self.outputs


def _unread(s: State) -> bool:
    return s.waiting == Waiting.NONE


def _from_outside() -> Iterator[Input]:
    """What the CPU, the FAA, strangers and time do."""
    for name, step, event in (
        ("cpu-send", {"do": "send", "to": HIGHER, "size": SIZE}, Event("cpu-send", (HIGHER, SIZE))),
        ("cpu-register", {"do": "register"}, Event("cpu-request", (4, ME, REGISTER))),
        ("cpu-deregister", {"do": "deregister"}, Event("cpu-request", (4, ME, DEREGISTER))),
        ("cpu-malformed", {"do": "request", "size": 3}, Event("cpu-request", (3, ME, 0))),
        ("cpu-broadcast", {"do": "broadcast", "size": SIZE}, Event("cpu-other")),
        ("cpu-faa", {"do": "faa", "to": "radio", "size": SIZE}, Event("cpu-faa", (SIZE,))),
    ):
        yield Input(name, (step,), lambda _, e=event: (e,), _unread)  # type: ignore[misc]
    yield Input("radio-faa", ({"do": "faa", "to": "cpu", "size": SIZE},), lambda _: (Event("radio-faa", (SIZE,)),))
    noise = {"do": "inject", "link": "radio", "source": HIGHER, "target": ME, "size": 40}
    yield Input("noise", (noise,), lambda _: (Event("noise", (HIGHER,)),))
    for source in (LOWER, HIGHER):
        hello = {"do": "say", "what": "hello", "as": source}
        yield Input(f"hello-{source}", (hello,), lambda _, x=source: (Event("hello", (x,)),))  # type: ignore[misc]
        for what, number in (("hello-cookie", 1), ("hello-anew", 2)):
            yield Input(
                f"{what}-{source}",
                ({"do": "say", "what": what, "as": source},),
                lambda _, x=source, n=number: (Event("hello-cookie", (x, n)),),  # type: ignore[misc]
                lambda s, x=source, n=number: n == 1 or (s.step == Step.ACCEPT and s.peer == x),  # type: ignore[misc]
            )
    before, due = {"do": "wait", "until": "before-deadline"}, {"do": "wait", "until": "deadline"}
    yield Input(
        "deadline", (before, due), lambda s: (Event("time", (s.timer,)),), lambda s: s.timer > 0 and not _third(s)
    )
    third = tuple(Event("time", (ms,)) for ms in (SECOND_MS, 2 * SECOND_MS, 4 * SECOND_MS))
    yield Input("deadlines", (before, due) * len(third), lambda _: third, _third)
    quiet = {"do": "wait", "ms": QUIET_MS}
    yield Input("quiet", (quiet,), lambda _: (Event("time", (QUIET_MS,)),), lambda s: s.timer == 0)


def _from_the_peer() -> Iterator[Input]:
    for what, saying in SAYINGS.items():
        step = {"do": "say", "what": what}
        if what == "forged":
            for name, (variant, rule, where) in FORGED.items():
                forged = {**step, "variant": variant}
                yield Input(name, (forged,), saying.events, lambda s, w=where: s.peer != 0 and w(s), rule)  # type: ignore[misc]
        elif what == "data":
            yield Input(what, (step,), saying.events, lambda s: SAYINGS["data"].fits(s) and not _told(s))
        else:
            yield Input(what, (step,), saying.events, saying.fits)


def _third(s: State) -> bool:
    return s.timeout == SECOND_MS


def _told(s: State) -> bool:
    return s.step == Step.READ and s.expect >= TOLD


INPUTS: Final = (*_from_outside(), *_from_the_peer())


def canonical(s: State) -> State:
    """The state that stands for all that nobody outside can tell from this one, by inputs that count relatively.

    Of a registration response the number of its records so far stays, up to where its op shows.
    """
    return s._replace(
        expect=s.expect if s.step == Step.READ and s.began else 0,
        timer=s.timeout or s.timer,
        size=0,
        handshake=min(s.handshake, 1),
        dev=0,
        unyielding=s.unyielding if s.step in (Step.NONE, Step.HELLO, Step.COOKIE) else 0,
        aside_size=0,
        waiting_size=s.waiting_size if s.waiting == Waiting.REQUEST else 0,
        waiting_dev=0,
    )


def place(s: State) -> Hashable:
    """Where a state is, coarsely: states of one place differ in whom they are about, in what waits, in how often there
    was a timeout beyond the first, and in whether the device is registered."""
    return s.mode, s.step, s.aside, s.waiting != Waiting.NONE, s.timeout > SETTING.first_timeout


class Machine:
    """All states that the inputs reach from boot, state 0, and all transitions, both numbered; deterministic."""

    def __init__(
        self,
        inputs: tuple[Input, ...] = INPUTS,
        states: Callable[[State], bool] = lambda _: True,
        canonical: Callable[[State], State] = canonical,
    ) -> None:
        """`states` keeps only transitions to some; `canonical` says which state stands for one."""
        start = canonical(State())
        self.states = [start]
        self.transitions: list[Transition] = []
        self.out: list[dict[str, Transition]] = []
        """Per state its transitions by the names of their inputs."""
        number = {start: 0}
        for state in self.states:
            self.out.append({})
            for given in inputs:
                if not given.fits(state):
                    continue
                way = _way(state, given)
                after = canonical(way.state)
                if not states(after):
                    continue
                target = number.setdefault(after, len(self.states))
                if target == len(self.states):
                    self.states.append(after)
                found = Transition(
                    len(self.transitions),
                    number[state],
                    given,
                    way.outputs,
                    tuple(rule.id for rule in way.rules),
                    target,
                    way.state.timer,
                    sum(e.args[0] for e in given.events(state) if e.kind == "time"),
                )
                self.transitions.append(found)
                self.out[found.source][given.name] = found

    def after(self, transition: Transition) -> list[Transition]:
        """The transitions that can follow one."""
        return list(self.out[transition.target].values())


def _way(state: State, given: Input) -> Reaction:
    """What comes of an input; of several ways the one that it chooses."""
    ways = [Reaction(state, (), ())]
    for event in given.events(state):
        ways = [
            Reaction(r.state, w.outputs + r.outputs, w.rules + r.rules)
            for w in ways
            for r in react(w.state, event, SETTING)
        ]
    if len(ways) > 1:
        ways = [w for w in ways if any(r.id == given.chooses for r in w.rules)]
    if len(ways) != 1:
        raise AssertionError(f"{given.name} in {state.describe()} has {len(ways)} ways")
    return ways[0]
