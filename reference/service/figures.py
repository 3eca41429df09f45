"""What the service counts and measures of itself."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

_KEPT = 4_096
"""Durations of each kind from which percentiles are made: the latest."""


class Figures:
    """Counters since the start, and durations in milliseconds."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._durations: dict[str, deque[float]] = {}

    def count(self, name: str) -> None:
        """One more of these."""
        self.counters[name] += 1

    def took(self, name: str, milliseconds: float) -> None:
        """One that took so long."""
        self._durations.setdefault(name, deque(maxlen=_KEPT)).append(milliseconds)

    def shown(self) -> dict[str, Any]:
        """`counters`, and `durations_ms`: of each kind, over the latest, how many and the percentiles."""
        return {
            "counters": dict(sorted(self.counters.items())),
            "durations_ms": {name: percentiles(list(values)) for name, values in sorted(self._durations.items())},
        }


def percentiles(durations: list[float]) -> dict[str, float]:
    """`count`, `p50`, `p90`, `p99` and `max` of at least one duration, by the nearest rank."""
    ordered = sorted(durations)
    ranks = {f"p{p}": ordered[max(0, -(-len(ordered) * p // 100) - 1)] for p in (50, 90, 99)}
    return {"count": len(ordered)} | {name: round(value, 3) for name, value in {**ranks, "max": ordered[-1]}.items()}
