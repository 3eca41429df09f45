"""Counterexamples as traces: the environment's part of a path becomes a purpose, which is run on the reference.

What the real parts do by themselves (flights, timers) is left to them. What the environment does (CPUs' frames, time,
losses, forgeries, failures) becomes steps, in the path's order. The profile of the trace is the hardened one: an
implementation withstands what breaks the model without a rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from conformance.campaign import Job
from conformance.checking.backend import NoTrace, Record
from conformance.checking.schedule import FOR_EVER, Document, Schedule
from conformance.purpose import Purpose, parse
from conformance.wire.frames import Frame
from model.alphabet import FAA_ID, MAX_MESSAGE, MAX_RECORD, SSS_ID, Ca
from model.state import Step
from model.system.base import Action, System, Variables
from model.system.layout import Proof
from model.system.outcome import Answer, PathStep
from model.system.scope import STRANGER, Scope
from model.system.scopes import SCOPES
from model.verdict import Verdict

_SLOT: Final = re.compile(r"([sw])(\d+)_(h|v|hc|old|f4|f4p|f4r|f5|f6|rsp|cl|al|rq|c|d\d+)")
_FLIGHTS: Final = {"h": 1, "v": 2, "hc": 3, "old": 3, "f4": 4, "f4p": 4, "f4r": 4, "f5": 5, "f6": 6}
_RECORDS: Final = {"rsp": "data", "rq": "data", "c": "close", "cl": "close", "al": "alert"}
_OWN: Final = ("h", "hc", "old")
"""Slots of a SED that hold what it sent itself; the others hold what its peer sent."""
_MOVES: Final = {"old": "hc", "f4p": "f4", "f4r": "f4"}
"""What a flight becomes when the session that it was made for is over."""
_ACTION: Final = re.compile(r"(\d+)\.([^(]+)\((.*)\)")
_CAME: Final = re.compile(r"(?:from|of flight \d from|wire) (\d+)")
_KEPT: Final = re.compile(r"of a session that (\d+) has left")
"""A hello that was overheard and kept, so that nobody goes on with its session."""
_LAST: Final = 16
"""Bytes of a message's last record; the others are full."""
_ALERT: Final = bytes.fromhex("15 fefd 0000 00000000002c 0002 02 28")
"""A fatal handshake_failure in plaintext, under a record number that no short handshake comes to."""
_HANDSHAKE_RULES: Final = ("SES-3.open", "SES-3.start-over", "SES-9.yield", "ADV-1.replace", "SES-9.lost")
"""What a valid hello can bring about."""
_ONLY_AT_THE_IUT: Final = ("junk", "forge", "malformed", "broadcast", "faa", "recorded")


def recorder(out: Path) -> Record:
    """What makes traces in a folder. It raises NoTrace, and RuntimeError if the reference does not withstand one."""

    def record(system: System, answer: Answer, without: str) -> str:
        purpose = path_to_purpose(system, answer, without)
        result = Job(purpose, "reference", None, "hardened", 0, out).run()
        if result.verdict is not Verdict.PASS:
            raise RuntimeError(f"the reference does not pass {result.trace}: {result.reason}")
        return result.trace

    return record


def path_to_purpose(system: System, answer: Answer, without: str = "") -> Purpose:
    """The environment's part of a counterexample. `without` is the rule's flag that is off. Raises NoTrace."""
    asked = system.property(answer.property)
    scope = SCOPES.get(system.name)
    if scope is None:
        raise NoTrace(f"{system.name} is no scope of SEDs and an SSS.")
    document: Document = {
        "title": f"Counterexample to {asked.name} in {system.name}" + (f", without {without}" if without else ""),
        "requirements": list(asked.needs),
        "about": f"{asked.says} Model checking found: {'; '.join(step.action for step in answer.path)}.",
    }
    if scope.of == "reader":
        document |= _bytes(answer.path)
    elif scope.of == "devices":
        document |= _Translation(system, scope, answer.path, without).document()
    else:
        raise NoTrace("One controller alone has an environment that may do anything; no peers are behind it.")
    name = "-".join(x for x in (without, system.name, asked.name) if x)
    return parse(name, document)


