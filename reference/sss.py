"""The SSS: registers and deregisters SEDs, one wire per device (REG, CRT-6, CRT-8, CRT-10).

Sans-I/O like the controller. The wires share nothing but the list of devices, so that whatever happens on one of them,
the others are served (REG-7).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from model.alphabet import LOWEST_SED_ID, SSS_ID
from reference import records
from reference.authority import Authority, PrivateKey, key_der, load_key
from reference.credentials import Peer, fault_names
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


class Step(StrEnum):
    """What became of a wire's session, for whoever logs and counts it."""

    OPENED = "opened"
    """A ClientHello with a valid cookie: flight 4 went out. The id is claimed, not proved."""
    PROVED = "proved"
    """The handshake is complete: the device has shown its provisioned key (CRT-8)."""
    ANSWERED = "answered"
    """The response went out."""
    FAILED = "failed"
    """The session ended by a failure or a fatal alert."""
    ENDED = "ended"
    """The session ended otherwise."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A step on a wire. `device` is the SCEWL id, `detail` the reason of a failure or the op of the answer."""

    wire: int
    device: int
    step: Step
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """A request that is granted as soon as it is kept where a crash cannot reach it; then `settle` says so."""

    wire: int
    response: Response
    session: Session = field(repr=False)

    @property
    def device(self) -> int:
        """The SCEWL id of the device that asked."""
        return self.response.dev_id


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
        deferred: bool = False,
        make_key: Callable[[], PrivateKey] | None = None,
        notify: Callable[[Notice], None] = lambda _: None,
    ) -> None:
        """Start, or start again with what `state()` gave (REG-1).

        Every byte follows from `seed` and the inputs; `epoch` is the date at `now` = 0, by which certificates are
        judged and made (CRT-10); `replace` is REG-5. `respond` makes the bytes of a response: an SSS that says
        something else than it decided is what tests of controllers need. `dialect` gives the timers.
        Raises ValueError if `state` is not one.

        With `deferred`, what is granted waits in `decisions` until `settle`. `make_key` gives the devices' keys, of
        the deployment's kind, instead of the own generator; `notify` is told each step, from within `take`, `on_time`
        and the like.
        """
        self._respond, self._deferred, self._notify, self._dialect = respond, deferred, notify, dialect
        self._make_key = make_key or (lambda: deployment.new_key(self._drbg.draw(32)))
        self._decisions: list[Decision] = []
        self._undecided: set[int] = set()
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
        if wire in self._wires:
            self._end(wire)
            del self._wires[wire]

    def receive(self, wire: int, data: bytes, now: int) -> None:
        """Take bytes that came on a wire. Whatever is due at `now` happens first. Never raises."""
        self.on_time(now)
        connection = self._wires.setdefault(wire, _Wire())
        connection.reader.feed(data)
        while frame := connection.reader.next():
            self.take(wire, frame, now)

    def take(self, wire: int, frame: Frame, now: int) -> None:
        """Take one frame that came on a wire, at a `now` at which no timer is due. Never raises."""
        connection = self._wires.setdefault(wire, _Wire())
        if frame.target != SSS_ID or frame.source < LOWEST_SED_ID:
            return
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

    def decisions(self) -> list[Decision]:
        """With `deferred`: what must be kept before it is answered; each is handed out once, and `settle`d once."""
        out, self._decisions = self._decisions, []
        return out

    def settle(self, decision: Decision, *, kept: bool) -> None:
        """Answer a request whose decision is kept, or refuse it if it could not be."""
        self._undecided.discard(decision.device)
        response = decision.response
        if kept:
            self._remember(response)
        else:
            response = Response(decision.device, REFUSED)
        connection = self._wires.get(decision.wire)
        if connection and connection.session is decision.session:  # else it has gone, and asks again (REG-5)
            self._answer(decision.wire, response)

    def set_date(self, date: datetime, now: int) -> None:
        """Judge and make certificates by this date from now on (CRT-10); timers are untouched."""
        self._epoch = date - timedelta(milliseconds=now)

    def remove(self, device: int) -> None:
        """Refuse a device from now on (CRT-8): its session ends, and it is not registered any more."""
        self._deployment.removed.add(device)
        self._registered.discard(device)
        for wire, connection in self._wires.items():
            if connection.peer == device:
                self._end(wire, goodbye=connection.idle_deadline is not None)

    def goodbye(self) -> None:
        """End every session, those that are proved with a close_notify: the server stops."""
        for wire, connection in self._wires.items():
            self._end(wire, goodbye=connection.idle_deadline is not None)

    @property
    def runtime_ca(self) -> bytes:
        """The runtime CA certificate, DER."""
        return self._authority.certificate

    def runtime_authority(self) -> tuple[bytes, bytes]:
        """The runtime CA's certificate, DER, and its key, SEC 1 DER. Secret."""
        return self._authority.certificate, key_der(self._authority.key)

    @property
    def registered(self) -> frozenset[int]:
        """The devices that count as registered."""
        return frozenset(self._registered)

    def state(self) -> bytes:
        """What must survive a restart (REG-1). Secret: it holds the runtime CA's key."""
        return encode_state(*self.runtime_authority(), self._registered)

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
            self._end(wire)
            connection.session, connection.peer, connection.served_random = candidate, source, hello.random
            self._notify(Notice(wire, source, Step.OPENED))
            self._flush(wire)
            return
        if valid or happening.kind is Kind.VERIFY:
            self._send(wire, source, candidate.outgoing)
        else:  # the library would refuse it; but nobody is refused before he has shown a cookie (SES-6)
            cookie = self._cookies.cookie(client)
            self._send(wire, source, [records.hello_verify_request(record, hello, cookie)])
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
            self._end(wire, failure=_reason(connection.session, kind))
        elif kind is Kind.CLOSED or not happening.in_order:
            self._end(wire, goodbye=True)
        else:
            connection.idle_deadline = now + self._dialect.idle_timeout
            if kind is Kind.ESTABLISHED:
                self._notify(Notice(wire, connection.peer, Step.PROVED))
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
        if response.op == REFUSED:
            self._answer(wire, response)
        elif self._deferred:
            self._undecided.add(connection.peer)
            self._decisions.append(Decision(wire, response, connection.session))
        else:
            self._remember(response)
            self._answer(wire, response)

    def _decide(self, peer: int, request: Request | None, now: int) -> Response:
        """REG-1 to REG-3, REG-5. `request` is None if there were more than four bytes."""
        refused = Response(peer, REFUSED)
        if request is None or request.dev_id != peer or peer in self._undecided:
            return refused
        known = peer in self._registered
        if request.op == DEREGISTER and known:
            return Response(peer, DEREGISTER)
        if request.op != REGISTER or (known and not self._replace):
            return refused
        key = self._make_key()
        begin = (self._epoch + timedelta(milliseconds=now)).replace(microsecond=0)
        certificate = self._authority.issue(str(peer), key.public_key(), peer, begin, begin + self._lifetime)
        return Response(peer, REGISTER, self._authority.certificate, certificate, key_der(key))

    def _remember(self, response: Response) -> None:
        if response.op == DEREGISTER:
            self._registered.discard(response.dev_id)
        elif response.dev_id not in self._deployment.removed:  # it may have been while the decision was kept
            self._registered.add(response.dev_id)

    def _answer(self, wire: int, response: Response) -> None:
        if session := self._wires[wire].session:
            session.write(self._respond(response))
            self._flush(wire)
            self._notify(Notice(wire, response.dev_id, Step.ANSWERED, str(response.op)))

    def _end(self, wire: int, *, goodbye: bool = False, failure: str = "") -> None:
        connection = self._wires[wire]
        if connection.session:
            if goodbye:
                connection.session.say_goodbye()
                self._flush(wire)
            self._notify(Notice(wire, connection.peer, Step.FAILED if failure else Step.ENDED, failure))
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


def encode_state(certificate: bytes, key: bytes, registered: Iterable[int]) -> bytes:
    """The state of an SSS: its runtime CA's certificate and key, DER, and the ids that count as registered."""
    state = {
        "version": _STATE_VERSION,
        "runtime_ca": certificate.hex(),
        "runtime_ca_key": key.hex(),
        "registered": sorted(registered),
    }
    return json.dumps(state, indent=1).encode()


def _reason(session: Session | None, kind: Kind) -> str:
    """Why a session failed, in words."""
    if session and session.faults:
        return "the certificate is refused: " + ", ".join(fault_names(session.faults))
    if kind is Kind.ALERTED:
        return "the device sent a fatal alert"
    if session and session.gave_up:
        return "the device fell silent during the handshake"
    return "the session failed"


def _load_state(state: bytes) -> tuple[Authority, set[int]]:
    try:
        kept = json.loads(state)
        if kept["version"] != _STATE_VERSION:
            raise ValueError(f"version {kept['version']!r} is not {_STATE_VERSION}")
        authority = Authority(bytes.fromhex(kept["runtime_ca"]), load_key(bytes.fromhex(kept["runtime_ca_key"])))
        return authority, {int(i) for i in kept["registered"]}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is not the state of an SSS ({error!r})") from error
