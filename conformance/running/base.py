"""What runs cases, and what it gives back. An engine does not know what a case is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from conformance.files import write_private
from conformance.results import CaseResult
from conformance.targets.spare import Spare

ATTEMPTS = 2
"""How often a case may end the process that runs it: once more could be the machine's fault, twice is its own."""


@dataclass(frozen=True, slots=True)
class Done:
    """A case that has been run: its result, and the contents of the files that belong to it, by name."""

    result: CaseResult
    files: dict[str, bytes] = field(default_factory=dict)

    def keep(self, out: Path) -> CaseResult:
        """Write the files into a folder, for their owner alone: captures hold secrets."""
        for name, content in self.files.items():
            if name.endswith(".pcapng"):
                write_private(out / name, content)
            else:
                (out / name).write_bytes(content)
        return self.result


class Work(Protocol):
    """One case to run; plain data, so that another process or machine can take it."""

    def execute(self, spare: Spare | None = None) -> Done:
        """Run it and write nothing. Never raises for what the implementation or the purpose does."""

    def lost(self, why: str, evidence: Sequence[str] = ()) -> Done:
        """The result, ERROR, if nobody could run it."""


Engine = Callable[[Sequence[Work]], Generator[Done, None, None]]
"""Runs cases and gives each back once, in any order. Closing the generator ends everything at once.

Raises HarnessError if nothing can be run.
"""
