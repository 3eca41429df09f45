"""One exploration: compile, search, and look at what was found."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace, TracebackType

from model.explore.emit import constants, program
from model.explore.engine import Engine, Status
from model.explore.layout import Layout, group
from model.system.base import Kind, Property, System, Values
from model.system.outcome import PathStep
from model.terms import Not, Term, symbolic

SLICE = 0.5
"""Seconds between two reports of progress; an interrupt waits as long."""
MOST_JOBS = 16
"""More threads than this do not help: one batch has too little for them."""
MOST_GOALS = 64
"""A bit per state and property."""
GOALS = (Kind.POSSIBLE, Kind.EVENTUALLY)
"""Kinds of properties that are found out backwards, once all states are known."""


class RangeError(Exception):
    """A variable got a value outside its range: the rules of the system are wrong."""

    def __init__(self, system: str, variable: str, value: int, path: tuple[PathStep, ...], action: str) -> None:
        self.variable, self.value, self.path, self.action = variable, value, path, action
        steps = f"after a path of {len(path)} steps" if path else "in the first state"
        super().__init__(f"{system}: {action} gives {variable} the value {value}, out of its range, {steps}")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an exploration has come. `queue`: states that wait to be expanded. `memory` in bytes."""

    states: int
    queue: int
    depth: int
    seconds: float
    memory: int


class Explorer:
    """Explores one system. A context manager: at its end the states and the compiled code are gone.

    `properties` are the names of those to check; all by default. `jobs` is the number of threads, by default one per
    core, `memory` the most bytes to hold, by default three quarters of what is available. Neither changes any result,
    except that too little memory leaves states out. Raises EngineError without gcc, and ValueError for a system that
    cannot be explored.

    With `symmetry`, of all states that are images of each other only one is kept; that is sound where each symmetry
    maps steps to steps, which is the system's claim, and no property tells the images apart, which is checked.
    """

    def __init__(
        self,
        system: System,
        *,
        jobs: int | None = None,
        memory: int | None = None,
        symmetry: bool = True,
        properties: Sequence[str] | None = None,
    ) -> None:
        self.system = system
        self.layout = Layout.of(system.variables)
        self.images = group(system) if symmetry else ()
        names = [p.name for p in system.properties] if properties is None else properties
        self.properties = [system.property(name) for name in names]
        if self.images:
            for p in self.properties:
                _check_symmetric(system, p)
        self.goals = [p for p in self.properties if p.kind in GOALS]
        if len(self.goals) > MOST_GOALS:
            raise ValueError(f"{system.name}: {len(self.goals)} properties about paths; {MOST_GOALS} are possible")
        self.questions = _questions(system, self.properties)
        self.seconds = 0.0
        self.exhausted = False
        self.taken: list[int] = []
        terms = list(self.questions.values()), [p.holds(system.symbols) for p in self.goals]
        sizes = constants(self.layout, system, len(terms[0]), [p.kind for p in self.goals], len(self.images))
        self.engine = Engine(
            sizes, program(self.layout, system, *terms, self.images), self.layout.words, len(system.actions)
        )
        most = available_memory() * 3 // 4 if memory is None else memory
        jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
        try:
            self.engine.open(most, max(1, min(jobs, MOST_JOBS)), self.layout.pack(system.initial))
        except BaseException:
            self.engine.close()
            raise

    def __enter__(self) -> Explorer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.engine.close()

    def run(self, progress: Callable[[Progress], None] | None = None) -> None:
        """Look at every state, and then find out from which of them each goal is reached. Raises RangeError."""
        began = time.monotonic()
        while (status := self.engine.search(SLICE)) is Status.MORE:
            if progress:
                progress(self._progress(began))
        if status is Status.WRONG:
            self._raise_wrong()
        self.taken = self.engine.taken()
        self.exhausted = status is Status.DONE
        if self.goals and self.exhausted:
            while self.engine.sweep(SLICE) is Status.MORE:
                if progress:
                    progress(self._progress(began))
        self.seconds = time.monotonic() - began

    def _progress(self, began: float) -> Progress:
        states, queue, depth, memory = self.engine.progress()
        return Progress(states, queue, depth, time.monotonic() - began, memory)

    def _raise_wrong(self) -> None:
        if wrong := self.engine.wrong():
            index, action, variable, value = wrong
            path, system = tuple(self.path(index)), self.system
            raise RangeError(system.name, system.names[variable], value, path, system.actions[action].name)

    def states(self) -> Iterator[Values]:
        """All states that were reached, in breadth-first order; with symmetry, one for all its images."""
        for index in range(self.engine.progress()[0]):
            yield self.layout.unpack(self.engine.state(index)[0])

    def successors(self, values: Values) -> list[tuple[int, Values]]:
        """What `System.successors` gives, by the compiled code. Raises RangeError."""
        steps = self.engine.successors(self.layout.pack(values))
        if wrong := self.engine.wrong():
            _, action, variable, value = wrong
            names = self.system.names[variable], self.system.actions[action].name
            raise RangeError(self.system.name, names[0], value, (), names[1])
        return [(action, self.layout.unpack(words)) for action, words in steps]

    def index(self, values: Values) -> int | None:
        """The number of a state, or of the image that stands for it, in the order of `states`."""
        return self.engine.find(self.layout.pack(values))

    def path(self, index: int) -> list[PathStep]:
        """A shortest path to a state, or to an image of it, as the system itself takes it."""
        chain = []
        at: int | None = index
        while at is not None:
            words, at = self.engine.state(at)
            chain.append(self.layout.unpack(words))
        steps: list[PathStep] = []
        now = self.system.initial
        for expected in chain[-2::-1]:
            ways = self.system.successors(now)
            way = next((w for w in ways if self.layout.canonical(w[1], self.images) == expected), None)
            if way is None:
                raise RuntimeError(f"{self.system.name}: compiled and plain rules differ after {now}")
            action, now = way
            steps.append(PathStep(self.system.actions[action].name, now))
        return steps


