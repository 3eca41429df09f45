"""What differs between a run and an earlier one: `scewl conform --baseline`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.results import CaseResult, Report
from model.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Drift:
    """A case that is not as the baseline has it."""

    case: str
    was: Verdict | None
    """None: the baseline does not have it."""
    now: Verdict | None
    """None: it was not run."""
    reason: str
    """Of what it is now."""

    def __str__(self) -> str:
        was = self.was.name if self.was is not None else "not in the baseline"
        now = self.now.name if self.now is not None else "not run"
        return f"{self.case}: {was} -> {now}" + (f": {self.reason}" if self.reason else "")


def drift(baseline: Report, report: Report, selected: bool = False) -> list[Drift]:
    """The cases with another verdict, new cases that do not pass, and cases that were not run, by name.

    A new case that passes or is skipped is no drift. If only some cases were `selected`, the others are not missed.
    """
    was, now = _by_name(baseline.cases), _by_name(report.cases)
    changes = []
    for name in sorted(was.keys() | now.keys()):
        before, after = was.get(name), now.get(name)
        if after is None:
            if before is not None and not selected:
                changes.append(Drift(name, before.verdict, None, ""))
        elif before is None:
            if after.verdict not in (Verdict.PASS, Verdict.SKIPPED):
                changes.append(Drift(name, None, after.verdict, after.reason))
        elif before.verdict is not after.verdict:
            changes.append(Drift(name, before.verdict, after.verdict, after.reason))
    return changes


def _by_name(cases: Iterable[CaseResult]) -> dict[str, CaseResult]:
    return {case.case: case for case in cases}
