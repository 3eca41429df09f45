"""What is checked and by what: the scopes of the model, and the engines behind one signature."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from model.explore import explore
from model.profile import Profile
from model.prove import Lemma, Progress, prove
from model.spin import check as spin
from model.system.base import System
from model.system.build import build
from model.system.defects import DEFECTS, Defect
from model.system.layout import Layout
from model.system.lemmas import lemmas_of
from model.system.outcome import Answer, Outcome
from model.system.scope import Scope as ModelScope
from model.system.scopes import SCOPES
from model.walk import walk

WALK_LIMIT = 1_000_000
"""States that the plain engine `run` looks at; each takes about a kilobyte."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A closed system of some size, as a command line knows it."""

    name: str
    says: str
    build: Callable[[Profile], System]
    engines: tuple[str, ...]
    """Those that fit it."""
    standard: bool = True
    """Whether it runs by default."""
    bounds: dict[str, str] = field(default_factory=dict)
    """How it is bounded, for people: `{"messages": "2 per SED"}`."""
    lemmas: Callable[[Profile], tuple[Lemma, ...]] = lambda _: ()
    """What its proofs rest on."""


@dataclass(frozen=True, slots=True)
class Tick:
    """How far an engine is: 0 where it does not tell."""

    states: int = 0
    depth: int = 0
    seconds: float = 0.0
    memory: int = 0
    says: str = ""
    """For an engine that does not count states."""


@dataclass(frozen=True, slots=True)
class Options:
    """What an engine is given. None for jobs and memory: what the engine thinks right; for properties: all."""

    progress: Callable[[Tick], None]
    jobs: int | None = None
    memory: int | None = None
    """Bytes at most."""
    properties: tuple[str, ...] | None = None
    lemmas: tuple[Lemma, ...] = ()


Engine: TypeAlias = Callable[[System, Options], Outcome]
Record: TypeAlias = Callable[[System, Answer, str], str]
"""Writes the trace of an answer's path and returns the file's name, given also the flag of the hardening rule that is
switched off, if one is. Raises NoTrace."""


class NoTrace(Exception):
    """A path cannot be run again on a real controller. The message says why."""


def _explore(system: System, options: Options) -> Outcome:
    def progress(now: Any) -> None:
        options.progress(Tick(now.states, now.depth, now.seconds, now.memory))

    return explore(system, jobs=options.jobs, memory=options.memory, progress=progress, properties=options.properties)


def _run(system: System, options: Options) -> Outcome:
    return walk(
        system,
        limit=WALK_LIMIT,
        progress=lambda states, depth: options.progress(Tick(states, depth)),
        properties=options.properties,
    )


def _prove(system: System, options: Options) -> Outcome:
    def progress(now: Progress) -> None:
        failed = f", {len(now.failed)} without a proof" if now.failed else ""
        options.progress(Tick(says=f"{now.done:,} of {now.asked:,} questions answered{failed}"))

    jobs = options.jobs or len(os.sched_getaffinity(0))
    return prove(system, options.lemmas, jobs=jobs, progress=progress, properties=options.properties)


def _spin(system: System, options: Options) -> Outcome:
    def progress(states: int, depth: int) -> None:
        options.progress(Tick(states, depth))

    bounded = {} if options.memory is None else {"memory_mb": max(1, options.memory >> 20)}
    return spin(system, properties=options.properties, progress=progress, **bounded)


ENGINES: Mapping[str, Engine] = {"explore": _explore, "run": _run, "prove": _prove, "spin": _spin}
"""The engines by the names that `scewl check --engine` takes."""


@dataclass(frozen=True)
class Backend:
    """Scopes and engines by name, and the defects that the scopes are to show in the historic profile.

    `record` makes traces; None: there are none.
    """

    scopes: Mapping[str, Scope]
    engines: Mapping[str, Engine] = field(default_factory=lambda: ENGINES)
    record: Record | None = None
    defects: Sequence[Defect] = ()


def load() -> Backend:
    """The real scopes and engines."""
    return Backend({name: subject(scope) for name, scope in SCOPES.items()}, defects=DEFECTS)


def subject(scope: ModelScope) -> Scope:
    """A scope of the model, as a command line knows it."""

    def lemmas(profile: Profile) -> tuple[Lemma, ...]:
        return lemmas_of(Layout(scope, profile))

    bounds = bounds_of(scope) if scope.of == "devices" else {}
    return Scope(scope.name, scope.says, partial(build, scope), scope.engines, scope.standard, bounds, lemmas)


def bounds_of(scope: ModelScope) -> dict[str, str]:
    """How a scope is bounded, for people."""

    def per_sed(count: int | None) -> str:
        return "any number" if count is None else f"{count} per SED"

    bounds = {"SEDs": ", ".join(map(str, scope.seds))}
    bounds["at first"] = "registered" if scope.registered else "not registered"
    if scope.sends:
        bounds["messages"] = per_sed(scope.messages)
    if scope.asks:
        bounds["requests"] = per_sed(scope.requests)
    if scope.free:
        bounds["links"] = "the adversary's"
    elif scope.losses or scope.swaps:
        bounds["links"] = f"{scope.losses} frames lost, {scope.swaps} overtaken"
    if scope.forging or scope.owns:
        own = [ca.name.lower() for ca in scope.owns]
        bounds["adversary"] = "; ".join(["forges"] * scope.forging + [f"owns a {name} certificate" for name in own])
    if scope.boots:
        bounds["power cycles"] = per_sed(scope.boots)
    if scope.restarts:
        bounds["restarts of the SSS"] = str(scope.restarts)
    if scope.faults:
        bounds["faults"] = ", ".join(sorted(scope.faults))
    return bounds
