"""Every way on that the SSS's rules allow, with some device at the other end of a wire."""

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
SOMEBODY: Final = 2**20
"""Stands for the device; it is nobody's id."""
DEVICES: Final = {"certificate": (1, 2), "request": (1,)}
"""Which arguments of an event are ids of devices, counted from 0."""


class Way(NamedTuple):
    """Where a wire can be, what the SSS says on the way there, and by which rules."""

    state: Wire
    said: tuple[Said, ...] = ()
    rules: tuple[Rule, ...] = ()


class Ways:
    """The ways on for any device; `ways_of` gives them.

    Rules ask of a device only whether it is the one that is named, so that what is remembered of one is good for all
    (`tests/conformance/watching/test_ways.py` proves it). They are asked about `SOMEBODY`.
    """

    def __init__(self, timeouts: tuple[int, int, int], replace: bool) -> None:
        self._recalls = [
            [_recall(WireSetting(SOMEBODY, _PROFILES[replace], removed, *timeouts), undecided) for undecided in _EITHER]
            for removed in _EITHER
        ]

    def on(
        self,
        way: Way,
        device: int,
        kind: str,
        arguments: tuple[int, ...],
        *,
        removed: bool = False,
        undecided: bool = False,
    ) -> list[Way]:
        """The ways on by an event of `SSS_EVENTS` with a device at the other end, which may be `removed` (CRT-8).

        `undecided`: a request of it is being kept; there is one decision at a time, and another one is refused.
        """
        if named := DEVICES.get(kind):
            arguments = tuple([(SOMEBODY if a == device else 0) if n in named else a for n, a in enumerate(arguments)])
        return [
            Way(
                state,
                way.said + tuple([(k, tuple([device if a == SOMEBODY else a for a in args])) for k, args in said]),
                (*way.rules, rule),
            )
            for state, (said, rule) in self._recalls[removed][undecided].ways(way.state, kind, arguments)
        ]


@lru_cache(16)
def ways_of(timeouts: tuple[int, int, int], replace: bool) -> Ways:
    """The ways on at an SSS; all its wires remember together.

    `timeouts`: first and last retransmission timeout and idle timeout, in milliseconds. `replace`: REG-5.
    """
    return Ways(timeouts, replace)


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

    return Recall(Wire, take)
