"""What the mutation matrix leaves: `reports/mutants.json`. Its page, and the report of a run, are made from it.

Nothing in it depends on how fast the machine was: the same sources give the same file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

VERSION = 1
UNBUILT = "does not build: "
"""How the error of a mutant begins that the compiler or the linker refuses."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One case that does not pass with a mutant."""

    case: str
    verdict: str
    """FAIL; or INCONCLUSIVE: the case saw that something was missing, and the judge of single steps did not."""
    virtual_ms: int
    """Virtual time up to the end of the run, which is the first wrong step if the verdict is FAIL."""
    steps: int
    requirements: list[str]
    """What was broken, the most specific first; empty if the program broke."""
    reason: str


@dataclass(slots=True)
class Result:
    """One mutant, judged."""

    id: str
    says: str
    file: str
    line: int
    run: int
    """Cases that were run."""
    killers: dict[str, str] = field(default_factory=dict)
    """Verdict by case, of the cases that did not pass."""
    cheapest: Kill | None = None
    """The kill by FAIL, or else by INCONCLUSIVE, with the least virtual time, then the fewest steps, then by name."""
    case: str = ""
    """The case that must catch it, and the rule that it must name; empty for an automatic one."""
    rule: str = ""
    sanitized: bool = False
    """It is the sanitizers that say so."""
    hangs: bool = False
    """It was not run to the end: it computes for ever, and each case shows that."""
    error: str = ""
    """What went wrong on our side: nothing is known then."""

    @property
    def killed(self) -> bool:
        """Whether the suite does not pass with it."""
        return self.cheapest is not None


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a mutant that no case kills needs no case."""

    id: str
    kind: str
    """`equivalent`: no input can show it, or no rule forbids it; `elsewhere`: the named test catches it; `gap`: it
    matters, and nothing does."""
    because: str
    test: str = ""
    """For `elsewhere`: the id of the test."""


@dataclass(slots=True)
class Sample:
    """The automatic mutants: how many there are, how many were taken, what became of them."""

    made: int
    """By the tool."""
    lines: int
    """Lines of the sources that have a mutant."""
    drawn: int
    """Looked at, one of each line and then another of each, by their ids, until enough were new programs."""
    refused: int
    """Of these: the compiler or the linker refuses them."""
    same: int
    """Their object code is that of the right file."""
    double: int
    """Their object code is that of an earlier mutant."""
    judged: list[Result] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    """Of those that survived."""

    def take(self, results: Sequence[Result]) -> None:
        """Take what became of those that were judged. What compiles for the chip may not link for this machine."""
        self.judged = [r for r in results if not r.error.startswith(UNBUILT)]
        self.refused += len(results) - len(self.judged)


@dataclass(slots=True)
class Other:
    """A mutant that was run in QEMU as well, and the cases whose verdicts differ there."""

    id: str
    killers: int
    differ: dict[str, str]
    """By case: `FAIL here, PASS in QEMU`."""


@dataclass(slots=True)
class Matrix:
    """All of it."""

    suite: str
    """What was run against each: `purposes`, or the folder of a generated suite."""
    cases: int
    written: list[Result] = field(default_factory=list)
    automatic: Sample | None = None
    qemu: list[Other] = field(default_factory=list)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps(asdict(self) | {"version": VERSION}, indent=1, sort_keys=True) + "\n"

    @classmethod
    def load(cls, path: Path) -> Matrix:
        """Read the file. Raises OSError, and ValueError with the reason if it is not one."""
        text = path.read_text("utf-8")
        try:
            data = json.loads(text)
            if data.pop("version") != VERSION:
                raise ValueError("another version")
            written = [result(r) for r in data.pop("written")]
            sample = data.pop("automatic")
            if sample is not None:
                judged = [result(r) for r in sample.pop("judged")]
                explained = [Explained(**e) for e in sample.pop("explained")]
                sample = Sample(**sample, judged=judged, explained=explained)
            qemu = [Other(**o) for o in data.pop("qemu")]
            return cls(written=written, automatic=sample, qemu=qemu, **data)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{path} is no mutation matrix of this version: {error}") from error


def result(data: dict[str, Any]) -> Result:
    """A result from its JSON. Raises TypeError if it is none."""
    cheapest = data.pop("cheapest")
    return Result(**data, cheapest=Kill(**cheapest) if cheapest else None)
