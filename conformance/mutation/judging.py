"""One mutant against the suite: which cases kill it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from conformance.case import run_case
from conformance.mutation.build import PLAIN, SANITIZED, NotBuilt, Workshop
from conformance.mutation.catalogue import Mutant
from conformance.mutation.results import UNBUILT, Kill, Result
from conformance.purpose import Purpose
from conformance.targets.base import Target
from conformance.targets.native import NativeTarget
from conformance.targets.qemu import QemuTarget
from model.verdict import Verdict

HANG_S = 10.0
"""Wall seconds after which a program of this machine counts as never quiescent; an honest step takes a few ms."""
FLAGS = {"native": PLAIN, "sanitized": SANITIZED}
_SANITIZERS = ("Sanitizer", "runtime error")
"""What is in their words."""
_KILLS = (Verdict.FAIL.name, Verdict.INCONCLUSIVE.name)
_HANGS = 3
"""Cases in which a mutant may hang before the rest is spared."""


@dataclass(frozen=True, slots=True)
class Task:
    """A mutant to judge; plain data, so that another process can take it."""

    mutant: Mutant
    workshop: Workshop
    purposes: Sequence[Purpose]
    """In the order in which they are run."""
    key: str
    """Of all that a case's verdict depends on but its purpose."""
    stop: bool
    """Stop at the first FAIL."""
    seed: int = 0
    on: str = "native"
    """A program of this machine; `sanitized`: one with sanitizers in it; or `qemu`."""

    @property
    def kept(self) -> Path:
        """The file that remembers what each case said, so that a new purpose costs one case."""
        return self.workshop.folder / f"{self.mutant.id}.{self.on}.json"

    def known(self) -> Result | None:
        """The result, if earlier runs have all that it takes; None if a case is missing."""
        return _result(self, self._remembered(), lambda _: None)

    def run(self) -> Result:
        """Build it, run the cases that are missing, and remember them, and the cheapest killing trace."""
        told = self._remembered()
        try:
            make_target = self._make_target()
        except NotBuilt as error:
            return replace(self._nothing(), error=UNBUILT + " ".join(error.said.split())[-400:])
        try:
            found = _result(self, told, lambda purpose: self._case(purpose, make_target, told))
        finally:
            self.workshop.discard(self.mutant)
            self._remember(told)
        assert found is not None
        return found

    def _nothing(self) -> Result:
        m = self.mutant
        return Result(m.id, m.says, m.file, m.line, run=0, case=m.case, rule=m.rule)

    def _make_target(self) -> Callable[[], Target]:
        if self.on == "qemu":
            elf = self.workshop.elf(self.mutant)
            return lambda: QemuTarget(elf)
        program = self.workshop.program(self.mutant, FLAGS[self.on])
        return lambda: NativeTarget(program, wall_limit_s=HANG_S)

    def _case(self, purpose: Purpose, make_target: Callable[[], Target], told: dict[str, Kill]) -> Kill:
        case = run_case(purpose, make_target, profile="hardened", seed=self.seed)
        done = case.result
        broken = list(done.divergence.requirements) if done.divergence is not None else []
        if done.verdict is Verdict.INCONCLUSIVE:
            broken = list(done.requirements)
        said = Kill(done.case, done.verdict.name, done.virtual_ms, done.steps, broken, done.reason)
        if done.verdict is not Verdict.ERROR:
            told[_digest(purpose)] = said
        if said.verdict in _KILLS and cost(said) <= min(cost(k) for k in told.values() if k.verdict in _KILLS):
            self.kept.with_suffix(".jsonl").write_text(case.trace, "utf-8")
        return said

    def _remembered(self) -> dict[str, Kill]:
        """What each case said, by its purpose's digest; nothing of other sources or another judge."""
        try:
            data = json.loads(self.kept.read_text("utf-8"))
            return {k: Kill(**v) for k, v in data["cases"].items()} if data["key"] == self.key else {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _remember(self, told: dict[str, Kill]) -> None:
        half = self.kept.with_suffix(".part")
        data = {"key": self.key, "cases": {digest: asdict(kill) for digest, kill in told.items()}}
        half.write_text(json.dumps(data, sort_keys=True), "utf-8")
        half.replace(self.kept)  # never half a file, whatever interrupts


def _result(task: Task, told: Mapping[str, Kill], ask: Callable[[Purpose], Kill | None]) -> Result | None:
    """Go through the cases in their order, as if none had been run before; `ask` runs one. None if it does not."""
    found, hung = task._nothing(), 0
    for purpose in task.purposes:
        said = told.get(_digest(purpose)) or ask(purpose)
        if said is None:
            return None
        found.run += 1
        if said.verdict == Verdict.ERROR.name:
            found.error = f"{said.case}: {said.reason}"
            return found
        if said.verdict not in _KILLS:
            continue
        found.killers[said.case] = said.verdict
        if found.cheapest is None or cost(said) < cost(found.cheapest):
            found.cheapest = said
            found.sanitized = any(word in said.reason for word in _SANITIZERS)
        hung += "never quiescent" in said.reason
        if hung == _HANGS:
            found.hangs = True
            return found
        if task.stop and said.verdict == Verdict.FAIL.name:
            return found
    return found


def _digest(purpose: Purpose) -> str:
    return hashlib.sha256(repr((purpose.id, purpose.document())).encode()).hexdigest()[:16]


def cost(kill: Kill) -> tuple[bool, int, int, str]:
    """What makes a kill cheaper than another: a FAIL, then its virtual time, its steps, its name."""
    return (kill.verdict != Verdict.FAIL.name, kill.virtual_ms, kill.steps, kill.case)
