"""A system of its own: the frame reader of one byte stream, byte by byte (FRM-1).

Bytes are `S`, `C` or another. A frame's header is magic and a length, here 0 or 1 bytes of payload. The reader may be
out of step at first: it may begin anywhere in a stream.
"""

from __future__ import annotations

from model.profile import Profile
from model.system.base import Action, Kind, Property, Step, System, Variable, Variables
from model.terms import And, If, Not, Or, Term

NOTHING, S, C, OTHER = 0, 1, 2, 3
SKIPPING, MAGIC, HEADER, PAYLOAD = 0, 1, 2, 3
"""Steps of the reader: looks for the first byte of the magic; has it; reads the header; reads the payload."""
NAMES = {S: "'S'", C: "'C'", OTHER: "another byte"}


def reader(profile: Profile) -> System:
    """The reader with every stream of bytes."""
    return System(
        "reader",
        (
            Variable("step", 0, 3),
            Variable("before", 0, 3),
            Variable("last", 0, 3),
            Variable("began", 0, 1),
            Variable("missed", 0, 1),
        ),
        tuple(action for byte in (S, C, OTHER) for action in _byte(profile, byte)),
        (
            Property(
                "magic-begins-a-frame",
                Kind.ALWAYS,
                ("FRM-1",),
                "A frame begins with `S` and `C`, and with nothing else.",
                lambda v: Or(v.began == 0, And(v.before == S, v.last == C)),
                lambda v: v.began == 1,
            ),
            Property(
                "magic-is-found",
                Kind.ALWAYS,
                ("FRM-1",),
                "A reader that looks for a frame finds it wherever `S` is followed by `C`, after `SS` too.",
                lambda v: v.missed == 0,
                lambda v: And(v.step == MAGIC, v.before == S, v.last == S),
            ),
        ),
    )


def _byte(profile: Profile, byte: int) -> list[Action]:
    """A byte comes, while the reader looks for the magic, or inside of a frame."""

    def looking(v: Variables) -> Term:
        return Or(v.step == SKIPPING, v.step == MAGIC)

    def look(v: Variables) -> Step:
        right = And(v.last == S, byte == C)
        if profile.frm_1:
            found: Term = And(v.step == MAGIC, byte == C)
        else:  # historic: the first byte was right, or the second
            found = Or(v.step == MAGIC, And(v.last != NOTHING, byte == C))
        return Step(
            looking(v),
            {
                "step": If(found, HEADER, MAGIC if byte == S else SKIPPING),
                "before": v.last,
                "last": byte,
                "began": If(found, 1, 0),
                "missed": If(And(right, Not(found)), 1, 0),
            },
        )

    def inside(v: Variables) -> Step:
        return Step(v.step == HEADER, {"step": PAYLOAD, "began": 0})

    def ends(v: Variables) -> Step:
        over = {"step": SKIPPING, "before": NOTHING, "last": NOTHING, "began": 0}
        return Step(Or(v.step == HEADER, v.step == PAYLOAD), over)

    rules = ("FRM-1.find",)
    name = NAMES[byte]
    return [
        Action(f"reader.FRM-1.look({name})", "deliver", rules, "The reader looks for `S`, then `C`.", look),
        Action(
            f"reader.FRM-1.header({name})", "deliver", rules, "A frame with payload: its bytes mean nothing.", inside
        ),
        Action(f"reader.FRM-1.end({name})", "deliver", rules, "The frame is over; the next byte is looked at.", ends),
    ]
