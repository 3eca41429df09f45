"""A run of model checking: what to do (a plan), doing it, and the report of what came of it."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Protocol

from conformance.checking.backend import Backend, NoTrace, Options, Scope, Tick
from conformance.checking.controller import SSS_PREFIX, describe_controller
from conformance.checking.paths import show
from conformance.checking.results import (
    AnswerResult,
    BoundRow,
    CheckReport,
    CheckResult,
    DefectRow,
    MatrixRow,
    PathResult,
    PropertyResult,
    RuleRow,
    ScopeResult,
)
from model.profile import HARDENED, PROFILES, Profile
from model.rules import RULES
from model.rules.sss import SSS_RULES
from model.system.base import System
from model.system.outcome import Answer, Finding, Outcome
from model.terms import Term, symbolic

DEFAULT_ENGINES = {"hardened": ("explore", "prove"), "historic": ("explore",)}
"""The lemmas are about the hardened profile; what is false of the historic one is found by looking."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to check: one task per scope and engine, and whether the hardening matrix and the controller's picture."""

    profile: str
    tasks: tuple[tuple[Scope, str], ...]
    properties: tuple[str, ...] | None = None
    matrix: bool = False
    controller: bool = False


class Observer(Protocol):
    """Is told how a run goes on."""

    def begin(self, task: str, number: int, of: int) -> None:
        """A task begins."""

    def tick(self, tick: Tick) -> None:
        """How far it is, about once a second."""

    def end(self, said: str) -> None:
        """It ended; what came of it in one line."""

    def failed(self, error: Exception) -> None:
        """It ended with an error that the report names."""


def make_plan(
    backend: Backend,
    *,
    profile: str = "hardened",
    scopes: Sequence[str] = (),
    engines: Sequence[str] = (),
    properties: Sequence[str] = (),
    matrix: bool | None = None,
) -> Plan:
    """What to do for names that all exist; without any, everything that is standard.

    A task is left out if its scope has none of the wanted properties, or does not name the engine as fitting.
    """
    chosen = [backend.scopes[name] for name in dict.fromkeys(scopes)]
    chosen = chosen or [scope for scope in backend.scopes.values() if scope.standard]
    if properties:
        chosen = [s for s in chosen if {p.name for p in s.build(PROFILES[profile]).properties} & set(properties)]
    tasks = [(s, e) for s in chosen for e in dict.fromkeys(engines or DEFAULT_ENGINES[profile]) if e in s.engines]
    whole = not scopes and not properties
    return Plan(
        profile,
        tuple(tasks),
        tuple(dict.fromkeys(properties)) or None,
        matrix=whole and not engines and profile == "hardened" if matrix is None else matrix,
        controller=not properties,
    )


def run(
    plan: Plan,
    backend: Backend,
    observer: Observer,
    *,
    command: str = "",
    jobs: int | None = None,
    memory: int | None = None,
) -> CheckReport:
    """Do what a plan says.

    An interruption ends it early, and the report names what is missing. Errors of engines are in the report, too, each
    where its result would be.
    """
    running = _Run(plan, backend, observer, jobs, memory, CheckReport(command, plan.profile))
    tasks = running.tasks()
    for number, (name, task) in enumerate(tasks):
        observer.begin(name, number + 1, len(tasks))
        try:
            observer.end(task())
        except KeyboardInterrupt:
            running.report.missing = [name for name, _ in tasks[number:]]
            break
    running.cover()
    running.look_up_defects()
    return running.report


