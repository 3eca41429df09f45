"""What passes between a SED and the SSS once a request is under way: flights and records at the SSS, its responses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

from model.alphabet import DEREGISTER, PLAINTEXT, REFUSED, REGISTER, SSS_ID, Ca
from model.state import Mode, Step
from model.system.base import Action
from model.system.certificates import sss_accepts
from model.system.layout import Draft, Reply
from model.system.links import Slot
from model.system.makers import OPERATIONS, RULES_ON, Makers, Occurrence
from model.terms import And, Not, Or, Term

# --- at the SSS ------------------------------------------------------------------------------------------------------


def at_sss(m: Makers, i: int) -> Iterator[Action]:
    """Flights and records of SED `i`, at the SSS: at once, or when the adversary likes."""
    yield from _hellos(m, i)
    for k in range(m.layout.scope.finished):
        yield from _finished(m, i, k)
    yield from _requests(m, i)
    yield from _goodbyes(m, i)
    if "frozen" in m.layout.variables and m.prompt:
        yield from _frozen(m, i)


def _awake(d: Draft, slot: Slot) -> Term:
    """It is on its way, and the SSS reads."""
    return And(slot.full(d), d["frozen"] == 0)


def _hellos(m: Makers, i: int) -> Iterator[Action]:
    def talking(slot: Slot, d: Draft) -> Term:
        return And(_awake(d, slot), d[f"s{i}_mode"] == Mode.TALKING_TO_SSS)

    for name, event, arguments in ((f"s{i}_h", "hello", ()), (f"s{i}_hc", "hello-cookie", (1,))):
        if name in m.layout.variables:
            slot = Slot(name)
            when = partial(talking, slot)
            yield from m.wire(i, Occurrence(m.arrival, event, arguments, when=when, first=slot.take, drops=m.prompt))


def _finished(m: Makers, i: int, k: int) -> Iterator[Action]:
    """Transmission `k` of flight 5: the first that arrives completes the handshake, any later one is a repeat."""
    f5 = Slot(f"w{i}_f5")

    def sent(d: Draft) -> Term:
        number = d[f"w{i}_fin"]
        return And(_awake(d, f5), number == k + 1 if m.prompt else number > k)

    def good(d: Draft) -> Term:
        return sss_accepts(d, i, Ca.PROVISIONING, i)

    def first(d: Draft) -> Term:
        return And(sent(d), d[f"w{i}_step"] == Step.ACCEPT, good(d))

    def bad(d: Draft) -> Term:
        return And(sent(d), d[f"w{i}_step"] == Step.ACCEPT, Not(good(d)))

    def again(d: Draft) -> Term:
        new = True if m.prompt else d[f"w{i}_expect"] <= k
        return And(sent(d), d[f"w{i}_step"] != Step.ACCEPT, new)

    for event, arguments, when, said in (
        ("flight5", (k,), first, ""),
        ("certificate", (Ca.PROVISIONING, i, i), bad, "of flight5 "),
        ("repeat", (5, k), again, "flight5 "),
    ):
        origin = f"{said}#{k} from {i}"
        yield from m.wire(
            i, Occurrence(m.arrival, event, arguments, when=when, first=f5.take, drops=m.prompt, origin=origin)
        )


def _requests(m: Makers, i: int) -> Iterator[Action]:
    """The request, and where that may go wrong a grant of credentials that do not work."""
    rq = Slot(f"w{i}_rq", once=True)

    def asked(op: int, d: Draft) -> Term:
        order = d[f"w{i}_f5"] == 0 if m.prompt else d[f"w{i}_step"] == Step.LISTEN
        return And(_awake(d, rq), order, d[f"w{i}_rop"] == op)

    def request(op: int, d: Draft) -> tuple[Term, ...]:
        return (d[f"w{i}_fin"], i, op)

    for op in m.layout.scope.asks[i]:
        good = Occurrence(
            m.arrival,
            "request",
            partial(request, op),
            when=partial(asked, op),
            first=rq.take,
            drops=m.prompt,
            origin=f"{OPERATIONS[op]} from {i}",
        )
        yield from m.wire(i, good)
        if "unusable" in m.layout.scope.faults and op == REGISTER:
            bad = replace(good, only=("REG-1.register",), stimulus=("unusable", i))
            yield from m.wire(i, bad, grant=Reply.UNUSABLE)


def _goodbyes(m: Makers, i: int) -> Iterator[Action]:
    c, al = Slot(f"w{i}_c", once=True), Slot(f"w{i}_al")

    def goodbye(d: Draft) -> Term:
        return And(_awake(d, c), d[f"w{i}_rq"] == 0 if m.prompt else d[f"w{i}_step"] == Step.LISTEN)

    yield from m.wire(i, Occurrence(m.arrival, "close", when=goodbye, first=c.take, drops=m.prompt))
    if al.name in m.layout.variables:
        yield from m.wire(i, Occurrence(m.arrival, "alert", when=lambda d: _awake(d, al), first=al.take))


def _frozen(m: Makers, i: int) -> Iterator[Action]:
    """REG-7, historic: whatever comes while the SSS waits for the rest of a frame is lost."""

    def unread(slot: Slot, d: Draft) -> Term:
        own = d[f"s{i}_mode"] == Mode.TALKING_TO_SSS if slot.name.startswith("s") else True
        return And(slot.full(d), d["frozen"] == 1, own)

    for name in (f"s{i}_h", f"s{i}_hc", f"w{i}_f5", f"w{i}_rq", f"w{i}_c", f"w{i}_al"):
        if name in m.layout.variables:
            slot = Slot(name)
            yield m.other(
                f"1.frozen({name})",
                m.arrival,
                "(historic) The SSS waits for the rest of a stranger's frame and takes nothing else.",
                slot.take,
                when=partial(unread, slot),
            )


# --- its responses ---------------------------------------------------------------------------------------------------

ANSWERS = {
    Reply.REGISTERED: (REGISTER, 1, 1),
    Reply.DEREGISTERED: (DEREGISTER, 1, 1),
    Reply.REFUSED: (REFUSED, 1, 1),
    Reply.UNUSABLE: (REGISTER, 1, 0),
}
"""What the event `response` says of a response that is whole."""


def responses(m: Makers, i: int) -> Iterator[Action]:
    """The response of the SSS at SED `i`, and the end of the session."""
    for reply in Reply:
        if reply != Reply.NONE:
            yield from _response(m, i, reply)
    for slot, event, arguments in (
        (Slot(f"s{i}_cl"), "close", (SSS_ID, 0)),
        (Slot(f"s{i}_al"), "alert", (SSS_ID, PLAINTEXT)),
    ):
        if slot.name in m.layout.variables:
            when = partial(_from_sss, i, slot)
            yield from m.sed(i, Occurrence(m.arrival, event, arguments, when=when, first=slot.take, drops=m.prompt))


def _from_sss(i: int, slot: Slot, d: Draft) -> Term:
    return And(slot.full(d), d[f"s{i}_peer"] == SSS_ID)


def _response(m: Makers, i: int, reply: Reply) -> Iterator[Action]:
    """A record that counts once, and what it says if it follows the others and completes the response."""

    def due(d: Draft) -> Term:
        order = d[f"s{i}_f6"] == 0 if m.prompt else d[f"s{i}_step"] == Step.READ
        return And(d[f"s{i}_rsp"] == reply, d[f"s{i}_peer"] == SSS_ID, order)

    def whole(d: Draft) -> Term:
        contiguous = Or(not m.layout.profile.ses_8, d[f"s{i}_rseq"] == d[f"s{i}_expect"])
        return And(due(d), d[f"s{i}_step"] == Step.READ, contiguous)

    def take(d: Draft) -> None:
        d.set(f"s{i}_rsp", 0)

    def collect(d: Draft) -> None:
        e = SimpleNamespace(source=SSS_ID, seq=d[f"s{i}_rseq"], size=1)
        d.change_sed(i, _COLLECT.body(d.sed(i), e, m.layout.setting(i)).update)
        take(d)

    origin = f"from 1: {reply.name.lower()}"
    unread = Occurrence(
        m.arrival,
        "data",
        lambda d: (SSS_ID, d[f"s{i}_rseq"], 1),
        when=due,
        first=take,
        drops=m.prompt,
        only=("SES-8.gap-in-response", "SES-5.data") if reply in ANSWERS else (),
        origin=origin,
    )
    yield from m.sed(i, unread)
    if reply in ANSWERS:
        answer = ANSWERS[reply]
        read = Occurrence(m.arrival, "response", answer, when=whole, first=collect, drops=False, origin=origin)
        yield from m.sed(i, read)


_COLLECT = next(rule for rule in RULES_ON["data"] if rule.id == "SES-3.collect")
