"""The radio and the SSS wires: what a component's outputs put on their way, and what a session's end does to that."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

from model.alphabet import DEREGISTER, REGISTER, SSS_ID, Ca
from model.rules.base import Effect, Emit
from model.state import Mode, Step
from model.system.certificates import runtime
from model.system.layout import Chosen, Draft, Proof, Reply
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


# --- a SED -----------------------------------------------------------------------------------------------------------


def carry_out(d: Draft, i: int, effect: Effect) -> None:
    """Carry out a rule of SED `i`, with all that it does to the links. The guard is the caller's business."""
    for emit in effect.emit:
        if emit.kind in OF_THE_SESSION_BEFORE:
            _sed_emits(d, i, emit)
    if "mode" in effect.update:  # a session begins or ends
        _leave(d, i)
    d.change_sed(i, effect.update)
    if "mode" in effect.update and f"s{i}_first" in d.layout.variables:
        first, begins = d[f"s{i}_first"], d[f"s{i}_mode"] != Mode.IDLE
        d.set(f"s{i}_first", If(begins, If(first == 1, 2, 0), If(first == 2, 0, first)))
    for emit in effect.emit:
        if emit.kind not in OF_THE_SESSION_BEFORE:
            _sed_emits(d, i, emit)


def _leave(d: Draft, i: int) -> None:
    """The session of SED `i` is over: what is on its way to it is of no use any more, and its peer is left alone.

    A server that it leaves goes on (handshake 2: nobody's); a client's flight 4 becomes one of an old session.
    """
    s = d.sed(i)
    if not d.layout.scope.free:
        d.set(f"s{i}_old", s.peer, And(d[f"s{i}_hc"] == 1, s.mode == Mode.SENDING_MESSAGE, _present(d, s.peer)))
    for j in d.layout.others[i]:
        server = d.sed(j)
        d.set(f"s{j}_handshake", 2, And(client(s), serves(server, i)))
        _strand(d, j, serves(s, j), runtime(s))
    d.set(f"w{i}_handshake", 2, And(client(s), d[f"w{i}_handshake"] == 1))
    for slot in ("h", "v", "hc", "chosen", "f4", "f4p", "f4r", "f6", "f6n", "rsp", "rseq", "cl", "al"):
        d.set(f"s{i}_{slot}", 0)
    for slot in ("f5", "f5ca", "fin", "c", *(f"d{r}" for r in range(d.layout.scope.records))):
        d.set(f"s{i}_{slot}", 0)


def _present(d: Draft, peer: Term) -> Term:
    """Somebody is there to hear it."""
    return one_of(peer, *d.layout.scope.seds)


def _strand(d: Draft, i: int, left: Term, ca: Term) -> None:
    """The server of SED `i`'s client session has left that session, where `left` holds; it had shown `ca`."""
    chosen = d[f"s{i}_chosen"]
    unused = And(left, d[f"s{i}_f4"] == 1, chosen == Chosen.NONE)
    d.set(f"s{i}_f4r", 1, And(unused, ca == Ca.RUNTIME))
    d.set(f"s{i}_f4p", 1, And(unused, ca == Ca.PROVISIONING))
    d.set(f"s{i}_f4", 0, left)
    d.set(f"s{i}_chosen", Chosen.OLD, And(left, chosen == Chosen.CURRENT))


def _sed_emits(d: Draft, i: int, emit: Emit) -> None:
    """Put an output of SED `i` on its way."""
    if emit.when is False:
        return
    match emit.kind:
        case "hello" | "hello-cookie":
            _hello(d, i, emit)
        case "verify-request" | "flight4" | "flight6":
            _server_emits(d, i, emit)
        case "flight5":
            _flight5(d, i, emit)
        case "alert":
            _alert(d, i, emit)
        case "request":
            bound = And(emit.when, d[f"s{i}_chosen"] == Chosen.CURRENT)
            d.set(f"w{i}_rq", 1, bound)
            d.set(f"w{i}_rop", emit.args[1], bound)
        case "data":
            _data(d, i, emit)
        case "close":
            _close(d, i, emit)
        case "deliver":
            _deliver(d, i, emit)
        case "answer":
            d.set(f"s{i}_owed", d[f"s{i}_owed"] - 1, And(emit.when, d[f"s{i}_owed"] > -1))
            d.set("misanswered", 1, And(emit.when, _misanswered(d, i, *emit.args)))
        case "faa-radio" | "faa-cpu":
            pass  # FAA frames are outside DTLS: nothing of them stays
        case _:
            raise ValueError(f"no link takes {emit.kind}")


