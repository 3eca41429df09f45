"""What is said of a capture's devices: the model's verdicts, and the alarms of the bug-pattern monitors."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from conformance.inspection.source import Source
from conformance.inspection.views import alarm_text
from conformance.inspection.words import LINKS, Clock, counted, seconds
from conformance.monitors import Alarm
from conformance.onlooker import DeviceVerdict, Standing
from conformance.report.console import Style
from conformance.report.requirements import Requirement, describe
from model.alphabet import SSS_ID

_MOST_ALARMS = 50
"""Alarms that the text shows; JSON has more."""
_FEW = 3
"""Possibilities and requirements that a line shows."""
_MOST = 8
"""Possibilities and assumptions that the text shows; JSON has all."""


def remarks(verdicts: Sequence[DeviceVerdict]) -> dict[int, str]:
    """By frame number, what the model says there: rules and states, and whether it is not allowed."""
    found: dict[int, str] = {}
    for verdict in verdicts:
        for note in verdict.annotations:
            parts = [f"rules: {', '.join(note.rules)}"] if note.rules else []
            parts += [" or ".join(note.states)] if note.states else []
            if parts:
                found[note.number] = "; ".join(parts)
    for number, text in marks(verdicts).items():
        found[number] = f"{found[number]}\n{text}" if number in found else text
    return found


def marks(verdicts: Sequence[DeviceVerdict]) -> dict[int, str]:
    """By frame number, what is wrong there: at the last of the frames where it shows."""
    return {
        max(verdict.frames): _mark(verdict)
        for verdict in verdicts
        if verdict.standing is Standing.NOT_ALLOWED and verdict.frames
    }


def _mark(verdict: DeviceVerdict) -> str:
    """A line: what came, what may, and the most telling requirements."""
    came = ", ".join(verdict.observed) or "nothing"
    allowed = " or ".join(", ".join(outputs) or "nothing" for outputs in verdict.expected[:_FEW]) or "nothing"
    requirements = ", ".join(verdict.requirements[:_FEW])
    return f"NOT ALLOWED, {device(verdict)}: came {came}; allowed: {allowed} ({requirements})"


def device(verdict: DeviceVerdict) -> str:
    """`SED 10`, or `SSS`."""
    return "SSS" if verdict.sed == SSS_ID else f"SED {verdict.sed}"


def where(verdict: DeviceVerdict, clock: Clock) -> str:
    """`at frame 12, 7.000000 s`; empty if it is about no moment."""
    parts: list[str] = []
    if verdict.frames:
        parts.append(f"at frame{'s' * (len(verdict.frames) > 1)} {', '.join(map(str, verdict.frames))}")
    if verdict.time_us is not None:
        parts.append(f"{'' if parts else 'at '}{seconds(clock.relative(verdict.time_us))} s")
    return ", ".join(parts)


def verdict_text(verdict: DeviceVerdict, clock: Clock, known: Mapping[str, Requirement], style: Style) -> Iterator[str]:
    """A device's lines."""
    if not verdict.judged and not verdict.links:
        yield style.strong(f"{device(verdict)}: not judged")
        yield from _wrapped(verdict.text, style)
        return
    name = verdict.standing.value.upper()
    links = ", ".join(LINKS[link] for link in verdict.links) or "none"
    at = where(verdict, clock)
    yield style.strong(f"{device(verdict)}: {name}{', ' + at if at else ''}")
    yield from _wrapped(verdict.text, style)
    yield f"    judged: {counted(verdict.judged, 'frame')}; links captured: {links}"
    if verdict.observed or verdict.expected:
        yield f"    observed: {', '.join(verdict.observed) or 'nothing'}"
        for index, outputs in enumerate(verdict.expected[:_MOST]):
            yield f"    {'allowed: ' if index == 0 else '     or: '} {', '.join(outputs) or 'nothing'}"
        if len(verdict.expected) > _MOST:
            yield f"          and {len(verdict.expected) - _MOST} more"
    if verdict.rules:
        yield f"    rules:    {', '.join(verdict.rules)}"
    if verdict.standing is Standing.NOT_ALLOWED:
        for requirement in verdict.requirements:
            yield from _wrapped(f"requirement {describe(requirement, known)}", style)
    elif verdict.requirements:
        yield from _wrapped(f"in doubt: {', '.join(verdict.requirements)}", style)
    for assumption in verdict.assumptions[:_MOST]:
        yield from _wrapped(assumption, style)
    if len(verdict.assumptions) > _MOST:
        yield f"    and {len(verdict.assumptions) - _MOST} more assumptions"


def verdict_document(verdict: DeviceVerdict) -> dict[str, Any]:
    """A device's object for JSON; times in microseconds as the file has them."""
    return {
        "kind": "verdict",
        "sed": verdict.sed,
        "standing": verdict.standing.name,
        "text": verdict.text,
        "requirements": list(verdict.requirements),
        "rules": list(verdict.rules),
        "frames": list(verdict.frames),
        "time_us": verdict.time_us,
        "expected": [list(outputs) for outputs in verdict.expected],
        "observed": list(verdict.observed),
        "assumptions": list(verdict.assumptions),
        "judged": verdict.judged,
        "links": [LINKS[link] for link in verdict.links],
        "states": list(verdict.states),
    }


def alarms_text(source: Source, style: Style) -> Iterator[str]:
    """The alarms of the monitors, and which of them could not look."""
    yield style.strong(f"{counted(source.alarm_count, 'alarm')} of the bug-pattern monitors")
    for alarm in source.alarms[:_MOST_ALARMS]:
        yield from _wrapped(alarm_text(alarm), style)
    if source.alarm_count > _MOST_ALARMS:
        yield f"    and {source.alarm_count - _MOST_ALARMS:,} more"
    missed: dict[str, int] = {}
    for blind in source.blind:
        scope = f" in {counted(len(blind.sessions), 'session')}" if blind.sessions else ""
        missed[blind.need.value + scope] = missed.get(blind.need.value + scope, 0) + 1
    if missed:
        parts = ", ".join(f"{number} ({need})" for need, number in missed.items())
        yield from _wrapped(f"monitors that could not look, for want of something: {parts}; --json names them", style)


def blind_documents(source: Source) -> list[dict[str, Any]]:
    """For JSON, the monitors that could not look; no sessions: in all of the capture."""
    return [
        {"monitor": blind.monitor, "need": blind.need.value, "sessions": list(blind.sessions)} for blind in source.blind
    ]


def alarm_document(alarm: Alarm) -> dict[str, Any]:
    """An alarm's object for JSON."""
    return {
        "kind": "alarm",
        "monitor": alarm.monitor,
        "party": alarm.party,
        "basis": alarm.basis.value,
        "tap": alarm.tap,
        "session": alarm.session or None,
        "frames": list(alarm.frames),
        "time_us": alarm.time_us,
        "severity": alarm.severity.value,
        "requirements": list(alarm.requirements),
        "text": alarm.text,
    }


def _wrapped(text: str, style: Style) -> list[str]:
    return textwrap.wrap(text, style.width, initial_indent="    ", subsequent_indent="        ", break_on_hyphens=False)
