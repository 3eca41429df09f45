"""Which session is a datagram of? And the table of sessions.

The evidence, in this order: a ClientHello's random; a secret that opens a record; handshake bytes that are known, or
that only one role sends; record numbers that continue; the session that spoke last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from conformance.capture.frame import CapturedFrame
from conformance.sessions.assembly import Standing
from conformance.sessions.secrets import Secrets
from conformance.sessions.session import Session
from conformance.wire.frames import Frame
from conformance.wire.handshake import Fragment, HandshakeType, parse_fragments
from conformance.wire.records import ContentType, Malformed, Record

MAX_SESSIONS: Final = 512
"""Sessions that are remembered."""
MAX_OF_PAIR: Final = 8
"""Sessions that are remembered of one pair of devices at one tap."""
_TRIED: Final = 4
"""Records of a datagram that are tried with the secrets of all sessions of its pair."""
_RANDOM: Final = slice(2, 34)
"""Of a ClientHello or ServerHello."""

_BY_CLIENT: Final = frozenset(
    {HandshakeType.CLIENT_HELLO, HandshakeType.CLIENT_KEY_EXCHANGE, HandshakeType.CERTIFICATE_VERIFY}
)
_BY_SERVER: Final = frozenset(
    {
        HandshakeType.HELLO_REQUEST,
        HandshakeType.HELLO_VERIFY_REQUEST,
        HandshakeType.SERVER_HELLO,
        HandshakeType.NEW_SESSION_TICKET,
        HandshakeType.SERVER_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
    }
)

_ALIKE: Final = frozenset(
    {
        HandshakeType.HELLO_REQUEST,
        HandshakeType.CERTIFICATE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
    }
)
"""Messages that are the same in every session of a device."""

_HANDSHAKE: Final = ContentType.HANDSHAKE
_CLIENT_HELLO, _SERVER_HELLO = HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO
_VERIFY_REQUEST: Final = HandshakeType.HELLO_VERIFY_REQUEST
_KNOWN, _FOREIGN = Standing.KNOWN, Standing.FOREIGN

_NONE: Final[list[Session]] = []

Pair = tuple[int, int, int, int]
"""SED and link of the tap, and the two ids, the lower first."""


class Found:
    """The session of a datagram, None if it is of none, and what was made on the way to it."""

    __slots__ = ("fragments", "notes", "opened", "session")

    def __init__(self) -> None:
        self.session: Session | None = None
        self.opened: dict[int, bytes] = {}
        """Plaintexts by index of record, of those that were opened."""
        self.fragments: dict[int, list[Fragment | Malformed]] = {}
        """By index of record, of its handshake records in plaintext."""
        self.notes: list[str] = []


class Attribution:
    """The sessions of a capture, and whose a datagram is."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self.sessions: OrderedDict[int, Session] = OrderedDict()
        """By number, the one longest silent first."""
        self._pairs: dict[Pair, list[Session]] = {}
        """Sessions of a pair, the one that spoke last at the end."""
        self._latest: Session | None = None
        """The session that spoke last."""
        self._count = 0

    def find(self, captured: CapturedFrame, frame: Frame, parsed: Sequence[Record | Malformed]) -> Found:
        """The session; begins a new one where the datagram does."""
        a, b = frame.source, frame.target
        pair = (captured.sed, captured.link, a, b) if a < b else (captured.sed, captured.link, b, a)
        found = Found()
        known = self._pairs.get(pair, _NONE)
        session: Session | None = None
        content: list[tuple[Record, Fragment]] = []
        for index, entry in enumerate(parsed):
            if not isinstance(entry, Record):
                continue
            if entry.epoch:
                if not content and session is None and index < _TRIED:
                    session = self._by_secret(known, a, entry, index, found)
            elif entry.content_type is _HANDSHAKE:
                fragments = found.fragments[index] = parse_fragments(entry.fragment)
                content += [(entry, fragment) for fragment in fragments if isinstance(fragment, Fragment)]
        if session is None and content:
            session = self._by_handshake(pair, known, frame, content, found)
        if session is None:
            records = [e for e in parsed if isinstance(e, Record)]
            if known and records:
                session = _by_number(known, frame.source, records)
            elif any(record.epoch for record in records):
                session = self._late(pair, found)
        if session is not None:
            self._touch(session)
        found.session = session
        return found

    # --- evidence

    def _by_secret(self, known: list[Session], source: int, record: Record, index: int, found: Found) -> Session | None:
        for session in reversed(known):
            keys = session.keys or session.find_keys(self._secrets)
            if keys is None or not session.client:
                continue
            plaintext = keys.open_fragment(
                record.content_type,
                record.version,
                record.epoch,
                record.seq,
                record.fragment,
                source == session.client,
            )
            if plaintext is not None:
                found.opened[index] = plaintext
                return session
        return None

    def _by_handshake(
        self, pair: Pair, known: list[Session], frame: Frame, content: list[tuple[Record, Fragment]], found: Found
    ) -> Session:
        """`content` are the fragments in plaintext of the datagram, each with its record; there is one."""
        fragment = content[0][1]
        kind = fragment.type
        if kind is _CLIENT_HELLO and fragment.offset == 0 and len(fragment.body) >= _RANDOM.stop:
            return self._by_client_hello(pair, known, frame, fragment, found)
        kinds = {f.type for _, f in content}
        client, server = 0, 0
        if kinds & _BY_CLIENT:
            client, server = frame.source, frame.target
        elif kinds & _BY_SERVER:
            client, server = frame.target, frame.source
        fitting = [s for s in known if not client or not s.client or s.client == client]
        if not fitting:
            session = self._late(pair, found)
        elif len(fitting) == 1:
            session = fitting[0]
        elif kind is _VERIFY_REQUEST:  # whose cookie may be that of an earlier session
            session = next((s for s in reversed(fitting) if not s.server_random), fitting[-1])
        else:
            session = _most_likely(fitting, frame.source, content)
        if client and not session.client:
            session.set_roles(client, server)
        if kind is _SERVER_HELLO and fragment.offset == 0 and len(fragment.body) >= _RANDOM.stop:
            return self._by_server_hello(pair, fitting, session, fragment, found)
        return session

    def _by_client_hello(
        self, pair: Pair, known: list[Session], frame: Frame, fragment: Fragment, found: Found
    ) -> Session:
        random = fragment.body[_RANDOM]
        same = [s for s in known if s.client == frame.source and s.client_random == random]
        if same:
            # A server may have begun anew with an old hello: what was said already belongs where it was said.
            flows = ((s, s.sides[frame.source].flow) for s in same)
            return next((s for s, flow in flows if flow.standing(fragment) is _KNOWN), same[-1])
        begun = (s for s in known if s.late and s.client == frame.source and not s.server_random)
        verified = next((s for s in begun if not any(side.flow.messages for side in s.sides.values())), None)
        if verified is not None:  # its HelloVerifyRequest was the first of it that was captured
            verified.set_random(random)
            return verified
        crossing = (s for s in reversed(known) if s.client == frame.target and s.client_random and not s.server_random)
        other = next(crossing, None)
        session = self._begin(pair, frame.source, frame.target, random)
        if other is not None:
            found.notes.append(f"glare: session {other.number} has no answer yet")
        return session

    def _by_server_hello(
        self, pair: Pair, fitting: list[Session], session: Session, fragment: Fragment, found: Found
    ) -> Session:
        """A ServerHello with another random for the same ClientHello begins a session of its own."""
        random = fragment.body[_RANDOM]
        if not session.server_random or session.server_random == random:
            return session
        for other in fitting:
            if other.client == session.client and other.server_random == random:
                return other
        fresh = next((s for s in reversed(fitting) if s.client == session.client and not s.server_random), None)
        if fresh is not None:
            return fresh
        begun = self._begin(pair, session.client, session.server, session.client_random)
        for hello in session.sides[session.client].flow.messages:
            if hello.type is _CLIENT_HELLO:
                begun.sides[session.client].flow.adopt(hello, session.sides[session.client].flow)
        found.notes.append(f"another ServerHello for the ClientHello of session {session.number}")
        return begun

    # --- the table

    def _late(self, pair: Pair, found: Found) -> Session:
        session = self._begin(pair, 0, 0, b"")
        found.notes.append(f"session {session.number} began before the capture")
        return session

    def _begin(self, pair: Pair, client: int, server: int, random: bytes) -> Session:
        self._count += 1
        session = Session(self._count, pair, client, server, random)
        self.sessions[session.number] = session
        of_pair = self._pairs.setdefault(pair, [])
        of_pair.append(session)
        if len(of_pair) > MAX_OF_PAIR:
            self._forget(of_pair[0])
        elif len(self.sessions) > MAX_SESSIONS:
            self._forget(next(iter(self.sessions.values())))
        return session

    def _forget(self, session: Session) -> None:
        del self.sessions[session.number]
        of_pair = self._pairs[session.pair]
        of_pair.remove(session)
        if not of_pair:
            del self._pairs[session.pair]

    def _touch(self, session: Session) -> None:
        if session is self._latest:
            return
        self._latest = session
        self.sessions.move_to_end(session.number)
        of_pair = self._pairs[session.pair]
        if of_pair[-1] is not session:
            of_pair.remove(session)
            of_pair.append(session)


