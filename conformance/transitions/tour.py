"""The tour: in every state that the model's controller reaches, everything that can happen, on a real controller.

States are taken in the order of their distance from boot. In each, the controller is copied once; each thing that can
happen is then made of bytes with real cryptography, judged by the oracle from exactly this state, and undone. What a
trial counts for is not what was meant: it is what the conformance suite's abstraction reads in the bytes, and the rule
by which the oracle explains what the controller did.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field

from conformance.abstraction import Abstraction
from conformance.targets.base import IutFault, Reaction
from conformance.targets.native import NativeTarget
from conformance.transitions.machine import SETTING, Machine, Taken
from conformance.transitions.table import difference, row
from conformance.voice import FORGERIES, Voice, link_of
from conformance.wire.frames import Frame
from model.alphabet import Event, Link
from model.oracle import Oracle
from model.run import react
from model.state import Mode, State, Waiting
from model.system.alone import HIGHER, LOWER, ME, Happening


@dataclass(frozen=True, slots=True)
class Place:
    """A controller in a state of the model, kept as a copy; what the judge had seen; how it came there."""

    node: int
    copy: int
    now: int
    seen: Abstraction
    number: int
    """Of the next plaintext record of a peer."""
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """A step that no rule of the model allows."""

    path: tuple[str, ...]
    state: str
    happening: str
    events: tuple[str, ...]
    what: str


@dataclass
class Covered:
    """What a tour has shown."""

    reached: set[int] = field(default_factory=set)
    visited: set[int] = field(default_factory=set)
    """States in which everything was tried."""
    whole: bool = False
    """Whether these are all that were reached."""
    taken: set[Taken] = field(default_factory=set)
    series: set[Taken] = field(default_factory=set)
    """Transitions by one record that no record can be: a series of records took them."""
    read_as: dict[tuple[int, str], tuple[str, ...]] = field(default_factory=dict)
    """By state and happening: the kinds of events that the bytes were, where they were not what was meant."""
    wrong: list[Wrong] = field(default_factory=list)
    trials: int = 0


class Broken(Exception):
    """The controller has ended; `Covered.wrong` says how."""


class Tour:
    """Walks a controller over the model."""

    def __init__(self, machine: Machine, target: NativeTarget) -> None:
        self.machine = machine
        self.voice = Voice()
        self.found = Covered()
        self._target = target
        self._free = list(range(8_191, -1, -1))
        self._cookies: dict[int, bytes] = {}

    def run(self, kind: Callable[[State], Hashable] | None = None, *, until_wrong: bool = False) -> Covered:
        """Visit all states, or of each kind the first that is reached; `until_wrong`: no further than to the first."""
        queue = deque([self._start()])
        kinds: set[Hashable] = set()
        self.found.reached.add(queue[0].node)
        try:
            while queue and not (until_wrong and self.found.wrong):
                place = queue.popleft()
                state = self.machine.states[place.node]
                if kind is None or kind(state) not in kinds:
                    kinds.add(kind(state) if kind else None)
                    self._visit(place, queue)
                self._target.forget(place.copy)
                self._free.append(place.copy)
        except Broken:  # its copies are gone with it
            return self.found
        self.found.whole = kind is None and not queue
        return self.found

    def _visit(self, place: Place, queue: deque[Place]) -> None:
        for happening in self.machine.can_happen(place.node):
            queue.extend(self._try(place, happening))
        self.found.visited.add(place.node)

    def _start(self) -> Place:
        reaction = self._target.boot(self.voice.deployment.image(ME))
        seen = Abstraction(self.voice.identity(), self.voice.keylog)
        for n, source in enumerate((LOWER, HIGHER)):  # each learns a cookie; that leaves nothing behind (SES-6)
            data = Frame(ME, source, self.voice.hello(self.voice.client_random(source, 1), b"", n)).encode()
            seen.stimulus(Link.RADIO, data)
            reaction = self._target.send(Link.RADIO, data)
            seen.observe(reaction.chunks)
            # one that gives none is wrong at its first trial
            self._cookies[source] = next(iter(seen.memory.cookies.get(source, (b"?",))))
        for source in (LOWER, HIGHER):
            for handshake in (1, 2):
                seen.memory.handshake(self.voice.client_random(source, handshake))
        return self._keep(0, reaction, seen, 2, ())

    def _keep(self, node: int, reaction: Reaction, seen: Abstraction, number: int, path: tuple[str, ...]) -> Place:
        copy = self._free.pop()
        self._target.keep(copy)
        return Place(node, copy, reaction.now, seen, number, path)

    # --- one thing that happens in one state

    def _try(self, place: Place, happening: Happening) -> Iterator[Place]:
        variants = len(FORGERIES) if happening.event == "forged" else 1
        for variant in range(variants):
            new = self._trial(place, happening, variant)
            if new is not None:
                yield new

    def _trial(self, place: Place, happening: Happening, variant: int) -> Place | None:
        state, event = self.machine.states[place.node], self.machine.event(place.node, happening)
        self._target.back(place.copy)
        self.found.trials += 1
        seen = place.seen.fork()
        oracle = Oracle(SETTING, state)
        oracle.now = place.now
        node: int | None = place.node
        number, told = place.number, []
        reaction = Reaction(place.now, None)
        count = 0
        for link, data in self._stimuli(place, event, seen, variant):
            events = self._events(place, event, seen, link, data)
            try:
                reaction = self._target.advance(event.args[0]) if link is None else self._target.send(link, data)
            except IutFault as fault:
                self._wrong(place, happening, events, f"{fault.what}: {'; '.join(fault.evidence[:3])}")
                raise Broken from fault
            outputs = seen.observe(reaction.chunks)
            disagreement = oracle.step(events, outputs, reaction.deadline)
            seen.memory.forget_sessions({s.peer for s in oracle.states})
            told += [e.kind for e in events]
            count += 1
            number += 1
            if disagreement is not None or reaction.debug or not self._agrees(oracle):
                what = disagreement.explanation if disagreement else self._visible(reaction)
                self._wrong(place, happening, events, what)
                return None
            way = oracle.possible[0]
            rows = [row(line) for line in self._target.rules]
            if other := difference(rows, way.rules):
                self._wrong(place, happening, events, other)
                return None
            if node is not None:
                taken, node = self.machine.follow(node, events, way.rules)
                self.found.taken.update(taken)
        self._note(place, happening, event, oracle, tuple(told), count)
        if node is None or node in self.found.reached:
            return None
        self.found.reached.add(node)
        return self._keep(node, reaction, seen, number, (*place.path, happening.said))

    def _visible(self, reaction: Reaction) -> str:
        target = self._target
        said = ", ".join(reaction.debug)
        return f"{said} {Mode(target.state).name}, registered {target.registered}, a CPU frame waits {target.waiting}"

    def _agrees(self, oracle: Oracle) -> bool:
        """Whether what is to be seen of the controller's state is as in the model."""
        seen = self._target.state, self._target.registered, self._target.waiting
        return seen in {(s.mode, s.registered, int(s.waiting != Waiting.NONE)) for s in oracle.states}

    def _note(
        self, place: Place, happening: Happening, event: Event, oracle: Oracle, told: tuple[str, ...], count: int
    ) -> None:
        """What was not the transition that was meant."""
        meant = {
            Taken(place.node, a)
            for a, _ in self.machine.graph.ways(place.node)
            if self.machine.labels[a][1] == happening.said
        }
        if meant & self.found.taken:
            return
        if count > 1 and event.kind == "data" and oracle.possible[0].rules[0].id == "SES-10.too-long":
            self.found.series |= meant
            return
        self.found.read_as[place.node, happening.said] = told

    def _events(
        self, place: Place, event: Event, seen: Abstraction, link: Link | None, data: bytes
    ) -> tuple[Event, ...]:
        """What the bytes are, as the conformance suite reads them; handshakes numbered as the model does."""
        if link is None or event.kind == "start-failure":
            return (event,)
        events = tuple(
            Event(e.kind, (e.args[0], (e.args[1] - 1) % 2 + 1)) if e.kind == "hello-cookie" else e
            for e in seen.stimulus(link, data)
        )
        state = self.machine.states[place.node]
        if event.kind == "cpu-oversize" and events == (Event("cpu-other"),):
            # The scope has a name of its own for it; where both do the same it is both.
            as_other, as_named = ([(r.state, r.outputs) for r in react(state, e, SETTING)] for e in (*events, event))
            return (event,) if as_other == as_named else events
        return events

    def _stimuli(
        self, place: Place, event: Event, seen: Abstraction, variant: int
    ) -> Iterator[tuple[Link | None, bytes]]:
        state, number = self.machine.states[place.node], place.number
        match event.kind, event.args:
            case "time", _:
                yield None, b""
            case (("cpu-send" | "cpu-request" | "cpu-faa" | "cpu-other" | "cpu-oversize"), _):
                yield Link.CPU, self.voice.to_bus(event)
            case "start-failure", _:
                if state.mode == Mode.IDLE:
                    self._target.exhaust()
                    yield Link.CPU, self.voice.to_bus(event)
            case "radio-faa", (size,):
                yield Link.RADIO, Frame(ME, 2, bytes(size)).encode()
            case "hello", (source,):
                hello = self.voice.hello(self.voice.client_random(source, 1), b"", number)
                yield Link.RADIO, Frame(ME, source, hello).encode()
            case "hello-cookie", (source, handshake):
                hello = self.voice.hello(self.voice.client_random(source, handshake), self._cookies[source], number)
                yield Link.RADIO, Frame(ME, source, hello).encode()
            case "noise", (source,):
                yield Link.RADIO, Frame(ME, source, b"\0noise").encode()
            case _:
                session = seen.memory.sessions.get(state.peer)
                if session is None:
                    return
                self.voice.keys(session)
                for datagram in self.voice.says(event, state, session, number, variant=variant):
                    yield link_of(state.peer), Frame(ME, state.peer, datagram).encode()

    def _wrong(self, place: Place, happening: Happening, events: tuple[Event, ...], what: str) -> None:
        state = self.machine.states[place.node].describe()
        self.found.wrong.append(Wrong(place.path, state, happening.said, tuple(map(str, events)), what))
