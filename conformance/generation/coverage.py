"""What a run of generated cases has taken of the observable controller machine, read from its traces.

A case that passed has taken what its steps say: each saying was read as what was meant and taken by the rule that was
meant, or the case would not have passed. Where the IUT chose otherwise than the case goes on from, the trace says at
which step, and what follows is not counted.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from conformance.generation import wmethod
from conformance.generation.covers import APART, BOOT, machine, pair
from conformance.generation.observable import INPUTS, Input, Machine, Transition
from conformance.purpose import Purpose, Step
from conformance.transitions.machine import HAPPENINGS
from conformance.transitions.reasons import REASONS
from model.alphabet import Event

_BY_STEPS: Final[dict[tuple[str, ...], Input]] = {tuple(map(json.dumps, i.steps)): i for i in INPUTS}
_LONGEST: Final = max(len(i.steps) for i in INPUTS)
_MORE: Final = {"sequences": 0, "sequences_k1": 1}
"""Accounts of the W-method's sequences, and how many further states each is for."""
OWN_FAILURE: Final = "own-failure"
REASON_OF_OWN_FAILURE: Final = "An own failure of the IUT cannot be brought about from outside."


def account(purposes: Iterable[Purpose], folder: Path) -> dict[str, Any]:
    """What the traces in a folder have taken: of transitions, of pairs between places, of the W-method's sequences;
    and how many cases went less far than they could, because the IUT chose otherwise."""
    taken: set[int] = set()
    pairs: set[Any] = set()
    told: set[tuple[str, ...]] = set()
    cut = 0
    for purpose in purposes:
        if not purpose.voice:
            continue
        end = _passed(folder / f"{purpose.id}.jsonl")
        if end is None:
            continue
        cut += end < len(purpose.steps)
        try:
            found = walks(purpose, end)
        except ValueError:  # written by hand
            continue
        for walk in found:
            last = None
            told.add(tuple(t.input.name for t in walk))
            for transition in walk:
                taken.add(transition.number)
                pairs.add(pair(last, transition))
                last = transition
    m = machine()
    ways = {pair(a, b) for a in m.transitions for b in m.after(a)}
    return {
        "transitions": {"taken": len(taken), "of": len(m.transitions)},
        "pairs": {"taken": len(pairs & ways), "of": len(ways)},
        **{name: _of(told, more) for name, more in _MORE.items()},
        "cases_cut_by_choice": cut,
    }


def _of(told: set[tuple[str, ...]], more: int) -> dict[str, int]:
    """How many of the W-method's sequences were told, for `more` further states."""
    found = (sequence for _, all_ in wmethod.sequences(more) for sequence in all_)
    wanted = {tuple(t.input.name for t in (*wmethod.prelude(), *sequence)) for sequence in found}
    return {"taken": len(told & wanted), "of": len(wanted)}


def lines(found: dict[str, Any]) -> list[str]:
    """The account for people, without what was not touched."""
    names = {
        "transitions": "transitions of the observable controller machine",
        "pairs": "pairs of consecutive transitions between its places",
        **{name: f"sequences of the W-method (k = {more})" for name, more in _MORE.items()},
    }
    said = [f"{found[k]['taken']:,} of {found[k]['of']:,} {text}" for k, text in names.items() if found[k]["taken"]]
    if found["cases_cut_by_choice"]:
        said.append(f"{found['cases_cut_by_choice']} cases ended where the IUT took another way that the rules allow")
    return said


def cannot() -> dict[str, int]:
    """What else the model's controller can meet in the machine's states but no bytes are, by the reason's name."""
    counts: Counter[str] = Counter()
    for state in machine().states:
        for happening in HAPPENINGS:
            if not happening.when(state):
                continue
            event = Event(happening.event, tuple(int(v) for v in happening.values(state)))
            reason = next((r.name for r in REASONS if r.when(state, event)), "")
            if reason or event.kind == "start-failure":
                counts[reason or OWN_FAILURE] += 1
    return dict(sorted(counts.items()))


def reasons() -> dict[str, str]:
    """The reasons of `cannot` in words."""
    return {r.name: r.says for r in REASONS} | {OWN_FAILURE: REASON_OF_OWN_FAILURE}


def walks(purpose: Purpose, end: int | None = None) -> list[list[Transition]]:
    """The walks that a purpose's steps are, up to step `end`. Raises ValueError if they are none."""
    found: list[list[Transition]] = [[]]
    at, steps = 0, purpose.steps[:end]
    m: Machine = machine()
    while at < len(steps):
        if _plain(steps[at]) == BOOT:
            found.append([])
            at += 1
        elif _plain(steps[at]) == APART:
            at += 1
        else:
            given = _input(steps[at : at + _LONGEST])
            if given is None:
                raise ValueError(f"{purpose.id}: step {at + 1} ({steps[at]}) begins no input")
            state = found[-1][-1].target if found[-1] else 0
            found[-1].append(m.out[state][given.name])
            at += len(given.steps)
    return found


def _input(steps: tuple[Step, ...]) -> Input | None:
    """The longest input that these steps begin with."""
    said = tuple(json.dumps(_plain(step)) for step in steps)
    return next((found for n in range(len(said), 0, -1) if (found := _BY_STEPS.get(said[:n]))), None)


def _plain(step: Step) -> dict[str, Any]:
    return {"do": step.kind, **{k: v for k, v in step.arguments.items() if k not in ("takes", "choice")}}


def _passed(trace: Path) -> int | None:
    """Up to which step a case went; None if it did not pass, or there is no trace."""
    try:
        *_, last = trace.read_text("utf-8").splitlines()
        footer = json.loads(last)
    except (OSError, ValueError):
        return None
    if footer.get("verdict") != "PASS":
        return None
    return int(footer.get("left_out", 1 << 30))
