"""The variables of a system, and a draft of its next state.

Names: `s3_timer` is variable `timer` of SED 3 (`model.state.State`), `w3_timer` that of the SSS for SED 3's wire
(`model.rules.sss.Wire`). The other variables of SED `i` belong to the links. Keys are bound to sessions, so a flight
can be of use only to the session that it was made for, and belongs to that session's variables:

- `h`, `v`, `hc`, `f4`, `f6`: flight 1, 2, 3, 4, 6 of its client session is on its way (on free links: exists);
  `f4p`, `f4r`: a flight 4 of a session that its server has left, with a provisioning or a runtime certificate;
  `f6n`: how often the SSS sent flight 6; `chosen`: whose flight 4 it took (`Chosen`); `old`: to whom a hello of a
  session that it left itself is on its way; `rsp`, `rseq`: the response of the SSS (`Reply`) and its record number;
- `f5`, `f5ca`, `fin`, `d0`…, `c`: flight 5 for its server session (`Proof`), its certificate, how often it was sent,
  the records of data, close_notify; `w3_f5`… are the same at the SSS, and `rq`, `rop` a request and its `op`;
- `al`, `cl`: a plaintext alert, an authenticated close_notify for its session is on its way;
- `todo`, `asks`, `boots`: what its CPU may still do; `owed`: answers that its CPU waits for; `gen`: which runtime CA
  made its runtime set; `due34`: messages of its CPU for SED 4 that have not arrived there;
- `rec`: whose conversation with a first session after a power cycle was recorded; `first`: 1 before it, 2 in it.

`sent34` counts messages that SED 3 sent and the CPU of SED 4 did not get. `faults` and `swaps` are the losses and the
overtakings that may still happen, `restarts` those of the SSS, `gen` its present runtime CA.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from types import SimpleNamespace
from typing import TypeAlias

from model.alphabet import SSS_ID
from model.profile import Profile, Setting
from model.rules.sss import Wire, WireSetting
from model.state import Mode, State, Step, Waiting
from model.system.base import Variable, Variables
from model.system.scope import ABSENT, STRANGER, Scope
from model.terms import If, Term


class Chosen(IntEnum):
    """Whose flight 4 a client took."""

    NONE = 0
    CURRENT = 1
    """That of the session that its server still has."""
    OLD = 2
    """That of a session that its server has left."""
    ADVERSARY = 3


class Proof(IntEnum):
    """Values of `f5`."""

    NONE = 0
    SENT = 1
    ADVERSARY = 2
    """The adversary proved itself in this session."""


class Reply(IntEnum):
    """Values of `rsp`."""

    NONE = 0
    REGISTERED = 1
    DEREGISTERED = 2
    REFUSED = 3
    INCOMPLETE = 4
    """A refusal that is too short to be read (REG-3, historic)."""
    UNUSABLE = 5
    """Registered, with credentials that do not work."""


FOLDED = ("dev", "waiting_dev", "aside_size", "waiting_size")
"""Fields of a SED that follow from others in these systems and are no variables."""
FALSE_ALARMS = (
    "fake", "broken", "cross", "leak", "wrong", "faa_lost", "split", "locked", "spurious", "killed", "useless", "kept",
    "misanswered", "impostor",
)  # fmt: skip
"""Monitors: 0 until what a property forbids has happened."""


SLOTS = ("h", "v", "hc", "f4", "f4p", "f4r", "f6", "rsp", "cl", "f5", "c", "al", "rq", "old")
"""What can be on its way, besides records of data."""


class Layout:
    """What a scope and a profile fix: the variables, and how to read and write them."""

    def __init__(self, scope: Scope, profile: Profile) -> None:
        self.scope, self.profile = scope, profile
        self.first, self.last, self.idle = scope.timeouts
        self.variables: dict[str, Variable] = {}
        self.fixed: dict[str, int] = {}
        last_id = max(SSS_ID, STRANGER, ABSENT, *scope.seds)
        for i in scope.seds:
            self._sed(i, last_id)
            self._links(i)
            self._wire(i)
        self._shared()
        self.others = {i: tuple(j for j in scope.seds if j != i) for i in scope.seds}
        """For each SED the other ones."""
        self.timers = tuple(name for name in self.variables if name.endswith("_timer"))
        """The names of all timers."""
        self.pending = tuple(name for name in self.variables if self._on_its_way(name))
        """The variables that say that something is on its way."""

    # --- declarations ------------------------------------------------------------------------------------------------

    def _add(self, name: str, high: int, *, low: int = 0, init: int = 0, when: bool = True) -> None:
        """A variable; where `when` is false, a constant."""
        if when and high > low:
            self.variables[name] = Variable(name, low, int(high), init)
        else:
            self.fixed[name] = init

    def _sed(self, i: int, last_id: int) -> None:
        scope = self.scope
        timer = max(self.last, self.idle)
        message = scope.records if "oversize" not in scope.faults else 16_385
        highs = {
            "mode": max(Mode), "step": max(Step), "peer": last_id, "handshake": 2, "registered": 1,
            "timer": timer, "timeout": self.last, "expect": scope.finished + scope.records + 1, "began": 1,
            "size": message, "op": 1, "aside": 1, "aside_to": last_id, "unyielding": 1,
            "waiting": max(Waiting), "waiting_to": last_id, "waiting_op": 1,
        }  # fmt: skip
        for field in State._fields:
            if field not in FOLDED:
                low = -1 if field == "timer" else 0
                init = int(scope.registered) if field == "registered" else 0
                self._add(f"s{i}_{field}", highs[field], low=low, init=init, when=self._used(i, field))

    def _used(self, i: int, field: str) -> bool:
        """Whether a SED's field can change in this scope."""
        scope = self.scope
        sending, asking = bool(scope.sends.get(i)), bool(scope.asks.get(i))
        if field in ("aside", "aside_to", "unyielding", "waiting_to"):
            return sending
        if field in ("op", "waiting_op"):
            return asking
        return field != "registered" or asking or scope.boots > 0

    def _links(self, i: int) -> None:
        scope = self.scope
        sending, asking = bool(scope.sends.get(i)), bool(scope.asks.get(i))
        client, prompt = sending or asking, not scope.free
        served = any(i in to for j, to in scope.sends.items() if j != i) or scope.boots > 0
        for slot in ("h", "v"):
            self._add(f"s{i}_{slot}", 1, when=client and not scope.forging)
        self._add(f"s{i}_hc", 1, when=client)
        self._add(f"s{i}_old", max(scope.seds), when=sending and prompt)
        self._add(f"s{i}_chosen", max(Chosen), when=client)
        for slot in ("f4", "f4p", "f4r", "f6"):
            self._add(f"s{i}_{slot}", 1, when=client)
        self._add(f"s{i}_f6n", scope.finished, when=asking)
        self._add(f"s{i}_rsp", max(Reply), when=asking)
        self._add(f"s{i}_rseq", scope.finished, when=asking)
        self._add(f"s{i}_cl", 1, when=asking)
        self._add(f"s{i}_f5", max(Proof), when=served or scope.forging)
        self._add(f"s{i}_f5ca", 1, when=served)
        self._add(f"s{i}_fin", scope.finished, when=served)
        for r in range(scope.records):
            self._add(f"s{i}_d{r}", 1, when=served)
        self._add(f"s{i}_c", 1, when=served)
        self._add(f"s{i}_al", 1, when=prompt and not scope.forging)
        todo, asks = (scope.messages or 0) * sending, (scope.requests or 0) * asking
        self._add(f"s{i}_todo", todo, init=todo)
        self._add(f"s{i}_asks", asks, init=asks)
        self._add(f"s{i}_owed", 2, low=-1, when=asking)
        self._add(f"s{i}_boots", scope.boots, init=scope.boots)
        self._add(f"s{i}_gen", 1, when=asking and not self.profile.reg_1)
        weak = scope.boots > 0 and not self.profile.adv_3
        self._add(f"s{i}_rec", max(scope.seds), when=weak)
        self._add(f"s{i}_first", 2, init=1, when=weak)
        for j in scope.seds:
            if j != i:
                most = scope.messages if scope.messages is not None else 255
                to_it = j in scope.sends.get(i, ())
                self._add(f"sent{i}{j}", most, low=-1, when=to_it)
                self._add(f"due{i}{j}", most, low=-1, when=to_it and "all-delivered" in scope.properties)

    def _wire(self, i: int) -> None:
        scope, asking = self.scope, bool(self.scope.asks.get(i))
        highs = {
            "step": max(Step), "handshake": 2, "timer": max(self.last, self.idle), "timeout": self.last,
            "expect": scope.finished + 1, "answered": 1, "registered": 1,
        }  # fmt: skip
        for field in Wire._fields:
            init = int(scope.registered) if field == "registered" else 0
            self._add(f"w{i}_{field}", highs[field], low=-1 if field == "timer" else 0, init=init, when=asking)
        for slot, high in (("f5", 1), ("fin", scope.finished), ("rq", 1), ("rop", 1), ("c", 1)):
            self._add(f"w{i}_{slot}", high, when=asking)
        self._add(f"w{i}_al", 1, when=asking and not scope.free and not scope.forging)

    def _shared(self) -> None:
        scope = self.scope
        self._add("faults", scope.losses, init=scope.losses)
        self._add("swaps", scope.swaps, init=scope.swaps)
        self._add("restarts", scope.restarts, init=scope.restarts)
        self._add("gen", 1, when=scope.restarts > 0 and not self.profile.reg_1)
        self._add("frozen", 1, when="half-frame" in scope.faults and not self.profile.reg_7)
        about = {
            "faa_lost": "faa" in scope.faults,
            **dict.fromkeys(("locked", "useless", "kept", "misanswered", "impostor"), bool(scope.asks)),
        }
        for name in FALSE_ALARMS:
            self._add(name, 1, when=about.get(name, True))

    def _on_its_way(self, name: str) -> bool:
        owner, _, slot = name.partition("_")
        return owner[0] in "sw" and (slot in SLOTS or slot in {f"d{r}" for r in range(self.scope.records)})

    # --- reading and writing -----------------------------------------------------------------------------------------

    def setting(self, i: int) -> Setting:
        """What the rules of SED `i` take as given."""
        return Setting(i, self.profile, self.first, self.last, self.idle)

    def wire_setting(self, i: int) -> WireSetting:
        """What the SSS's rules for the wire of SED `i` take as given."""
        return WireSetting(i, self.profile, i in self.scope.removed, self.first, self.last, self.idle)

    def draft(self, v: Variables) -> Draft:
        """A draft of the state that follows `v`."""
        return Draft(self, v)

    def reading(self, what: Guard) -> Callable[[Variables], Term]:
        """A question about a draft as one about a state, which is what actions and properties ask."""
        return lambda v: what(self.draft(v))


