"""What the rules make of an event, remembered whatever the timer's value is.

In real time every state has another timer, and what was computed for one would not be met again. But rules only ask
whether the timer is armed and, when time passes, whether it is due; they set it, leave it, or take off it what has
passed. So they are asked about a timer that stands for all of its kind, and the real one is put in its place
afterwards. `tests/model/test_recall.py` proves that the rules keep to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, TypeVar

LONG: Final = 2**40
"""Milliseconds that stand for a timer: longer than any that is set."""
_LONGER: Final = 2 * LONG
_MOST: Final = 2_048
"""Events in states that are kept: sessions are much alike."""

S = TypeVar("S", bound=tuple[Any, ...])
"""A state: a `NamedTuple` with a field `timer`, in milliseconds, 0 if none is armed."""
T = TypeVar("T")


class Recall(Generic[S, T]):
    """Asks `rules(state, kind, arguments)` once, and knows the answer from then on.

    The answer is every state after, each with whatever belongs to it; it may depend on nothing else.
    """

    def __init__(
        self, state: type[S], rules: Callable[[S, str, tuple[int, ...]], Iterable[tuple[S, T]]], most: int = _MOST
    ) -> None:
        self._make: Callable[[Iterable[Any]], S] = state._make  # type: ignore[attr-defined]
        self._at: int = state._fields.index("timer")  # type: ignore[attr-defined]
        self._rules, self._most = rules, most
        self._known: dict[tuple[Any, ...], list[tuple[S, T]]] = {}

    def ways(self, state: S, kind: str, arguments: tuple[int, ...]) -> list[tuple[S, T]]:
        """Every way to take an event; of kind `time`, its argument is the milliseconds that pass."""
        at = self._at
        timer: int = state[at]
        stand, passed = LONG if timer else 0, 0
        if kind == "time" and arguments[0] > 0:
            passed = arguments[0]
            stand, arguments = STANDING[0 if not timer else 1 if passed < timer else 2 if passed == timer else 3]
        like = (*state[:at], stand, *state[at + 1 :])
        key = like, kind, arguments
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= self._most:
                self._known.clear()
            found = self._known[key] = list(self._rules(self._make(like), kind, arguments))
        if not timer:
            return found
        real = {stand: timer, stand - LONG: timer - passed} if stand == _LONGER else {stand: timer}
        return [
            (self._make((*after[:at], real[after[at]], *after[at + 1 :])) if after[at] in real else after, what)
            for after, what in found
        ]


STANDING: Final = ((0, (1,)), (_LONGER, (LONG,)), (LONG, (LONG,)), (LONG, (_LONGER,)))
"""A timer and the time that passes: none is armed; it is not due yet; it is due; it was due before."""
