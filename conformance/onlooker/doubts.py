"""Where a device did what the candidates do not allow, in words and rule ids."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from conformance.onlooker.candidate import Candidate, Due
from model.alphabet import Link, Output
from model.rules import Rule


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place where the capture contradicts the model; the fields are those of `DeviceVerdict`."""

    text: str
    requirements: tuple[str, ...]
    rules: tuple[str, ...]
    frames: tuple[int, ...]
    time_us: int
    expected: tuple[tuple[str, ...], ...]
    observed: tuple[str, ...]


@dataclass(slots=True)
class Scene:
    """What happened lately."""

    number: int = 0
    """The frame at hand."""
    now: int = 0
    cause: int = 0
    """The frame towards the controller that came last; 0 if none did."""
    cause_at: int = 0
    meaningless: bool = False
    """Whether that frame meant nothing to the controller."""
    came: list[str] | None = None
    """The outputs since then."""

    @property
    def observed(self) -> tuple[str, ...]:
        """The same for a verdict."""
        return tuple(self.came or ())


def missing(c: Candidate, due: Due, scene: Scene) -> Doubt:
    """An output that the candidate had to show was not seen."""
    expected = tuple(str(d.output) for d in c.due if d.at == due.at and d.rules == due.rules)
    after = f"After frame {due.cause}" if due.cause else "When its timer fired"
    came = ", ".join(scene.observed) or "nothing"
    text = f"{after}, at {clock(due.at)}, came: {came}. Allowed: {', '.join(expected)}."
    frames = tuple(n for n in (due.cause, scene.number) if n)
    return _doubt(text, needs(due.rules), due.rules, frames, due.at, (expected,), scene)


def unexpected(candidates: list[Candidate], output: Output, scene: Scene, slack: int) -> Doubt:
    """An output that no candidate had to show. `slack` is the tolerance of times, microseconds."""
    first = candidates[0]
    expected = tuple(dict.fromkeys(tuple(str(d.output) for d in c.due) for c in candidates))
    rules = tuple(dict.fromkeys(r for c in candidates for r in (c.due[0].rules if c.due else c.rules)))
    ids = needs(rules)
    if not first.due and scene.now > scene.cause_at + slack:  # nobody asked: the timer was wrong
        ids = (*first.timer, *ids)
    if scene.meaningless and output.link is not Link.SSS:
        ids = ("FRM-1", "FRM-3", *ids)
    ids = (*ids, *first.timer)  # or it fired unseen, without a word
    allowed = " or ".join(sorted(", ".join(e) or "nothing" for e in expected))
    text = f"At frame {scene.number}, {clock(scene.now)}, came: {output}. Allowed: {allowed}."
    if (due := first.deadline) is not None and not first.due:
        text += f" Its timer is due at {clock(due)}."
    frames = tuple(n for n in (scene.cause, scene.number) if n)
    return _doubt(text, ids, rules, frames, scene.now, expected, scene)


def _doubt(
    text: str,
    ids: Iterable[str],
    rules: tuple[Rule, ...],
    frames: tuple[int, ...],
    time: int,
    expected: tuple[tuple[str, ...], ...],
    scene: Scene,
) -> Doubt:
    told = ", ".join(dict.fromkeys(f"{r.id} ({r.says})" for r in rules))
    requirements = tuple(dict.fromkeys(ids)) or ("SES-1",)
    return Doubt(
        f"{text} Requirements: {', '.join(requirements)}. Rules: {told or 'none apply'}",
        requirements,
        tuple(dict.fromkeys(r.id for r in rules)),
        tuple(dict.fromkeys(frames)),
        time,
        expected,
        scene.observed,
    )


def needs(rules: Iterable[Rule]) -> tuple[str, ...]:
    """The requirements that rules carry out."""
    return tuple(dict.fromkeys(i for r in rules for i in r.needs))


def clock(us: int) -> str:
    """A time of the capture in words."""
    return f"{us / 1_000_000:.6f} s"
