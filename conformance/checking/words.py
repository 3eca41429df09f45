"""The report's findings in words, the same for the console, the page and its Markdown twin."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from conformance.checking.results import (
    AnswerResult,
    BoundRow,
    CheckReport,
    CheckResult,
    DefectRow,
    MatrixRow,
    PathResult,
    PropertyResult,
    RuleRow,
    Standing,
)
from model.system.base import Kind
from model.system.outcome import Finding

HISTORIC_RULE = "(historic)"
"""How the text of a rule begins that only the historic profile takes."""

KINDS = {
    Kind.ALWAYS: "It holds in every state that can be reached.",
    Kind.REACHABLE: "Some state that can be reached is like that.",
    Kind.POSSIBLE: "From every state that can be reached there is a way to one where it holds.",
    Kind.EVENTUALLY: "Whatever happens, from every state that can be reached one comes to be where it holds, "
    "as long as something that changes the state goes on happening while anything can.",
}
"""What a property of each kind says."""

VIOLATIONS = {
    Kind.ALWAYS: "A shortest path from the first state to one where it does not hold.",
    Kind.REACHABLE: "No path at all: every state was looked at, and none is like that.",
    Kind.POSSIBLE: "A shortest path from the first state to one from which no way leads to where it holds.",
    Kind.EVENTUALLY: "A shortest path to a loop, or to a dead end, that stays for ever where it does not hold.",
}
"""What a violation of each kind looks like."""

_NAMED = 3
"""Scopes that are named where there is little room."""

METHODS = {
    "explore": "every reachable state is looked at, by compiled code",
    "run": "every reachable state is looked at, in plain Python",
    "prove": "induction by Z3, without any bound",
    "spin": "every reachable state is looked at, by SPIN",
}
"""How each engine finds out."""

ASKED = {"prove": (Kind.ALWAYS,), "spin": (Kind.ALWAYS, Kind.REACHABLE)}
"""The kinds of properties that an engine is asked about, where not all."""


def worst_first(report: CheckReport) -> list[tuple[PropertyResult, Standing]]:
    """The properties with what is known of them, in the order in which people want to read."""
    order = list(Standing)
    pairs = [(p, report.standing(p.name)) for p in report.properties]
    return sorted(pairs, key=lambda pair: order.index(pair[1]))


def counted(report: CheckReport) -> str:
    """`1 false, 7 checked within bounds`."""
    counts = Counter(standing for _, standing in worst_first(report))
    return ", ".join(f"{counts[s]} {s}" for s in Standing if counts[s]) or "no property checked"


def verdict(report: CheckReport) -> str:
    """All in a word: `false`, `open`, or `true`."""
    return {0: "true", 1: "false"}.get(report.exit_code, "open")


def summary(report: CheckReport) -> tuple[str, ...]:
    """Three sentences: what is known of the properties, how long things last, what the hardening rules buy."""
    return _about_properties(report), _about_time(report), _about_hardening(report)


def _about_properties(report: CheckReport) -> str:
    names = {s: [p.name for p, standing in worst_first(report) if standing is s] for s in Standing}
    states = report.states_looked_at
    parts = []
    if names[Standing.PROVED]:
        parts.append(f"{_count(names[Standing.PROVED])} proved without any bound")
    if names[Standing.BOUNDED]:
        hold = "holds" if len(names[Standing.BOUNDED]) == 1 else "hold"
        parts.append(f"{len(names[Standing.BOUNDED])} {hold} in every state within bounds ({states:,} states)")
    for standing in (Standing.FALSE, Standing.OPEN, Standing.VACUOUS, Standing.UNCHECKED):
        if names[standing]:
            parts.append(f"{_count(names[standing])} {standing} ({', '.join(names[standing])})")
    total = len(report.properties)
    what = f"Of {total} properties" if total != 1 else "Of 1 property"
    return f"{what} in the {report.profile} profile, {_and(parts)}." if parts else "No property was checked."


def _about_time(report: CheckReport) -> str:
    rows = [row for row in report.bounds if row.profile == report.profile]
    if not rows:
        return "How long a controller can be busy was not asked."
    return f"At the longest, {_and([f'{row.what} lasts {noted(row)}' for row in rows])}."


def _about_hardening(report: CheckReport) -> str:
    if not report.matrix:
        return "What each hardening rule buys was not asked."
    broken = [row.requirement for row in report.matrix if row.property]
    open_ = [row.requirement for row in report.matrix if not row.known and not row.property]
    breaks = "breaks" if len(broken) == 1 else "break"
    text = f"Switched off alone, {len(broken)} of {len(report.matrix)} hardening rules {breaks} a property"
    return f"{text}, and of {len(open_)} this is not known." if open_ else f"{text}."


def finding_text(check: CheckResult, answer: AnswerResult) -> str:
    """What one engine found, such as `checked within bounds: 1,234 states` or `proved without bound`."""
    states = f"{check.states:,} states"
    return {
        Finding.PROVED: "proved without bound",
        Finding.HOLDS: f"checked within bounds: {states}",
        Finding.FALSE: "false",
        Finding.VACUOUS: f"vacuous: its premise is never met in {states}",
        Finding.OPEN: f"not exhausted: no counterexample in {states}" if check.states else "no proof found",
    }[answer.finding]


def where_text(report: CheckReport, name: str) -> str:
    """Which scopes and engines stand behind what is known of a property: the telling ones, the others counted."""
    answers = report.answers(name)
    telling = {Standing.FALSE: Finding.FALSE, Standing.OPEN: Finding.OPEN}.get(report.standing(name))
    shown = [(check, a) for check, a in answers if telling in (None, a.finding)]
    parts = []
    for engine in dict.fromkeys(check.engine for check, _ in shown):
        scopes = [check.scope for check, _ in shown if check.engine == engine]
        parts.append(f"{engine}: {', '.join(scopes) if len(scopes) <= _NAMED else f'{len(scopes)} scopes'}")
    return "; ".join(parts)


def replay_command(path: PathResult, folder: Path) -> str:
    """What runs a path again on a controller; empty if there is no trace of it."""
    return shlex.join(["scewl", "replay", str(folder / path.trace)]) if path.trace else ""


def bound_text(row: BoundRow) -> str:
    """`66 s`, `1.500 s`, `for ever`, or that it is not known."""
    if row.error:
        return "an unknown time"
    return "for ever" if row.milliseconds is None else time_text(row.milliseconds)


def noted(row: BoundRow) -> str:
    """The same with who can make it last for ever, where that is known."""
    return f"{bound_text(row)} ({row.note})" if row.note else bound_text(row)


def time_text(milliseconds: int) -> str:
    """Exact, in seconds: `66 s`, `1,071.993 s`."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole:,}.{rest:03} s" if rest else f"{whole:,} s"


