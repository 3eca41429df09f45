"""Lemmas for the proofs without bound: what is true of every reachable state, so that the properties follow step by step.

They are about links that are free, and the hardened profile; one lemma speaks of all SEDs. Each is proved together with
the others (`model.prove`), so a lemma that does not hold is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from model.alphabet import SSS_ID
from model.prove.lemmas import Lemma
from model.state import Mode, Step, Waiting
from model.system.base import Variables
from model.system.layout import Chosen, Draft, Layout, Proof, Reply
from model.system.links import serves
from model.system.scope import STRANGER
from model.terms import And, If, Not, Or, Term, one_of

Holds: TypeAlias = Callable[[Layout, Draft, int], Term]
"""Of one SED, in one state."""


def implies(condition: Term, then: Term) -> Term:
    """`then` holds where `condition` does."""
    return Or(Not(condition), then)


def _clients(layout: Layout, i: int) -> tuple[int, ...]:
    """Who may open a session to SED `i`."""
    return (*layout.others[i], STRANGER)


def _shape(layout: Layout, d: Draft, i: int) -> Term:
    mode, step, peer = d[f"s{i}_mode"], d[f"s{i}_step"], d[f"s{i}_peer"]
    flights = one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS)
    return Or(
        And(mode == Mode.IDLE, step == Step.NONE, peer == 0),
        And(mode == Mode.SENDING_MESSAGE, flights, one_of(peer, *layout.scope.sends.get(i, ()))),
        And(mode == Mode.TALKING_TO_SSS, Or(flights, step == Step.READ), peer == SSS_ID),
        And(mode == Mode.RECEIVING_MESSAGE, one_of(step, Step.ACCEPT, Step.LISTEN), one_of(peer, *_clients(layout, i))),
    )


def _put_by(layout: Layout, d: Draft, i: int) -> Term:
    targets = layout.scope.sends.get(i, ())
    return And(
        implies(d[f"s{i}_aside"] == 1, one_of(d[f"s{i}_aside_to"], *targets)),
        implies(d[f"s{i}_waiting"] == Waiting.SEND, one_of(d[f"s{i}_waiting_to"], *targets)),
    )


def _retransmission(layout: Layout, d: Draft, i: int) -> Term:
    step, timeout = d[f"s{i}_step"], d[f"s{i}_timeout"]
    return implies(one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS, Step.ACCEPT), timeout > 0)


def _current(layout: Layout, d: Draft, i: int) -> Term:
    """The server still has the session, be it a SED or the SSS."""
    peer = d[f"s{i}_peer"]
    seds = [And(peer == j, d[f"s{i}_mode"] == Mode.SENDING_MESSAGE, serves(d.sed(j), i)) for j in layout.others[i]]
    sss = And(peer == SSS_ID, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, d[f"w{i}_handshake"] == 1)
    return Or(sss, *seds)


def _served(layout: Layout, d: Draft, i: int) -> Term:
    """Handshake 1 is that of the client's present session."""
    mine = [
        implies(serves(d.sed(i), j), And(d[f"s{j}_mode"] == Mode.SENDING_MESSAGE, d[f"s{j}_peer"] == i))
        for j in layout.others[i]
    ]
    return And(implies(d[f"w{i}_handshake"] == 1, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS), *mine)


def _live_flights(layout: Layout, d: Draft, i: int) -> Term:
    return implies(Or(d[f"s{i}_f4"] == 1, d[f"s{i}_chosen"] == Chosen.CURRENT), _current(layout, d, i))


def _impostor_server(layout: Layout, d: Draft, i: int) -> Term:
    return implies(d[f"s{i}_chosen"] == Chosen.ADVERSARY, d[f"s{i}_peer"] == STRANGER)


def _impostor_client(layout: Layout, d: Draft, i: int) -> Term:
    theirs = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_handshake"] == 2, d[f"s{i}_peer"] == STRANGER)
    return implies(d[f"s{i}_f5"] == Proof.ADVERSARY, theirs)


def _under_way(layout: Layout, d: Draft, i: int) -> Term:
    slots = [*(f"s{i}_d{r}" for r in range(layout.scope.records)), f"s{i}_c"]
    gone = And(d[f"s{i}_mode"] == Mode.RECEIVING_MESSAGE, d[f"s{i}_handshake"] == 2)
    return implies(Or(*(d[name] == 1 for name in slots)), gone)


def _contiguous(layout: Layout, d: Draft, i: int) -> Term:
    expect, size, fin = d[f"s{i}_expect"], d[f"s{i}_size"], d[f"s{i}_fin"]
    honest = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_f5"] != Proof.ADVERSARY)
    fresh = And(size == 0, expect <= fin)
    begun = And(d[f"s{i}_handshake"] == 2, expect == fin + size)
    return implies(honest, If(d[f"s{i}_began"] == 0, fresh, begun))


def _sent_before(layout: Layout, d: Draft, i: int) -> Term:
    senders = [j for j in layout.others[i] if i in layout.scope.sends.get(j, ())]
    closing = [(And(d[f"s{i}_c"] == 1, d[f"s{i}_peer"] == j), d[f"sent{j}{i}"]) for j in senders]
    return And(True, *(sent >= If(on_its_way, 1, 0) for on_its_way, sent in closing))


def _registered(layout: Layout, d: Draft, i: int) -> Term:
    talking = d[f"s{i}_mode"] == Mode.TALKING_TO_SSS
    return And(one_of(d[f"s{i}_registered"], 0, 1), implies(talking, d[f"s{i}_registered"] == 0))


def _request(layout: Layout, d: Draft, i: int) -> Term:
    present = d[f"w{i}_handshake"] == 1
    asked = And(d[f"s{i}_step"] == Step.READ, d[f"s{i}_rsp"] == Reply.NONE)
    return implies(d[f"w{i}_rq"] == 1, And(d[f"s{i}_registered"] == 0, implies(present, asked)))


def _response(layout: Layout, d: Draft, i: int) -> Term:
    rsp = d[f"s{i}_rsp"]
    read = And(d[f"s{i}_step"] == Step.READ, d[f"w{i}_rq"] == 0)
    granted = implies(one_of(rsp, Reply.REGISTERED, Reply.UNUSABLE), d[f"w{i}_registered"] == 1)
    return implies(rsp != Reply.NONE, And(read, granted))


_LEMMAS: tuple[tuple[str, str, Holds], ...] = (
    ("shape", "x", _shape),
    ("put-by", "x", _put_by),
    ("retransmission", "x", _retransmission),
    ("served", "x", _served),
    ("live-flights", "x", _live_flights),
    ("impostor-server", "x", _impostor_server),
    ("impostor-client", "x", _impostor_client),
    ("under-way", "x", _under_way),
    ("contiguous", "x", _contiguous),
    ("sent-before", "x", _sent_before),
    ("registered", "x", _registered),
    ("request", "x", _request),
    ("response", "x", _response),
)


def lemmas_of(layout: Layout) -> tuple[Lemma, ...]:
    """The lemmas for a layout."""

    def every(holds: Holds) -> Callable[[Variables], Term]:
        return lambda v: And(True, *(holds(layout, layout.draft(v), i) for i in layout.scope.seds))

    return tuple(Lemma(name, says, every(holds)) for name, says, holds in _LEMMAS)
