"""What can happen in a system: CPUs, frames that arrive, frames that get lost, time, failures. The adversary has its own
module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from model.alphabet import PLAINTEXT, SSS_ID, Ca
from model.state import Mode, Step, Waiting
from model.system.base import Action, Variables
from model.system.base import Step as Change
from model.system.layout import Chosen, Draft, Layout, Proof, Reply
from model.system.links import carry_out, carry_out_wire, certificate_of, runtime
from model.system.parts import OF, SSS_OF, Makers, Then, timers, watch
from model.terms import And, If, Min, Not, Or, Term

# --- CPUs ------------------------------------------------------------------------------------------------------------


def cpu(m: Makers) -> Iterator[Action]:
    """The CPUs' frames, and what the controllers do by themselves when a session is over."""
    layout = m.layout
    scope = layout.scope
    for i in scope.seds:

        def free(v: Variables, i: int = i, left: str = "todo") -> Term:
            d = layout.draft(v)
            bounded = f"s{i}_{left}" in layout.variables
            return And(d[f"s{i}_waiting"] == Waiting.NONE, d[f"s{i}_{left}"] > 0 if bounded else True)

        def asking(v: Variables, i: int = i) -> Term:
            return free(v, i, "asks")

        def spend(d: Draft, name: str = f"s{i}_todo") -> None:
            d.set(name, d[name] - 1, name in layout.variables)

        def spend_request(d: Draft, name: str = f"s{i}_asks") -> None:
            d.set(name, d[name] - 1, name in layout.variables)

        for to in scope.sends.get(i, ()):
            yield from m.sed(
                i, "cpu", "cpu-send", (to, scope.records), when=free, first=spend, stimulus=("send", i, to), drops=False
            )
            if "oversize" in scope.faults:
                yield from m.sed(
                    i, "cpu", "cpu-oversize", (to, 16_385), when=free, first=spend, stimulus=("oversize", i, to)
                )
            if "start" in scope.faults:
                yield from m.sed(i, "fault", "start-failure", (to,), when=free, first=spend)
        for op in scope.asks.get(i, ()):
            yield from m.sed(
                i,
                "cpu",
                "cpu-request",
                (4, i, op),
                when=asking,
                first=spend_request,
                stimulus=(("register", "deregister")[op], i),
                drops=False,
            )
        if "malformed" in scope.faults and scope.asks.get(i):
            yield from m.sed(
                i,
                "cpu",
                "cpu-request",
                (3, i, 0),
                when=asking,
                first=spend_request,
                stimulus=("malformed", i),
                only=("SES-4.malformed",),
            )
        if "other" in scope.faults and scope.sends.get(i):
            yield from m.sed(i, "cpu", "cpu-other", (), when=free, first=spend, stimulus=("broadcast", i))
        if "faa" in scope.faults:
            yield from m.sed(i, "cpu", "cpu-faa", (scope.records,), when=free, stimulus=("faa", i, "radio"))
            yield from m.sed(i, "deliver", "radio-faa", (scope.records,), stimulus=("faa", i, "cpu"))
        yield from m.sed(i, "urgent", None)


# --- frames that arrive ----------------------------------------------------------------------------------------------


def arrivals(m: Makers) -> Iterator[Action]:
    """What honest components sent, arriving: at once, or when the adversary likes."""
    scope = m.layout.scope
    for i in scope.seds:
        for j in m.layout.others[i]:
            if i in scope.sends.get(j, ()):
                yield from _at_server(m, i, j)
            if j in scope.sends.get(i, ()):
                yield from _at_client(m, i, j)
        if scope.asks.get(i):
            yield from _at_client(m, i, SSS_ID)
            yield from _at_sss(m, i)
            yield from _response(m, i)


class _Slot:
    """A variable of the links that says whether something is on its way."""

    def __init__(self, layout: Layout, name: str, kept: bool = True) -> None:
        self.layout, self.name, self.kept = layout, name, kept

    def full(self, v: Variables) -> Term:
        return self.layout.draft(v)[self.name] == 1

    @property
    def take(self) -> Then | None:
        """On links that are free it stays for the adversary, unless it is a record that counts once."""
        if self.layout.scope.free and self.kept:
            return None
        return lambda d: d.set(self.name, 0)


def _kind(layout: Layout) -> str:
    return "replay" if layout.scope.free else "deliver"


