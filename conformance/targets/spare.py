"""A QEMU that a case is done with, kept for the next case of the same firmware."""

from __future__ import annotations

from collections.abc import Hashable

from conformance.targets.machine import Machine


class Spare:
    """Room for one running QEMU, asleep. Whoever makes one has to `close` it."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._machine: Machine | None = None

    def take(self, key: Hashable) -> Machine | None:
        """The machine that was put here under this key, if any; it is the caller's now."""
        if self._machine is None or self._key != key:
            return None
        machine, self._machine = self._machine, None
        return machine

    def put(self, key: Hashable, machine: Machine) -> None:
        """Keep a machine, and end the one that was kept before."""
        self.close()
        self._key, self._machine = key, machine

    def close(self) -> None:
        """End what is kept. Safe to call twice."""
        machine, self._machine = self._machine, None
        if machine is not None:
            machine.close()
