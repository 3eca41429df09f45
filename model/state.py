"""The state of one controller: integers only, each with its range."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Mode(IntEnum):
    """SES-1."""

    IDLE = 0
    SENDING_MESSAGE = 1
    RECEIVING_MESSAGE = 2
    TALKING_TO_SSS = 3
    FATAL_ERROR = 4


class Step(IntEnum):
    """How far a session has come: the last flight that the controller sent, or what it waits for afterwards."""

    NONE = 0
    HELLO = 1
    """Client, flight 1 sent."""
    COOKIE = 2
    """Client, flight 3 sent."""
    KEYS = 3
    """Client, flight 5 sent."""
    READ = 4
    """Client of the SSS, request sent, response awaited."""
    ACCEPT = 5
    """Server, flight 4 sent; the peer has not proved itself yet."""
    LISTEN = 6
    """Server, flight 6 sent; records of the message awaited."""


class Waiting(IntEnum):
    """The CPU frame whose header was read and whose body waits (SES-5)."""

    NONE = 0
    SEND = 1
    REQUEST = 2
    OTHER = 3
    FAA = 4
    """Historic profile only: FAA frames waited too."""


class State(NamedTuple):
    """One controller. Absent ids, sizes and numbers are 0; `timer` 0 means that no timer is armed."""

    mode: int = Mode.IDLE
    step: int = Step.NONE
    peer: int = 0
    """Id of the session's peer."""
    handshake: int = 0
    """Server: number of the client handshake that is being served."""
    registered: int = 0
    """1 while the runtime set is in force (CRT-3)."""
    timer: int = 0
    """Milliseconds until the armed timer fires; 0 if none is armed."""
    timeout: int = 0
    """Present retransmission timeout in milliseconds; 0 outside handshakes (DTL-6)."""
    expect: int = 0
    """Number that the peer's next record of data must bear (SES-8)."""
    began: int = 0
    """1 once a record of data was taken."""
    size: int = 0
    """Bytes of the message: to send, or collected so far."""
    dev: int = 0
    op: int = 0
    """The registration request under way."""
    aside: int = 0
    aside_to: int = 0
    aside_size: int = 0
    """A message put aside to serve a lower id (SES-9)."""
    unyielding: int = 0
    """1 when the message under way may not be put aside again (section 5, pinned 5)."""
    waiting: int = Waiting.NONE
    waiting_to: int = 0
    waiting_size: int = 0
    waiting_dev: int = 0
    waiting_op: int = 0

    def describe(self) -> str:
        """The state in one line, absent things left out."""
        text = Mode(self.mode).name
        if self.step:
            text += f"/{Step(self.step).name} with {self.peer}"
        parts = ["registered" if self.registered else "unregistered"]
        if self.timer:
            parts.append(f"timer {self.timer} ms")
        if self.aside:
            parts.append(f"message for {self.aside_to} put aside")
        if self.waiting:
            parts.append(f"CPU frame waiting ({Waiting(self.waiting).name.lower()})")
        return f"{text} ({', '.join(parts)})"


RANGES: dict[str, tuple[int, int]] = {
    "mode": (0, 4),
    "step": (0, 6),
    "peer": (0, 0xFFFF),
    "handshake": (0, 0xFFFF),
    "registered": (0, 1),
    "timer": (0, 60_000),
    "timeout": (0, 60_000),
    "expect": (0, 0xFFFF),
    "began": (0, 1),
    "size": (0, 16_384),
    "dev": (0, 0xFFFF),
    "op": (-0x8000, 0x7FFF),
    "aside": (0, 1),
    "aside_to": (0, 0xFFFF),
    "aside_size": (0, 16_384),
    "unyielding": (0, 1),
    "waiting": (0, 4),
    "waiting_to": (0, 0xFFFF),
    "waiting_size": (0, 16_384),
    "waiting_dev": (0, 0xFFFF),
    "waiting_op": (-0x8000, 0x7FFF),
}
"""Inclusive bounds of every variable, for the readings that pack states."""
