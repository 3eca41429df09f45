"""The SSS: registers and deregisters SEDs, one wire per device (REG, CRT-6, CRT-8, CRT-10).

Sans-I/O like the controller. The wires share nothing but the list of devices, so that whatever happens on one of them,
the others are served (REG-7).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from model.alphabet import LOWEST_SED_ID, SSS_ID
from reference import records
from reference.authority import Authority, key_der, load_key
from reference.credentials import Peer
from reference.deployment import Deployment
from reference.dialect import STANDARD, Dialect
from reference.dtls import MTU, CookieJar, Happening, Kind, Session
from reference.frame import Frame, FrameReader
from reference.randomness import Drbg
from reference.records import Record
from reference.registration import DEREGISTER, REFUSED, REGISTER, Request, Response

RUNTIME_LIFETIME = timedelta(hours=8)
"""How long a runtime certificate is valid (CRT-10)."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""What `now` = 0 means if the caller does not say."""
_CA_LIFETIME = timedelta(days=3650)
_STATE_VERSION = 1


@dataclass(slots=True)
class _Wire:
    """One connection: its unfinished frame, and the session of the one device that talks on it."""

    reader: FrameReader = field(default_factory=lambda: FrameReader(MTU))
    session: Session | None = None
    peer: int = 0
    served_random: bytes = b""
    asked: bytearray = field(default_factory=bytearray)
    answered: bool = False
    idle_deadline: int | None = None

    def deadline(self) -> int | None:
        if self.idle_deadline is not None:
            return self.idle_deadline
        return self.session.deadline if self.session else None


