"""Who hears what: frames of honest components arrive at those that they are for."""

from __future__ import annotations

from collections.abc import Iterator

from model.alphabet import PLAINTEXT, SSS_ID
from model.system.at_client import at_client
from model.system.at_server import at_server
from model.system.at_sss import at_sss, responses
from model.system.base import Action
from model.system.links import Slot
from model.system.makers import Makers, Occurrence
from model.terms import And


def arrivals(m: Makers) -> Iterator[Action]:
    """What honest components sent, arriving: at once, or when the adversary likes."""
    scope = m.layout.scope
    for i in scope.seds:
        for j in m.layout.others[i]:
            if i in scope.sends.get(j, ()):
                yield from at_server(m, i, j)
            if j in scope.sends.get(i, ()):
                yield from at_client(m, i, j)
        if scope.asks.get(i):
            yield from at_client(m, i, SSS_ID)
            yield from at_sss(m, i)
            yield from responses(m, i)
    for i in scope.seds:
        if f"s{i}_al" in m.layout.variables:
            yield from _alert(m, i)


def _alert(m: Makers, i: int) -> Iterator[Action]:
    """A plaintext alert of another SED, where the adversary does not make them up anyhow."""
    slot = Slot(f"s{i}_al")
    alert = Occurrence(
        "deliver",
        "alert",
        lambda d: (d[f"s{i}_peer"], PLAINTEXT),
        when=lambda d: And(slot.full(d), d[f"s{i}_peer"] != SSS_ID),
        first=slot.take,
        origin="from its peer",
    )
    yield from m.sed(i, alert)
