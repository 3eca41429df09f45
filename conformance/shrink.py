"""A failing case made shorter: steps are left out as long as it fails in the same way.

Delta debugging (Zeller and Hildebrandt, 2002): halves are left out, then quarters, down to single steps, until no step
can be spared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from conformance.purpose import Purpose, Step
from conformance.results import CaseResult
from model.verdict import Verdict

Run = Callable[[Purpose], CaseResult]
LIMIT = 500
"""Runs at most."""


def shrink(purpose: Purpose, run: Run, progress: Callable[[int, int], None]) -> Purpose:
    """The shortest purpose that was found to fail as this one does, with its name; itself if it does not fail.

    `progress` is told the number of runs and of steps left. The same way means FAIL for the same first requirement, or
    for none, if the IUT broke.
    """
    way = _way(run(purpose))
    if way is None:
        return purpose
    steps = purpose.steps
    parts, runs = 2, 0
    while len(steps) > 1 and runs < LIMIT:
        size = -(-len(steps) // parts)
        for begin in range(0, len(steps), size):
            fewer = steps[:begin] + steps[begin + size :]
            runs += 1
            if fewer and _way(run(_with(purpose, fewer))) == way:
                steps, parts = fewer, max(parts - 1, 2)
                progress(runs, len(steps))
                break
            if runs == LIMIT:
                break
        else:
            if size == 1:
                break
            parts = min(2 * parts, len(steps))
    return _with(purpose, steps)


def _with(purpose: Purpose, steps: tuple[Step, ...]) -> Purpose:
    return replace(purpose, steps=steps)


def _way(result: CaseResult) -> tuple[str, ...] | None:
    """How a case fails; None if it does not."""
    if result.verdict is not Verdict.FAIL:
        return None
    if result.divergence is None:
        return ("broke",)
    return ("diverged", result.divergence.requirements[0])
