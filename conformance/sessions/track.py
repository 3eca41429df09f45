"""Follow the DTLS sessions of a capture, frame by frame: whose record is it, what is in it, did it come before?

Each SED's link is a tap of its own, and within a tap each unordered pair of SCEWL ids has its sessions: the same radio
frame seen at two taps is no retransmission. A secret opens what is fed after it is known; for frames fed
earlier a second tracker must be run.

Memory is bounded, whatever is fed: `MAX_SESSIONS` sessions, of which the one longest silent is forgotten first, each
with 2 flows of `assembly.MAX_BYTES` bytes in `assembly.MAX_PIECES` pieces and 2 times `session.MAX_REMEMBERED` records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from conformance.capture.frame import CapturedFrame
from conformance.sessions import notes as words
from conformance.sessions.attribution import Attribution, Found
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import Protection, SeenFragment, SeenFrame, SeenRecord
from conformance.sessions.session import MATTERING, Session
from conformance.wire.frames import HEADER, MAGIC, Frame
from conformance.wire.handshake import Fragment, HandshakeType, Message, parse_fragments
from conformance.wire.records import HEADER_SIZE as RECORD_HEADER
from conformance.wire.records import ContentType, Malformed, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import FAA_ID, SSS_ID, Link

_FLIGHT_OF: Final = {
    HandshakeType.HELLO_VERIFY_REQUEST: 2,
    HandshakeType.SERVER_HELLO: 4,
    HandshakeType.SERVER_KEY_EXCHANGE: 4,
    HandshakeType.CERTIFICATE_REQUEST: 4,
    HandshakeType.SERVER_HELLO_DONE: 4,
    HandshakeType.CLIENT_KEY_EXCHANGE: 5,
    HandshakeType.CERTIFICATE_VERIFY: 5,
    HandshakeType.NEW_SESSION_TICKET: 6,
}
# Looking a member up in its enumeration takes longer than all else that is done with it here.
_PLAIN, _OPENED, _SEALED, _REFUSED = Protection.PLAIN, Protection.OPENED, Protection.SEALED, Protection.REFUSED
_HANDSHAKE, _DATA = ContentType.HANDSHAKE, ContentType.APPLICATION_DATA
_CHANGE_CIPHER_SPEC = ContentType.CHANGE_CIPHER_SPEC
_CLIENT_HELLO, _SERVER_HELLO = HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO
_VERIFY_REQUEST, _CERTIFICATE = HandshakeType.HELLO_VERIFY_REQUEST, HandshakeType.CERTIFICATE
_KEY_EXCHANGE: Final = HandshakeType.CLIENT_KEY_EXCHANGE
_FINISHED, _CPU, _SSS_WIRE = HandshakeType.FINISHED, Link.CPU, Link.SSS
_TWO_SIDED: Final = {_CERTIFICATE: (5, 4), _FINISHED: (5, 6)}
"""Flights of messages that both sides send: the client's and the server's."""
_COOKIE_LENGTH_AT: Final = 34
"""Where a ClientHello's session id begins: its length, the id, then the cookie's length."""


class Tracker:
    """Explains captured frames in the order in which they are fed. `secrets` may grow while it is in use.

    Frames are told by their `number`; those that have none are counted as they come.
    """

    def __init__(self, secrets: Secrets | KeyLog | None = None) -> None:
        self.secrets = secrets if isinstance(secrets, Secrets) else Secrets(secrets)
        self._attribution = Attribution(self.secrets)
        self._fed = 0

    @property
    def sessions(self) -> Sequence[Session]:
        """The sessions that are remembered, the one longest silent first."""
        return list(self._attribution.sessions.values())

    @property
    def held(self) -> int:
        """Bytes, pieces and records that are remembered, all told."""
        return sum(side.held for session in self.sessions for side in session.sides.values())

    def feed(self, captured: CapturedFrame) -> SeenFrame:
        """What the next frame is."""
        self._fed += 1
        data = captured.frame
        size = len(data) - HEADER.size
        magic, target, source, length = HEADER.unpack_from(data) if size >= 0 else (b"", 0, 0, 0)
        if magic != MAGIC or length != size:
            return SeenFrame(captured, None, _problem(data), (), None, None, 0, 0, ())
        frame = Frame(target, source, data[HEADER.size :])
        link = captured.link
        if link is _CPU or source == FAA_ID or target == FAA_ID:
            notes = words.request(frame) if link is _CPU and length == words.REQUEST_SIZE else ()
            return SeenFrame(captured, frame, "", (), None, None, 0, 0, notes)
        parsed = parse_datagram(frame.payload)
        found = self._attribution.find(captured, frame, parsed)
        session = found.session
        if session is None:
            return SeenFrame(captured, frame, "", _unattributed(parsed), None, None, 0, 0, tuple(found.notes))
        return _Reading(captured, frame, captured.number or self._fed, session, found, self.secrets).read(parsed)


class _Reading:
    """Reads one datagram of a session."""

    __slots__ = (
        "_captured",
        "_flight",
        "_found",
        "_frame",
        "_from_client",
        "_news",
        "_notes",
        "_number",
        "_old",
        "_overtaken",
        "_repeats",
        "_secrets",
        "_session",
        "_side",
    )

    def __init__(
        self, captured: CapturedFrame, frame: Frame, number: int, session: Session, found: Found, secrets: Secrets
    ) -> None:
        self._captured, self._frame, self._number = captured, frame, number
        self._session, self._found, self._secrets = session, found, secrets
        source = frame.source
        self._side = session.sides[source]
        self._from_client = source == session.client if session.client else None
        self._notes = found.notes
        self._flight = 0
        self._repeats = False
        """Whether a record has the number of an earlier one."""
        self._overtaken: list[tuple[int, int]] = []
        """Epoch and number of records that others overtook."""
        self._news = False
        """Whether it brought handshake content that was new."""
        self._old = 0
        """The latest frame that had some of its handshake content before."""

    def read(self, parsed: list[Record | Malformed]) -> SeenFrame:
        """The datagram, explained."""
        records: list[SeenRecord | Malformed] = []
        offset = 0
        for index, entry in enumerate(parsed):
            if isinstance(entry, Record):
                records.append(self._record(entry, offset, index))
                offset += RECORD_HEADER + len(entry.fragment)
            else:
                records.append(entry)
        retransmission_of = 0 if self._news else self._old
        notes = self._notes
        if self._repeats or self._overtaken or retransmission_of:
            told = words.repeats(records, self._number)
            if retransmission_of and not told:
                told = [f"retransmission of frame {retransmission_of}"]
            notes = told + words.late(self._overtaken) + notes
        return SeenFrame(
            self._captured,
            self._frame,
            "",
            tuple(records),
            self._session.seen(),
            self._from_client,
            self._flight,
            retransmission_of,
            tuple(notes),
        )

    def _record(self, record: Record, offset: int, index: int) -> SeenRecord:
        side, kind, epoch, fragment = self._side, record.content_type, record.epoch, record.fragment
        protection, plaintext = _PLAIN, fragment
        if epoch:
            protection, plaintext = self._open(record, index)
        if protection is _REFUSED:  # a forgery takes no number
            replay_of, same = side.earlier(record)
            self._notes.append(f"record {epoch}/{record.seq} does not authenticate")
        else:
            replay_of, same = side.remember(record, self._number)
            if not replay_of and epoch <= 1:
                seq = record.seq
                if side.expected.get(epoch) == seq:
                    side.expected[epoch] = seq + 1
                else:
                    self._count(epoch, seq)
        if replay_of:
            self._repeats = True
        fragments: tuple[SeenFragment | Malformed, ...] = ()
        if kind is _HANDSHAKE:
            if protection is _PLAIN:
                fragments = tuple([self._fragment(piece) for piece in self._found.fragments[index]])
            elif protection is _OPENED:
                fragments = tuple([self._fragment(piece) for piece in parse_fragments(plaintext)])
            elif protection is _SEALED:
                self._sealed_finished()
        elif kind is _CHANGE_CIPHER_SPEC:
            self._change_cipher_spec()
        elif protection is _OPENED and kind is _DATA and not side.data_begun:
            side.data_begun = True
            if self._captured.link is _SSS_WIRE and SSS_ID in (self._frame.source, self._frame.target):
                self._notes.extend(words.registration(plaintext, self._frame.source == SSS_ID))
        return SeenRecord(
            kind,
            record.version,
            epoch,
            record.seq,
            offset,
            len(fragment),
            protection,
            plaintext,
            fragments,
            replay_of,
            same,
        )

    def _open(self, record: Record, index: int) -> tuple[Protection, bytes]:
        plaintext = self._found.opened.get(index)
        if plaintext is not None:
            return _OPENED, plaintext
        session = self._session
        keys = session.keys or session.find_keys(self._secrets)
        if keys is None or self._from_client is None:
            return _REFUSED if session.refused else _SEALED, b""
        plaintext = keys.open_fragment(
            record.content_type, record.version, record.epoch, record.seq, record.fragment, self._from_client
        )
        return (_REFUSED, b"") if plaintext is None else (_OPENED, plaintext)

    def _count(self, epoch: int, seq: int) -> None:
        """A number that does not continue: the first of its epoch, behind a gap, or late."""
        side = self._side
        begin = side.expected.get(epoch)
        if begin is None:
            # An epoch begins with 0. The first of epoch 0 may be an answer to a hello, whose number it takes over.
            begin = 0 if epoch and not self._session.late else seq
        if seq < begin:
            self._overtaken.append((epoch, seq))
            return
        if seq > begin and (epoch or side.flow.messages):
            self._notes.append(words.missing(epoch, begin, seq - 1))
        side.expected[epoch] = seq + 1

    def _change_cipher_spec(self) -> None:
        self._came(self._side.change_cipher_spec)
        if not self._side.change_cipher_spec:
            self._side.change_cipher_spec = self._number
            self._settle()
        self._tell_flight(5, 6)

    def _settle(self, reached: int = 0) -> None:
        """The other side's flight was answered."""
        session = self._session
        if self._from_client is None:
            return
        other = session.sides[session.server if self._from_client else session.client]
        for message in other.flow.settle(reached):
            session.take(message, self._secrets)

    def _sealed_finished(self) -> None:
        """Without renegotiation, a handshake record of epoch 1 is a Finished (DTL-4)."""
        self._came(self._side.sealed_finished)
        self._side.sealed_finished = self._side.sealed_finished or self._number
        self._tell_flight(5, 6)

    def _came(self, earlier: int) -> None:
        """Count a piece of handshake content that an earlier frame had, or none (0)."""
        if earlier and earlier != self._number:
            self._old = max(self._old, earlier)
        else:
            self._news = True

    def _tell_flight(self, of_client: int, of_server: int) -> None:
        if not self._flight and self._from_client is not None:
            self._flight = of_client if self._from_client else of_server

    def _fragment(self, fragment: Fragment | Malformed) -> SeenFragment | Malformed:
        if isinstance(fragment, Malformed):
            self._news = True
            return fragment
        kind, flow = fragment.type, self._side.flow
        if flow.next_seq is None:
            self._begin_flow(fragment)
        if kind is _SERVER_HELLO and fragment.message_seq == flow.next_seq:
            self._settle(fragment.message_seq + 1)  # it has the number of the ClientHello that it answers
        elif kind is _KEY_EXCHANGE:
            self._settle()
        placed = flow.feed(fragment, self._number)
        self._came(placed.retransmission_of)
        if not self._flight:
            if kind is _CLIENT_HELLO:
                self._flight = _hello_flight(fragment)
            elif kind in _TWO_SIDED:
                self._tell_flight(*_TWO_SIDED[kind])
            else:
                self._flight = _FLIGHT_OF.get(kind, 0)
        if placed.contradicts:
            self._notes.append(f"{kind.title} contradicts frame {placed.contradicts}")
        elif placed.refused:
            self._notes.append(f"{kind.title} is not followed: {placed.refused}")
        for message in placed.completes:
            self._message(message)
        return SeenFragment(
            kind,
            fragment.length,
            fragment.message_seq,
            fragment.offset,
            len(fragment.body),
            placed.completes,
            placed.retransmission_of,
            placed.contradicts,
            placed.frames,
        )

    def _begin_flow(self, fragment: Fragment) -> None:
        """Tell where a flow begins: with its hello, or where the capture does."""
        session, flow = self._session, self._side.flow
        if fragment.type is _SERVER_HELLO:
            flow.next_seq = fragment.message_seq
        elif session.client and not session.late and not self._from_client and fragment.type is not _VERIFY_REQUEST:
            # A ServerHello has the number of the ClientHello that it answers (RFC 6347, section 4.2.2).
            hellos = session.sides[session.client].flow.messages
            if hellos:
                flow.next_seq = min(hellos[-1].message_seq, fragment.message_seq)

    def _message(self, message: Message) -> None:
        kind, session = message.type, self._session
        if kind in MATTERING and (wrong := session.take(message, self._secrets)):
            self._notes.append(wrong)
        if kind is _FINISHED and session.keys is not None and self._from_client is not None:
            transcript = session.transcript(_FINISHED, from_client=self._from_client)
            if transcript is not None and session.keys.verify_data(transcript, self._from_client) != message.body:
                self._notes.append("Finished does not fit the handshake's messages")


