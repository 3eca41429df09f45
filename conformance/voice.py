"""All that anybody says to the controller, as bytes: one that knows every key, and is copied with what it looked at.

What it says follows from the judge's view of the running session and from the model's state, so that a controller that
goes back to a copy finds its peers where they were. Nothing that it says depends on what it said before.
"""

from __future__ import annotations

import struct
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from conformance.abstraction import Identity
from conformance.abstraction.session import Session
from conformance.peer.keys import Direction, Ephemeral, Keys, derive, master_secret
from conformance.sayings import handshaking, own_ca
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame
from conformance.wire.handshake import HandshakeType, Message
from conformance.wire.records import DTLS_1_2, ContentType, Record
from conformance.wire.secrets import SUITES, KeyLog
from model.alphabet import BROADCAST, FAA_ID, MAX_MESSAGE, REGISTER, SSS_ID, Ca, Event, Link
from model.state import Mode, State, Step
from model.system.alone import HIGHER, LOWER, ME
from reference.authority import Authority, PrivateKey, key_der, load_key, new_key
from reference.deployment import VALID_FROM, VALID_TO, Deployment
from reference.registration import Response

SEED: Final = b"conformance/transitions"
"""Of a tour on copies; a case of a run has its own."""
SUITE: Final = SUITES[0xC02C]
COOKIE: Final = bytes(range(16))
"""Of our servers."""
RECORD: Final = 963
"""Most bytes of data in one record (DTL-5)."""
_ECDSA: Final = struct.pack(">H", 0x0403)
_FATAL, _CLOSE = b"\2\x28", b"\1\0"
_GROUP: Final = bytes([3, 0, 23, 65])
"""A named curve, P-256, and the length of a point (RFC 8422, section 5.4)."""