def _at_server(m: Makers, i: int, j: int) -> Iterator[Action]:
    """Flights and records of SED `j`'s client sessions, at SED `i`."""
    layout, free, kind = m.layout, m.layout.scope.free, _kind(m.layout)
    drops = not free

    def to_me(v: Variables, slot: _Slot) -> Term:
        d = layout.draft(v)
        return And(slot.full(v), d[f"s{j}_peer"] == i, d[f"s{j}_mode"] == Mode.SENDING_MESSAGE, d[f"s{j}_old"] == 0)

    for slot, event, arguments in (("h", "hello", (j,)), ("hc", "hello-cookie", (j, 1))):
        if f"s{j}_{slot}" in layout.variables:
            s = _Slot(layout, f"s{j}_{slot}")
            yield from m.sed(i, kind, event, arguments, when=lambda v, s=s: to_me(v, s), first=s.take, drops=drops)
    if f"s{j}_old" in layout.variables:
        yield from m.sed(
            i,
            kind,
            "hello-cookie",
            (j, 2),
            when=lambda v: layout.draft(v)[f"s{j}_old"] == i,
            first=lambda d: d.set(f"s{j}_old", 0),
            origin=f"from {j}, of a session it left",
        )

    f5 = _Slot(layout, f"s{i}_f5")
    for k in range(layout.scope.finished):

        def sent(v: Variables, k: int = k, step: int = Step.ACCEPT) -> Term:
            d = layout.draft(v)
            last = d[f"s{i}_fin"] == k + 1
            which = d[f"s{i}_fin"] > k if free else last
            return And(
                f5.full(v), d[f"s{i}_peer"] == j, which, (d[f"s{i}_step"] == Step.ACCEPT) == (step == Step.ACCEPT)
            )

        def good(v: Variables, k: int = k, sent: Any = sent) -> Term:
            d = layout.draft(v)
            return And(sent(v), _accepted(layout, d, i, d[f"s{i}_f5ca"], j))

        def again(v: Variables, k: int = k, sent: Any = sent) -> Term:
            new = layout.draft(v)[f"s{i}_expect"] <= k if free else True
            return And(sent(v, step=Step.LISTEN), new)

        yield from m.sed(i, kind, "flight5", (j, k), when=good, first=f5.take, drops=drops, last=_crossed(layout, i))
        yield from m.sed(i, kind, "repeat", (j, 5, k), when=again, first=f5.take, drops=drops)

    def bad(v: Variables) -> Term:
        d = layout.draft(v)
        waiting = And(f5.full(v), d[f"s{i}_peer"] == j, d[f"s{j}_old"] == 0, d[f"s{i}_step"] == Step.ACCEPT)
        return And(waiting, Not(_accepted(layout, d, i, d[f"s{i}_f5ca"], j)))

    yield from m.sed(
        i,
        kind,
        "certificate",
        lambda d: (j, _as_seen(d, j, i, d[f"s{i}_f5ca"]), j),
        when=bad,
        first=f5.take,
        drops=False,
        origin=f"of flight 5 from {j}",
    )
    yield from _records_at(m, i, j)


def _records_at(m: Makers, i: int, j: int) -> Iterator[Action]:
    """Data and close_notify of SED `j`, at SED `i`. Prompt links keep their order unless a swap is spent."""
    layout, free, kind = m.layout, m.layout.scope.free, _kind(m.layout)
    count = layout.scope.records
    slots = [*(f"s{i}_d{r}" for r in range(count)), f"s{i}_c"]
    for r, name in enumerate(slots):
        slot = _Slot(layout, name, kept=False)
        for overtaking in (False, True):
            if overtaking and (free or r < count or not layout.scope.swaps):
                continue

            def due(v: Variables, r: int = r, slot: _Slot = slot, overtaking: bool = overtaking) -> Term:
                d = layout.draft(v)
                listening = And(d[f"s{i}_step"] == Step.LISTEN, d[f"s{i}_f5"] != Proof.ADVERSARY)
                if free:
                    order: Term = listening
                elif overtaking:
                    order = And(d[slots[r - 1]] == 1, d["swaps"] > 0)
                else:
                    order = And(*(d[earlier] == 0 for earlier in slots[:r]), d[f"s{i}_f5"] != Proof.SENT)
                return And(slot.full(v), d[f"s{i}_peer"] == j, d[f"s{j}_old"] == 0, order)

            def take(d: Draft, name: str = name, overtaking: bool = overtaking) -> None:
                d.set(name, 0)
                d.set("swaps", d["swaps"] - 1, overtaking)

            def arguments(d: Draft, r: int = r) -> tuple[Term, ...]:
                number = d[f"s{i}_fin"] + r
                return (j, number) if r == count else (j, number, 1)

            event = "close" if r == count else "data"
            origin = (
                f"from {j}" + (f" #{r}" if r < count and count > 1 else "") + (", overtaking" if overtaking else "")
            )
            yield from m.sed(
                i, kind, event, arguments, when=due, first=take, drops=not free, origin=origin,
                stimulus=("swap", event, j) if overtaking else (),
            )  # fmt: skip