@dataclass
class _Run:
    """A run under way: each task adds what it found to the report, and returns a line about it."""

    plan: Plan
    backend: Backend
    observer: Observer
    jobs: int | None
    memory: int | None
    report: CheckReport
    systems: dict[str, System] = field(default_factory=dict)
    taken: dict[tuple[str, str], dict[str, None]] = field(default_factory=dict)
    """Per party and rule the scopes in which it is taken, in order."""

    def tasks(self) -> list[tuple[str, Callable[[], str]]]:
        """Names and what to do, in order."""
        tasks: list[tuple[str, Callable[[], str]]] = [
            (f"{engine}: {s.name}", partial(self.check, s, engine)) for s, engine in self.plan.tasks
        ]
        scopes = list({scope.name: scope for scope, _ in self.plan.tasks}.values())
        if self.plan.controller:
            tasks.append(("states and time bounds of one controller", partial(self.controller, scopes)))
        if self.plan.matrix:
            flags = [f.name for f in fields(Profile)]
            tasks += [(f"without {requirement_of(flag)}", partial(self.without, flag, scopes)) for flag in flags]
        return tasks

    def check(self, scope: Scope, engine: str) -> str:
        """One engine on one scope."""
        check = CheckResult(scope.name, engine)
        self.report.checks.append(check)
        try:
            system = self.system(scope)
            outcome = self.engine(engine, scope, system, self.plan.properties)
        except Exception as error:
            self.observer.failed(error)
            check.error = _text(error)
            return check.error
        except KeyboardInterrupt:
            self.report.checks.remove(check)
            raise
        check.states, check.transitions, check.depth = outcome.states, outcome.transitions, outcome.depth
        check.seconds, check.memory, check.exhausted = outcome.seconds, outcome.memory, outcome.exhausted
        asked = [a for a in outcome.answers if a.property in {p.name for p in system.properties}]
        check.answers = [AnswerResult(a.property, a.finding, a.how, self.path(system, a)) for a in asked]
        lemmas = [a.finding for a in outcome.answers if a not in asked]
        if lemmas:
            check.note = f"{lemmas.count(Finding.PROVED)} of {len(lemmas)} lemmas proved"
        self.count(system, scope, outcome)
        return _summary(check)

    def engine(self, name: str, scope: Scope, system: System, properties: Sequence[str] | None) -> Outcome:
        """Run an engine. Raises whatever it raises."""
        asked = None if properties is None else tuple(p.name for p in system.properties if p.name in properties)
        lemmas = scope.lemmas(PROFILES[self.plan.profile]) if name == "prove" else ()
        options = Options(self.observer.tick, self.jobs, self.memory, asked, lemmas)
        return self.backend.engines[name](system, options)

    def system(self, scope: Scope) -> System:
        """A scope's system, built once, and entered in the report with its properties."""
        if scope.name not in self.systems:
            system = self.systems[scope.name] = scope.build(PROFILES[self.plan.profile])
            exchanged = {"symmetry": "explore counts SEDs that can change places once"} if system.symmetries else {}
            self.report.scopes.append(ScopeResult(scope.name, scope.says, dict(scope.bounds) | exchanged))
            known = {p.name for p in self.report.properties}
            wanted = self.plan.properties
            self.report.properties += [
                PropertyResult(p.name, p.kind, list(p.needs), p.says)
                for p in system.properties
                if p.name not in known and (wanted is None or p.name in wanted)
            ]
        return self.systems[scope.name]

    def path(self, system: System, answer: Answer, without: str = "") -> PathResult | None:
        """An answer's path for the report, with its trace if one can be made. `without` is the flag that is off."""
        if not answer.path:
            return None
        shown = show(system, answer.path, answer.loop)
        if self.backend.record is None or answer.finding is not Finding.FALSE:
            return shown
        try:
            shown.trace = self.backend.record(system, answer, without)
        except NoTrace as reason:
            shown.no_trace = str(reason)
        except Exception as error:
            self.observer.failed(error)
            shown.no_trace = _text(error)
        return shown

    def count(self, system: System, scope: Scope, outcome: Outcome) -> None:
        """Enter the rules that were taken."""
        for action in system.actions:
            if outcome.taken.get(action.name):
                for rule in action.rules:
                    self.taken.setdefault(_owner(rule), {})[scope.name] = None

    def cover(self) -> None:
        """Enter all rules in the report: those of the controller and of the SSS, then what else the scopes have.

        None if no engine counted what it took: then nothing is known of any rule.
        """
        rules = {("controller", r.id): RuleRow(r.id, "controller", r.says, list(r.needs), []) for r in RULES}
        rules |= {("SSS", r.id): RuleRow(r.id, "SSS", r.says, list(r.needs), []) for r in SSS_RULES}
        for system in self.systems.values():
            for action in system.actions:
                for rule in action.rules:
                    party, name = key = _owner(rule)
                    rules.setdefault(key, RuleRow(name, party, action.says, [name.partition(".")[0]], []))
        for key, scopes in self.taken.items():
            rules[key].scopes = list(scopes)
        self.report.rules = list(rules.values()) if self.taken else []

    def look_up_defects(self) -> None:
        """Enter what the answers say of each defect; of none if this run has no scope that is to show one."""
        if not {d.scope for d in self.backend.defects} & {scope.name for scope, _ in self.plan.tasks}:
            return
        for d in self.backend.defects:
            row = DefectRow(d.number, d.says, d.scope, d.property, d.why_not)
            answers = [(c, a) for c, a in self.report.answers(d.property) if c.scope == d.scope]
            if answers:
                check, answer = min(answers, key=lambda found: _TELLING.index(found[1].finding))
                row.finding, row.engine = answer.finding, check.engine
                row.steps = len(answer.path.steps) if answer.path else 0
            self.report.defects.append(row)

    def controller(self, scopes: Sequence[Scope]) -> str:
        """The states of one controller, and how long it can be busy."""
        sizes = {c.scope: c.states for c in self.report.checks if c.engine in _SEEKING and c.states and c.exhausted}
        if not sizes:
            return "no scope was explored"
        try:
            picture = describe_controller(scopes, sizes, self.plan.profile, self.observer.tick)
        except Exception as error:
            self.observer.failed(error)
            self.report.bounds.append(BoundRow(self.plan.profile, "one session", "", error=_text(error)))
            return _text(error)
        self.report.states, self.report.edges = list(picture.states.values()), picture.edges
        self.report.bounds = picture.bounds
        return f"{len(self.report.states)} states"

    def without(self, flag: str, scopes: Sequence[Scope]) -> str:
        """One row of the hardening matrix."""
        row = MatrixRow(flag, requirement_of(flag))
        self.report.matrix.append(row)
        try:
            self.seek(row, scopes)
        except Exception as error:
            self.observer.failed(error)
            row.reason, row.known = _text(error), False
        except KeyboardInterrupt:
            self.report.matrix.remove(row)
            raise
        return f"{row.property} is false in {row.scope}" if row.property else row.reason

    def seek(self, row: MatrixRow, scopes: Sequence[Scope]) -> None:
        """Look for a property that is false without the rule and not with it; in promising and small scopes first."""
        explored = {c.scope: c for c in self.report.checks if c.engine in _SEEKING and c.states}
        false = {(c.scope, a.property) for c in self.report.checks for a in c.answers if a.finding is Finding.FALSE}
        about = {p.name for p in self.report.properties if row.requirement in p.needs}

        def promise(scope: Scope) -> tuple[bool, int]:
            return not about & {p.name for p in self.systems[scope.name].properties}, explored[scope.name].states

        looked, total, trouble = [], 0, ""
        for scope in sorted((s for s in scopes if s.name in explored), key=promise):
            system = scope.build(HARDENED.without(row.flag))
            if same_system(system, self.systems[scope.name]):
                continue
            try:
                outcome = self.engine(explored[scope.name].engine, scope, system, None)
            except Exception as error:
                self.observer.failed(error)
                trouble = trouble or f"{scope.name}: {_text(error)}"
                continue
            answers = (a for a in outcome.answers if a.finding is Finding.FALSE)
            found = [a for a in answers if (scope.name, a.property) not in false]
            if found:
                best = min(found, key=lambda a: (a.property not in about, len(a.path)))
                row.property, row.scope, row.path = best.property, scope.name, self.path(system, best, row.flag)
                return
            row.known &= outcome.exhausted
            looked.append(scope.name)
            total += outcome.states
        if trouble:
            row.known, row.reason = False, trouble
            return
        if not explored:
            row.known, row.reason = False, "No scope was explored."
        elif not looked:
            row.reason = "Nothing in these scopes depends on it."
        elif row.known:
            row.reason = f"Not needed by any property of {', '.join(looked)} ({total:,} states looked at without it)."
        else:
            row.reason = f"No property of {', '.join(looked)} was seen to fail, but not all states were looked at."


