"""Two ends of one DTLS session on a radio in memory, and the capture of what they said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from conformance.capture import CapturedFrame
from conformance.wire.frames import Frame
from model.alphabet import Link
from reference import mbedtls_c as c
from reference.dtls import Kind, Session
from reference.records import Record, split

CLIENT, SERVER = 10, 11
"""SCEWL ids. The tap is the client's controller."""
STEP_US = 1_000
MOST_TURNS = 50

Medium = Callable[[list[bytes]], list[bytes]]
"""What becomes of the datagrams that one end sends at once: any order, any number of times."""


def in_order(datagrams: list[bytes]) -> list[bytes]:
    return datagrams


@dataclass
class SessionPair:
    """Runs on `start`; `frames` is the capture, `secrets` its key log."""

    make_client: Callable[[], Session]
    make_server: Callable[[], Session]
    mtu: int = 1_000
    medium: Medium = in_order
    frames: list[CapturedFrame] = field(default_factory=list)
    secrets: list[tuple[bytes, bytes]] = field(default_factory=list)

    def start(self) -> SessionPair:
        """The handshake, with the cookie exchange. Fails if it does not complete at both ends."""
        self.client, self.server = self._limited(self.make_client()), self._limited(self.make_server())
        self.client.start(0)
        turns = 0
        while self._move(self.client, self.server) | self._move(self.server, self.client):
            turns += 1
            assert turns < MOST_TURNS
        assert self.client.established and self.server.established, "the handshake does not end"
        self.secrets += self.client.secrets
        return self

    def say(self, data: bytes, *, from_client: bool = True) -> SessionPair:
        ends = (self.client, self.server) if from_client else (self.server, self.client)
        ends[0].write(data)
        self._move(*ends)
        return self

    def close(self) -> SessionPair:
        for ends in ((self.client, self.server), (self.server, self.client)):
            ends[0].say_goodbye()
            self._move(*ends)
        return self

    def _move(self, source: Session, sink: Session) -> bool:
        from_client = source is self.client
        datagrams = source.outgoing[:]
        source.outgoing.clear()
        for datagram in self.medium(datagrams):
            frame = Frame(SERVER, CLIENT, datagram) if from_client else Frame(CLIENT, SERVER, datagram)
            time = STEP_US * len(self.frames)
            self.frames.append(CapturedFrame(time, Link.RADIO, not from_client, CLIENT, frame.encode()))
            for record in split(datagram):
                self._take(self.server if from_client else self.client, record)
        return bool(datagrams)

    def _take(self, sink: Session, record: Record) -> None:
        happening = sink.receive(record, 0)
        while (held := sink.take_held()) is not None:
            sink.receive(held, 0)
        if happening.kind is Kind.VERIFY:
            self.server = self._limited(self.make_server())
            self.server.outgoing += sink.outgoing

    def _limited(self, session: Session) -> Session:
        c.tls.mbedtls_ssl_set_mtu(session._ssl, self.mtu)
        return session