def _as_seen(d: Draft, owner: int, by: int, ca: Term) -> Term:
    """A runtime certificate of another runtime CA is nobody's (REG-1)."""
    strange = And(ca == Ca.RUNTIME, d[f"s{by}_registered"] == 1, d[f"s{owner}_gen"] != d[f"s{by}_gen"])
    return If(strange, Ca.OTHER, ca)


def _accepted(layout: Layout, d: Draft, i: int, ca: Term, owner: int) -> Term:
    """SED `i` accepts a certificate of `owner`: no rule rejects it."""
    reject = next(r for r in OF["certificate"] if r.id == "CRT-7.reject")
    shown = ca if owner == SSS_ID else _as_seen(d, owner, i, ca)
    e = _Certificate(d[f"s{i}_peer"], shown, owner)
    return Not(reject.body(d.sed(i), e, layout.setting(i)).guard)


class _Certificate:
    def __init__(self, source: Term, ca: Term, cn: Term) -> None:
        self.source, self.ca, self.cn = source, ca, cn


def _crossed(layout: Layout, i: int) -> Then:
    """CRT-9: a session is complete, and its ends showed certificates of different CAs."""

    def watch(d: Draft) -> None:
        d.set("cross", 1, d[f"s{i}_f5ca"] != runtime(d.sed(i)))

    return watch


def _at_client(m: Makers, i: int, peer: int) -> Iterator[Action]:
    """Flights 2, 4 and 6 of a server, at SED `i`."""
    layout, free, kind = m.layout, m.layout.scope.free, _kind(m.layout)
    drops = not free
    finished = layout.scope.finished if peer == SSS_ID else 1

    def mine(v: Variables, slot: _Slot) -> Term:
        d = layout.draft(v)
        return And(slot.full(v), d[f"s{i}_peer"] == peer, d[f"s{peer}_old"] == 0 if peer != SSS_ID else True)

    v_slot, f6 = _Slot(layout, f"s{i}_v"), _Slot(layout, f"s{i}_f6")
    if v_slot.name in layout.variables:
        yield from m.sed(
            i, kind, "verify-request", (peer,), when=lambda v: mine(v, v_slot), first=v_slot.take, drops=drops
        )

    def ca_of(slot: str, d: Draft) -> Term:
        if peer == SSS_ID:
            return Ca.PROVISIONING
        return {"f4": certificate_of(d, peer, i), "f4p": Ca.PROVISIONING, "f4r": Ca.RUNTIME}[slot]

    for name in ("f4", "f4p", "f4r"):
        if name == "f4r" and peer == SSS_ID:
            continue
        slot = _Slot(layout, f"s{i}_{name}")
        old = name != "f4"
        shown = {"f4": "", "f4p": ", of a session it left", "f4r": ", of a session it left while registered"}[name]
        origin = f"from {peer}{shown}"

        def first(d: Draft, slot: _Slot = slot, old: bool = old) -> None:
            if slot.take:
                slot.take(d)

        def choose(d: Draft, old: bool = old) -> None:
            d.set(f"s{i}_chosen", Chosen.OLD if old else Chosen.CURRENT)
            d.set(f"s{i}_f4p", 0)
            d.set(f"s{i}_f4r", 0)

        def verdict(v: Variables, accept: bool, slot: _Slot = slot, name: str = name) -> Term:
            d = layout.draft(v)
            accepted = _accepted(layout, d, i, ca_of(name, d), peer)
            return And(mine(v, slot), d[f"s{i}_step"] != Step.KEYS, accepted if accept else Not(accepted))

        if free or not old:
            yield from _take_flight4(m, i, kind, peer, origin, verdict, first, choose, ca_of, name, drops)
        else:
            yield from _take_flight4(m, i, kind, peer, origin, verdict, first, choose, ca_of, name, True)
        if not old:
            yield from m.sed(
                i,
                kind,
                "repeat",
                (peer, 4, PLAINTEXT),
                when=lambda v, slot=slot: And(mine(v, slot), layout.draft(v)[f"s{i}_step"] == Step.KEYS),
                first=first,
                drops=drops,
            )
        elif not free:
            yield m.other(
                f"{i}.drop(flight4 {origin})",
                kind,
                "A flight of a session that its server has left comes too late.",
                first,
                when=lambda v, slot=slot: And(mine(v, slot), layout.draft(v)[f"s{i}_step"] == Step.KEYS),
            )

    for k in range(finished):

        def which(v: Variables, k: int = k, step: int = Step.KEYS) -> Term:
            d = layout.draft(v)
            number: Term = True
            if peer == SSS_ID:
                number = d[f"s{i}_f6n"] > k if free else d[f"s{i}_f6n"] == k + 1
            here = d[f"s{i}_step"] == Step.KEYS
            return And(mine(v, f6), number, here if step == Step.KEYS else Not(here))

        def later(v: Variables, k: int = k, which: Any = which) -> Term:
            new = layout.draft(v)[f"s{i}_expect"] <= k if free else True
            return And(which(v, step=Step.READ), new)

        yield from m.sed(i, kind, "flight6", (peer, k), when=which, first=f6.take, drops=drops)
        yield from m.sed(i, kind, "repeat", (peer, 6, k), when=later, first=f6.take, drops=drops)


