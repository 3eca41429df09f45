"""Scripted peers as devices of the lab: a SED on the radio, as client and as server, and an SSS on its wires."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from conformance.layers import DTLS, DTLSClientHello, DTLSHandshake
from conformance.peer.credentials import Identity, Shown
from conformance.peer.endpoint import AES_256, Endpoint
from conformance.peer.keys import derive
from conformance.peer.script import HONEST, Script
from conformance.wire.frames import Frame, FrameReader
from model.alphabet import BROADCAST, DEREGISTER, REFUSED, REGISTER, SSS_ID, Link
from reference.authority import Authority, key_der, new_key
from reference.deployment import VALID_FROM, VALID_TO, Deployment
from reference.registration import Request, Response

REQUEST_SIZE: Final = 4
"""Bytes of a registration request (protocol page, section 6)."""


def sed_identity(deployment: Deployment, sed_id: int) -> Identity:
    """A SED's provisioning set, and the authority's key for scripts that need it."""
    own = deployment.credentials(sed_id)
    return Identity(own.ca, own.certificate, bytes(own.key), key_der(deployment.authority.key))


def sss_identity(deployment: Deployment) -> Identity:
    """The SSS's set (CRT-6)."""
    own = deployment.sss_credentials()
    return Identity(own.ca, own.certificate, bytes(own.key), bytes(own.key))


class _Device:
    """Sessions with others over one link, one at a time with each."""

    def __init__(
        self, own_id: int, link: Link, identity: Identity, suite: int, seed: bytes, certificates: Shown | None = None
    ) -> None:
        self.id = own_id
        self.identity = identity
        self.sessions: dict[int, Endpoint] = {}
        """The latest with each other device."""
        self._link, self._suite, self._seed, self._certificates = link, suite, seed, certificates
        self._count = 0
        self._frames: list[tuple[Link, bytes]] = []
        self._secrets: list[tuple[bytes, bytes]] = []

    def receive(self, link: Link, data: bytes, now: int) -> None:
        """Bytes of one or more frames come in."""
        for frame in FrameReader().feed(data):
            if not isinstance(frame, Frame):
                continue
            if link is Link.CPU:
                self._from_cpu(frame, now)
            elif link is self._link and frame.target in (self.id, BROADCAST):
                self._datagram(frame.source, frame.payload, now)

    def on_time(self, now: int) -> None:
        """A deadline has come."""
        for other, session in list(self.sessions.items()):
            session.on_time(now)
            self._settle(other)

    def deadline(self) -> int | None:
        """The next deadline in milliseconds, if any."""
        return min((d for d in (s.deadline() for s in self.sessions.values()) if d is not None), default=None)

    def outgoing(self) -> list[tuple[Link, bytes]]:
        """Frames to send; drains."""
        out, self._frames = self._frames, []
        return out

    def secrets(self) -> list[tuple[bytes, bytes]]:
        """New client randoms and master secrets; drains."""
        out, self._secrets = self._secrets, []
        return out

    def _from_cpu(self, frame: Frame, now: int) -> None:
        """What the own CPU wants."""

    def _serve(self, other: int) -> Script:
        """The script for a session that another device begins."""
        raise NotImplementedError

    def _progress(self, other: int, session: Endpoint) -> None:
        """Look at what has come."""

    def _datagram(self, other: int, datagram: bytes, now: int) -> None:
        session = self.sessions.get(other)
        hello = _hello(datagram)
        if hello is not None and (session is None or _replaces(session, hello)):
            session = self._open(other, "server", self._serve(other), now)
        if session is not None:
            session.receive(datagram, now)
            self._settle(other)

    def _open(self, other: int, role: str, script: Script, now: int) -> Endpoint:
        self._count += 1
        session = Endpoint(
            "client" if role == "client" else "server",
            self.identity,
            self._suite,
            script,
            derive(self._seed, self.id, self._count),
            bound=str(other).encode(),
            peer_name=str(other),
            certificates=self._certificates,
        )
        self.sessions[other] = session
        session.start(now)
        return session

    def _settle(self, other: int) -> None:
        """See what came of it, and take what there is to send."""
        session = self.sessions[other]
        self._progress(other, session)
        self._secrets += session.secrets()
        for datagram in session.outgoing():
            self._frames.append((self._link, Frame(other, self.id, datagram).encode()))