class Voice:
    """Says what an event is in bytes."""

    def __init__(self, seed: bytes = SEED, keylog: KeyLog | None = None) -> None:
        """`keylog` gets the secrets of its sessions."""
        self._seed = seed
        self.deployment = Deployment.create((LOWER, ME, HIGHER), seed=seed)
        self.keylog = KeyLog() if keylog is None else keylog
        self.secrets: list[tuple[bytes, bytes]] = []
        """Client random and master secret of each session, in the order of their first use."""
        self._keys: dict[tuple[bytes, bytes, bytes], tuple[Keys, bytes]] = {}
        self._server_random = derive(seed, "server random")
        self._ephemeral = Ephemeral("p256", derive(seed, "ephemeral"))
        key = new_key(derive(seed, "runtime ca", size=32))
        self._runtime = Authority.create("runtime", "SCEWL runtime", key, VALID_FROM, VALID_TO)
        self._shown: dict[tuple[int, int, int], tuple[bytes, PrivateKey]] = {}
        self._sets = {
            usable: Response(ME, REGISTER, self._runtime.certificate, self._certificate(ME, Ca.RUNTIME, ME)[0], key)
            for usable, key in ((1, self._key(ME)), (0, self._key(LOWER)))
        }

    def identity(self) -> Identity:
        """What the judge knows of the controller."""
        authorities = Authorities(self.authorities())
        own = authorities.classify(self.deployment.credentials(ME).certificate)
        return Identity(ME, authorities, own.public_key or b"", suite=self.deployment.suite)

    def authorities(self) -> dict[str, bytes]:
        """The two CA certificates by label, DER."""
        return {"PROVISIONING": self.deployment.authority.certificate, "RUNTIME": self._runtime.certificate}

    # --- the CPU, the FAA, and whoever needs no key

    def to_bus(self, event: Event) -> bytes:
        """A CPU frame."""
        match event.kind, event.args:
            case (("cpu-send" | "cpu-oversize" | "start-failure"), (to, *size)):
                target, payload = to, bytes(*size) if size else b"\0"
            case "cpu-request", (size, dev, op):
                target, payload = SSS_ID, struct.pack("<Hh", dev, op)[:size]
            case "cpu-faa", (size,):
                target, payload = FAA_ID, bytes(size)
            case _:
                target, payload = BROADCAST, b"\0"
        return Frame(target, ME, payload).encode()

    def client_random(self, source: int, handshake: int) -> bytes:
        """Of a client's handshake."""
        return derive(self._seed, "client random", source, handshake, size=32)

    def hello(self, random: bytes, cookie: bytes, number: int) -> bytes:
        """A ClientHello; its client random tells one handshake from another."""
        body = struct.pack(">H", DTLS_1_2) + random + b"\0"
        body += bytes([len(cookie)]) + cookie + struct.pack(">HH", 2, SUITE.number) + b"\1\0"
        extensions = struct.pack(">HHHH", 10, 4, 2, 23) + struct.pack(">HHH", 13, 4, 2) + _ECDSA
        body += struct.pack(">H", len(extensions)) + extensions
        return _plain(number, Message(HandshakeType.CLIENT_HELLO, 1 if cookie else 0, body))

    # --- the running session's peer

    def says(self, event: Event, s: State, session: Session, number: int, *, variant: int = 0) -> list[bytes]:
        """The datagrams of its peer that are nearest to an event; `number` is that of its next plaintext record."""
        match event.kind, event.args:
            case "verify-request", _:
                return [_plain(number, self._verify_request(session, s))]
            case "certificate", (_, ca, cn):
                return [_plain(number, *self._flight(s, session, ca, cn)[: 2 if session.client else 1])]
            case (("flight4" | "flight5"), _):
                return self._whole(s, session, number, finish=event.kind == "flight5")
            case "flight6", (_, seq):
                return [self._finished(session, number, seq)]
            case "repeat", (_, 4, _):
                return [_plain(number + n, m) for n, m in enumerate(self._flight(s, session, own_ca(s), s.peer))]
            case "repeat", (_, _, seq):
                return [self._sealed(session, ContentType.HANDSHAKE, seq, self._finished_message(session))]
            case "alert", (_, seq) if seq < 0:
                return [_record(ContentType.ALERT, number, _FATAL)]
            case "alert", (_, seq) if handshaking(s):
                alert = _change(number + 9) + self._sealed(session, ContentType.ALERT, seq, _FATAL)
                return [*([] if session.client else self._whole(s, session, number, finish=False)), alert]
            case "alert", (_, seq):
                return [self._sealed(session, ContentType.ALERT, seq, _FATAL)]
            case "close", (_, seq):
                return [self._sealed(session, ContentType.ALERT, seq, _CLOSE)]
            case "data", (_, seq, size):
                return [
                    self._sealed(session, ContentType.APPLICATION_DATA, seq, d)
                    for seq, d in _data(s, session, seq, size)
                ]
            case "response", (op, good, usable):
                rest = self._response(s.op, op, good, usable)[len(session.collected) :]
                parts = [rest[i : i + RECORD] for i in range(0, len(rest), RECORD)]
                return [
                    self._sealed(session, ContentType.APPLICATION_DATA, s.expect + n, part)
                    for n, part in enumerate(parts)
                ]
            case _:
                return [FORGERIES[variant](number, session)]

    def keys(self, session: Session) -> Keys | None:
        """The session's, once both halves of its key exchange are known; the judge gets to know them."""
        server_random = self._server_random if session.client else session.server_random
        kind = HandshakeType.CLIENT_KEY_EXCHANGE if session.client else HandshakeType.SERVER_KEY_EXCHANGE
        body = next((m[12:] for m in _messages(session.transcript) if m[0] == kind), None)
        if body is None:
            return None
        known = session.client_random, server_random, body
        if known not in self._keys:
            premaster = self._ephemeral.premaster(body[1:66] if session.client else body[4:69])
            assert premaster is not None
            master = master_secret(SUITE, premaster, session.client_random + server_random, None)
            self.secrets.append((session.client_random, master))
            self._keys[known] = Keys.derive(SUITE, master, session.client_random, server_random), master
        keys, master = self._keys[known]
        self.keylog.add(session.client_random, master)  # on another copy the same hello may have had another answer
        return keys

    def _verify_request(self, session: Session, s: State) -> Message:
        first = session.client and s.step == Step.HELLO
        body = struct.pack(">HB", 0xFEFF, len(COOKIE)) + COOKIE
        return Message(HandshakeType.HELLO_VERIFY_REQUEST, 0 if first else session.inbound.next_seq, body)

    def _flight(self, s: State, session: Session, ca: int, cn: int) -> list[Message]:
        """The plaintext messages of flight 4 or 5, with a certificate of an authority in a name."""
        der, key = self._certificate(s.peer, ca, cn)
        one = len(der).to_bytes(3, "big") + der
        certificate = len(one).to_bytes(3, "big") + one
        if session.client:
            parameters = _GROUP + self._ephemeral.point
            signature = _sign(key, session.client_random + self._server_random + parameters)
            hello = struct.pack(">H", DTLS_1_2) + self._server_random + b"\0" + struct.pack(">HB", SUITE.number, 0)
            return [
                Message(HandshakeType.SERVER_HELLO, 1, hello),
                Message(HandshakeType.CERTIFICATE, 2, certificate),
                Message(HandshakeType.SERVER_KEY_EXCHANGE, 3, parameters + signature),
                Message(HandshakeType.CERTIFICATE_REQUEST, 4, b"\1\x40\0\2" + _ECDSA + b"\0\0"),
                Message(HandshakeType.SERVER_HELLO_DONE, 5, b""),
            ]
        exchange = Message(HandshakeType.CLIENT_KEY_EXCHANGE, 3, bytes([65]) + self._ephemeral.point)
        chain = Message(HandshakeType.CERTIFICATE, 2, certificate)
        before = bytes(session.transcript) + chain.encode() + exchange.encode()
        return [chain, exchange, Message(HandshakeType.CERTIFICATE_VERIFY, 4, _sign(key, before))]

    def _whole(self, s: State, session: Session, number: int, *, finish: bool) -> list[bytes]:
        """Flight 4 or, with ChangeCipherSpec and Finished, 5, one record a datagram."""
        messages = self._flight(s, session, own_ca(s), s.peer)
        out = [_plain(number + n, message) for n, message in enumerate(messages)]
        if not finish or session.client or (keys := self.keys(session)) is None:
            return out
        transcript = bytes(session.transcript) + b"".join(m.encode() for m in messages)
        finished = Message(HandshakeType.FINISHED, 5, keys.verify_data(transcript, by_client=True)).encode()
        return [*out, _change(number + len(out)) + self._sealed(session, ContentType.HANDSHAKE, 0, finished)]

    def _finished_message(self, session: Session) -> bytes:
        """A server's or a client's Finished over the handshake as it was."""
        keys = self.keys(session)
        transcript = bytes(session.transcript)
        if keys is None:
            return b""
        if session.client and session.own_finished is not None:
            own = session.own_finished
            transcript += keys.client.open(1, own.seq, own.content_type, own.version, own.fragment) or b""
        data = keys.verify_data(transcript, by_client=not session.client)
        return Message(HandshakeType.FINISHED, 6 if session.client else 5, data).encode()

    def _finished(self, session: Session, number: int, seq: int) -> bytes:
        return _change(number) + self._sealed(session, ContentType.HANDSHAKE, seq, self._finished_message(session))

    def _sealed(self, session: Session, kind: ContentType, seq: int, plaintext: bytes) -> bytes:
        """A record of epoch 1; before there are keys, under keys that nobody has."""
        keys = self.keys(session)
        side = Direction(bytes(32), bytes(4)) if keys is None else keys.server if session.client else keys.client
        return Record(kind, DTLS_1_2, 1, seq, side.seal(1, seq, kind, DTLS_1_2, plaintext)).encode()

    # --- credentials

    def _response(self, asked: int, op: int, good: int, usable: int) -> bytes:
        """A response; a spoiled one goes on after its end."""
        whole = Response(ME, op).encode()
        if op == REGISTER and asked == REGISTER:
            whole = self._sets[usable].encode()
        return whole if good else whole + b"\0"

    def _key(self, sed_id: int) -> bytes:
        return key_der(new_key(derive(self._seed, "key", sed_id, size=32)))

    def _certificate(self, peer: int, ca: int, cn: int) -> tuple[bytes, PrivateKey]:
        """A certificate in a name, and its key. The SSS's own is that of its authority (CRT-6)."""
        made = self._shown.get((peer, ca, cn))
        if made is None:
            authority = self.deployment.authority if ca == Ca.PROVISIONING else self._runtime
            if (peer, ca, cn) == (SSS_ID, Ca.PROVISIONING, SSS_ID):
                made = authority.certificate, authority.key
            else:
                key = load_key(self._key(cn))
                made = authority.issue(str(cn), key.public_key(), cn, VALID_FROM, VALID_TO), key
            self._shown[peer, ca, cn] = made
        return made