def _misanswered(d: Draft, i: int, dev: Term, op: Term) -> Term:
    """The CPU of SED `i` is told something else than what is: REG-4 is about who asked, and what came of it."""
    registered = d[f"s{i}_registered"] == 1
    still_known = And(op == DEREGISTER, d[f"w{i}_registered"] == 1)
    return Or(dev != i, registered != (op == REGISTER), still_known)


def _hello(d: Draft, i: int, emit: Emit) -> None:
    """Flights 1 and 3; to somebody who is not there they are lost."""
    there = And(emit.when, Or(emit.args[0] == SSS_ID, _present(d, emit.args[0])))
    if emit.kind == "hello-cookie":
        d.set(f"s{i}_hc", 1, there)
    elif not d.layout.scope.forging:
        d.set(f"s{i}_h", 1, there)


def _server_emits(d: Draft, i: int, emit: Emit) -> None:
    """Flights 2, 4 and 6, from SED `i` as a server."""
    s, to = d.sed(i), emit.args[0]
    if emit.kind == "flight4":
        _check_set(d, i, emit)
    for j in d.layout.others[i]:
        other = d.sed(j)
        its = And(emit.when, to == j)
        if emit.kind == "verify-request" and not d.layout.scope.forging:
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


def _flight5(d: Draft, i: int, emit: Emit) -> None:
    """The Finished of SED `i` as a client; of so many transmissions that the numbers run out, the last are lost."""
    _check_set(d, i, emit)
    to, ca = emit.args
    ends = {f"s{j}": j for j in d.layout.others[i]} | {f"w{i}": SSS_ID}
    for end, peer in ends.items():
        room = d[f"{end}_fin"] < d.layout.scope.finished
        sent = And(emit.when, to == peer, d[f"s{i}_chosen"] == Chosen.CURRENT, room)
        d.set(f"{end}_f5", Proof.SENT, sent)
        if peer != SSS_ID:
            d.set(f"{end}_f5ca", ca, sent)
        d.set(f"{end}_fin", d[f"{end}_fin"] + 1, sent)


def _alert(d: Draft, i: int, emit: Emit) -> None:
    """A plaintext alert; where the adversary may make up any, there are enough of them without."""
    if d.layout.scope.forging or d.layout.scope.free:
        return
    to = emit.args[0]
    for j in d.layout.others[i]:
        d.set(f"s{j}_al", 1, And(emit.when, to == j, d[f"s{j}_peer"] == i))
    d.set(f"w{i}_al", 1, And(emit.when, to == SSS_ID))


def _data(d: Draft, i: int, emit: Emit) -> None:
    """A message of SED `i`, all its records at once. What goes to a session that nobody has any more is lost."""
    to, _, intact = emit.args
    chosen, sending = d[f"s{i}_chosen"], client(d.sed(i))
    d.set("leak", 1, And(emit.when, to != STRANGER, chosen == Chosen.ADVERSARY))
    d.set("broken", 1, And(emit.when, intact == 0))
    for j in d.layout.others[i]:
        for r in range(d.layout.scope.records):
            d.set(f"s{j}_d{r}", 1, And(emit.when, chosen == Chosen.CURRENT, to == j, sending))
        d.set(f"sent{i}{j}", d[f"sent{i}{j}"] + 1, And(emit.when, to == j))


def _close(d: Draft, i: int, emit: Emit) -> None:
    """The close_notify of SED `i` as a client. A server's own is of no account: no client waits for it."""
    to = emit.args[0]
    bound = And(emit.when, d[f"s{i}_chosen"] == Chosen.CURRENT)
    sending = client(d.sed(i))
    for j in d.layout.others[i]:
        d.set(f"s{j}_c", 1, And(bound, to == j, sending))
    d.set(f"w{i}_c", 1, And(bound, to == SSS_ID))


