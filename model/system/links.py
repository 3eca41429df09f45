"""The radio and the SSS wires: what a component's outputs put on their way, and what the end of a session does to it."""

from __future__ import annotations

from types import SimpleNamespace

from model.alphabet import SSS_ID, Ca
from model.rules.base import Effect, Emit
from model.state import Mode, Step
from model.system.layout import Chosen, Draft, Layout, Proof, Reply
from model.system.scope import STRANGER
from model.terms import And, If, Not, Or, Term, one_of

OF_THE_SESSION_BEFORE = ("data", "close", "alert", "deliver")
"""Outputs that speak for the session that a rule may end; the others speak for the one after it."""


def client(s: SimpleNamespace) -> Term:
    """A client session is running."""
    return one_of(s.mode, Mode.SENDING_MESSAGE, Mode.TALKING_TO_SSS)


def serves(server: SimpleNamespace, i: int) -> Term:
    """A SED serves the present client session of SED `i`."""
    return And(server.mode == Mode.RECEIVING_MESSAGE, server.peer == i, server.handshake == 1)


def runtime(s: SimpleNamespace) -> Term:
    """CRT-3, said once more and not with the rules' own words: what a session with another SED must show."""
    return If(s.registered == 1, Ca.RUNTIME, Ca.PROVISIONING)


def certificate_of(d: Draft, i: int, to: int) -> Term:
    """The authority of SED `i`'s certificate as SED `to` sees it: two runtime CAs do not know each other."""
    own = runtime(d.sed(i))
    strange = And(d[f"s{i}_registered"] == 1, d[f"s{to}_registered"] == 1, d[f"s{i}_gen"] != d[f"s{to}_gen"])
    return If(strange, Ca.OTHER, own)


# --- a SED -----------------------------------------------------------------------------------------------------------


def carry_out(layout: Layout, d: Draft, i: int, effect: Effect) -> None:
    """Carry out a rule of SED `i`, with all that it does to the links. The guard is the caller's business."""
    for emit in effect.emit:
        if emit.kind in OF_THE_SESSION_BEFORE:
            _sed_emits(layout, d, i, emit)
    if "mode" in effect.update:  # a session begins or ends
        _leave(layout, d, i)
    d.change_sed(i, effect.update)
    for emit in effect.emit:
        if emit.kind not in OF_THE_SESSION_BEFORE:
            _sed_emits(layout, d, i, emit)


def _leave(layout: Layout, d: Draft, i: int) -> None:
    """The session of SED `i` is over; flights of it that are on their way are of no use any more."""
    s = d.sed(i)
    if not layout.scope.free:
        d.set(f"s{i}_old", s.peer, And(d[f"s{i}_hc"] == 1, s.mode == Mode.SENDING_MESSAGE, _present(layout, s.peer)))
    for j in layout.others[i]:
        server = d.sed(j)
        d.set(f"s{j}_handshake", 2, And(client(s), serves(server, i)))
        _strand(layout, d, j, And(serves(s, j)), runtime(s))
    d.set(f"w{i}_handshake", 2, And(client(s), d[f"w{i}_handshake"] == 1))
    for slot in ("h", "v", "hc", "chosen", "f4", "f4p", "f4r", "f6", "f6n", "rsp", "rseq", "cl", "al"):
        d.set(f"s{i}_{slot}", 0)
    _forget_received(layout, d, i)


def _present(layout: Layout, peer: Term) -> Term:
    return one_of(peer, *layout.scope.seds)


def _forget_received(layout: Layout, d: Draft, i: int) -> None:
    """What was made for the server session of SED `i`."""
    for slot in ("f5", "f5ca", "fin", "c", *(f"d{r}" for r in range(layout.scope.records))):
        d.set(f"s{i}_{slot}", 0)


def _strand(layout: Layout, d: Draft, i: int, left: Term, ca: Term) -> None:
    """The server of SED `i`'s client session has left the session that it had for it, where `left` holds."""
    chosen = d[f"s{i}_chosen"]
    unused = And(left, d[f"s{i}_f4"] == 1, chosen == Chosen.NONE)
    d.set(f"s{i}_f4r", 1, And(unused, ca == Ca.RUNTIME))
    d.set(f"s{i}_f4p", 1, And(unused, ca == Ca.PROVISIONING))
    d.set(f"s{i}_f4", 0, left)
    d.set(f"s{i}_chosen", Chosen.OLD, And(left, chosen == Chosen.CURRENT))


