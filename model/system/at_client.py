"""What a server sent, arriving at the SED that is its client: flights 2, 4 and 6."""

from __future__ import annotations

from collections.abc import Iterator

from model.alphabet import PLAINTEXT, SSS_ID, Ca
from model.state import Step
from model.system.base import Action
from model.system.certificates import accepts, as_seen, certificate_of
from model.system.layout import Chosen, Draft
from model.system.links import Slot
from model.system.makers import Makers, Occurrence
from model.terms import And, Not, Term

OF_OLD_SESSIONS = {"f4p": ", of a session it left", "f4r": ", of a session it left while registered"}
"""Flights 4 of sessions that the server has left, and what to call them."""


def at_client(m: Makers, i: int, peer: int) -> Iterator[Action]:
    """Flights of a server, be it another SED or the SSS, at SED `i`: at once, or when the adversary likes."""
    v = Slot(f"s{i}_v")
    if v.name in m.layout.variables:
        verify = Occurrence(
            m.arrival, "verify-request", (peer,), when=lambda d: _mine(d, i, peer, v), first=v.take, drops=m.prompt
        )
        yield from m.sed(i, verify)
    yield from _present_flight4(m, i, peer)
    yield from _old_flight4(m, i, peer, "f4p")
    if peer != SSS_ID:
        yield from _old_flight4(m, i, peer, "f4r")
    for k in range(m.layout.scope.finished if peer == SSS_ID else 1):
        yield from _finished(m, i, peer, k)


def _mine(d: Draft, i: int, peer: int, slot: Slot) -> Term:
    """It is on its way to the session of SED `i` with that peer."""
    return And(slot.full(d), d[f"s{i}_peer"] == peer, d[f"s{peer}_old"] == 0 if peer != SSS_ID else True)


# --- flight 4 --------------------------------------------------------------------------------------------------------


def _present_flight4(m: Makers, i: int, peer: int) -> Iterator[Action]:
    """That of the session that the server still has; a client that answered it already takes it as a repeat."""
    slot = Slot(f"s{i}_f4")
    origin = f"from {peer}"
    yield from _flight4(m, i, peer, slot, Chosen.CURRENT, origin)

    def again(d: Draft) -> Term:
        return And(_mine(d, i, peer, slot), d[f"s{i}_step"] == Step.KEYS)

    arguments = (peer, 4, PLAINTEXT)
    yield from m.sed(i, Occurrence(m.arrival, "repeat", arguments, when=again, first=slot.take, drops=m.prompt))


def _old_flight4(m: Makers, i: int, peer: int, name: str) -> Iterator[Action]:
    """One of a session that the server has left."""
    slot = Slot(f"s{i}_{name}")
    origin = f"from {peer}{OF_OLD_SESSIONS[name]}"
    yield from _flight4(m, i, peer, slot, Chosen.OLD, origin)
    if m.prompt:
        yield m.other(
            f"{i}.drop(flight4 {origin})",
            m.arrival,
            "A flight of a session that its server has left comes too late.",
            slot.take,
            when=lambda d: And(_mine(d, i, peer, slot), d[f"s{i}_step"] == Step.KEYS),
        )


def _flight4(m: Makers, i: int, peer: int, slot: Slot, chosen: Chosen, origin: str) -> Iterator[Action]:
    """A client takes flight 4, drops it, or rejects its certificate."""

    def due(d: Draft) -> Term:
        return And(_mine(d, i, peer, slot), d[f"s{i}_step"] != Step.KEYS)

    def shown(d: Draft) -> Term:
        ca = _shown(d, i, peer, slot)
        return ca if peer == SSS_ID else as_seen(d, peer, i, ca)

    def accepted(d: Draft) -> Term:
        return accepts(d, i, shown(d), peer)

    def good(d: Draft) -> Term:
        return And(due(d), accepted(d))

    def choose(d: Draft) -> None:
        slot.take(d)
        take_flight4(d, i, chosen)

    take = Occurrence(m.arrival, "flight4", (peer,), when=good, first=choose, only=("SES-2.keys",), origin=origin)
    yield from m.sed(i, take)
    if m.prompt:
        drop = Occurrence(
            m.arrival, "flight4", (peer,), when=good, first=slot.take, only=("SES-5.flight4",), origin=origin
        )
        yield from m.sed(i, drop)
    reject = Occurrence(
        m.arrival,
        "certificate",
        lambda d: (peer, shown(d), peer),
        when=lambda d: And(due(d), Not(accepted(d))),
        first=slot.take,
        drops=False,
        origin=f"of flight 4 {origin}",
    )
    yield from m.sed(i, reject)


def take_flight4(d: Draft, i: int, chosen: Chosen) -> None:
    """SED `i` goes on with one flight 4; those of sessions that its server has left are too late from here on."""
    d.set(f"s{i}_chosen", chosen)
    d.set(f"s{i}_f4p", 0)
    d.set(f"s{i}_f4r", 0)


def _shown(d: Draft, i: int, peer: int, slot: Slot) -> Term:
    """The authority of the certificate in a flight 4."""
    if peer == SSS_ID:
        return Ca.PROVISIONING
    old = {f"s{i}_f4p": Ca.PROVISIONING, f"s{i}_f4r": Ca.RUNTIME}
    return old[slot.name] if slot.name in old else certificate_of(d, peer, i)


# --- flight 6 --------------------------------------------------------------------------------------------------------


def _finished(m: Makers, i: int, peer: int, k: int) -> Iterator[Action]:
    """Transmission `k` of flight 6: the first that arrives completes the handshake, any later one is a repeat.

    Those of the SSS are told apart, since its response follows in number.
    """
    f6 = Slot(f"s{i}_f6")

    def sent(d: Draft) -> Term:
        if peer != SSS_ID:
            return _mine(d, i, peer, f6)
        return And(_mine(d, i, peer, f6), d[f"s{i}_f6n"] == k + 1 if m.prompt else d[f"s{i}_f6n"] > k)

    def first(d: Draft) -> Term:
        return And(sent(d), d[f"s{i}_step"] == Step.KEYS)

    def again(d: Draft) -> Term:
        new = True if m.prompt else d[f"s{i}_expect"] <= k
        return And(sent(d), d[f"s{i}_step"] != Step.KEYS, new)

    yield from m.sed(i, Occurrence(m.arrival, "flight6", (peer, k), when=first, first=f6.take, drops=m.prompt))
    yield from m.sed(i, Occurrence(m.arrival, "repeat", (peer, 6, k), when=again, first=f6.take, drops=m.prompt))
