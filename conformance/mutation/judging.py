"""One mutant against the suite: which cases kill it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from conformance.case import Outcome, run_case
from conformance.mutation.build import PLAIN, SANITIZED, NotBuilt, Workshop
from conformance.mutation.catalogue import Mutant
from conformance.mutation.results import Kill, Result, result
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
    """Of all that the result depends on."""
    stop: bool
    """Stop at the first FAIL."""
    seed: int = 0
    on: str = "native"
    """A program of this machine; `sanitized`: one with sanitizers in it; or `qemu`."""

    @property
    def kept(self) -> Path:
        """The file that remembers the result."""
        return self.workshop.folder / f"{self.mutant.id}.{self.on}.json"

    def known(self) -> Result | None:
        """The result of an earlier run of just this; None if there is none."""
        try:
            data = json.loads(self.kept.read_text("utf-8"))
            return result(data["result"]) if data["key"] == self.key else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def run(self) -> Result:
        """Build it, run the cases, remember the result and the cheapest killing trace."""
        try:
            found = self._judge()
        finally:
            self.workshop.discard(self.mutant)
        half = self.kept.with_suffix(".part")
        half.write_text(json.dumps({"key": self.key, "result": asdict(found)}, sort_keys=True), "utf-8")
        half.replace(self.kept)  # never half a file, whatever interrupts
        return found

    def _judge(self) -> Result:
        m = self.mutant
        found = Result(m.id, m.says, m.file, m.line, run=0, case=m.case, rule=m.rule)
        try:
            if self.on == "qemu":
                elf = self.workshop.elf(m)
                return self._cases(found, lambda: QemuTarget(elf))
            program = self.workshop.program(m, FLAGS[self.on])
            return self._cases(found, lambda: NativeTarget(program, wall_limit_s=HANG_S))
        except NotBuilt as error:
            found.error = "does not build: " + " ".join(error.said.split())[-400:]
            return found

    def _cases(self, found: Result, make_target: Callable[[], Target]) -> Result:
        hung = 0
        for purpose in self.purposes:
            outcome = run_case(purpose, make_target, profile="hardened", seed=self.seed)
            case = outcome.result
            found.run += 1
            if case.verdict is Verdict.ERROR:
                found.error = f"{case.case}: {case.reason}"
                return found
            if case.verdict is Verdict.PASS:
                continue
            found.killers[case.case] = case.verdict.name
            self._consider(found, outcome)
            hung += "never quiescent" in case.reason
            if hung == _HANGS:
                found.hangs = True
                return found
            if self.stop and case.verdict is Verdict.FAIL:
                return found
        return found

    def _consider(self, found: Result, outcome: Outcome) -> None:
        """Take this kill, and keep its trace, if it is cheaper than the one before."""
        case = outcome.result
        broken = list(case.divergence.requirements) if case.divergence is not None else []
        if case.verdict is Verdict.INCONCLUSIVE:
            broken = list(case.requirements)
        kill = Kill(case.case, case.verdict.name, case.virtual_ms, case.steps, broken, case.reason)
        if found.cheapest is None or _cost(kill) < _cost(found.cheapest):
            found.cheapest = kill
            found.sanitized = any(word in kill.reason for word in _SANITIZERS)
            self.kept.with_suffix(".jsonl").write_text(outcome.trace, "utf-8")


def _cost(kill: Kill) -> tuple[bool, int, int, str]:
    return (kill.verdict != "FAIL", kill.virtual_ms, kill.steps, kill.case)