def _sed_emits(layout: Layout, d: Draft, i: int, emit: Emit) -> None:
    s, when = d.sed(i), emit.when
    if when is False:
        return
    match emit.kind:
        case "hello" | "hello-cookie":  # to somebody who is not there it is lost
            there = And(when, Or(emit.args[0] == SSS_ID, _present(layout, emit.args[0])))
            if emit.kind == "hello-cookie":
                d.set(f"s{i}_hc", 1, there)
            elif not layout.scope.forging:
                d.set(f"s{i}_h", 1, there)
        case "verify-request" | "flight4" | "flight6":
            _server_emits(layout, d, i, emit)
        case "flight5":
            _check_set(d, i, emit)
            _flight5(layout, d, i, emit)
        case "alert":
            _alert(layout, d, i, And(when, True), emit.args[0])
        case "data" | "close" | "request":
            _client_emits(layout, d, i, emit)
        case "deliver":
            _deliver(layout, d, i, emit)
        case "answer":
            d.set(f"s{i}_owed", d[f"s{i}_owed"] - 1, And(when, d[f"s{i}_owed"] > -1))
        case "faa-radio" | "faa-cpu":
            assert s  # outside DTLS: nothing of it stays
        case _:
            raise ValueError(f"no link takes {emit.kind}")


def _server_emits(layout: Layout, d: Draft, i: int, emit: Emit) -> None:
    """Flights 2, 4 and 6, from SED `i` as a server."""
    s, to = d.sed(i), emit.args[0]
    if emit.kind == "flight4":
        _check_set(d, i, emit)
    for j in layout.others[i]:
        other = d.sed(j)
        its = And(emit.when, to == j)
        if emit.kind == "verify-request" and not layout.scope.forging:
            d.set(f"s{j}_v", 1, And(its, other.mode == Mode.SENDING_MESSAGE, other.peer == i))
        elif emit.kind == "flight4":
            d.set(f"s{j}_f4", 1, And(its, serves(s, j)))
        elif emit.kind == "flight6":
            d.set(f"s{j}_f6", 1, And(its, serves(s, j), d[f"s{j}_chosen"] == Chosen.CURRENT))


def _check_set(d: Draft, i: int, emit: Emit) -> None:
    """CRT-2, CRT-3: the set that SED `i` shows."""
    to, ca = emit.args
    right = If(to == SSS_ID, Ca.PROVISIONING, runtime(d.sed(i)))
    d.set("wrong", 1, And(emit.when, ca != right))


def _flight5(layout: Layout, d: Draft, i: int, emit: Emit) -> None:
    to, ca = emit.args
    room = layout.scope.finished
    for end, peer in [(f"s{j}", j) for j in layout.others[i]] + [(f"w{i}", SSS_ID)]:
        sent = And(emit.when, to == peer, d[f"s{i}_chosen"] == Chosen.CURRENT, d[f"{end}_fin"] < room)
        d.set(f"{end}_f5", Proof.SENT, sent)
        if peer != SSS_ID:
            d.set(f"{end}_f5ca", ca, sent)
        d.set(f"{end}_fin", d[f"{end}_fin"] + 1, sent)


def _alert(layout: Layout, d: Draft, i: int, when: Term, to: Term) -> None:
    """A plaintext alert; where the adversary forges, there are enough of them without."""
    if layout.scope.forging or layout.scope.free:
        return
    for j in layout.others[i]:
        d.set(f"s{j}_al", 1, And(when, to == j, d[f"s{j}_peer"] == i))
    d.set(f"w{i}_al", 1, And(when, to == SSS_ID))