def _take_flight4(
    m: Makers, i: int, kind: str, peer: int, origin: str, verdict: Any, first: Then, choose: Then, ca_of: Any, name: str,
    drops: bool,
) -> Iterator[Action]:  # fmt: skip
    def take(d: Draft) -> None:
        first(d)
        choose(d)

    yield from m.sed(
        i, kind, "flight4", (peer,), when=lambda v: verdict(v, True), first=take, only=("SES-2.keys",), origin=origin,
        drops=drops,
    )  # fmt: skip
    if drops:
        yield from m.sed(
            i, kind, "flight4", (peer,), when=lambda v: verdict(v, True), first=first, only=("SES-5.flight4",),
            origin=origin,
        )  # fmt: skip
    yield from m.sed(
        i,
        kind,
        "certificate",
        lambda d: (peer, ca_of(name, d), peer),
        when=lambda v: verdict(v, False),
        first=first,
        drops=False,
        origin=f"of flight 4 {origin}",
    )


# --- the SSS ---------------------------------------------------------------------------------------------------------


def _at_sss(m: Makers, i: int) -> Iterator[Action]:
    """Flights and records of SED `i`, at the SSS."""
    layout, free, kind = m.layout, m.layout.scope.free, _kind(m.layout)
    drops = not free

    def awake(v: Variables, slot: _Slot) -> Term:
        return And(slot.full(v), layout.draft(v)["frozen"] == 0)

    def talking(v: Variables, slot: _Slot) -> Term:
        d = layout.draft(v)
        return And(awake(v, slot), d[f"s{i}_mode"] == Mode.TALKING_TO_SSS)

    slots = {name: _Slot(layout, f"s{i}_{name}") for name in ("h", "hc")}
    if slots["h"].name in layout.variables:
        yield from m.wire(i, kind, "hello", when=lambda v: talking(v, slots["h"]), first=slots["h"].take, drops=drops)
    yield from m.wire(
        i, kind, "hello-cookie", (1,), when=lambda v: talking(v, slots["hc"]), first=slots["hc"].take, drops=drops
    )
    f5, rq, c = _Slot(layout, f"w{i}_f5"), _Slot(layout, f"w{i}_rq", kept=False), _Slot(layout, f"w{i}_c", kept=False)
    for k in range(layout.scope.finished):

        def sent(v: Variables, k: int = k, accept: bool = True) -> Term:
            d = layout.draft(v)
            which = d[f"w{i}_fin"] > k if free else d[f"w{i}_fin"] == k + 1
            here = d[f"w{i}_step"] == Step.ACCEPT
            new = True if accept or not free else d[f"w{i}_expect"] <= k
            return And(awake(v, f5), which, here if accept else Not(here), new)

        yield from m.wire(i, kind, "flight5", (k,), when=sent, first=f5.take, drops=drops, origin=f"#{k} from {i}")
        yield from m.wire(
            i,
            kind,
            "repeat",
            (5, k),
            when=lambda v, sent=sent: sent(v, accept=False),
            first=f5.take,
            drops=drops,
            origin=f"flight5 #{k} from {i}",
        )

    def request(v: Variables) -> Term:
        d = layout.draft(v)
        order = d[f"w{i}_step"] == Step.LISTEN if free else d[f"w{i}_f5"] == 0
        return And(awake(v, rq), order)

    for op in layout.scope.asks[i]:
        for unusable in (False, True) if "unusable" in layout.scope.faults and op == 0 else (False,):
            yield from m.wire(
                i,
                kind,
                "request",
                lambda d, op=op: (d[f"w{i}_fin"], i, op),
                when=lambda v, op=op: And(request(v), layout.draft(v)[f"w{i}_rop"] == op),
                first=rq.take,
                drops=drops,
                origin=f"{('register', 'deregister')[op]} from {i}",
                only=("REG-1.register",) if unusable else (),
                unusable=unusable,
                stimulus=("unusable", i) if unusable else (),
            )

    def goodbye(v: Variables) -> Term:
        d = layout.draft(v)
        return And(awake(v, c), d[f"w{i}_step"] == Step.LISTEN if free else d[f"w{i}_rq"] == 0)

    yield from m.wire(i, kind, "close", when=goodbye, first=c.take, drops=drops)
    if f"w{i}_al" in layout.variables:
        al = _Slot(layout, f"w{i}_al")
        yield from m.wire(i, kind, "alert", when=lambda v: awake(v, al), first=al.take)
    if "frozen" in layout.variables and not free:
        for name in (f"s{i}_h", f"s{i}_hc", f"w{i}_f5", f"w{i}_rq", f"w{i}_c", f"w{i}_al"):
            if name in layout.variables:
                yield m.other(
                    f"1.frozen({name})",
                    kind,
                    "(historic) The SSS waits for the rest of a stranger's frame and takes nothing else.",
                    lambda d, name=name: d.set(name, 0),
                    when=lambda v, name=name: And(
                        layout.draft(v)[name] == 1,
                        layout.draft(v)["frozen"] == 1,
                        layout.draft(v)[f"s{i}_mode"] == Mode.TALKING_TO_SSS if name.startswith("s") else True,
                    ),
                )


