"""Proofs without bound: lemmas and properties by induction over the steps of a system.

The lemmas are shown together: each may rest on all of them, and on itself, in the states before. A lemma that cannot be
shown is dropped, and what rested on it is asked again without it, until what is left rests only on itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from model.prove.cti import Cti
from model.prove.lemmas import Lemma
from model.prove.obligations import Obligations
from model.prove.query import Query, Reply
from model.prove.search import search
from model.system.base import Property, System

Decide: TypeAlias = Callable[[Sequence[Query]], Iterator[tuple[Reply, ...]]]
"""Answers questions, in their order."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a proof has come: questions answered of those asked so far, and the goals that failed."""

    done: int
    asked: int
    failed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """That one action leaves a goal true: by induction over how many states, and on which lemmas it rests."""

    depth: int
    used: frozenset[str]


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a goal is not shown: a counterexample to its induction, or a reason; and lemmas that it has lost before."""

    cti: Cti | None = None
    reason: str = ""
    without: tuple[str, ...] = ()


class Induction:
    """The state of a proof: which goals are still believed, and what is shown of them."""

    def __init__(
        self,
        system: System,
        lemmas: Sequence[Lemma],
        properties: Sequence[Property],
        k: int,
        decide_all: Decide,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.system, self.k = system, k
        self.obligations = Obligations(system, [*lemmas, *properties])
        self.lemmas = {lemma.name: lemma for lemma in lemmas}
        self.failed: dict[str, Failed] = {}
        self.shown: dict[tuple[str, int], Shown] = {}
        self._decide, self._progress = decide_all, progress
        self._without: dict[str, set[str]] = {}
        self._done = self._asked = 0

    def run(self) -> None:
        """Show what can be shown."""
        for name in self.obligations.goals:
            if cti := self.obligations.first(name):
                self._fail(name, cti)
        pending = {n: list(goals) for n, goals in self.obligations.touched.items()}
        while any(pending.values()):
            self._round(pending)
            for name in self.obligations.goals:
                self._base(name)
            pending = self._lost()

    def used(self, name: str) -> list[str]:
        """The lemmas on which a goal rests, at any remove, in the order in which they were given."""
        found: set[str] = set()
        todo = [name]
        while todo:
            goal = todo.pop()
            direct = {u for (n, _), shown in self.shown.items() if n == goal for u in shown.used}
            todo.extend(sorted(direct - found))
            found |= direct
        return [lemma for lemma in self.lemmas if lemma in found - {name}]

    def depth(self, name: str) -> int:
        """Over how many states in a row the induction of a goal goes."""
        return max((shown.depth for (n, _), shown in self.shown.items() if n == name), default=1)

    def _fail(self, name: str, cti: Cti | None, reason: str = "") -> None:
        self.failed.setdefault(name, Failed(cti, reason, tuple(sorted(self._without.get(name, ())))))
        self.shown = {key: shown for key, shown in self.shown.items() if key[0] != name}

    def _round(self, pending: dict[int, list[str]]) -> None:
        """Ask what is pending of the lemmas that are still believed, over more states where one is not enough."""
        hypotheses = [lemma for lemma in self.lemmas.values() if lemma.name not in self.failed]
        for depth in range(1, self.k + 1):
            asked = {n: [name for name in names if name not in self.failed] for n, names in pending.items()}
            asked = {n: names for n, names in asked.items() if names}
            queries = [self.obligations.query(n, names, hypotheses, depth) for n, names in asked.items()]
            self._asked += sum(map(len, asked.values()))
            pending = {}
            for (number, names), replies in zip(asked.items(), self._decide(queries), strict=True):
                for name, reply in zip(names, replies, strict=True):
                    if reply.shown:
                        used = frozenset(hypotheses[n].name for n in reply.used) - {name}
                        self.shown[name, number] = Shown(depth, used)
                    elif depth < self.k:
                        pending.setdefault(number, []).append(name)
                    else:
                        self._fail(name, self.obligations.cti(name, number, reply), reply.reason)
                self._done += len(names)
                if self._progress:
                    self._progress(Progress(self._done, self._asked, tuple(self.failed)))

    def _base(self, name: str) -> None:
        """An induction over several states needs as many first states."""
        if (depth := self.depth(name)) > 1 and name not in self.failed:
            found = search(self.system, self.obligations.goals[name].holds, depth - 1)
            if found.free < depth - 1:
                self._fail(name, None, found.reason or "does not hold in the first steps")

    def _lost(self) -> dict[int, list[str]]:
        """What rested on a lemma that has failed since, and has to be shown again."""
        lost: dict[int, list[str]] = {}
        for (name, number), shown in list(self.shown.items()):
            if name not in self.failed and not shown.used.isdisjoint(self.failed):
                lost.setdefault(number, []).append(name)
                self._without.setdefault(name, set()).update(shown.used.intersection(self.failed))
                del self.shown[name, number]
        return lost