class Draft:
    """The state after an action, under construction: what was set, else what was."""

    def __init__(self, layout: Layout, v: Variables) -> None:
        self.layout, self._old = layout, v
        self._concrete = isinstance(getattr(v, next(iter(layout.variables))), int)
        self.update: dict[str, Term] = {}

    def before(self) -> Draft:
        """The same state with nothing changed yet."""
        return Draft(self.layout, self._old)

    def __getitem__(self, name: str) -> Term:
        if name in self.update:
            return self.update[name]
        return self.layout.fixed[name] if name in self.layout.fixed else getattr(self._old, name)

    def set(self, name: str, value: Term, when: Term = True) -> None:
        """Give a variable a new value, where `when` holds. What a scope fixes must stay as it is."""
        if when is False:
            return
        if name in self.layout.fixed:
            if self._concrete and int(value) != self.layout.fixed[name]:
                raise ValueError(f"scope {self.layout.scope.name} fixes {name}, and something sets it to {value}")
            return
        self.update[name] = value if when is True else If(when, value, self[name])

    def sed(self, i: int) -> SimpleNamespace:
        """SED `i` as the rules see a `State`."""
        values = {field: self[f"s{i}_{field}"] for field in State._fields if field not in FOLDED}
        records = self.layout.scope.records
        size = If(values["waiting"] == Waiting.REQUEST, 4, records)
        return SimpleNamespace(dev=i, waiting_dev=i, aside_size=records, waiting_size=size, **values)

    def wire(self, i: int) -> SimpleNamespace:
        """The SSS's side of the wire of SED `i` as its rules see a `Wire`."""
        return SimpleNamespace(**{field: self[f"w{i}_{field}"] for field in Wire._fields})

    def change_sed(self, i: int, update: dict[str, Term]) -> None:
        """Carry out a rule's update of SED `i`."""
        for field, value in update.items():
            if field not in FOLDED:
                self.set(f"s{i}_{field}", _plain(value))

    def change_wire(self, i: int, update: dict[str, Term]) -> None:
        """Carry out a rule's update of the wire of SED `i`."""
        for field, value in update.items():
            self.set(f"w{i}_{field}", _plain(value))


def _plain(value: Term) -> Term:
    """Without the names and truth values that rules use: an update is integers, or terms."""
    return int(value) if isinstance(value, int) else value


Guard: TypeAlias = Callable[[Draft], Term]
"""Something that is asked of a draft."""
Then: TypeAlias = Callable[[Draft], None]
"""Something that is changed in a draft."""