def _response(m: Makers, i: int) -> Iterator[Action]:
    """The response of the SSS at SED `i`: a record that counts once, and what it says."""
    layout, free, kind = m.layout, m.layout.scope.free, _kind(m.layout)
    answers = {
        Reply.REGISTERED: (0, 1, 1),
        Reply.DEREGISTERED: (1, 1, 1),
        Reply.REFUSED: (-1, 1, 1),
        Reply.INCOMPLETE: None,
        Reply.UNUSABLE: (0, 1, 0),
    }
    for reply, answer in answers.items():

        def due(v: Variables, reply: Reply = reply) -> Term:
            d = layout.draft(v)
            order = d[f"s{i}_step"] == Step.READ if free else d[f"s{i}_f6"] == 0
            return And(d[f"s{i}_rsp"] == reply, d[f"s{i}_peer"] == SSS_ID, order)

        def contiguous(d: Draft) -> Term:
            return Or(not layout.profile.ses_8, d[f"s{i}_rseq"] == d[f"s{i}_expect"])

        def take(d: Draft) -> None:
            d.set(f"s{i}_rsp", 0)

        def record(d: Draft) -> tuple[Term, ...]:
            return (SSS_ID, d[f"s{i}_rseq"], 1)

        origin = f"from 1: {reply.name.lower()}"
        # a record that breaks contiguity, or that does not complete the response
        yield from m.sed(
            i, kind, "data", record, when=due, first=take, drops=not free, origin=origin,
            only=() if answer is None else ("SES-8.gap-in-response", "SES-5.data"),
        )  # fmt: skip
        if answer is None:
            continue

        def whole(v: Variables, due: Any = due) -> Term:
            d = layout.draft(v)
            return And(due(v), d[f"s{i}_step"] == Step.READ, contiguous(d))

        def collect(d: Draft) -> None:
            e = type("Data", (), {"source": SSS_ID, "seq": d[f"s{i}_rseq"], "size": 1})()
            rule = next(r for r in OF["data"] if r.id == "SES-3.collect")
            d.change_sed(i, rule.body(d.sed(i), e, layout.setting(i)).update)
            d.set(f"s{i}_rsp", 0)

        yield from m.sed(i, kind, "response", answer, when=whole, first=collect, drops=False, origin=origin)
    for slot, event, arguments in (("cl", "close", (SSS_ID, 0)), ("al", "alert", (SSS_ID, PLAINTEXT))):
        if f"s{i}_{slot}" in layout.variables:
            s = _Slot(layout, f"s{i}_{slot}")
            yield from m.sed(
                i,
                kind,
                event,
                arguments,
                when=lambda v, s=s: And(s.full(v), layout.draft(v)[f"s{i}_peer"] == SSS_ID),
                first=s.take,
                drops=not free,
            )