class PeerSed(_Device):
    """A SED. `client` and `server` are the scripts of the sessions to come, and may be changed between them."""

    def __init__(
        self,
        sed_id: int,
        identity: Identity,
        *,
        client: Script = HONEST,
        server: Script = HONEST,
        suite: int = AES_256,
        seed: bytes = b"",
        certificates: Shown | None = None,
    ) -> None:
        """`certificates` are shown instead of what the scripts say."""
        super().__init__(sed_id, Link.RADIO, identity, suite, seed, certificates)
        self.client, self.server = client, server
        self._delivered: set[int] = set()
        """Those whose latest session has delivered its message."""

    def _from_cpu(self, frame: Frame, now: int) -> None:
        """Send a message to another SED, as SES-2 has it."""
        session = self._open(frame.target, "client", self.client, now)
        session.send(frame.payload)
        session.close()
        self._settle(frame.target)

    def _serve(self, other: int) -> Script:
        self._delivered.discard(other)
        return self.server

    def _progress(self, other: int, session: Endpoint) -> None:
        """Give the own CPU a message that is complete (SES-3)."""
        if session.is_server and session.peer_closed and other not in self._delivered:
            self._delivered.add(other)
            self._frames.append((Link.CPU, Frame(self.id, other, b"".join(session.received)).encode()))


class Registrar:
    """What an honest SSS answers: it registers every device, each time with a new key and certificate (REG-1 to 5)."""

    def __init__(self, seed: bytes) -> None:
        self._seed, self._count = seed, 0
        key = new_key(derive(seed, "runtime ca"))
        self._authority = Authority.create("SSS runtime", "SCEWL runtime", key, VALID_FROM, VALID_TO)
        self._registered: set[int] = set()

    @property
    def runtime_ca(self) -> bytes:
        """The runtime CA certificate, DER."""
        return self._authority.certificate

    def decide(self, sed_id: int, request: bytes) -> Response:
        """The answer to a device's request of four bytes."""
        asked = Request.decode(request)
        if asked is None or asked.dev_id != sed_id:
            return Response(sed_id, REFUSED)
        if asked.op == DEREGISTER and sed_id in self._registered:
            self._registered.discard(sed_id)
            return Response(sed_id, DEREGISTER)
        if asked.op != REGISTER:
            return Response(sed_id, REFUSED)
        self._count += 1
        self._registered.add(sed_id)
        key = new_key(derive(self._seed, "runtime", self._count))
        certificate = self._authority.issue(str(sed_id), key.public_key(), sed_id, VALID_FROM, VALID_TO)
        return Response(sed_id, REGISTER, self._authority.certificate, certificate, key_der(key))


class PeerSss(_Device):
    """An SSS. `script` is for the sessions to come; `alter` makes the bytes of a response."""

    def __init__(
        self,
        identity: Identity,
        registrar: Registrar,
        *,
        script: Script = HONEST,
        alter: Callable[[Response], bytes] = Response.encode,
        suite: int = AES_256,
        seed: bytes = b"",
    ) -> None:
        super().__init__(SSS_ID, Link.SSS, identity, suite, seed)
        self.registrar, self.script, self.alter = registrar, script, alter
        self._answered: set[int] = set()

    def _serve(self, other: int) -> Script:
        self._answered.discard(other)
        return self.script

    def _progress(self, other: int, session: Endpoint) -> None:
        request = b"".join(session.received)
        if len(request) >= REQUEST_SIZE and other not in self._answered:
            self._answered.add(other)
            session.send(self.alter(self.registrar.decide(other, request)))


def _hello(datagram: bytes) -> bytes | None:
    """The random of the ClientHello that a datagram begins with; empty if that is only a part of one; or None."""
    records = DTLS(datagram).records
    content = records[0].content if records and hasattr(records[0], "content") else []
    if not content or not isinstance(content[0], DTLSHandshake) or content[0].msg_type != 1:
        return None
    return bytes(content[0].payload.random) if isinstance(content[0].payload, DTLSClientHello) else b""


def _replaces(session: Endpoint, client_random: bytes) -> bool:
    """Whether a ClientHello begins a new session, where one was before."""
    if not session.is_server:
        return bool(session.ended) or session.closed
    return bool(client_random) and session.client_random not in (client_random, bytes(32))
