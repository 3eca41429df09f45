"""The frames of one controller as events and outputs, where the capture may lack some.

The abstraction of `conform` has seen everything since the IUT's boot. Here a cookie may have been given, or a session
begun, in a frame that the capture does not have: what can be made good is made good, and what stays doubtful has
several readings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from conformance.abstraction.abstraction import Abstraction
from conformance.abstraction.inbound import hello_in
from conformance.abstraction.memory import Hello, Memory
from conformance.abstraction.session import Session
from conformance.onlooker.identity import OnlookerKeyLog, SeenIdentity, sealed
from conformance.wire.frames import Frame, whole_frame
from conformance.wire.handshake import (
    Assembler,
    ClientHello,
    Fragment,
    Message,
    ServerHello,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import FAA_ID, LOWEST_SED_ID, SSS_ID, Ca, Event, Link, Output

MAX_KEPT = 4_096
"""Things of one kind that are remembered of a controller: beyond it a capture is hostile, and the rest is forgotten."""

DOUBTFUL: Final = {
    "certificate": "an authority that nobody told of stands behind the certificate",
    "hello-cookie": "the cookie was given unseen",
    "flight5": "the client's Finished was right",
    "flight6": "the server's Finished was right",
}
"""What the second reading of an event assumes, if it does: that of a cookie from before a power cycle does not."""


@dataclass(frozen=True, slots=True)
class Sent:
    """An output, and how much of it can be relied on."""

    output: Output
    loose: bool = False
    """Sizes and contents are unknown: its session's secret is."""
    fresh: bool = False
    """A session begins with it: it is the first flight of the controller in a session that was never seen before."""
    again: bool = False
    """A ClientHello that was seen before."""


