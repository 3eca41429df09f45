"""What `scewl check` leaves behind in `report.json`; everything that a person reads is made from it alone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, is_dataclass
from enum import Enum, StrEnum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from model.system.base import Kind
from model.system.outcome import Finding

REPORT_VERSION = 1


class Standing(StrEnum):
    """What is known of a property when all answers about it are taken together; worst first."""

    FALSE = "false"
    OPEN = "not exhausted"
    VACUOUS = "vacuous"
    UNCHECKED = "not checked"
    BOUNDED = "checked within bounds"
    PROVED = "proved without bound"


@dataclass(slots=True)
class StepResult:
    """One step of a path."""

    action: str
    kind: str
    """One of `model.system.base.KINDS`."""
    says: str
    rules: list[str]
    elapsed: int
    """Milliseconds that pass."""
    changed: dict[str, int]
    """The variables that have another value after it."""


@dataclass(slots=True)
class PathResult:
    """A way from the initial state, which it does not hold, to what it shows."""

    steps: list[StepResult]
    loop: int | None = None
    """Index of the step after which the state is that of the end again, -1 for the initial state; None: it ends."""
    visits: list[str] = field(default_factory=list)
    """Ids of the `StateResult`s that some controller is in on the way."""
    trace: str = ""
    """File name of the trace that runs it again, relative to report.json."""
    no_trace: str = ""
    """Why there is no trace."""


@dataclass(slots=True)
class AnswerResult:
    """What one engine found about one property in one scope."""

    property: str
    finding: Finding
    how: str = ""
    path: PathResult | None = None


@dataclass(slots=True)
class CheckResult:
    """One engine on one scope."""

    scope: str
    engine: str
    states: int = 0
    """0 for an engine that does not count states."""
    transitions: int = 0
    depth: int = 0
    """Steps of the longest shortest path."""
    seconds: float = 0.0
    memory: int = 0
    """Bytes."""
    exhausted: bool = False
    """Whether every reachable state was looked at."""
    note: str = ""
    """What else there is to say of it: how many lemmas were proved."""
    error: str = ""
    """Why it found nothing; empty if it ran."""
    answers: list[AnswerResult] = field(default_factory=list)


@dataclass(slots=True)
class ScopeResult:
    """A closed system that was checked, and how it is bounded, for people: `{"messages": "2 per SED"}`."""

    name: str
    says: str
    bounds: dict[str, str]


@dataclass(slots=True)
class PropertyResult:
    """A property, whichever scopes have it."""

    name: str
    kind: Kind
    needs: list[str]
    says: str


@dataclass(slots=True)
class MatrixRow:
    """What one hardening rule buys: with it alone switched off, this property is false in this scope."""

    flag: str
    requirement: str
    property: str = ""
    """Empty if nothing that was checked needs the rule."""
    scope: str = ""
    path: PathResult | None = None
    reason: str = ""
    """Why there is no property: not needed, and why; or not known."""
    known: bool = True
    """False if not everything was looked at."""


@dataclass(slots=True)
class BoundRow:
    """How long something can last at the most."""

    profile: str
    what: str
    scope: str
    milliseconds: int | None = None
    """None: for ever."""
    path: PathResult | None = None
    note: str = ""
    """Who can make it last for ever, where that is known."""
    error: str = ""
    """Why it is not known; empty if it is."""


@dataclass(slots=True)
class DefectRow:
    """A defect of the historic system, and what this run found of the property that shows it."""

    number: int
    says: str
    scope: str
    property: str
    """Both empty if the model does not show it."""
    why_not: str
    """Why the model does not show it."""
    finding: Finding | None = None
    """None: this run has no answer."""
    engine: str = ""
    """Whose finding it is."""
    steps: int = 0
    """Length of the path that shows it."""


@dataclass(slots=True)
class RuleRow:
    """A rule of the model, and the scopes in which it is taken."""

    id: str
    party: str
    """Whose rule it is: `controller`, `SSS`, or `environment`. A controller and the SSS may have rules of one id."""
    says: str
    needs: list[str]
    scopes: list[str]


@dataclass(slots=True)
class StateResult:
    """A state of the controller's diagram: a mode and a step. The id names both: `SENDING_MESSAGE/HELLO`."""

    id: str
    mode: str
    step: str


