"""The defects of the historic system (2021), each with the question that shows it, or the reason why none does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect that was confirmed by experiment. Without a scope, `why_not` says why the model does not show it."""

    number: int
    says: str
    scope: str = ""
    property: str = ""
    why_not: str = ""


DEFECTS = (
    Defect(
        1, "A lost close_notify: the message is never delivered, and the receiver is dead.", "records", "idle-again"
    ),
    Defect(
        2,
        "A second registration is refused, by a response too short to read: the controller is dead.",
        "registration",
        "registration-is-granted",
    ),
    Defect(3, "A send that fails at its first call leaves SENDING_MESSAGE for ever.", "failures", "timers-armed"),
    Defect(4, "Two spoofed frames block CPU and radio for 169 s.", "unregistered-device", "cpu-first"),
    Defect(5, "Glare: both messages are lost.", "pair", "all-delivered"),
    Defect(6, "The SSS cannot be reached: the CPU gets no answer.", "half-frame", "one-answer"),
    Defect(7, "Before registration SEDs cannot talk at all.", "unregistered-pair", "all-delivered"),
    Defect(8, "No forward secrecy.", why_not="The model has no keys that leak later; DTL-2 settles it."),
    Defect(9, "The magic `SX` starts a frame.", "reader", "magic-begins-a-frame"),
    Defect(
        10, "A lost or swapped record: a wrong message is delivered as if whole.", "records", "same-bytes-or-nothing"
    ),
    Defect(11, "One lost record of the SSS's answer: no recovery.", "lost-response", "idle-again"),
    Defect(
        12,
        "Every boot draws the same randoms.",
        why_not="Without registration historic SEDs cannot talk (7), so nothing can be recorded; the matrix "
        "shows it with ADV-3 switched off alone.",
    ),
    Defect(
        13,
        "A removed or deregistered device's runtime key is still accepted by its peers.",
        why_not="True of the hardened profile too: revocation is the SSS's alone (ADV-4).",
    ),
    Defect(14, "One silent connection freezes the SSS for all.", "half-frame", "no-needless-timeout"),
    Defect(15, "A message to an absent peer: deaf for 166 s.", "absent", "all-delivered"),
    Defect(16, "Messages over 16,384 bytes are silently cut.", "oversize", "same-bytes-or-nothing"),
    Defect(
        17, "The code for broadcasts faults.", why_not="A fault of an implementation; broadcasts are not in the model."
    ),
)