def _bytes(path: Sequence[PathStep]) -> Document:
    """The bytes that a frame reader gets, on the radio; then a frame from the FAA, which it must find."""
    known = {"'S'": b"S", "'C'": b"C"}
    data, inside = b"", False
    for taken in path:
        what, _, byte = taken.action.removeprefix("reader.FRM-1.").rstrip(")").partition("(")
        if what == "look":
            data += known.get(byte, b"\0")
        elif what == "header":
            data += Frame(FAA_ID, STRANGER, b"\0").encode()[2:-1]
        else:
            data += known.get(byte, b"\0") if inside else Frame(FAA_ID, STRANGER, b"").encode()[2:]
        inside = what == "header"
    steps = [
        {"do": "inject", "link": "radio", "raw": data.hex()},
        {"do": "faa", "to": "cpu", "size": _LAST},
        {"do": "expect", "what": "rest"},
    ]
    return {"iut": 4, "steps": steps}


class _Translation:
    """One path of a system of devices."""

    def __init__(self, system: System, scope: Scope, path: Sequence[PathStep], without: str) -> None:
        self.system, self.scope = system, scope
        self.actions = [_named(system, taken.action) for taken in path]
        self.path = path
        self.slots = {name: match for name in system.names if (match := _SLOT.fullmatch(name))}
        self.schedule = Schedule()
        self.ghosts: dict[int, int | None] = {}
        """Ids that the adversary speaks for, and the authority of the certificate that it shows there, once it does."""
        self.call: dict[int, Document] = {}
        """The step by which each of them opened its latest session."""
        self.honest: set[int] = set()
        """SEDs that do something themselves."""
        self.response = "honest"
        self.iut = self._subject(without.upper().replace("_", "-") + ".")

    def document(self) -> Document:
        """The purpose but for its texts."""
        before = self.system.bind(self.system.initial)
        for action, taken in zip(self.actions, self.path, strict=True):
            after = self.system.bind(taken.state)
            self._step(action, before, after)
            before = after
        for ghost in self.ghosts:
            for slot in ("f5", "c"):
                self.schedule.lose(f"g{ghost}_{slot}")
        return {"iut": self.iut, "peers": self._peers(), "steps": [*self._setup(), *self.schedule.steps(), *_END]}

    # --- who takes part

    def _subject(self, rule: str) -> int:
        """The SED that the violation is about: where the attacker must reach it, else where a rule of this name acted
        last, else who acted last."""
        attacked = {a.stimulus[2 if a.stimulus[0] == "forge" else 1] for a in self.actions if _at_the_iut(a)}
        if len(attacked) > 1:
            raise NoTrace("The attacker reaches several SEDs with frames of his own; a purpose lets him reach its IUT.")
        acted = [sed for action in self.actions if action.kind != "lose" and (sed := self._at(action))]
        ruled = [sed for action in self.actions if f".{rule}" in action.name and (sed := self._at(action))]
        return int([self.scope.seds[0], *acted, *ruled, *attacked][-1])

    def _at(self, action: Action) -> int:
        """The SED at which something happens, or on whose wire; 0 if there is none."""
        match = _ACTION.fullmatch(action.name)
        ids = map(int, [match[1], *_CAME.findall(match[3])]) if match else ()
        return next((i for i in ids if i in self.scope.seds), 0)

    def _peers(self) -> list[Document]:
        both = self.honest & self.ghosts.keys()
        if both:
            raise NoTrace(
                f"SED {min(both)} and the adversary in its name both take part; a purpose has one device of an id."
            )
        peers: list[Document] = [{"id": i} for i in self.scope.seds if i != self.iut and i not in self.ghosts]
        return peers + [self._ghost(ghost, ca) for ghost, ca in self.ghosts.items()]

    def _ghost(self, ghost: int, ca: int | None) -> Document:
        shown = (self.scope.owns or (Ca.OTHER,))[0] if ca is None else ca
        if shown == Ca.OTHER:
            return {"id": ghost, "credentials": "foreign-certificate"}
        if shown == Ca.RUNTIME:
            raise NoTrace("No peer of a purpose keeps a runtime set of an earlier registration.")
        return {"id": ghost} if ghost == STRANGER else {"id": ghost, "credentials": "wrong-name", "name": STRANGER}

    def _setup(self) -> list[Document]:
        """SEDs that are registered when it begins."""
        if not self.scope.registered:
            return []
        seds = [i for i in self.scope.seds if i not in self.ghosts]
        answers = [{"do": "expect", "what": "answer", "op": 0, "at": i} for i in seds]
        return [step for i, answer in zip(seds, answers, strict=True) for step in ({"do": "register", "by": i}, answer)]

    # --- one action

    def _step(self, action: Action, before: Variables, after: Variables) -> None:
        match = _ACTION.fullmatch(action.name)
        actor = int(match[1]) if match else 0
        if actor in self.scope.seds and actor != self.iut and action.kind != "lose":
            self.honest.add(actor)
        self._stimulus(action, actor, before)
        arrived = self._carried(action, actor, match[3] if match else "")
        self._frames(action, before, after, arrived)

    def _stimulus(self, action: Action, actor: int, v: Variables) -> None:
        """What the environment does in this action, if anything."""
        begin = self.schedule.begin
        if action.kind == "time":
            self._time(action, v)
            return
        if kept := _KEPT.search(action.name):
            self._hello(action, actor, int(kept[1]))
            return
        if "SSS REG-1.register" in action.rules:
            self._respond("bad-key" if action.stimulus else "honest")
            return
        if server := re.search(r"of 5 as server \((\w+)\)", action.name):
            self.ghosts[getattr(v, f"s{actor}_peer")] = Ca[server[1].upper()]
        match action.stimulus:
            case ():
                if "SES-11.start" in action.rules:
                    raise NoTrace("An own failure inside the controller cannot be caused from outside.")
                if action.kind == "forge" and not server and "flight6" not in action.name:
                    raise NoTrace("Nobody in a purpose speaks to the SSS on another's wire.")
            case ("send", i, to):
                begin(do="send", by=i, to=to, size=_size(self.scope.records))
            case ("oversize", i, to):
                begin(do="send", by=i, to=to, size=MAX_MESSAGE + 1)
            case ("register" | "deregister" as request, i):
                begin(do=request, by=i)
            case ("malformed", _):
                begin(do="request", size=3)
            case ("broadcast", _):
                begin(do="broadcast", size=_LAST)
            case ("faa", _, to):
                begin(do="faa", to=to, size=_LAST)
            case ("boot", i):
                begin(do="boot", by=i)
            case ("restart" | "half-frame" as failure,):
                begin(do=failure)
            case ("recorded", i):
                begin(do="replay", of=getattr(v, f"s{i}_rec"))
            case ("spoof", _, 1 | 3, x):
                self._hello(action, actor, x)
            case ("junk", i, x):
                begin(do="inject", link="radio", source=x, target=i, size=40)
            case ("forge", "alert", i):
                peer = getattr(v, f"s{i}_peer")
                link = "sss" if peer == SSS_ID else "radio"
                begin(do="inject", link=link, raw=Frame(i, peer, _ALERT).encode().hex())
            case ("forge", "forged", _):
                raise NoTrace("Peers of a purpose cannot forge handshake messages.")
            case ("certificate" | "finish" as what, i, ca):
                self._ghost_proves(getattr(v, f"s{i}_peer"), ca, finished=what == "finish")
            case ("data", i):
                self._ghost_writes(getattr(v, f"s{i}_peer"))
            case ("close", i):
                self.schedule.arrive(f"g{getattr(v, f's{i}_peer')}_c")

    def _time(self, action: Action, v: Variables) -> None:
        first, last, idle = self.scope.timeouts
        if (first * self.scope.unit, last * self.scope.unit, idle * self.scope.unit) != _TIMEOUTS:
            raise NoTrace("Time is coarser in this scope than real timers are.")
        assert action.elapsed is not None
        self.schedule.begin(do="wait", ms=int(action.elapsed(v)) * self.scope.unit)

    def _respond(self, response: str) -> None:
        """How the SSS answers the request that reaches it next."""
        if response != self.response:
            self.response = response
            self.schedule.begin(do="respond", response=response)

    # --- the adversary in a SED's name

    def _hello(self, action: Action, at: int, name: int) -> None:
        """A hello in a SED's name opens a session; the device behind it goes on as far as the path does."""
        if not set(action.rules) & set(_HANDSHAKE_RULES):
            return
        self.ghosts.setdefault(name, None)
        if name in self.call:
            self.schedule.begin(do="boot", by=name)
        self.call[name] = self.schedule.begin(do="send", by=name, to=at, size=0)
        lost = 3 if "SES-9.lost" in action.rules else 5
        self.schedule.send(f"g{name}_f5", name, ("flight", lost), times=FOR_EVER)

    def _ghost_proves(self, name: int, ca: int, *, finished: bool) -> None:
        if name not in self.call:
            raise NoTrace(f"The adversary goes on with a session that {name} itself began.")
        if self.ghosts[name] not in (None, ca):
            raise NoTrace("The adversary shows certificates of two authorities in one name.")
        self.ghosts[name] = ca
        self.schedule.arrive(f"g{name}_f5")
        if finished:
            self.schedule.send(f"g{name}_c", name, ("record", "close"), times=FOR_EVER)

    def _ghost_writes(self, name: int) -> None:
        call = self.call[name]
        call["size"] += MAX_RECORD if call["size"] else _LAST

    # --- frames between honest devices

    def _carried(self, action: Action, actor: int, inside: str) -> str:
        """The slot of the flight that an action delivers on links that the adversary owns, where it stays for more."""
        if not self.scope.free or action.kind not in ("replay", "forge"):
            return ""
        came = _CAME.search(inside)
        source = int(came[1]) if came else 0
        event = inside.split(" ")[0].rstrip(",")
        if event == "certificate":
            event = "flight5" if "of flight 5" in inside else "flight4"
        side = f"w{source}" if actor == SSS_ID else f"s{actor}"
        kept = {"hello": f"s{source}_h", "hello-cookie": f"s{source}_hc", "verify-request": f"s{actor}_v"}
        kept |= {"flight5": f"{side}_f5", "flight6": f"s{actor}_f6", "flight4": f"s{actor}_f4"}
        if event == "verify-request" and f"s{actor}_v" not in self.slots:
            return f"s{actor}_h"  # the adversary answers hellos; here the peer does
        if "a session it left" in inside:
            return f"s{actor}_f4{'r' if 'while registered' in inside else 'p'}"
        return kept.get(event, "")

    def _frames(self, action: Action, before: Variables, after: Variables, arrived: str) -> None:
        """What was sent, arrived and got lost in this action."""
        self.schedule.arrive(arrived)
        if action.stimulus[:1] == ("swap",):
            for name, slot in self.slots.items():
                if slot[2] == _actor(action) and slot[3].startswith("d"):
                    self.schedule.arrive(name, overtaken=True)
        new = [n for n in self.slots if not self._full(n, before) and self._full(n, after)]
        gone = [n for n in self.slots if self._full(n, before) and not self._full(n, after)]
        for name in new:
            slot = self.slots[name]
            if slot[3] in _MOVES:
                was = f"s{slot[2]}_{_MOVES[slot[3]]}"
                self.schedule.rename(was, name)
                gone = [n for n in gone if n != was]
            else:
                self._send(name, after)
        for name in gone:
            never = self.scope.free and self.slots[name][3] in _FLIGHTS
            (self.schedule.lose if never or action.kind == "lose" else self.schedule.arrive)(name)
        self._hellos(before, after)

    def _full(self, name: str, v: Variables) -> bool:
        """Whether something is on its way there."""
        value = getattr(v, name)
        return bool(value == Proof.SENT if self.slots[name][3] == "f5" else value != 0)

    def _send(self, name: str, v: Variables) -> None:
        side, owner, kind = self.slots[name].groups()
        sender = int(owner) if side == "w" or kind in _OWN else getattr(v, f"s{owner}_peer")
        if kind in _FLIGHTS:
            self.schedule.send(name, sender, ("flight", _FLIGHTS[kind]))
        else:
            self.schedule.send(name, sender, ("record", _RECORDS.get(kind, "data")))

    def _hellos(self, before: Variables, after: Variables) -> None:
        """Where the adversary answers all hellos there is no slot for them."""
        for i in self.scope.seds:
            steps = [getattr(v, f"s{i}_step", Step.NONE) for v in (before, after)]
            if f"s{i}_h" in self.slots or f"s{i}_step" not in self.system.names:
                continue
            if steps[1] == Step.HELLO and steps[0] != Step.HELLO:
                self.schedule.send(f"s{i}_h", i, ("flight", 1))
            elif steps[0] == Step.HELLO and steps[1] != Step.HELLO:
                self.schedule.lose(f"s{i}_h")


_TIMEOUTS: Final = (7_000, 60_000, 60_000)
_END: Final = ({"do": "wait", "until": "idle"}, {"do": "expect", "what": "rest"})


def _actor(action: Action) -> str:
    """The id of the device whose action it is; empty if it is the links'."""
    match = _ACTION.fullmatch(action.name)
    return match[1] if match else ""


def _named(system: System, name: str) -> Action:
    return next(action for action in system.actions if action.name == name)


def _at_the_iut(action: Action) -> bool:
    return action.stimulus[:1] in {(what,) for what in _ONLY_AT_THE_IUT}


def _size(records: int) -> int:
    """Bytes of a message of so many records."""
    return (records - 1) * MAX_RECORD + _LAST
