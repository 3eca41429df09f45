"""What a SED needs of its controller."""

from __future__ import annotations

from typing import Protocol

from model.alphabet import Link
from reference.controller import State
from reference.endings import Ending


class Node(Protocol):
    """A `Controller`, or something with its interface that stands around one."""

    @property
    def sed_id(self) -> int:
        """Its SCEWL id."""

    @property
    def state(self) -> State:
        """SES-1."""

    @property
    def registered(self) -> bool:
        """Whether the runtime set is in force (CRT-3)."""

    @property
    def fatal(self) -> str | None:
        """Why it is in FATAL_ERROR; None if it is not."""

    @property
    def counters(self) -> dict[str, int]:
        """What it dropped."""

    @property
    def unread(self) -> int:
        """Bytes of the CPU that it has not looked at yet (SES-5)."""

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Bytes come in; `now` in milliseconds."""

    def on_time(self, now: int) -> None:
        """Timers may be due."""

    def deadline(self) -> int | None:
        """When the next one is; None if none is armed."""

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """Frames to send; drains."""

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New client randoms and master secrets; drains."""

    def endings(self) -> list[Ending]:
        """Sessions that ended; drains."""

    def unplug(self, link: Link) -> None:
        """A stream has ended, perhaps in the middle of a frame."""

    def switch_off(self) -> None:
        """Power off: keys are zeroised."""
