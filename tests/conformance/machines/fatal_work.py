"""A case that ends the process which runs it, so often."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.campaign import Job
from conformance.results import CaseResult
from conformance.running.base import Done
from conformance.targets.spare import Spare
from model.verdict import Verdict


@dataclass(frozen=True)
class FatalWork:
    """Passes when it is run once more than it has `deaths`; each attempt leaves a file in `folder`."""

    case: str
    folder: Path
    deaths: int = 0

    def execute(self, spare: Spare | None = None) -> Done:
        attempt = len(list(self.folder.glob(f"{self.case}.*"))) + 1
        (self.folder / f"{self.case}.{attempt}").write_text(str(os.getpid()))
        if attempt <= self.deaths:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.done(Verdict.PASS, "")

    def lost(self, why: str, evidence: Sequence[str] = ()) -> Done:
        return self.done(Verdict.ERROR, why)

    def done(self, verdict: Verdict, reason: str) -> Done:
        return Done(CaseResult(self.case, "", "", 10, "", "hardened", [], verdict, reason, 0, 0.0, 0))


@dataclass(frozen=True)
class FatalJob(Job):
    """A real case that does the same before it begins."""

    folder: Path = Path()
    deaths: int = 0

    def execute(self, spare: Spare | None = None) -> Done:
        FatalWork(self.purpose.id, self.folder, self.deaths).execute()
        return Job.execute(self, spare)