@dataclass(slots=True)
class EdgeResult:
    """The rules that lead from one state of the diagram to another, or leave it there (`start == end`)."""

    start: str
    end: str
    rules: list[str]


@dataclass(slots=True)
class CheckReport:
    """A run of `scewl check`."""

    command: str
    profile: str
    scopes: list[ScopeResult] = field(default_factory=list)
    properties: list[PropertyResult] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    matrix: list[MatrixRow] = field(default_factory=list)
    bounds: list[BoundRow] = field(default_factory=list)
    defects: list[DefectRow] = field(default_factory=list)
    """None if no scope of the run is to show any."""
    rules: list[RuleRow] = field(default_factory=list)
    states: list[StateResult] = field(default_factory=list)
    """Of one controller; the initial one first."""
    edges: list[EdgeResult] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What an interrupted run did not finish, in words. Not empty: the report is incomplete."""
    version: int = REPORT_VERSION

    def answers(self, name: str) -> list[tuple[CheckResult, AnswerResult]]:
        """All answers about a property, with the check that each comes from."""
        return [(check, answer) for check in self.checks for answer in check.answers if answer.property == name]

    def standing(self, name: str) -> Standing:
        """What is known of a property. A proof not found counts only in scopes where no other engine knows better."""
        answers = self.answers(name)
        findings = {answer.finding for _, answer in answers}
        settled = {check.scope for check, a in answers if a.finding not in (Finding.OPEN, Finding.FALSE)}
        if Finding.FALSE in findings:
            return Standing.FALSE
        if any(a.finding is Finding.OPEN and check.scope not in settled for check, a in answers):
            return Standing.OPEN
        if Finding.PROVED in findings:
            return Standing.PROVED
        if Finding.HOLDS in findings:
            return Standing.BOUNDED
        return Standing.VACUOUS if findings else Standing.UNCHECKED

    @property
    def states_looked_at(self) -> int:
        """States of all scopes together, whichever engines looked at them."""
        most: dict[str, int] = {}
        for check in self.checks:
            most[check.scope] = max(most.get(check.scope, 0), check.states)
        return sum(most.values())

    @property
    def exit_code(self) -> int:
        """1 if a property is false, 3 if anything is open, vacuous, in error or missing, else 0."""
        standings = {self.standing(p.name) for p in self.properties}
        if Standing.FALSE in standings:
            return 1
        unknown = any(c.error for c in self.checks) or any(b.error for b in self.bounds)
        unknown = unknown or bool(self.missing) or not all(row.known for row in self.matrix)
        return 3 if unknown or standings - {Standing.BOUNDED, Standing.PROVED} else 0

    def to_json(self) -> str:
        """The text of `report.json`."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> CheckReport:
        """Read `report.json`. Raises ValueError with the reason if it is not one, OSError if it cannot be read."""
        try:
            report: CheckReport = _read(cls, json.loads(path.read_text("utf-8")))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is not a report of this version: {error}") from error
        if report.version != REPORT_VERSION:
            raise ValueError(f"{path} is a report of version {report.version}, not {REPORT_VERSION}")
        return report


def _read(kind: Any, data: Any) -> Any:
    """JSON data as a value of a type. Raises TypeError, KeyError or ValueError where it does not fit."""
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{name: _read(hints[name], value) for name, value in data.items()})
    if get_origin(kind) is list:
        return [_read(get_args(kind)[0], item) for item in data]
    if get_origin(kind) is dict:
        return {_read(get_args(kind)[0], key): _read(get_args(kind)[1], value) for key, value in data.items()}
    if get_origin(kind) is UnionType:  # `T | None`
        return None if data is None else _read(get_args(kind)[0], data)
    if issubclass(kind, Enum):
        return kind(data)
    if not isinstance(data, (int, float) if kind is float else kind):
        raise TypeError(f"{data!r} is no {kind.__name__}")
    return data