def alerts(m: Makers) -> Iterator[Action]:
    """Plaintext alerts between SEDs, where the adversary does not make them up anyhow."""
    layout = m.layout
    for i in layout.scope.seds:
        if f"s{i}_al" not in layout.variables:
            continue
        s = _Slot(layout, f"s{i}_al")
        yield from m.sed(
            i,
            "deliver",
            "alert",
            lambda d, i=i: (d[f"s{i}_peer"], PLAINTEXT),
            when=lambda v, i=i, s=s: And(s.full(v), layout.draft(v)[f"s{i}_peer"] != SSS_ID),
            first=s.take,
            origin="from its peer",
        )


# --- loss ------------------------------------------------------------------------------------------------------------

FLIGHTS = {"h": 1, "v": 2, "hc": 3, "f4": 4, "f5": 5, "f6": 6}


def losses(m: Makers) -> Iterator[Action]:
    """What is on its way gets lost (prompt links)."""
    layout = m.layout
    if "faults" not in layout.variables:
        return
    for name in pending(layout):
        who, slot = int(name[1]), name.split("_")[1]
        flight = FLIGHTS.get(slot)
        if slot == "old" or (flight or 7) not in layout.scope.losable:
            continue
        what = f"flight {flight}" if flight else {"c": "close", "rq": "request", "rsp": "response"}.get(slot, slot)

        def lose(d: Draft, name: str = name) -> None:
            d.set(name, 0)
            d.set("faults", d["faults"] - 1)

        yield m.other(
            f"lose.{name}",
            "lose",
            f"A frame is lost: {what}.",
            lose,
            when=lambda v, name=name: And(layout.draft(v)[name] != 0, layout.draft(v)["faults"] > 0),
            stimulus=("lose", slot, who, name[0]),
        )


def pending(layout: Layout) -> list[str]:
    """The variables that say that something is on its way."""
    slots = {"h", "v", "hc", "f4", "f4p", "f4r", "f6", "rsp", "cl", "f5", "c", "al", "rq", "old"}
    slots |= {f"d{r}" for r in range(layout.scope.records)}
    return [n for n in layout.variables if "_" in n and n.split("_")[1] in slots and n[0] in "sw"]


# --- time ------------------------------------------------------------------------------------------------------------


def time(m: Makers) -> Iterator[Action]:
    """Time passes for all; then the timers that are due fire, one after the other."""
    layout = m.layout
    names = timers(layout)
    farther = max(layout.last, layout.idle) + 1

    def next_deadline(v: Variables) -> Term:
        least: Term = farther
        for name in names:
            t = getattr(v, name)
            least = If(t > 0, Min(t, least), least)
        return least

    def quiet(v: Variables) -> Term:
        if layout.scope.free:
            return True
        d = layout.draft(v)
        return And(*(d[name] == 0 if not name.endswith("f5") else d[name] != Proof.SENT for name in pending(layout)))

    jumps = {
        "jump": [("time.to the next deadline", next_deadline, 1)],
        "both": [
            ("time.to the next deadline", next_deadline, 1),
            ("time.to just before the next deadline", lambda v: next_deadline(v) - 1, 2),
        ],
        "tick": [("time.one unit", lambda _: 1, 1)],
    }[layout.scope.time]
    for name, amount, least in jumps:

        def body(v: Variables, amount: Any = amount) -> Change:
            passed = amount(v)
            update = {}
            for timer in names:
                t = getattr(v, timer)
                update[timer] = If(t == passed, -1, If(t > 0, t - passed, t))
            return Change(True, update)

        def when(v: Variables, least: int = least) -> Term:
            until = next_deadline(v)
            return And(quiet(v), until >= least, until < farther)

        yield Action(name, "time", ("DTL-6.wait",), "Time passes.", body, m._calm(when), elapsed=amount)
    yield from _timers(m)


