"""Lemmas for the proofs without bound: what is true of every reachable state, from which the properties follow.

They are about the hardened profile, whatever the scope; each speaks of all SEDs. They are proved together with the
properties (`model.prove`), so that one that does not hold is found out. What comes first is said first in a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from model.alphabet import SSS_ID, Ca
from model.prove.lemmas import Lemma
from model.state import Mode, Step, Waiting
from model.system.base import Variables
from model.system.layout import Chosen, Layout, Proof, Reply
from model.system.links import serves
from model.system.scope import STRANGER
from model.terms import And, If, Not, Or, Term, one_of

Holds: TypeAlias = Callable[[Layout, Variables, int], Term]
"""Of one SED, in one state."""


def implies(condition: Term, then: Term) -> Term:
    """`then` holds where `condition` does."""
    return Or(Not(condition), then)


def _shape(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    mode, step, peer = d[f"s{i}_mode"], d[f"s{i}_step"], d[f"s{i}_peer"]
    flights = one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS)
    talking = And(mode == Mode.TALKING_TO_SSS, Or(flights, step == Step.READ), peer == SSS_ID)
    clients = (*layout.others[i], STRANGER)
    return Or(
        And(mode == Mode.IDLE, step == Step.NONE, peer == 0),
        And(mode == Mode.SENDING_MESSAGE, flights, one_of(peer, *layout.scope.sends.get(i, ()))),
        And(mode == Mode.RECEIVING_MESSAGE, one_of(step, Step.ACCEPT, Step.LISTEN), one_of(peer, *clients)),
        talking if layout.scope.asks.get(i) else False,
    )


def _put_by(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    targets, waiting = layout.scope.sends.get(i, ()), d[f"s{i}_waiting"]
    return And(
        implies(d[f"s{i}_aside"] == 1, one_of(d[f"s{i}_aside_to"], *targets)),
        implies(waiting == Waiting.SEND, one_of(d[f"s{i}_waiting_to"], *targets)),
        implies(waiting == Waiting.REQUEST, bool(layout.scope.asks.get(i))),
    )


def _retransmission(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    step, timeout = d[f"s{i}_step"], d[f"s{i}_timeout"]
    own = implies(one_of(step, Step.HELLO, Step.COOKIE, Step.KEYS, Step.ACCEPT), timeout > 0)
    return And(own, implies(d[f"w{i}_step"] == Step.ACCEPT, d[f"w{i}_timeout"] > 0))


def _current(layout: Layout, v: Variables, i: int) -> Term:
    """The server still has the session, be it a SED or the SSS."""
    d = layout.draft(v)
    peer = d[f"s{i}_peer"]
    seds = [And(peer == j, d[f"s{i}_mode"] == Mode.SENDING_MESSAGE, serves(d.sed(j), i)) for j in layout.others[i]]
    sss = And(peer == SSS_ID, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS, d[f"w{i}_handshake"] == 1)
    return Or(sss, *seds)


def _served(layout: Layout, v: Variables, i: int) -> Term:
    """Handshake 1 is that of the client's present session."""
    d = layout.draft(v)
    mine = [
        implies(serves(d.sed(i), j), And(d[f"s{j}_mode"] == Mode.SENDING_MESSAGE, d[f"s{j}_peer"] == i))
        for j in layout.others[i]
    ]
    return And(implies(d[f"w{i}_handshake"] == 1, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS), *mine)


