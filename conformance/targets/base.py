"""The small interface through which the harness handles any implementation under test (IUT)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from model.alphabet import Link


@dataclass(frozen=True, slots=True)
class Reaction:
    """What an IUT did until it was quiescent.

    `now` and `deadline` are milliseconds since boot; `deadline` is None when no timer is armed. `chunks` are the raw
    bytes that left on each link, in order within a link; one frame may come in several chunks, and a chunk may hold
    several frames. `debug` is what came on the debug channel.
    """

    now: int
    deadline: int | None
    chunks: tuple[tuple[Link, bytes], ...] = ()
    debug: tuple[str, ...] = ()
    told: bool = True
    """Whether `deadline` says anything: a device in real time cannot tell it."""


@dataclass
class IutFault(Exception):
    """The IUT broke (lockup, guest error, never quiescent, flood, gone): FAIL. `evidence` is shown as it is."""

    what: str
    evidence: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.what


@dataclass
class HarnessError(Exception):
    """Our side broke (no QEMU, no ELF, shim not built). The verdict is ERROR; `what` says what to do."""

    what: str
    evidence: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return self.what


class Target(Protocol):
    """One IUT: a controller with three byte streams and a clock that the harness moves."""

    name: str

    def boot(self, image: bytes) -> Reaction:
        """Start (or start again) with a provisioning image; time begins at 0. Returns once it is quiescent."""

    def send(self, link: Link, data: bytes) -> Reaction:
        """Give it bytes on a link, whole frames or parts of one, at the present time; return once it is quiescent."""

    def advance(self, ms: int) -> Reaction:
        """Let `ms` milliseconds pass. The harness never advances beyond the last reported deadline."""

    def close(self) -> None:
        """End it and free what it holds. Safe to call twice."""