def about_defects(report: CheckReport) -> str:
    """What the section of the defects says in short."""
    asked = [row for row in report.defects if row.finding is not None]
    false = sum(row.finding is Finding.FALSE for row in asked)
    if report.profile == "historic":
        return f"Of {plural(len(report.defects), 'defect')} of 2021 this run shows {false}."
    return (
        f"The same questions asked of the {report.profile} profile: "
        f"{plural(len(asked), 'answer')}, {false or 'none'} of them false."
    )


def defect_text(row: DefectRow, profile: str) -> str:
    """What a run found of a defect, in a sentence or two."""
    if row.why_not:
        return f"Not in the model. {row.why_not}"
    if row.finding is None:
        return f"Not looked at: no answer about {row.property} in {row.scope}."
    shown, not_shown = ("Shown", "Not reproduced") if profile == "historic" else ("Still there", "Mended")
    told, found = {
        Finding.FALSE: (shown, "is false"),
        Finding.PROVED: (not_shown, "holds"),
        Finding.HOLDS: (not_shown, "holds"),
        Finding.VACUOUS: ("Not known", "is vacuous"),
        Finding.OPEN: ("Not known", "is not exhausted"),
    }[row.finding]
    length = f", after {plural(row.steps, 'step')}" if row.finding is Finding.FALSE and row.steps else ""
    return f"{told}: {row.property} {found} in {row.scope}{length}."


def matrix_text(row: MatrixRow) -> str:
    """What a hardening rule buys, in a sentence."""
    if not row.property:
        return row.reason
    length = f", after {plural(len(row.path.steps), 'step')}" if row.path else ""
    return f"Without it, {row.property} is false in {row.scope}{length}."


def never_taken(rules: Sequence[RuleRow], profile: str) -> list[RuleRow]:
    """The rules that no scope takes, although the profile has them."""
    return [r for r in rules if not r.scopes and not (profile == "hardened" and r.says.startswith(HISTORIC_RULE))]


def size(number: int) -> str:
    """Bytes as people read them: `12.3 MB`; empty for 0."""
    if not number:
        return ""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number / 1000:.1f} kB"


def plural(count: int, what: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _count(names: Sequence[str]) -> str:
    return f"{len(names)} {'is' if len(names) == 1 else 'are'}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
