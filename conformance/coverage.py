"""What one run has covered: rules of the model, and events by the state in which they came."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_STATE = re.compile(r"[A-Z_]+(/[A-Z]+)?")


def rules_taken(steps: Sequence[Mapping[str, Any]], frames: Mapping[int, int]) -> dict[str, int]:
    """The frame of the capture, by its number, with which each rule was first taken, in the order of the steps.

    `steps` are those of the trace; `frames` the number of the first frame by the number of its step. 0 if no frame
    moved in any step that took the rule: time alone had passed.
    """
    taken: dict[str, int] = {}
    for step in steps:
        for rule in step["rules"]:
            if not taken.get(rule):
                taken[rule] = frames.get(step["n"], 0)
    return taken


def events_met(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """`IDLE hello-cookie`: a state of the model in which a step may have begun, and an event of it."""
    met: set[str] = set()
    before: list[str] = []
    for step in steps:
        met |= {f"{state} {event[0]}" for state in before for event in step["events"]}
        before = [match[0] for text in step["state"] if (match := _STATE.match(text))]
    return sorted(met)
