"""What a rule is, and the list of all of them.

A rule belongs to one kind of event (or to none: then it is *urgent* and happens by itself, before anything else can).
Its body looks at the state, the event's arguments and the setting, and says under which guard it applies, what it
changes and what shows outside. Bodies use only the operators of `model.terms`, comparison and arithmetic, never
Python's `if` on a variable: that lets the explore and prove readings evaluate the same body on Z3 terms. (`if` on a
profile flag is fine: flags are constants.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from model.alphabet import EVENTS
from model.terms import Not, Or, Term

Variables: TypeAlias = Any
"""Something with an attribute per variable: a `State`, an event's arguments, or the same names bound to Z3 terms."""


@dataclass(frozen=True, slots=True)
class Emit:
    """An output of `model.alphabet.OUTPUTS` with terms as arguments; it shows only where `when` holds."""

    kind: str
    args: tuple[Term, ...] = ()
    when: Term = True


@dataclass(frozen=True, slots=True)
class Effect:
    """Guard, changes of variables (what is not named stays) and outputs in order."""

    guard: Term
    update: dict[str, Term] = field(default_factory=dict)
    emit: tuple[Emit, ...] = ()


Body: TypeAlias = Callable[[Variables, Variables, Any], Effect]


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule. `needs` are the ids of the protocol page that it carries out, the most telling first; `timer`
    those that a wrong next deadline after it would break."""

    id: str
    on: str | None
    needs: tuple[str, ...]
    says: str
    body: Body
    timer: tuple[str, ...] = ()


RULES: list[Rule] = []


def rule(
    name: str,
    *,
    on: str | None,
    needs: str,
    says: str,
    timer: str = "",
    book: list[Rule] = RULES,
    events: dict[str, tuple[str, ...]] = EVENTS,
) -> Callable[[Body], Body]:
    """Enter a body in `book`. `needs` and `timer` are ids of the protocol page, separated by blanks."""
    if on is not None and on not in events:
        raise ValueError(f"rule {name}: no event {on}")
    if any(r.id == name for r in book):
        raise ValueError(f"rule {name} exists already")

    def enter(body: Body) -> Body:
        book.append(Rule(name, on, tuple(needs.split()), says, body, tuple(timer.split())))
        return body

    return enter


def add_drops(
    table: dict[str, tuple[str, str, str]],
    book: list[Rule] = RULES,
    events: dict[str, tuple[str, ...]] = EVENTS,
) -> None:
    """Give each kind of event a last rule, which applies where no other does and changes nothing.

    `table` maps the kind to the rule's id, needs and text. After this every event is allowed in every state.
    """
    for kind, (name, needs, says) in table.items():
        others = tuple(r for r in book if r.on == kind)

        def body(s: Variables, e: Variables, c: Any, others: tuple[Rule, ...] = others) -> Effect:
            return Effect(Not(Or(False, *(r.body(s, e, c).guard for r in others))))

        rule(name, on=kind, needs=needs, says=says, book=book, events=events)(body)