def _most_likely(fitting: list[Session], source: int, content: list[tuple[Record, Fragment]]) -> Session:
    """The session that a datagram with handshake content fits best."""
    last = fitting[-1]
    fits, _, continues, _, _ = _likelihood(last, source, content)
    telling = next((fragment for _, fragment in content if fragment.type not in _ALIKE), None)
    if fits and continues and telling is not None:
        rivals = (s for s in fitting if s.sides[source].flow.standing(telling) is _KNOWN)
        if next(rivals, last) is last:
            return last
    ranked = [(_likelihood(s, source, content), n) for n, s in enumerate(fitting)]
    return fitting[max(ranked)[1]]


def _likelihood(session: Session, source: int, content: list[tuple[Record, Fragment]]) -> tuple[bool, ...]:
    """How well a datagram fits a session, the strongest evidence first; ties go to the session that spoke last."""
    side = session.sides[source]
    standings = [(fragment.type, side.flow.standing(fragment)) for _, fragment in content]
    record, fragment = content[0]
    next_seq = side.flow.next_seq
    return (
        all(standing is not _FOREIGN for _, standing in standings),
        any(standing is _KNOWN for kind, standing in standings if kind not in _ALIKE),
        side.expected.get(0) == record.seq,
        all(standing is _KNOWN for _, standing in standings),
        next_seq is None or next_seq <= fragment.message_seq,
    )


def _by_number(known: list[Session], source: int, records: list[Record]) -> Session:
    """The session in which a sealed record came before, else in which the numbers continue, else that spoke last."""
    for record in records:
        for session in known if record.epoch else ():
            if session.sides[source].earlier(record)[1]:
                return session
    epoch, seq = records[0].epoch, records[0].seq
    # No records of epoch 1 come before a ServerHello; and those that known keys did not open are rather of a session
    # whose keys are not known.
    possible = [s for s in known if not epoch or s.late or s.server_random] or known
    possible = [s for s in possible if not epoch or s.keys is None] or possible
    for session in reversed(possible):
        side = session.sides[source]
        if side.expected.get(epoch, 0 if epoch and side.change_cipher_spec else None) == seq:
            return session
    return possible[-1]
