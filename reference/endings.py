"""How sessions end, in words for whoever runs a controller. Nothing on any link depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reference.credentials import fault_names
from reference.dtls import Session

GAP = "records are missing"


class Doing(StrEnum):
    """What a session was for: the state of SES-1 in which it ran."""

    SENDING = "SENDING_MESSAGE"
    RECEIVING = "RECEIVING_MESSAGE"
    ASKING = "TALKING_TO_SSS"


class How(StrEnum):
    """What became of it."""

    DONE = "done"
    REFUSED = "refused"
    """By either side: an alert, a certificate that is no good, an answer that is none."""
    SILENCE = "silence"
    """The other side was silent until the last timeout (DTL-6, SES-7)."""
    BROKEN = "broken"
    """Records are missing (SES-8), the message was too long (SES-10), or there was no memory for a session (SES-11)."""
    GAVE_WAY = "gave way"
    """To the own CPU (ADV-1)."""


@dataclass(frozen=True, slots=True)
class Ending:
    """A session that ended."""

    doing: Doing
    peer: int
    how: How
    why: str = ""
    """A few words; empty for DONE."""


def failure(session: Session) -> tuple[How, str]:
    """How a session failed on the own side."""
    if session.gave_up:
        return How.SILENCE, "the other side is silent"
    if names := fault_names(session.faults):
        return How.REFUSED, f"the other side's certificate is refused: {', '.join(names)}"
    return How.REFUSED, "the handshake failed"