def link_of(peer: int) -> Link:
    """Where a peer is heard."""
    return Link.SSS if peer == SSS_ID else Link.RADIO


def _record(kind: ContentType, number: int, fragment: bytes) -> bytes:
    return Record(kind, DTLS_1_2, 0, number, fragment).encode()


def _change(number: int) -> bytes:
    return _record(ContentType.CHANGE_CIPHER_SPEC, number, b"\1")


def _plain(number: int, *messages: Message) -> bytes:
    """Messages in one plaintext record."""
    return _record(ContentType.HANDSHAKE, number, b"".join(m.encode() for m in messages))


def _messages(transcript: bytearray) -> list[bytes]:
    found, at = [], 0
    while at < len(transcript):
        end = at + 12 + int.from_bytes(transcript[at + 1 : at + 4], "big")
        found.append(bytes(transcript[at:end]))
        at = end
    return found


def _sign(key: PrivateKey, message: bytes) -> bytes:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    from cryptography.hazmat.primitives.hashes import SHA256

    signature = key.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return _ECDSA + struct.pack(">H", len(signature)) + signature


def _data(s: State, session: Session, seq: int, size: int) -> list[tuple[int, bytes]]:
    """Records of a message; of a response, as its beginning goes on. More than a record holds is a series of them."""
    if size <= RECORD:
        begun = struct.pack("<Hh", ME, s.op)[len(session.collected) :][:size]
        return [(seq, begun if s.mode == Mode.TALKING_TO_SSS else bytes(size))]
    left = MAX_MESSAGE + 1 - s.size
    sizes = [RECORD] * (left // RECORD) + [left % RECORD] * (left % RECORD > 0)
    return [(seq + n, bytes(part)) for n, part in enumerate(sizes)]


def _next(kind: int, body: bytes, ahead: int = 0) -> bytes:
    return (
        bytes([kind])
        + len(body).to_bytes(3, "big")
        + ahead.to_bytes(2, "big")
        + bytes(3)
        + len(body).to_bytes(3, "big")
        + body
    )


FORGERIES: Final = (
    lambda number, session: _record(ContentType.HANDSHAKE, number, _next(2, bytes(3), session.inbound.next_seq)),
    lambda number, session: _record(ContentType.HANDSHAKE, number, _next(0, b"", session.inbound.next_seq)),
    lambda number, session: _record(ContentType.HANDSHAKE, number, _next(3, b"\0", session.inbound.next_seq)),
    lambda number, session: _record(ContentType.HANDSHAKE, number, _next(14, b"", session.inbound.next_seq)),
    lambda number, session: _record(ContentType.HANDSHAKE, number, _next(11, bytes(3), session.inbound.next_seq + 40)),
    lambda number, _: _record(ContentType.CHANGE_CIPHER_SPEC, number, b"\2"),
    lambda number, _: _record(ContentType.APPLICATION_DATA, number, b"?"),
)
"""Plaintext messages that belong to no handshake under way, some of which a controller may ignore."""
