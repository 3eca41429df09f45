"""Runs monitors over signs: alarms, and what could not be looked at."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from conformance.monitors.automaton import BUG, START, Fault, Monitor, Need, Severity
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
        self._monitors = [CATALOGUE[name] for name in selection]
        self._claims = claims
        self._reader = SignReader(boots)
        self._instances: dict[str, OrderedDict[tuple[Any, ...], _Instance]] = {
            m.id: OrderedDict() for m in self._monitors
        }
        self._listening: dict[Kind, list[Monitor]] = {k: [m for m in self._monitors if k in m.kinds()] for k in Kind}
        self._timed = {m.id for m in self._monitors if any(r.after_us for r in m.rules)}
        self._due: dict[int, list[tuple[int, int, str, tuple[Any, ...], int]]] = {}
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
        for monitor in self._listening[sign.kind]:
            alarms += self._step(monitor, sign)
        return alarms

    def end(self) -> list[Alarm]:
        """The capture is over: what its last frames' times decide."""
        return [alarm for tap, now in self._now.items() for alarm in self._pass(tap, now)]

    def blind(self) -> list[Blind]:
        """What could not be looked at so far."""
        sealed = tuple(self._sealed)
        one_way = tuple(n for n, ways in self._ways.items() if len(ways) < 2)
        found = []
        for monitor in self._monitors:
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

    def _step(self, monitor: Monitor, sign: Sign) -> list[Alarm]:
        key = tuple(sign.part(name) for name in monitor.key)
        if None in key or ("session" in monitor.key and not sign.session):
            return []
        instances = self._instances[monitor.id]
        instance = instances.get(key)
        known = instance is not None
        if instance is None:
            instance = _Instance(session=sign.session if "session" in monitor.key else 0)
        basis = _basis(sign)
        for rule in monitor.rules:
            if rule.at != instance.state or sign.kind not in rule.on:
                continue
            if not all(condition.test(sign, instance.memory) for condition in rule.when):
                continue
            evidence = _with(instance.evidence, (sign.frame, sign.by, basis))
            if rule.then == BUG:
                worst = _worst(e for e in evidence if e[1] == sign.by)
                if monitor.fault is Fault.ACCEPTOR:
                    worst = basis
                if worst is Basis.CLAIM and not self._claims:
                    continue
                alarm = _alarm(monitor, instance, evidence, sign.by, worst, sign.tap, sign.time_us)
                self._enter(monitor, key, instance, _TOLD, sign)
            else:
                alarm = None
                instance.evidence = () if rule.then == START else evidence
                instance.memory = instance.memory | {name: sign.value(name) for name in rule.keep}
                self._enter(monitor, key, instance, rule.then, sign)
            if not known:
                instances[key] = instance
                if len(instances) > MAX_INSTANCES:
                    instances.popitem(last=False)
            elif instance.state == START:
                del instances[key]
            else:
                instances.move_to_end(key)
            return [alarm] if alarm else []
        return []

    def _enter(self, monitor: Monitor, key: tuple[Any, ...], instance: _Instance, state: str, sign: Sign) -> None:
        if state == instance.state:
            return
        instance.state = state
        instance.entered += 1
        if monitor.id in self._timed and sign.complete:
            for rule in monitor.rules:
                if rule.at == state and rule.after_us:
                    self._order += 1
                    due = (sign.time_us + rule.after_us, self._order, monitor.id, key, instance.entered)
                    heapq.heappush(self._due.setdefault(sign.tap, []), due)

    def _pass(self, tap: int, now: int) -> list[Alarm]:
        """Time passes at a tap."""
        self._now[tap] = max(now, self._now.get(tap, 0))
        alarms = []
        due = self._due.get(tap, [])
        while due and due[0][0] < now:
            when, _, name, key, entered = heapq.heappop(due)
            instance = self._instances[name].get(key)
            if instance is not None and instance.entered == entered:
                monitor = CATALOGUE[name]
                alarms.append(_alarm(monitor, instance, instance.evidence, tap, Basis.OWN, tap, when))
                instance.state, instance.entered = _TOLD, entered + 1
        return alarms


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
