"""Verdicts, in the order in which they merge: the worst wins."""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """PASS: allowed, and the purpose was reached. INCONCLUSIVE: allowed, but the purpose was not reached.
    FAIL: the IUT did what no rule allows. ERROR: the harness failed, so nothing is known.
    SKIPPED: not run, because the IUT does not claim what the purpose is about, or its target cannot show it."""

    SKIPPED = -1
    PASS = 0
    INCONCLUSIVE = 1
    FAIL = 2
    ERROR = 3

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 error or inconclusive, 4 nothing was run."""
        return {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.SKIPPED: 4}.get(self, 3)