class Sss:
    """The server. Wires are numbered by the caller. Not for several threads."""

    def __init__(
        self,
        deployment: Deployment,
        *,
        seed: bytes,
        replace: bool = True,
        respond: Callable[[Response], bytes] = Response.encode,
        epoch: datetime = EPOCH,
        lifetime: timedelta = RUNTIME_LIFETIME,
        state: bytes | None = None,
        dialect: Dialect = STANDARD,
    ) -> None:
        """Start, or start again with what `state()` gave (REG-1).

        Every byte follows from `seed` and the inputs; `epoch` is the date at `now` = 0, by which certificates are
        judged and made (CRT-10); `replace` is REG-5. `respond` makes the bytes of a response: an SSS that says
        something else than it decided is what tests of controllers need. `dialect` gives the timers.
        Raises ValueError if `state` is not one.
        """
        self._respond, self._dialect = respond, dialect
        self._deployment, self._replace, self._epoch, self._lifetime = deployment, replace, epoch, lifetime
        self._drbg = Drbg(seed, b"sss")
        self._cookies = CookieJar(self._drbg)
        self._wires: dict[int, _Wire] = {}
        self._outgoing: list[tuple[int, bytes]] = []
        self._secrets: list[tuple[bytes, bytes]] = []
        if state is None:
            key = deployment.new_key(self._drbg.draw(32))
            self._authority = Authority.create("SSS runtime", "SCEWL runtime", key, epoch, epoch + _CA_LIFETIME)
            self._registered: set[int] = set()
        else:
            self._authority, self._registered = _load_state(state)

    # --- the boundary ------------------------------------------------------------------------------------------------

    def connect(self, wire: int) -> None:
        """A device's connection is new: whatever was known of this wire is forgotten."""
        self.disconnect(wire)
        self._wires[wire] = _Wire()

    def disconnect(self, wire: int) -> None:
        """A device's connection is gone."""
        if gone := self._wires.pop(wire, None):
            self._leave(gone)

    def receive(self, wire: int, data: bytes, now: int) -> None:
        """Take bytes that came on a wire. Whatever is due at `now` happens first. Never raises."""
        self.on_time(now)
        connection = self._wires.setdefault(wire, _Wire())
        connection.reader.feed(data)
        while frame := connection.reader.next():
            if frame.target != SSS_ID or frame.source < LOWEST_SED_ID:
                continue
            self._drbg.stir(struct.pack("<QI", now, wire) + frame.encode())
            for record in records.split(frame.payload):
                if records.is_client_hello(record):
                    self._take_hello(wire, frame.source, record, now)
                elif frame.source == connection.peer:
                    self._take_record(wire, record, now)

    def on_time(self, now: int) -> None:
        """Let the timers fire that are due at `now`."""
        for wire, connection in self._wires.items():
            while (deadline := connection.deadline()) is not None and deadline <= now:
                if connection.idle_deadline is not None:
                    self._end(wire, goodbye=True)
                elif connection.session:
                    self._advance(wire, connection.session.on_time(now), now)

    def deadline(self) -> int | None:
        """When `on_time` is needed next, in milliseconds; None if no timer is armed."""
        return min(self._deadlines(), default=None)

    def outgoing(self) -> list[tuple[int, bytes]]:
        """The frames to send, each with its wire; they are handed out once."""
        out, self._outgoing = self._outgoing, []
        return out

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New pairs of client_random and master secret, for a key log; they are handed out once."""
        out, self._secrets = self._secrets, []
        return out

    @property
    def runtime_ca(self) -> bytes:
        """The runtime CA certificate, DER."""
        return self._authority.certificate

    @property
    def registered(self) -> frozenset[int]:
        """The devices that count as registered."""
        return frozenset(self._registered)

    def state(self) -> bytes:
        """What must survive a restart (REG-1). Secret: it holds the runtime CA's key."""
        return json.dumps(
            {
                "version": _STATE_VERSION,
                "runtime_ca": self._authority.certificate.hex(),
                "runtime_ca_key": key_der(self._authority.key).hex(),
                "registered": sorted(self._registered),
            },
            indent=1,
        ).encode()

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _deadlines(self) -> Iterator[int]:
        for connection in self._wires.values():
            if (deadline := connection.deadline()) is not None:
                yield deadline

    def _take_hello(self, wire: int, source: int, record: Record, now: int) -> None:
        """A valid cookie and a new handshake replace the wire's session in any state: the device started over."""
        connection, hello, client = self._wires[wire], records.client_hello(record), str(source).encode()
        if hello is None:
            return
        valid = self._cookies.is_valid(client, hello.cookie)
        if valid and source == connection.peer and hello.random == connection.served_random:
            self._take_record(wire, record, now)  # flight 3 again
            return
        cn = self._deployment.cn_pattern.format(id=source)
        # No certificate holds the empty key, so that an unknown or removed device is refused (CRT-8).
        peer = Peer(
            cn,
            self._epoch + timedelta(milliseconds=now),
            self._deployment.public_key(source) or b"",
            self._deployment.rsa,
        )
        credentials = self._deployment.sss_credentials()
        candidate = Session(
            credentials,
            peer,
            self._drbg,
            suite=self._deployment.suite,
            server=(self._cookies, client),
            timeouts=(self._dialect.first_timeout, self._dialect.last_timeout),
        )
        happening = candidate.receive(record, now)
        if valid and happening.kind is Kind.NOTHING and candidate.outgoing:
            self._leave(connection)
            connection.session, connection.peer, connection.served_random = candidate, source, hello.random
            self._flush(wire)
            return
        if valid or happening.kind is Kind.VERIFY:
            self._send(wire, source, candidate.outgoing)
        candidate.close()

    def _take_record(self, wire: int, record: Record, now: int) -> None:
        connection = self._wires[wire]
        session = connection.session
        next_record: Record | None = record
        while session and session is connection.session and next_record:
            self._advance(wire, session.receive(next_record, now), now)
            next_record = session.take_held() if session is connection.session else None

    def _advance(self, wire: int, happening: Happening, now: int) -> None:
        self._flush(wire)
        connection, kind = self._wires[wire], happening.kind
        if kind is Kind.NOTHING:
            return
        if kind in (Kind.FAILED, Kind.ALERTED):
            self._end(wire)
        elif kind is Kind.CLOSED or not happening.in_order:
            self._end(wire, goodbye=True)
        else:
            connection.idle_deadline = now + self._dialect.idle_timeout
            if kind is Kind.DATA:
                self._take_data(wire, happening.data, now)

    def _take_data(self, wire: int, data: bytes, now: int) -> None:
        connection = self._wires[wire]
        connection.asked += data
        if connection.session is None or connection.answered or len(connection.asked) < 4:
            return
        connection.answered = True
        request = Request.decode(bytes(connection.asked))
        response = self._decide(connection.peer, request, now)
        connection.session.write(self._respond(response))
        self._flush(wire)

    def _decide(self, peer: int, request: Request | None, now: int) -> Response:
        """REG-1 to REG-3, REG-5. `request` is None if there were more than four bytes."""
        refused = Response(peer, REFUSED)
        if request is None or request.dev_id != peer:
            return refused
        known = peer in self._registered
        if request.op == DEREGISTER and known:
            self._registered.discard(peer)
            return Response(peer, DEREGISTER)
        if request.op != REGISTER or (known and not self._replace):
            return refused
        key = self._deployment.new_key(self._drbg.draw(32))
        begin = (self._epoch + timedelta(milliseconds=now)).replace(microsecond=0)
        certificate = self._authority.issue(str(peer), key.public_key(), peer, begin, begin + self._lifetime)
        self._registered.add(peer)
        return Response(peer, REGISTER, self._authority.certificate, certificate, key_der(key))

    def _end(self, wire: int, *, goodbye: bool = False) -> None:
        connection = self._wires[wire]
        if connection.session and goodbye:
            connection.session.say_goodbye()
            self._flush(wire)
        self._leave(connection)

    def _leave(self, connection: _Wire) -> None:
        if connection.session:
            connection.session.close()
        connection.session, connection.peer, connection.served_random = None, 0, b""
        connection.asked.clear()
        connection.answered = False
        connection.idle_deadline = None

    def _flush(self, wire: int) -> None:
        connection = self._wires[wire]
        if connection.session:
            self._send(wire, connection.peer, connection.session.outgoing)
            connection.session.outgoing.clear()
            self._secrets += connection.session.secrets
            connection.session.secrets.clear()

    def _send(self, wire: int, peer: int, datagrams: list[bytes]) -> None:
        self._outgoing += ((wire, Frame(peer, SSS_ID, datagram).encode()) for datagram in datagrams)


def _load_state(state: bytes) -> tuple[Authority, set[int]]:
    try:
        kept = json.loads(state)
        if kept["version"] != _STATE_VERSION:
            raise ValueError(f"version {kept['version']!r} is not {_STATE_VERSION}")
        authority = Authority(bytes.fromhex(kept["runtime_ca"]), load_key(bytes.fromhex(kept["runtime_ca_key"])))
        return authority, {int(i) for i in kept["registered"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not the state of an SSS ({error!r})") from error