def _deliver(d: Draft, i: int, emit: Emit) -> None:
    """What the CPU of SED `i` gets as a message from `source`."""
    source, size, intact = emit.args
    forged = d[f"s{i}_f5"] == Proof.ADVERSARY
    d.set("fake", 1, And(emit.when, forged, source != STRANGER))
    d.set("broken", 1, And(emit.when, Not(forged), Or(size != d.layout.scope.records, intact == 0)))
    for j in d.layout.others[i]:
        its = And(emit.when, source == j)
        for count in (f"sent{j}{i}", f"due{j}{i}"):
            if count in d.layout.variables:
                d.set(count, d[count] - 1, And(its, d[count] > -1))
        if f"s{i}_rec" in d.layout.variables:
            d.set(f"s{i}_rec", j, And(its, d[f"s{i}_first"] == 2))


# --- the SSS ---------------------------------------------------------------------------------------------------------


def carry_out_wire(d: Draft, i: int, effect: Effect, grant: Reply = Reply.REGISTERED) -> None:
    """Carry out a rule of the SSS for the wire of SED `i`, with all that it does to the wire.

    `grant` is what a registration gets: `Reply.UNUSABLE` where the SSS hands out credentials that do not work.
    """
    for emit in effect.emit:
        if emit.kind in OF_THE_SESSION_BEFORE:
            _sss_emits(d, i, emit, grant)
    if "step" in effect.update and effect.update["step"] != Step.LISTEN:  # a session begins or ends
        _strand(d, i, And(d[f"w{i}_handshake"] == 1, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS), Ca.PROVISIONING)
        for slot in ("f5", "fin", "rq", "c", "al"):
            d.set(f"w{i}_{slot}", 0)
    d.change_wire(i, effect.update)
    for emit in effect.emit:
        if emit.kind not in OF_THE_SESSION_BEFORE:
            _sss_emits(d, i, emit, grant)


def _sss_emits(d: Draft, i: int, emit: Emit, grant: Reply) -> None:
    """Put an output of the SSS on the wire of SED `i`."""
    when = And(emit.when, d[f"s{i}_mode"] == Mode.TALKING_TO_SSS)
    served = And(when, d[f"w{i}_handshake"] == 1)
    bound = And(served, d[f"s{i}_chosen"] == Chosen.CURRENT)
    match emit.kind:
        case "verify-request":
            if not d.layout.scope.forging:
                d.set(f"s{i}_v", 1, when)
        case "flight4":
            d.set(f"s{i}_f4", 1, served)
        case "flight6":
            counted = And(bound, d[f"s{i}_f6n"] < d.layout.scope.finished)
            d.set(f"s{i}_f6", 1, counted)
            d.set(f"s{i}_f6n", d[f"s{i}_f6n"] + 1, counted)
        case "response":
            op, complete = emit.args
            replies = {REGISTER: grant, DEREGISTER: Reply.DEREGISTERED}
            d.set(f"s{i}_rsp", replies.get(op, Reply.REFUSED if complete else Reply.INCOMPLETE), bound)
            d.set(f"s{i}_rseq", d[f"s{i}_f6n"], bound)
            if op == REGISTER:
                d.set(f"s{i}_gen", d["gen"], emit.when)
        case "alert":
            if not d.layout.scope.forging and not d.layout.scope.free:
                d.set(f"s{i}_al", 1, when)
        case "close":
            d.set(f"s{i}_cl", 1, bound)
        case _:
            raise ValueError(f"no wire takes {emit.kind}")


# --- receiving -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Slot:
    """A variable of the links that is 1 while something is on its way, as its receiver sees it.

    What is taken from a free link stays there for the adversary to repeat, unless it counts but `once`.
    """

    name: str
    once: bool = False

    def full(self, d: Draft) -> Term:
        """It is on its way."""
        return d[self.name] == 1

    def take(self, d: Draft) -> None:
        """It arrives."""
        if self.once or not d.layout.scope.free:
            d.set(self.name, 0)