def _hello_flight(fragment: Fragment) -> int:
    """3 if it has a cookie, 1 if not; a piece without that place is told by its `message_seq`."""
    body, at = fragment.body, _COOKIE_LENGTH_AT
    if fragment.offset == 0 and len(body) > at and (at := at + 1 + body[at]) < len(body):
        return 3 if body[at] else 1
    return 3 if fragment.message_seq else 1


def _unattributed(parsed: Iterable[Record | Malformed]) -> tuple[SeenRecord | Malformed, ...]:
    """Records that belong to no session: what they are, without a past."""
    found: list[SeenRecord | Malformed] = []
    offset = 0
    for entry in parsed:
        if isinstance(entry, Malformed):
            found.append(entry)
            continue
        size = len(entry.fragment)
        plain = entry.epoch == 0
        found.append(
            SeenRecord(
                content_type=entry.content_type,
                version=entry.version,
                epoch=entry.epoch,
                seq=entry.seq,
                offset=offset,
                length=size,
                protection=_PLAIN if plain else _SEALED,
                plaintext=entry.fragment if plain else b"",
                fragments=_fragments(entry) if plain and entry.content_type is _HANDSHAKE else (),
                replay_of=0,
                same=False,
            )
        )
        offset += RECORD_HEADER + size
    return tuple(found)


def _fragments(record: Record) -> tuple[SeenFragment | Malformed, ...]:
    return tuple(
        f
        if isinstance(f, Malformed)
        else SeenFragment(f.type, f.length, f.message_seq, f.offset, len(f.body), (), 0, 0)
        for f in parse_fragments(record.fragment)
    )


def _problem(data: bytes) -> str:
    """Why the bytes are not exactly one frame."""
    if len(data) < HEADER.size:
        return f"a frame of {len(data)} bytes, too short for its header of {HEADER.size}"
    if not data.startswith(MAGIC):
        return f"a frame that begins with {data[:2].hex()}, not with {MAGIC.hex()}"
    length = int.from_bytes(data[6:8], "little")
    return f"a frame with {len(data) - HEADER.size} of {length} bytes of payload"
