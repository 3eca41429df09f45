"""The rules that a controller's own table says it took, beside those of the model.

A controller may say, in a step, the ids of the rules of its session machine: the host build does, out of the table in
firmware/src/machine.c. Then what it did has to be right, and for the right reason, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Final

from conformance.transitions.machine import SETTING
from model.alphabet import EVENTS
from model.rules import Rule
from model.state import State

ELSEWHERE: Final = {
    "SES-5.wait-to-send": "controller.c",
    "SES-5.wait-to-request": "controller.c",
    "SES-5.wait-other": "controller.c",
    "SES-5.take-other": "controller.c",
    "FRM-5.to-radio": "scewl.c",
    "FRM-5.to-cpu": "scewl.c",
    "ADV-3.boot": "setup.c",
    "DTL-6.wait": "port.h",
}
"""Rules with an effect that the session machine has no part in, and the file that carries them out."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table that was taken: ids of the rules that it stands for. `asked`: it only asked Mbed TLS, which
    may have had nothing to do."""

    ids: frozenset[str]
    asked: bool

    def __str__(self) -> str:
        return "/".join(sorted(self.ids)) + (" (asked)" if self.asked else "")


def row(line: str) -> Row:
    """What a line says: `scewl: rule taken: SES-2.open SES-5.take-send`."""
    kind, _, ids = line.partition(": ")[2].partition(": ")
    return Row(frozenset(ids.split()), kind == "rule asked")


def expected(rules: Sequence[Rule]) -> list[str]:
    """The ids that a table has to take for what the model did: all that have an effect, and are not elsewhere."""
    ids: list[str] = []
    for rule in rules:
        if rule.id == "SES-11.start":  # the model has a name for the attempt and its failure together
            ids += ["SES-2.open", rule.id]
        elif not passive(rule) and rule.id not in ELSEWHERE:
            ids.append(rule.id)
    return ids


def passive(rule: Rule) -> bool:
    """Whether a rule changes nothing and shows nothing: one of those by which things are dropped."""
    arguments = SimpleNamespace(**dict.fromkeys(EVENTS[rule.on] if rule.on else (), 0))
    effect = rule.body(State(), arguments, SETTING)
    return not effect.update and not effect.emit


def difference(rows: Sequence[Row], rules: Sequence[Rule]) -> str | None:
    """Where the rows that a controller took are not the rules of the model, in words; None if they are."""
    left = expected(rules)
    for taken in rows:
        if left and left[0] in taken.ids:
            left.pop(0)
        elif not taken.asked:
            break
    else:
        if not left:
            return None
    return f"its table took {', '.join(map(str, rows)) or 'no rule'}, the model {', '.join(expected(rules)) or 'none'}"