def _timers(m: Makers) -> Iterator[Action]:
    layout = m.layout
    for i in layout.scope.seds:
        yield from _fire(m, f"s{i}_timer", i)
        if f"w{i}_timer" in layout.variables:
            yield from _fire(m, f"w{i}_timer", i)


def _fire(m: Makers, timer: str, i: int) -> Iterator[Action]:
    """A rule looks at a timer that has one unit left, and that unit passes."""
    layout, sss = m.layout, timer.startswith("w")
    rules = (SSS_OF if sss else OF)["time"]
    for rule in rules:
        if rule.id == "DTL-6.wait":
            continue

        def body(v: Variables, rule: Any = rule) -> Change:
            d = layout.draft(v)
            view = d.wire(i) if sss else d.sed(i)
            view.timer = 1
            e = type("Time", (), {"ms": 1})()
            effect = rule.body(view, e, layout.wire_setting(i) if sss else layout.setting(i))
            if effect.guard is False:
                return Change(False)
            if sss:
                carry_out_wire(layout, d, i, effect)
            else:
                carry_out(layout, d, i, effect)
                watch(layout, d, i, rule, e, v)
            return Change(effect.guard, d.update)

        def when(v: Variables) -> Term:
            urgent = And(*(_at_rest(layout, v, j) for j in layout.scope.seds))
            return And(getattr(v, timer) == -1, urgent)

        prefix = f"1.{rule.id}(timer, wire {i})" if sss else f"{i}.{rule.id}(timer)"
        yield Action(prefix, "timer", (f"SSS {rule.id}" if sss else rule.id,), rule.says, body, when)


def _at_rest(layout: Layout, v: Variables, i: int) -> Term:
    d = layout.draft(v)
    idle = And(d[f"s{i}_aside"] == 0, d[f"s{i}_waiting"] == Waiting.NONE)
    return Or(d[f"s{i}_mode"] != Mode.IDLE, idle)


# --- failures --------------------------------------------------------------------------------------------------------


def failures(m: Makers) -> Iterator[Action]:
    """Power cycles, restarts of the SSS, a stranger's half frame."""
    layout = m.layout
    for i in layout.scope.seds:
        if f"s{i}_boots" in layout.variables:

            def spend(d: Draft, i: int = i) -> None:
                d.set(f"s{i}_boots", d[f"s{i}_boots"] - 1)
                d.set(f"s{i}_owed", 0)
                d.set(f"s{i}_first", 1)

            yield from m.sed(
                i,
                "fault",
                "boot",
                when=lambda v, i=i: layout.draft(v)[f"s{i}_boots"] > 0,
                first=spend,
                stimulus=("boot", i),
            )
    if "restarts" in layout.variables:
        restart = SSS_OF["restart"][0]

        def again(d: Draft) -> None:
            d.set("restarts", d["restarts"] - 1)
            for i in layout.scope.seds:
                if layout.scope.asks.get(i):
                    carry_out_wire(layout, d, i, restart.body(d.wire(i), None, layout.wire_setting(i)))
            d.set("gen", 1 - d["gen"])

        yield m.other(
            "1.REG-1.restart()",
            "fault",
            restart.says,
            again,
            when=lambda v: layout.draft(v)["restarts"] > 0,
            rules=("SSS REG-1.restart",),
            stimulus=("restart",),
        )
    if "half-frame" in layout.scope.faults:
        yield m.other(
            "1.half-frame(from a stranger)",
            "forge",
            "A stranger's wire at the SSS stops in the middle of a frame.",
            lambda d: d.set("frozen", 1),
            when=lambda v: layout.draft(v)["frozen"] == 0 if "frozen" in layout.variables else False,
            stimulus=("half-frame",),
        )