def _questions(system: System, properties: Sequence[Property]) -> dict[tuple[str, str], Term]:
    """What to ask of each state: per property `found` (the violation, or what is looked for), and its `premise`."""
    questions: dict[tuple[str, str], Term] = {}
    for p in properties:
        if p.kind is Kind.ALWAYS:
            questions[p.name, "found"] = Not(p.holds(system.symbols))
        elif p.kind is Kind.REACHABLE:
            questions[p.name, "found"] = p.holds(system.symbols)
        if p.premise is not None and p.kind is Kind.ALWAYS:
            questions[p.name, "premise"] = p.premise(system.symbols)
    return questions


def _check_symmetric(system: System, p: Property) -> None:
    """Raise ValueError if a symmetry changes what a property says."""
    import z3

    symbols = vars(system.symbols)
    ranges = [z3.And(symbols[v.name] >= v.low, symbols[v.name] <= v.high) for v in system.variables]
    terms = [p.holds(system.symbols)] + ([p.premise(system.symbols)] if p.premise is not None else [])
    for mapping in system.symmetries:
        moved = SimpleNamespace(**{name: symbols[mapping.get(name, name)] for name in system.names})
        others = [p.holds(moved)] + ([p.premise(moved)] if p.premise is not None else [])
        for term, other in zip(terms, others, strict=True):
            if not symbolic(term) or term.eq(other):
                continue
            solver = z3.Solver()
            solver.add(*ranges, term != other)
            if solver.check() != z3.unsat:
                raise ValueError(f"{system.name}: {p.name} is not the same for all images of a state: {mapping}")


def available_memory() -> int:
    """Bytes that this process could have now: what the machine has left, or its control group if that is less."""
    meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = [int(meminfo["MemAvailable"].split()[0]) * 1024]
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        group_limit = Path("/sys/fs/cgroup") / limit
        if group_limit.exists() and (text := group_limit.read_text().strip()) != "max":
            free.append(int(text) - int((Path("/sys/fs/cgroup") / used).read_text()))
    return min(free)
