"""Every counterexample of the hardening matrix as a case.

Each hardening rule is switched off in the model, alone, and each scope searched for properties that are false then and
not with the rule. The environment's part of each such path is a purpose: what an implementation without the rule falls
for, and one of the hardened profile withstands (`conformance.checking.trace`).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from functools import cache
from typing import Final

from conformance.checking.backend import NoTrace, load
from conformance.checking.run import same_system
from conformance.checking.trace import path_to_purpose
from conformance.purpose import Purpose
from model.explore import explore
from model.profile import HARDENED
from model.system.base import System
from model.system.outcome import Finding

FLAGS: Final = tuple(f.name for f in fields(HARDENED))
"""Of the hardening rules."""
LARGE: Final = (
    "mixed-fleet",
    "registration-lossy",
    "radio",
    "unregistered-device",
    "deregistered-device",
    "wire",
)
"""Scopes of hundreds of thousands of states, which would take an hour. What one of the rules prevents there shows in a
smaller one, too: `scewl check` finds every row of its matrix outside of them."""


@dataclass(frozen=True, slots=True)
class Row:
    """What comes of the model without one rule in one scope."""

    flag: str
    scope: str
    purposes: tuple[Purpose, ...] = ()
    untold: tuple[str, ...] = ()
    """Properties that are false, and why their paths are no traces."""

    def __bool__(self) -> bool:
        return bool(self.purposes or self.untold)


def hardening() -> Iterator[Purpose]:
    """The counterexamples, each once: those without a rule that read alike are one."""
    seen = []
    for row in rows():
        for purpose in row.purposes:
            does = purpose.document()["steps"], purpose.peers, purpose.iut
            if does not in seen:
                seen.append(does)
                yield purpose


@cache
def rows() -> tuple[Row, ...]:
    """The whole matrix: each rule in each scope that it changes something in. Takes some minutes."""
    scopes = [s.name for s in load().scopes.values() if s.standard and "explore" in s.engines and s.name not in LARGE]
    jobs = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("forkserver")) as pool:
        found = list(pool.map(search_all, scopes))
    return tuple(row for flag in range(len(FLAGS)) for row in (rows[flag] for rows in found) if row)


def search_all(scope: str) -> list[Row]:
    """The counterexamples in one scope, for each rule in turn."""
    return [search(flag, scope) for flag in FLAGS]


def search(flag: str, name: str) -> Row:
    """The counterexamples in one scope without one rule."""
    scope = load().scopes[name]
    system, whole = scope.build(HARDENED.without(flag)), _whole(name)
    if same_system(system, whole):
        return Row(flag, name)
    false = [a for a in explore(system, jobs=1).answers if a.finding is Finding.FALSE]
    if not false:
        return Row(flag, name)
    always = {a.property for a in explore(whole, jobs=1).answers if a.finding is Finding.FALSE}
    purposes: list[Purpose] = []
    untold: list[str] = []
    for answer in false:
        if answer.property in always:
            continue
        try:
            purposes.append(path_to_purpose(system, answer, flag))
        except NoTrace as reason:
            untold.append(f"{answer.property}: {reason}")
    return Row(flag, name, tuple(purposes), tuple(untold))


@cache
def _whole(name: str) -> System:
    """A scope with all rules."""
    return load().scopes[name].build(HARDENED)


def account() -> dict[str, dict[str, object]]:
    """Per rule its cases, and the counterexamples that are none, with the reason."""
    found: dict[str, dict[str, object]] = {}
    for flag in FLAGS:
        mine = [row for row in rows() if row.flag == flag]
        found[flag] = {
            "cases": [purpose.id for row in mine for purpose in row.purposes],
            "no_trace": [f"{row.scope}: {text}" for row in mine for text in row.untold],
        }
    return found
