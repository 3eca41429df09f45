"""How much of the service anybody gets.

An id that is only claimed counts for nothing: a limit by it would let a liar lock the device out whose id it is. So
what nobody has proved is limited by connection, and only a device that has shown its key is limited by its id.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The service's limits; times are in seconds."""

    connections: int = 256
    """Connections at once. When one more comes, the oldest gives way that has proved nothing, but not before..."""
    grace: float = 4.0
    """...it was here that long. If none is that old, the newcomer waits in the listening socket's queue."""
    idle: float = 0.0
    """A connection without progress that a device proved is closed after that long; 0: never."""
    burst: float = 48.0
    """What a connection may use at once: a frame is 1, a kilobyte 1, a handshake that it begins `handshake_cost`.
    A handshake that proves a device gives it all back."""
    rate: float = 16.0
    """What it gets back per second. A connection that has used up everything is not read until it has some again."""
    handshake_cost: float = 16.0
    sessions_burst: float = 16.0
    """Sessions of one device, proved by its key, at once..."""
    sessions_rate: float = 1.0
    """...and per second after that; until then its connection is not read."""
    write: float = 10.0
    """How long a client may leave unread what it was sent."""
    keys: int = 32
    """Key pairs made in advance."""


class Bucket:
    """Something that is used up and comes back at a constant rate. It may go into debt, which `wait` tells."""

    def __init__(self, burst: float, rate: float, now: float) -> None:
        """Full at `now`, in seconds."""
        self._burst, self._rate = burst, rate
        self._level, self._then = burst, now

    def spend(self, amount: float, now: float) -> None:
        """Use some of it, whether it is there or not."""
        self._level = min(self._burst, self._level + (now - self._then) * self._rate) - amount
        self._then = now

    def wait(self, now: float) -> float:
        """Seconds until there is some again; 0 if there is."""
        level = self._level + (now - self._then) * self._rate
        return 0.0 if level > 0 else (1e-3 - level) / self._rate

    def fill(self, now: float) -> None:
        """Give it all back."""
        self._level, self._then = self._burst, now
