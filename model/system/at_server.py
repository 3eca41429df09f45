"""What a SED's client session sent, arriving at the SED that is to serve it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from model.state import Mode, Step
from model.system.base import Action
from model.system.certificates import accepts, as_seen, runtime
from model.system.layout import Draft, Proof
from model.system.links import Slot
from model.system.makers import Makers, Occurrence
from model.terms import And, Not, Term


def at_server(m: Makers, i: int, j: int) -> Iterator[Action]:
    """Flights and records of SED `j`, at SED `i`: at once, or when the adversary likes."""
    yield from _hellos(m, i, j)
    for k in range(m.layout.scope.finished):
        yield from _finished(m, i, j, k)
    yield from _rejected(m, i, j)
    for r in range(m.layout.scope.records):
        yield from _data(m, i, j, r)
    yield from _close(m, i, j)


def _hellos(m: Makers, i: int, j: int) -> Iterator[Action]:
    def to_me(slot: Slot, d: Draft) -> Term:
        calls = And(d[f"s{j}_peer"] == i, d[f"s{j}_mode"] == Mode.SENDING_MESSAGE)
        return And(slot.full(d), calls, d[f"s{j}_old"] == 0)

    for name, event, arguments in ((f"s{j}_h", "hello", (j,)), (f"s{j}_hc", "hello-cookie", (j, 1))):
        if name in m.layout.variables:
            slot = Slot(name)
            when = partial(to_me, slot)
            yield from m.sed(i, Occurrence(m.arrival, event, arguments, when=when, first=slot.take, drops=m.prompt))
    old = f"s{j}_old"
    if old in m.layout.variables:
        yield from m.sed(
            i,
            Occurrence(
                m.arrival,
                "hello-cookie",
                (j, 2),
                when=lambda d: d[old] == i,
                first=lambda d: d.set(old, 0),
                origin=f"from {j}, of a session it left",
            ),
        )


def _finished(m: Makers, i: int, j: int, k: int) -> Iterator[Action]:
    """Transmission `k` of flight 5: the first that arrives completes the handshake, any later one is a repeat."""
    f5 = Slot(f"s{i}_f5")

    def sent(d: Draft) -> Term:
        number = d[f"s{i}_fin"]
        return And(f5.full(d), d[f"s{i}_peer"] == j, number == k + 1 if m.prompt else number > k)

    def good(d: Draft) -> Term:
        return And(sent(d), d[f"s{i}_step"] == Step.ACCEPT, _accepted(d, i, j))

    def again(d: Draft) -> Term:
        new = True if m.prompt else d[f"s{i}_expect"] <= k
        return And(sent(d), d[f"s{i}_step"] != Step.ACCEPT, new)

    def watch(d: Draft) -> None:
        """CRT-9: the session is complete, and its ends showed certificates of different CAs."""
        d.set("cross", 1, d[f"s{i}_f5ca"] != runtime(d.sed(i)))

    first = Occurrence(m.arrival, "flight5", (j, k), when=good, first=f5.take, last=watch, drops=m.prompt)
    yield from m.sed(i, first)
    yield from m.sed(i, Occurrence(m.arrival, "repeat", (j, 5, k), when=again, first=f5.take, drops=m.prompt))


def _accepted(d: Draft, i: int, j: int) -> Term:
    return accepts(d, i, as_seen(d, j, i, d[f"s{i}_f5ca"]), j)


def _rejected(m: Makers, i: int, j: int) -> Iterator[Action]:
    f5 = Slot(f"s{i}_f5")

    def bad(d: Draft) -> Term:
        waiting = And(f5.full(d), d[f"s{i}_peer"] == j, d[f"s{j}_old"] == 0, d[f"s{i}_step"] == Step.ACCEPT)
        return And(waiting, Not(_accepted(d, i, j)))

    yield from m.sed(
        i,
        Occurrence(
            m.arrival,
            "certificate",
            lambda d: (j, as_seen(d, j, i, d[f"s{i}_f5ca"]), j),
            when=bad,
            first=f5.take,
            drops=False,
            origin=f"of flight 5 from {j}",
        ),
    )


# --- records ---------------------------------------------------------------------------------------------------------


def _data(m: Makers, i: int, j: int, r: int) -> Iterator[Action]:
    """Record `r` of a message of SED `j`."""
    slot = Slot(f"s{i}_d{r}", once=True)
    yield from m.sed(
        i,
        Occurrence(
            m.arrival,
            "data",
            lambda d: (j, d[f"s{i}_fin"] + r, 1),
            when=lambda d: And(slot.full(d), _in_order(m, d, i, j, r)),
            first=slot.take,
            drops=m.prompt,
            origin=f"from {j} #{r}" if m.layout.scope.records > 1 else f"from {j}",
        ),
    )


def _close(m: Makers, i: int, j: int) -> Iterator[Action]:
    """The close_notify of SED `j`, after the records or before the last of them."""
    count = m.layout.scope.records
    slot = Slot(f"s{i}_c", once=True)

    def overtaking(d: Draft) -> Term:
        ours = And(slot.full(d), d[f"s{i}_peer"] == j, d[f"s{j}_old"] == 0)
        return And(ours, d[f"s{i}_d{count - 1}"] == 1, d["swaps"] > 0)

    def overtake(d: Draft) -> None:
        slot.take(d)
        d.set("swaps", d["swaps"] - 1)

    in_order = Occurrence(
        m.arrival,
        "close",
        lambda d: (j, d[f"s{i}_fin"] + count),
        when=lambda d: And(slot.full(d), _in_order(m, d, i, j, count)),
        first=slot.take,
        drops=m.prompt,
        origin=f"from {j}",
    )
    yield from m.sed(i, in_order)
    if m.prompt and m.layout.scope.swaps:
        origin, stimulus = f"from {j}, overtaking", ("swap", "close", j)
        yield from m.sed(i, replace(in_order, when=overtaking, first=overtake, origin=origin, stimulus=stimulus))


def _in_order(m: Makers, d: Draft, i: int, j: int, r: int) -> Term:
    """Record `r` may arrive: on prompt links after all that was sent before it, on free links at any time."""
    if m.prompt:
        order = And(*(d[f"s{i}_d{earlier}"] == 0 for earlier in range(r)), d[f"s{i}_f5"] != Proof.SENT)
    else:
        order = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_f5"] != Proof.ADVERSARY)
    return And(d[f"s{i}_peer"] == j, d[f"s{j}_old"] == 0, order)
