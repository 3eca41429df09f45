"""The same case on two implementations, both judged by the model: where they first differ, and how it came about.

The steps of the two traces are compared one by one: what came to the IUT, what it did, its next deadline. Where the
rules leave a choice two that differ can both be right; the difference is told all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from conformance.results import CaseResult, LadderFrame
from model.alphabet import Event, Link, Output
from model.oracle import by_link
from model.verdict import Verdict

AROUND: Final = 6
"""Steps before the first difference, and after it, that a ladder shows."""
COLUMN: Final = 44
"""Characters of each side of a ladder."""


@dataclass(frozen=True, slots=True)
class Said:
    """One step of one side, for people."""

    time: int
    events: list[str]
    outputs: list[str]
    deadline: int | None
    state: list[str]


@dataclass(frozen=True, slots=True)
class Difference:
    """The first step that is not the same on both sides; None where a side had no such step any more."""

    step: int
    what: list[str]
    """`events`, `outputs`, `deadline`, `time` or `end`."""
    sides: list[Said | None]


@dataclass
class Comparison:
    """One case on two sides, in the order of `names`."""

    case: str
    title: str
    names: tuple[str, str]
    verdicts: list[Verdict]
    reasons: list[str]
    allowed: list[list[str]] = field(default_factory=list)
    """What the model allowed at the first difference, if a side did something else."""
    difference: Difference | None = None
    ladder: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Whether they did the same, with the same verdict."""
        return self.difference is None and len(set(self.verdicts)) == 1

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {"verdicts": [v.name for v in self.verdicts], "same": self.same}


def compare(cases: tuple[CaseResult, CaseResult], names: tuple[str, str], traces: tuple[Path, Path]) -> Comparison:
    """Compare two runs of one case by their traces. A side that has none differs from the other from its beginning."""
    steps = tuple(_steps(trace) for trace in traces)
    found = Comparison(
        cases[0].case, cases[0].title, names, [case.verdict for case in cases], [case.reason for case in cases]
    )
    for number, (one, other) in enumerate(zip_longest(*steps)):
        what = _differs(one, other)
        if what:
            found.difference = Difference(number, what, [_said(one), _said(other)])
            told = (c.divergence for c in cases)
            found.allowed = next((d.allowed for d in told if d is not None and d.step == number), [])
            found.ladder = list(ladder(cases, names, number))
            break
    return found


def exit_code(found: Sequence[Comparison]) -> int:
    """3 if ours was at fault anywhere, 1 if anything differs, else what the verdicts say."""
    worst = max((v for c in found for v in c.verdicts), default=Verdict.PASS)
    if worst is Verdict.ERROR:
        return worst.exit_code
    if any(not c.same for c in found):
        return Verdict.FAIL.exit_code
    return worst.exit_code


def _steps(trace: Path) -> list[dict[str, Any]]:
    """The steps of a trace, none if there is no trace."""
    try:
        lines = trace.read_text("utf-8").splitlines()
    except OSError:
        return []
    return [json.loads(line) for line in lines[1:-1]]


def _differs(one: dict[str, Any] | None, other: dict[str, Any] | None) -> list[str]:
    if one is None or other is None:
        return ["end"]
    found = [
        name for name, key in (("time", "t"), ("events", "events"), ("deadline", "deadline")) if one[key] != other[key]
    ]
    if by_link(_outputs(one)) != by_link(_outputs(other)) or one["debug"] != other["debug"]:
        found.append("outputs")
    return found


def _outputs(step: dict[str, Any]) -> tuple[Output, ...]:
    return tuple(Output(kind, tuple(args)) for kind, *args in step["outputs"])


def _said(step: dict[str, Any] | None) -> Said | None:
    if step is None:
        return None
    events = [str(Event(kind, tuple(args))) for kind, *args in step["events"]]
    outputs = [str(o) for link in Link for o in by_link(_outputs(step))[link]]
    return Said(step["t"], events, [*outputs, *step["debug"]], step["deadline"], step["state"])


# --- for people


def lines(found: Comparison) -> Iterator[str]:
    """What a person needs to know of a case in which the sides differ."""
    one, other = found.names
    verdicts = ", ".join(f"{n} {v.name}" for n, v in zip(found.names, found.verdicts, strict=True))
    difference = found.difference
    if difference is None:
        yield f"{found.case}: all steps are the same, and the verdicts are not: {verdicts}"
        yield from (f"  {name}: {reason}" for name, reason in zip(found.names, found.reasons, strict=True) if reason)
        return
    at = next(s.time for s in difference.sides if s is not None)
    yield f"{found.case}: {one} and {other} differ from step {difference.step} on, at {_seconds(at)} ({verdicts})"
    yield f"  differ in:  {', '.join(difference.what)}"
    if difference.what != ["end"]:
        came = [", ".join(s.events) or "nothing for this controller" for s in difference.sides if s is not None]
        yield f"  came:       {came[0]}" + (f"; for {other}: {came[1]}" if came[0] != came[-1] else "")
    if found.allowed:
        allowed = " or ".join(", ".join(outputs) or "nothing" for outputs in found.allowed)
        yield f"  model:      {allowed}"
    elif set(found.verdicts) == {Verdict.PASS}:
        yield "  model:      allows both"
    width = max(len(one), len(other)) + 1
    for name, side in zip(found.names, difference.sides, strict=True):
        if side is None:
            yield f"  {name + ':':<{max(width, 11)}} has ended"
            continue
        due = "no timer" if side.deadline is None else f"next deadline {_seconds(side.deadline)}"
        did = f"{', '.join(side.outputs) or 'nothing'}; {due}; {' or '.join(side.state)}"
        yield f"  {name + ':':<{max(width, 11)}} {did}"
    yield from (f"  {line}" for line in found.ladder)


def ladder(cases: tuple[CaseResult, CaseResult], names: tuple[str, str], step: int) -> Iterator[str]:
    """The frames of both sides around a step, side by side; `>>` marks those of the step."""
    yield f"   {'time':>10}  {names[0]:<{COLUMN}}  {names[1]}"
    for number in range(max(0, step - AROUND), step + AROUND + 1):
        columns = [[_frame(f) for f in case.ladder if f.step == number] for case in cases]
        times = [f.time for case in cases for f in case.ladder if f.step == number]
        mark = ">>" if number == step else "  "
        for left, right in zip_longest(*columns, fillvalue=""):
            yield f"{mark} {_seconds(times[0]):>10}  {left:<{COLUMN}}  {right}".rstrip()
        if not times and number == step:
            yield f"{mark} {'':>10}  (no frame)"


def _frame(frame: LadderFrame) -> str:
    fate = "" if frame.fate == "delivered" else f" ({frame.fate})"
    text = f"{frame.source or 'CPU'} > {frame.target or 'CPU'}  {frame.label}{fate}"
    return text if len(text) <= COLUMN else text[: COLUMN - 3] + "..."


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.3f} s"
