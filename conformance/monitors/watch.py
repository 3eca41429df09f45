"""Runs monitors over signs: alarms, and what could not be looked at."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from conformance.monitors.automaton import BUG, START, Fault, Monitor, Need, Rule, Severity
from conformance.monitors.catalogue import CATALOGUE
from conformance.monitors.reader import SignReader
from conformance.monitors.signs import Kind, Sign
from conformance.sessions.seen import Protection, SeenFrame
from model.alphabet import Link

MAX_INSTANCES: Final = 4_096
"""Of one monitor: the one that was longest unused is forgotten."""
MAX_EVIDENCE: Final = 8
"""Frames that an alarm names."""
_TOLD: Final = "told"
_ALWAYS_KNOWN: Final = frozenset({"tap", "session", "server_random", "by", "epoch", "kind"})


class Basis(StrEnum):
    """How certain it is that the party did what it is blamed for."""

    OWN = "own frame"
    """Its own controller's tap saw it leave."""
    AUTHENTICATED = "authenticated"
    """The record authenticates under the session's keys."""
    CLAIM = "claim"
    """The frame says that it is the party's: an attacker could have sent it."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """A monitor's pattern was seen."""

    monitor: str
    party: int
    """SCEWL id of who is at fault."""
    basis: Basis
    tap: int
    """SCEWL id of the SED at whose controller it was seen."""
    session: int
    """0 if it is not of one session."""
    frames: tuple[int, ...]
    """Those that show it, in order; the last completes the pattern."""
    time_us: int
    severity: Severity
    requirements: tuple[str, ...]
    text: str


MAX_DUE: Final = 1 << 12
"""Times that are waited for at one tap."""


@dataclass(frozen=True, slots=True)
class Blind:
    """A monitor that could not look, wholly or in part."""

    monitor: str
    need: Need
    """What it missed."""
    sessions: tuple[int, ...]
    """In these; empty if in all of the capture."""


@dataclass(slots=True)
class _Instance:
    state: str = START
    memory: dict[str, Any] = field(default_factory=dict)
    evidence: tuple[tuple[int, int, Basis], ...] = ()
    """Frame, party, basis of the signs that were taken."""
    session: int = 0
    entered: int = 0
    """Counts the states that it entered, so that a time that was set for an earlier one is void."""


class _Watched:
    """A monitor made ready: its rules by state and kind, and how to take its key from a sign."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.timed = any(r.after_us for r in monitor.rules)
        self.of_session = "session" in monitor.key
        self.rules: dict[tuple[str, Kind], tuple[Rule, ...]] = {}
        for rule in monitor.rules:
            for kind in rule.on:
                self.rules[rule.at, kind] = (*self.rules.get((rule.at, kind), ()), rule)
        self.instances: OrderedDict[Any, _Instance] = OrderedDict()
        self._take = attrgetter(*monitor.key) if _ALWAYS_KNOWN.issuperset(monitor.key) else None

    def key(self, sign: Sign) -> Any:
        """The instance's key; None if a part of it is unknown."""
        if self._take is not None:
            return self._take(sign)
        parts = tuple(sign.part(name) for name in self.monitor.key)
        return None if None in parts else parts


