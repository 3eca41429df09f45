"""Two ends in memory, and what went between them as the judge's own parsers see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from conformance.peer.credentials import Identity
from conformance.peer.endpoint import AES_256, Endpoint
from conformance.peer.node import sed_identity
from conformance.peer.script import HONEST, Script, parse
from conformance.wire.handshake import Fragment, HandshakeType, Message, parse_fragments, parse_message
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import KeyLog, SessionKeys
from reference.credentials import Peer
from reference.deployment import Deployment
from reference.dtls import CookieJar, Happening, Kind, Session
from reference.randomness import Drbg
from reference.records import split

DEPLOYMENT = Deployment.create([3, 4], seed=b"ends")
CLIENT, SERVER = sed_identity(DEPLOYMENT, 3), sed_identity(DEPLOYMENT, 4)


def client(script: Script = HONEST, suite: int = AES_256, identity: Identity = CLIENT, **more: Any) -> Endpoint:
    return Endpoint("client", identity, suite, script, b"client", **{"peer_name": "4", **more})


def server(script: Script = HONEST, suite: int = AES_256, identity: Identity = SERVER, **more: Any) -> Endpoint:
    return Endpoint("server", identity, suite, script, b"server", **{"peer_name": "3", "bound": b"3", **more})


def edited(at: str | list[str], **edit: Any) -> Script:
    return parse({"title": f"{at}", "edits": [{"at": at, **edit}]})


def steps(*steps: dict[str, Any], **more: Any) -> Script:
    return parse({"title": "steps", "steps": list(steps), **more})


class Mbed:
    """Mbed TLS, by way of python-mbedtls, with an endpoint's interface."""

    def __init__(self, *, is_server: bool, suite: int = AES_256) -> None:
        self.kinds: list[Kind] = []
        self.received: list[bytes] = []
        self.secret_pairs: list[tuple[bytes, bytes]] = []
        self._server, self._suite = is_server, suite
        self._jar = CookieJar(Drbg(b"jar"))
        self._out: list[bytes] = []
        self._to_send: list[bytes] = []
        self._session = self._new()

    def _new(self) -> Session:
        own, other = (4, 3) if self._server else (3, 4)
        bound = (self._jar, b"3") if self._server else None
        drbg = Drbg(b"mbed")
        return Session(DEPLOYMENT.credentials(own), Peer(str(other)), drbg, suite=self._suite, server=bound)

    @property
    def established(self) -> bool:
        return Kind.ESTABLISHED in self.kinds

    def start(self, now: int) -> None:
        if not self._server:
            self._session.start(now)

    def receive(self, datagram: bytes, now: int) -> None:
        for record in split(datagram):
            self._note(self._session.receive(record, now))
            while held := self._session.take_held():
                self._note(self._session.receive(held, now))

    def _note(self, happening: Happening) -> None:
        self.kinds.append(happening.kind)
        if happening.kind is Kind.DATA:
            self.received.append(happening.data)
        if happening.kind is Kind.CLOSED:
            self._session.say_goodbye()
        if happening.kind is Kind.ESTABLISHED:
            for data in self._to_send:
                self._session.write(data)
        if happening.kind is Kind.VERIFY:
            self._drain()
            self._session = self._new()

    def _drain(self) -> None:
        self._out += self._session.outgoing
        self.secret_pairs += self._session.secrets
        self._session.outgoing.clear()
        self._session.secrets.clear()

    def outgoing(self) -> list[bytes]:
        self._drain()
        out, self._out = self._out, []
        return out

    def send(self, data: bytes) -> None:
        self._to_send.append(data)

    def close(self) -> None:
        self._session.say_goodbye()

    def deadline(self) -> int | None:
        return self._session.deadline

    def on_time(self, now: int) -> None:
        self._note(self._session.on_time(now))


End = Endpoint | Mbed


@dataclass
class Wire:
    """What went between two ends: when, from the client?, which datagram."""

    client: End
    server: End
    now: int = 0
    datagrams: list[tuple[int, bool, bytes]] = field(default_factory=list)
    drop: Callable[[int, bool, bytes], bool] = lambda number, from_client, datagram: False
    limit: int = 2_000
    """Datagrams after which something is wrong."""

    def run(self, until: int = 0) -> Wire:
        """Let all happen up to a time in ms."""
        self.move()
        while True:
            due = min((d for d in (self.client.deadline(), self.server.deadline()) if d is not None), default=None)
            if due is None or due > until:
                return self
            self.now = max(self.now, due)
            for end in (self.client, self.server):
                if (deadline := end.deadline()) is not None and deadline <= self.now:
                    end.on_time(self.now)
            self.move()

    def move(self) -> None:
        moved = True
        while moved:
            moved = False
            for end, other in ((self.client, self.server), (self.server, self.client)):
                for datagram in end.outgoing():
                    moved = True
                    from_client = end is self.client
                    self.datagrams.append((self.now, from_client, datagram))
                    assert len(self.datagrams) < self.limit, "the ends do not come to rest"
                    if not self.drop(len(self.datagrams) - 1, from_client, datagram):
                        other.receive(datagram, self.now)

    # --- as the judge's parsers see it

    def sent(self, from_client: bool) -> list[bytes]:
        return [d for _, side, d in self.datagrams if side is from_client]

    def times(self, from_client: bool) -> list[int]:
        return [t for t, side, _ in self.datagrams if side is from_client]

    def records(self, from_client: bool) -> list[Record]:
        found = [r for d in self.sent(from_client) for r in parse_datagram(d)]
        return [r for r in found if isinstance(r, Record)]

    def fragments(self, from_client: bool) -> list[Fragment]:
        """In plaintext."""
        plain = [r for r in self.records(from_client) if r.epoch == 0 and r.content_type is ContentType.HANDSHAKE]
        found = [f for r in plain for f in parse_fragments(r.fragment)]
        return [f for f in found if isinstance(f, Fragment)]

    def types(self, from_client: bool) -> list[HandshakeType]:
        return [f.type for f in self.fragments(from_client)]

    def body(self, from_client: bool, kind: HandshakeType) -> Any:
        """The last message of a type."""
        fragment = [f for f in self.fragments(from_client) if f.type is kind][-1]
        return parse_message(Message(fragment.type, fragment.message_seq, fragment.body))

    def keys(self, secrets: list[tuple[bytes, bytes]]) -> SessionKeys:
        log = KeyLog()
        for client_random, master in secrets:
            log.add(client_random, master)
        hello = self.body(True, HandshakeType.CLIENT_HELLO)
        answer = self.body(False, HandshakeType.SERVER_HELLO)
        keys = log.keys(hello.random, answer.random, answer.suite)
        assert keys is not None
        return keys


def shake(client: End, server: End, until: int = 0, **more: Any) -> Wire:
    """Start both and let all happen up to a time in ms."""
    server.start(0)
    client.start(0)
    return Wire(client, server, **more).run(until)