_SEEKING = ("explore", "run")
"""Engines that look at states one by one, for every kind of property."""


_TELLING = (Finding.FALSE, Finding.PROVED, Finding.HOLDS, Finding.VACUOUS, Finding.OPEN)
"""Findings of several engines about one question, the one that settles it first."""

_CONTROLLER = frozenset(r.id for r in RULES)


def _owner(rule: str) -> tuple[str, str]:
    """Whose rule it is, and its id: actions write the SSS's rules as `SSS REG-7.open`."""
    if rule.startswith(SSS_PREFIX):
        return "SSS", rule.removeprefix(SSS_PREFIX)
    return "controller" if rule in _CONTROLLER else "environment", rule


def same_system(one: System, other: System) -> bool:
    """Whether two systems are the same, term by term."""
    if one.variables != other.variables or [a.name for a in one.actions] != [a.name for a in other.actions]:
        return False
    terms = []
    for system in (one, other):
        steps = [(step.guard, *step.update.values()) for step in system.symbolic]
        asked = [(p.holds(system.symbols), p.premise and p.premise(system.symbols)) for p in system.properties]
        changed = [tuple(step.update) for step in system.symbolic]
        terms.append((changed, [p.name for p in system.properties], [t for group in (*steps, *asked) for t in group]))
    (*left, ours), (*right, theirs) = terms
    return left == right and len(ours) == len(theirs) and all(map(_equal, ours, theirs))


def _equal(a: Term, b: Term) -> bool:
    if a is None or b is None or not (symbolic(a) and symbolic(b)):
        return a is b or (type(a) is type(b) and not symbolic(a) and bool(a == b))
    return bool(a.eq(b))


def requirement_of(flag: str) -> str:
    """`SES-9` for `ses_9`."""
    return flag.upper().replace("_", "-")


def _text(error: Exception) -> str:
    """In one line, and not a long one: an engine may tell all that a compiler said."""
    return textwrap.shorten(f"{type(error).__name__}: {error}".removesuffix(": "), 300, placeholder=" ...")


def _summary(check: CheckResult) -> str:
    counts = Counter(answer.finding for answer in check.answers)
    parts = [f"{counts[finding]} {finding}" for finding in Finding if counts[finding]]
    states = f", {check.states:,} states" if check.states else ""
    return f"{', '.join(parts) or 'no property'}{states}, {check.seconds:.1f} s"