def _client_emits(layout: Layout, d: Draft, i: int, emit: Emit) -> None:
    """Records of SED `i` as a client, and a server's own close_notify, which no client waits for."""
    s, to = d.sed(i), emit.args[0]
    bound = And(emit.when, d[f"s{i}_chosen"] == Chosen.CURRENT)
    if emit.kind == "request":
        d.set(f"w{i}_rq", 1, bound)
        d.set(f"w{i}_rop", emit.args[1], bound)
        return
    if emit.kind == "data":
        stolen = And(emit.when, to != STRANGER, d[f"s{i}_chosen"] == Chosen.ADVERSARY)
        d.set("leak", 1, stolen)
        d.set("broken", 1, And(emit.when, emit.args[2] == 0))
    for j in layout.others[i]:
        its = And(bound, to == j, client(s))
        if emit.kind == "data":
            for r in range(layout.scope.records):
                d.set(f"s{j}_d{r}", 1, its)
            count = d[f"sent{i}{j}"]
            d.set(f"sent{i}{j}", count + 1, And(emit.when, to == j))
        else:
            d.set(f"s{j}_c", 1, its)
    if emit.kind == "close":
        d.set(f"w{i}_c", 1, And(bound, to == SSS_ID))


def _deliver(layout: Layout, d: Draft, i: int, emit: Emit) -> None:
    """What the CPU of SED `i` gets as a message from `source`."""
    source, size, intact = emit.args
    own = d[f"s{i}_f5"] == Proof.ADVERSARY
    d.set("fake", 1, And(emit.when, own, source != STRANGER))
    honest = And(emit.when, Not(own))
    d.set("broken", 1, And(honest, Or(size != layout.scope.records, intact == 0)))
    for j in layout.others[i]:
        its = And(emit.when, source == j)
        count = d[f"sent{j}{i}"]
        d.set(f"sent{j}{i}", count - 1, And(its, count > -1))
        if f"s{i}_rec" in layout.variables:
            d.set(f"s{i}_rec", j, And(its, d[f"s{i}_first"] == 1))


# --- the SSS ---------------------------------------------------------------------------------------------------------


def carry_out_wire(layout: Layout, d: Draft, i: int, effect: Effect, *, unusable: bool = False) -> None:
    """Carry out a rule of the SSS for the wire of SED `i`, with all that it does to the wire."""
    for emit in effect.emit:
        if emit.kind in OF_THE_SESSION_BEFORE:
            _sss_emits(layout, d, i, emit, unusable)
    if "step" in effect.update and effect.update["step"] != Step.LISTEN:  # a session begins or ends
        _strand(layout, d, i, And(d[f"w{i}_handshake"] == 1, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS), Ca.PROVISIONING)
        for slot in ("f5", "fin", "rq", "c", "al"):
            d.set(f"w{i}_{slot}", 0)
    d.change_wire(i, effect.update)
    for emit in effect.emit:
        if emit.kind not in OF_THE_SESSION_BEFORE:
            _sss_emits(layout, d, i, emit, unusable)


def _sss_emits(layout: Layout, d: Draft, i: int, emit: Emit, unusable: bool) -> None:
    when = And(emit.when, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS)
    served = And(when, d[f"w{i}_handshake"] == 1)
    bound = And(served, d[f"s{i}_chosen"] == Chosen.CURRENT)
    match emit.kind:
        case "verify-request":
            if not layout.scope.forging:
                d.set(f"s{i}_v", 1, when)
        case "flight4":
            d.set(f"s{i}_f4", 1, served)
        case "flight6":
            sent = d[f"s{i}_f6n"]
            d.set(f"s{i}_f6", 1, And(bound, sent < layout.scope.finished))
            d.set(f"s{i}_f6n", sent + 1, And(bound, sent < layout.scope.finished))
        case "response":
            op, complete = emit.args
            granted = Reply.UNUSABLE if unusable else Reply.REGISTERED
            refused = Reply.REFUSED if complete else Reply.INCOMPLETE
            d.set(f"s{i}_rsp", {0: granted, 1: Reply.DEREGISTERED}.get(op, refused), bound)
            d.set(f"s{i}_rseq", d[f"s{i}_f6n"], bound)
            if op == 0:
                d.set(f"s{i}_gen", d["gen"], emit.when)
        case "alert":
            if not layout.scope.forging and not layout.scope.free:
                d.set(f"s{i}_al", 1, when)
        case "close":
            d.set(f"s{i}_cl", 1, bound)
        case _:
            raise ValueError(f"no wire takes {emit.kind}")