class Reading:
    """Bytes to the alphabet, for one controller."""

    def __init__(self, identity: SeenIdentity, keylog: KeyLog, *, complete: bool) -> None:
        """`complete`: every frame since power-up is in the capture."""
        self.identity = identity
        self.complete = complete
        self.stale: set[bytes] = set()
        """Cookies that were given before the last power-up, which may still be open to doubt."""
        self.abstraction = Abstraction(identity, OnlookerKeyLog(keylog))
        self._hellos: dict[int, Hello] = {}
        self._begun = ""
        """The kind of the output with which a session begins; it may be whole some frames later."""
        self._again = False
        self._sealed: set[int] = set()
        """Peers whose latest session's secret is unknown."""

    @property
    def memory(self) -> Memory:
        """What the abstraction remembers."""
        return self.abstraction.memory

    def is_sealed(self, peer: int) -> bool:
        """Whether the secret of the latest session with a peer is unknown."""
        session = self.memory.sessions.get(peer)
        return sealed(session.keys) if session and session.keys else peer in self._sealed

    @property
    def any_sealed(self) -> bool:
        """Whether any session's secret is unknown."""
        return bool(self._sealed)

    # --- towards the controller

    def towards(self, link: Link, data: bytes) -> list[tuple[Event, ...]]:
        """The events in a frame, in order, each with all its readings. None if it is no frame."""
        frame = whole_frame(data)
        if frame is None:
            return []
        self.identity.on_wire = link is Link.SSS
        hello = self._hello(link, frame)
        events = self.abstraction.frame_events(link, frame)
        self._note_sealed()
        return [self._readings(e, hello) for e in events]

    def _hello(self, link: Link, frame: Frame) -> ClientHello | None:
        """A ClientHello that may open a session; remembered, for its cookie may have been given unseen."""
        if link is not Link.RADIO or frame.target != self.identity.me or frame.source < LOWEST_SED_ID:
            return None
        for record in parse_datagram(frame.payload):
            if isinstance(record, Record) and record.epoch == 0 and (message := hello_in(record)):
                hello = parse_message(message)
                if isinstance(hello, ClientHello):
                    if len(self._hellos) >= MAX_KEPT:
                        self._hellos.clear()
                    self._hellos[frame.source] = Hello(hello.random, message, record)
                    return hello
        return None

    def _readings(self, event: Event, hello: ClientHello | None) -> tuple[Event, ...]:
        source = event.args[0] if event.args else 0
        if event.kind == "hello" and hello is not None and self._may_be_valid(hello.cookie):
            self.memory.hellos[source] = self._hellos[source]
            return event, Event("hello-cookie", (source, self.memory.handshake(hello.random)))
        session = self.memory.sessions.get(source)
        if event.kind == "forged" and not self.complete and session is not None and session.finished is not None:
            # What its Finished is right or wrong about may be missing from the capture.
            session.established = True
            return event, Event("flight6" if session.client else "flight5", (source, session.finished))
        if event.kind == "hello-cookie" and hello is not None and hello.cookie in self.stale:
            return event, Event("hello", event.args[:1])
        if event.kind == "certificate" and event.args[1] == Ca.OTHER:
            return event, *(Event("certificate", (event.args[0], ca, event.args[2])) for ca in self.identity.unknown)
        return (event,)

    def _may_be_valid(self, cookie: bytes) -> bool:
        """Whether a cookie that its source was not seen to get may have been given to it."""
        return bool(cookie) and not self.complete and not any(cookie in c for c in self.memory.cookies.values())

    # --- from the controller

    def sent(self, link: Link, data: bytes) -> list[Sent]:
        """The outputs that a frame completes."""
        frame = whole_frame(data)
        if frame is None:
            return [Sent(Output("unknown", (link,)))]
        self.identity.on_wire = link is Link.SSS
        self._again = False
        if link is not Link.CPU and FAA_ID not in (frame.source, frame.target):
            self._prepare(SSS_ID if link is Link.SSS else frame.target, frame.payload)
        outputs = self.abstraction.frame_outputs(link, frame)
        self._note_sealed()
        return [replace(self._told(o), fresh=o.kind == self._begun, again=self._again) for o in outputs]

    def end_of_burst(self) -> list[Sent]:
        """What was begun and not ended."""
        return [self._told(o) for o in self.abstraction.end_of_step()]

    def _told(self, output: Output) -> Sent:
        peer = output.args[0] if output.kind in ("data", "deliver") else SSS_ID if output.kind == "request" else 0
        return Sent(output, loose=bool(peer) and self.is_sealed(peer))

    def _prepare(self, to: int, datagram: bytes) -> None:
        """Make good what frames that are missing would have told, and note which session begins here."""
        for record in parse_datagram(datagram):
            if not isinstance(record, Record) or record.epoch or record.content_type is not ContentType.HANDSHAKE:
                continue
            for fragment in parse_fragments(record.fragment):
                if not isinstance(fragment, Fragment) or not fragment.whole:
                    continue
                body = parse_message(Message(fragment.type, fragment.message_seq, fragment.body))
                if isinstance(body, ClientHello):
                    self._own_hello(to, record, body)
                elif isinstance(body, ServerHello) and not self.complete:
                    self._own_server_hello(to, record, body)

    def _own_hello(self, to: int, record: Record, hello: ClientHello) -> None:
        session = self.memory.sessions.get(to)
        known = session is not None and session.client and session.client_random == hello.random
        if hello.cookie and not self.complete:
            if not known:
                self.memory.sessions[to] = Session(to, True, hello.random, Assembler(first=1))
            elif session is not None and session.inbound.next_seq == 0:
                session.inbound = Assembler(first=1)
        self._again = known and not hello.cookie
        self._begun = "hello" if not known and not hello.cookie and record.seq == 0 else ""

    def _own_server_hello(self, to: int, record: Record, hello: ServerHello) -> None:
        session, opening = self.memory.sessions.get(to), self.memory.hellos.get(to)
        if session is not None and not session.client and session.server_random == hello.random:
            self._begun = ""
            return
        used = opening is None or (session is not None and session.client_random == opening.client_random)
        if used and to in self._hellos:
            self.memory.hellos[to] = self._hellos[to]
        opening = self.memory.hellos.get(to)
        # A server begins with the number of the ClientHello that it answers.
        self._begun = "flight4" if opening is not None and opening.record.seq == record.seq else ""

    # --- what is kept

    def _note_sealed(self) -> None:
        for peer, session in self.memory.sessions.items():
            if sealed(session.keys):
                self._sealed.add(peer)
            elif session.keys is not None:
                self._sealed.discard(peer)

    def power_up(self) -> None:
        """The controller starts again: what cookies it gave may not count any more."""
        self.stale |= {c for cookies in self.memory.cookies.values() for c in cookies}

    def in_force(self) -> None:
        """The response that came last is in force, as far as anyone can see."""
        if self.memory.offered is not None:
            ca, self.identity.runtime_key = self.memory.offered
            self.identity.learn(Ca.RUNTIME, ca)

    def trim(self) -> None:
        """Forget what a hostile capture made too much of."""
        memory = self.memory
        for kept in (memory.cookies, memory.hellos, memory.complete, memory.messages, memory.sessions):
            if len(kept) > MAX_KEPT:
                kept.clear()
        for cookies in memory.cookies.values():
            if len(cookies) > MAX_KEPT:
                cookies.clear()
        for given in (*memory.messages.values(), memory.faa_in, memory.faa_out):
            del given[:-64]
        if len(self.stale) > MAX_KEPT:
            self.stale.clear()