class Monitors:
    """Watches a stream of frames, or of signs."""

    def __init__(
        self,
        selection: Iterable[str] = CATALOGUE,
        *,
        boots: Mapping[int, tuple[int, ...]] = MappingProxyType({}),
        claims: bool = False,
    ) -> None:
        """`selection` are ids of monitors; KeyError for another. `boots` are `Context.boots`: what did not come tells
        something of these SEDs only. With `claims`, alarms come also for what frames claim: right among honest
        devices, and for an attacker to make up else."""
        self._watched = {name: _Watched(CATALOGUE[name]) for name in selection}
        self._claims = claims
        self._reader = SignReader(boots)
        self._listening: dict[Kind, list[_Watched]] = {kind: [] for kind in Kind}
        for watched in self._watched.values():
            for kind in watched.monitor.kinds():
                self._listening[kind].append(watched)
        self._due: dict[int, list[tuple[int, int, str, Any, int]]] = {}
        """By tap: when, order, monitor, key, and the instance's `entered` then."""
        self._order = 0
        self._now: dict[int, int] = {}
        self._seen: Counter[str] = Counter()
        self._sealed: OrderedDict[int, None] = OrderedDict()
        self._ways: OrderedDict[int, set[bool]] = OrderedDict()
        self._taps: set[int] = set()
        self._vouched = frozenset(boots)

    def feed(self, seen: SeenFrame) -> list[Alarm]:
        """Take the next frame."""
        alarms = self._pass(seen.captured.sed, seen.captured.time_us)
        for sign in self._reader.read(seen):
            alarms += self.take(sign)
        return alarms

    def take(self, sign: Sign) -> list[Alarm]:
        """Take the next sign."""
        alarms = self._pass(sign.tap, sign.time_us)
        self._look(sign)
        if sign.kind is Kind.BOOT:
            self._due.pop(sign.tap, None)
        for watched in self._listening[sign.kind]:
            alarm = self._step(watched, sign)
            if alarm is not None:
                alarms.append(alarm)
        return alarms

    def end(self) -> list[Alarm]:
        """The capture is over: what its last frames' times decide."""
        return [alarm for tap, now in self._now.items() for alarm in self._pass(tap, now)]

    def blind(self) -> list[Blind]:
        """What could not be looked at so far."""
        sealed = tuple(self._sealed)
        one_way = tuple(n for n, ways in self._ways.items() if len(ways) < 2)
        found = []
        for monitor in (w.monitor for w in self._watched.values()):
            for need in Need:
                if need not in monitor.needs:
                    continue
                if need is Need.PLAINTEXT and sealed:
                    found.append(Blind(monitor.id, need, sealed))
                elif need is Need.BOTH and one_way:
                    found.append(Blind(monitor.id, need, one_way))
                elif (need is Need.CPU and not self._seen["cpu"]) or (need is Need.ALL and self._taps - self._vouched):
                    found.append(Blind(monitor.id, need, ()))
        return found

    # --- inside

    def _look(self, sign: Sign) -> None:
        """Note what there is to see."""
        self._taps.add(sign.tap)
        if sign.link is Link.CPU and sign.kind is not Kind.BOOT:
            self._seen["cpu"] += 1
        if sign.session:
            if sign.protection is Protection.SEALED:
                self._sealed[sign.session] = None
            self._ways.setdefault(sign.session, set()).add(sign.own)
            for places in (self._sealed, self._ways):
                if len(places) > MAX_INSTANCES:
                    places.popitem(last=False)

    def _step(self, watched: _Watched, sign: Sign) -> Alarm | None:
        if watched.of_session and not sign.session:
            return None
        key = watched.key(sign)
        if key is None:
            return None
        found = watched.instances.get(key)
        rules = watched.rules.get((START if found is None else found.state, sign.kind))
        if rules is None:
            return None
        instance = found or _Instance(session=sign.session if watched.of_session else 0)
        for rule in rules:
            if not all(condition.test(sign, instance.memory) for condition in rule.when):
                continue
            basis = _basis(sign)
            evidence = _with(instance.evidence, (sign.frame, sign.by, basis))
            alarm = None
            if rule.then == BUG:
                if watched.monitor.fault is Fault.SENDER:
                    basis = _worst(e for e in evidence if e[1] == sign.by)
                if basis is Basis.CLAIM and not self._claims:
                    continue
                alarm = _alarm(watched.monitor, instance, evidence, sign.by, basis, sign.tap, sign.time_us)
                self._enter(watched, key, instance, _TOLD, sign)
            else:
                instance.evidence = () if rule.then == START else evidence
                if rule.keep:
                    instance.memory = instance.memory | {name: sign.value(name) for name in rule.keep}
                self._enter(watched, key, instance, rule.then, sign)
            _put(watched.instances, key, instance)
            return alarm
        return None

    def _enter(self, watched: _Watched, key: Any, instance: _Instance, state: str, sign: Sign) -> None:
        if state == instance.state:
            return
        instance.state = state
        instance.entered += 1
        if watched.timed and sign.complete:
            for rule in watched.monitor.rules:
                if rule.at == state and rule.after_us:
                    self._order += 1
                    due = (sign.time_us + rule.after_us, self._order, watched.monitor.id, key, instance.entered)
                    heapq.heappush(self._due.setdefault(sign.tap, []), due)
                    self._prune(self._due[sign.tap])

    def _prune(self, due: list[tuple[int, int, str, Any, int]]) -> None:
        """Forget times that are void, where time stands still and they pile up; then the latest."""
        if len(due) <= MAX_DUE:
            return
        entered = {(name, key): i.entered for name, w in self._watched.items() for key, i in w.instances.items()}
        due[:] = sorted(d for d in due if entered.get((d[2], d[3])) == d[4])[: MAX_DUE // 2]

    def _pass(self, tap: int, now: int) -> list[Alarm]:
        """Time passes at a tap."""
        self._now[tap] = max(now, self._now.get(tap, 0))
        alarms = []
        due = self._due.get(tap, [])
        while due and due[0][0] < now:
            when, _, name, key, entered = heapq.heappop(due)
            instance = self._watched[name].instances.get(key)
            if instance is not None and instance.entered == entered:
                monitor = CATALOGUE[name]
                alarms.append(_alarm(monitor, instance, instance.evidence, tap, Basis.OWN, tap, when))
                instance.state, instance.entered = _TOLD, entered + 1
        return alarms


def _put(instances: OrderedDict[Any, _Instance], key: Any, instance: _Instance) -> None:
    """Keep an instance, unless it is as it began; the one that was longest unused gives way."""
    if instance.state == START:
        instances.pop(key, None)
        return
    instances[key] = instance
    instances.move_to_end(key)
    if len(instances) > MAX_INSTANCES:
        instances.popitem(last=False)


def _basis(sign: Sign) -> Basis:
    if sign.own or sign.link is Link.CPU:  # nobody else is on the CPU link
        return Basis.OWN
    return Basis.AUTHENTICATED if sign.protection is Protection.OPENED else Basis.CLAIM


def _worst(evidence: Iterable[tuple[int, int, Basis]]) -> Basis:
    bases = {basis for _, _, basis in evidence}
    return next(b for b in (Basis.CLAIM, Basis.AUTHENTICATED, Basis.OWN) if b in bases)


def _with(
    evidence: tuple[tuple[int, int, Basis], ...], one: tuple[int, int, Basis]
) -> tuple[tuple[int, int, Basis], ...]:
    """The first and the latest, no more than `MAX_EVIDENCE`."""
    if len(evidence) < MAX_EVIDENCE:
        return (*evidence, one)
    half = MAX_EVIDENCE // 2
    return (*evidence[:half], *evidence[half + 1 :], one)


def _alarm(
    monitor: Monitor,
    instance: _Instance,
    evidence: tuple[tuple[int, int, Basis], ...],
    party: int,
    basis: Basis,
    tap: int,
    time_us: int,
) -> Alarm:
    frames = tuple(sorted({frame for frame, _, _ in evidence}))
    return Alarm(
        monitor=monitor.id,
        party=party,
        basis=basis,
        tap=tap,
        session=instance.session,
        frames=frames,
        time_us=time_us,
        severity=monitor.severity,
        requirements=monitor.requirements,
        text=f"{party}: {monitor.says} ({', '.join(monitor.requirements)}; {basis})",
    )
