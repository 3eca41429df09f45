"""Every way on that the SSS's rules allow, with one device at the other end of a wire."""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache
from types import SimpleNamespace
from typing import Final, NamedTuple

from model.alphabet import REFUSED
from model.profile import HARDENED
from model.recall import Recall
from model.rules.base import Rule
from model.rules.sss import SSS_EVENTS, SSS_RULES, Wire, WireSetting

Said = tuple[str, tuple[int, ...]]
"""An output of the SSS's rules: its kind and its arguments."""
_RULES: Final[dict[str, list[Rule]]] = defaultdict(list)
for _rule in SSS_RULES:
    _RULES[_rule.on or ""].append(_rule)
_PROFILES: Final = {True: HARDENED, False: HARDENED.without("reg_5")}
"""By whether a registered device may register again."""
_EITHER: Final = (False, True)
_Taken = tuple[tuple[Said, ...], Rule]
_MOST: Final = 64
"""Events in states that are remembered of one device."""


class Way(NamedTuple):
    """Where a wire can be, what the SSS says on the way there, and by which rules."""

    state: Wire
    said: tuple[Said, ...] = ()
    rules: tuple[Rule, ...] = ()


class Ways:
    """The ways on for a device; `ways_of` gives them."""

    def __init__(self, device: int, timeouts: tuple[int, int, int], replace: bool) -> None:
        self._recalls = [
            [_recall(WireSetting(device, _PROFILES[replace], removed, *timeouts), undecided) for undecided in _EITHER]
            for removed in _EITHER
        ]

    def on(
        self, way: Way, kind: str, arguments: tuple[int, ...], *, removed: bool = False, undecided: bool = False
    ) -> list[Way]:
        """The ways on by an event of `SSS_EVENTS`. The device may be `removed` (CRT-8).

        `undecided`: a request of it is being kept; there is one decision at a time, and another one is refused.
        """
        return [
            Way(state, way.said + said, (*way.rules, rule))
            for state, (said, rule) in self._recalls[removed][undecided].ways(way.state, kind, arguments)
        ]


@lru_cache(1_024)
def ways_of(device: int, timeouts: tuple[int, int, int], replace: bool) -> Ways:
    """The ways on for a device; all its wires remember together.

    `timeouts`: first and last retransmission timeout and idle timeout, in milliseconds. `replace`: REG-5.
    """
    return Ways(device, timeouts, replace)


def _recall(setting: WireSetting, undecided: bool) -> Recall[Wire, _Taken]:
    def take(state: Wire, kind: str, arguments: tuple[int, ...]) -> list[tuple[Wire, _Taken]]:
        named = SimpleNamespace(**dict(zip(SSS_EVENTS[kind], arguments, strict=True)))
        found = []
        for rule in _RULES[kind]:
            effect = rule.body(state, named, setting)
            if not effect.guard:
                continue
            said = tuple((o.kind, tuple(int(a) for a in o.args)) for o in effect.emit if o.when)
            update = {name: int(value) for name, value in effect.update.items()}
            if undecided:
                update.pop("registered", None)
                said = tuple(("response", (REFUSED, 1)) if s[0] == "response" else s for s in said)
            found.append((state._replace(**update), (said, rule)))
        return found

    return Recall(Wire, take, _MOST)