def _live_flights(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    return implies(Or(d[f"s{i}_f4"] == 1, d[f"s{i}_chosen"] == Chosen.CURRENT), _current(layout, v, i))


def _impostor_server(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    return implies(d[f"s{i}_chosen"] == Chosen.ADVERSARY, d[f"s{i}_peer"] == STRANGER)


def _impostor_client(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    theirs = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_handshake"] == 2, d[f"s{i}_peer"] == STRANGER)
    return implies(d[f"s{i}_f5"] == Proof.ADVERSARY, theirs if layout.scope.forging else False)


def _under_way(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    slots = [*(f"s{i}_d{r}" for r in range(layout.scope.records)), f"s{i}_c"]
    gone = And(d[f"s{i}_mode"] == Mode.RECEIVING_MESSAGE, d[f"s{i}_handshake"] == 2)
    return implies(Or(*(d[name] == 1 for name in slots)), gone)


def _contiguous(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    expect, size, fin = d[f"s{i}_expect"], d[f"s{i}_size"], d[f"s{i}_fin"]
    honest = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_f5"] != Proof.ADVERSARY)
    fresh = And(size == 0, expect <= fin)
    begun = And(d[f"s{i}_handshake"] == 2, expect == fin + size)
    return implies(honest, If(d[f"s{i}_began"] == 0, fresh, begun))


def _sent_before(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    senders = [j for j in layout.others[i] if i in layout.scope.sends.get(j, ())]
    closing = [(And(d[f"s{i}_c"] == 1, d[f"s{i}_peer"] == j), d[f"sent{j}{i}"]) for j in senders]
    return And(True, *(sent >= If(on_its_way, 1, 0) for on_its_way, sent in closing))


def _registered(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    talking = d[f"s{i}_mode"] == Mode.TALKING_TO_SSS
    return And(one_of(d[f"s{i}_registered"], 0, 1), implies(talking, d[f"s{i}_registered"] == 0))


def _request(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    present = d[f"w{i}_handshake"] == 1
    asked = And(d[f"s{i}_step"] == Step.READ, d[f"s{i}_rsp"] == Reply.NONE)
    return implies(d[f"w{i}_rq"] == 1, And(d[f"s{i}_registered"] == 0, implies(present, asked)))


def _response(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    rsp = d[f"s{i}_rsp"]
    read = And(d[f"s{i}_step"] == Step.READ, d[f"w{i}_rq"] == 0)
    granted = implies(one_of(rsp, Reply.REGISTERED, Reply.UNUSABLE), d[f"w{i}_registered"] == 1)
    gone = implies(rsp == Reply.DEREGISTERED, d[f"w{i}_registered"] == 0)
    return implies(rsp != Reply.NONE, And(read, granted, gone))


def _shown(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    return one_of(d[f"s{i}_f5ca"], Ca.PROVISIONING, Ca.RUNTIME)


def _turned_away(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    never_served = And(d[f"w{i}_step"] != Step.LISTEN, d[f"s{i}_rsp"] == Reply.NONE)
    return never_served if i in layout.scope.removed else True


_LEMMAS: tuple[tuple[str, str, str, Holds], ...] = (
    (
        "shape",
        "SES-1 SES-5",
        "Every rule that sets a mode sets the step and the peer that belong to it, and every end clears all three.",
        _shape,
    ),
    (
        "put-by",
        "SES-5 SES-9",
        "A message put aside, or waiting, came from the CPU, so it is for somebody to whom the CPU sends.",
        _put_by,
    ),
    (
        "retransmission",
        "DTL-6",
        "Every flight starts at the first timeout, which doubles up to its cap: it is never 0 in a handshake.",
        _retransmission,
    ),
    (
        "served",
        "SES-3 CRT-7",
        "Handshake 1 is the client's present one: when the client leaves, its server's handshake becomes 2.",
        _served,
    ),
    (
        "live-flights",
        "SES-3 SES-6",
        "Flight 4 is of the session that the server has: when the server leaves, it and what rests on it count as old.",
        _live_flights,
    ),
    (
        "impostor-server",
        "CRT-7",
        "The adversary's own certificate bears its own name, so a client takes it only in a session with that name.",
        _impostor_server,
    ),
    (
        "impostor-client",
        "CRT-7",
        "So does a server; and the adversary proves itself only in a handshake that it began.",
        _impostor_client,
    ),
    (
        "under-way",
        "SES-2 SES-8",
        "A client that has sent its records is gone: they go to a server whose handshake is no present one.",
        _under_way,
    ),
    (
        "contiguous",
        "SES-8",
        "Before any data, the server expects no number beyond the Finished messages that were sent; then each record "
        "that it takes bears the next number, and no Finished follows, since the client is gone.",
        _contiguous,
    ),
    (
        "sent-before",
        "SES-8 ADV-3",
        "A close_notify is under way once for each message that was sent, and goes with its delivery.",
        _sent_before,
    ),
    (
        "registered",
        "CRT-4 REG-6",
        "Asking discards the runtime set, and only a response that ends the session brings one.",
        _registered,
    ),
    (
        "request",
        "SES-4 CRT-4",
        "A request goes out once in a session, which has no runtime set, and a new session does away with it.",
        _request,
    ),
    (
        "response",
        "REG-1 SES-4",
        "A response follows the one request; while the device reads it, the SSS still counts it as it says there.",
        _response,
    ),
    (
        "shown",
        "REG-1 CRT-3",
        "With one runtime CA for ever, a flight 5 of a SED shows one of two authorities.",
        _shown,
    ),
)


_REMOVED = (
    "turned-away",
    "CRT-8",
    "The SSS rejects the certificate of a removed device, so no handshake with it completes and it gets no response.",
    _turned_away,
)
"""For scopes that have removed devices."""


def lemmas_of(layout: Layout) -> tuple[Lemma, ...]:
    """The lemmas for the systems of a layout; none where no device takes part."""
    if layout.scope.of != "devices":
        return ()

    def every(holds: Holds) -> Callable[[Variables], Term]:
        return lambda v: And(*(holds(layout, v, i) for i in layout.scope.seds))

    table = (*_LEMMAS, _REMOVED) if layout.scope.removed else _LEMMAS
    return tuple(Lemma(name, says, every(holds), tuple(needs.split())) for name, needs, says, holds in table)
