"""Follow the DTLS sessions of a capture, frame by frame: whose record is it, what is in it, did it come before?

Each SED's link is a tap of its own, and within a tap each unordered pair of SCEWL ids has its sessions: the same radio
frame seen at two taps is no retransmission. A secret opens what is fed after it is known;
for frames fed earlier a second tracker must be run.

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
from conformance.sessions.session import Session
from conformance.wire.frames import HEADER, MAGIC, Frame
from conformance.wire.handshake import Fragment, HandshakeType, Message, parse_fragments
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
_COOKIE_LENGTH_AT: Final = 34
"""Where a ClientHello's session id begins: its length, the id, then the cookie's length."""


class Tracker:
    """Explains captured frames in the order in which they are fed. `secrets` may grow while it is in use."""

    def __init__(self, secrets: Secrets | KeyLog | None = None) -> None:
        self.secrets = secrets if isinstance(secrets, Secrets) else Secrets(secrets)
        self._attribution = Attribution(self.secrets)

    @property
    def sessions(self) -> Sequence[Session]:
        """The sessions that are remembered, the one longest silent first."""
        return list(self._attribution.sessions.values())

    def feed(self, captured: CapturedFrame) -> SeenFrame:
        """What the next frame is."""
        data = captured.frame
        problem = _problem(data)
        if problem:
            return SeenFrame(captured, None, problem, (), None, None, 0, 0, ())
        _, target, source, _ = HEADER.unpack_from(data)
        frame = Frame(target, source, data[HEADER.size :])
        link = captured.link
        if link is Link.CPU or source == FAA_ID or target == FAA_ID:
            return SeenFrame(captured, frame, "", (), None, None, 0, 0, words.request(captured, frame))
        return self._datagram(captured, frame)

    def _datagram(self, captured: CapturedFrame, frame: Frame) -> SeenFrame:
        parsed = parse_datagram(frame.payload)
        found = self._attribution.find(captured, frame, parsed)
        session = found.session
        if session is None:
            records = _unattributed(parsed)
            return SeenFrame(captured, frame, "", records, None, None, 0, 0, tuple(found.notes))
        reading = _Reading(captured, frame, session, self.secrets, found)
        return reading.read(parsed)


class _Reading:
    """Reads one datagram of a session."""

    __slots__ = (
        "_captured",
        "_flight",
        "_found",
        "_frame",
        "_news",
        "_notes",
        "_old",
        "_overtaken",
        "_repeats",
        "_secrets",
        "_session",
        "_side",
    )

    def __init__(
        self,
        captured: CapturedFrame,
        frame: Frame,
        session: Session,
        secrets: Secrets,
        found: Found,
    ) -> None:
        self._captured, self._frame, self._session, self._secrets = captured, frame, session, secrets
        self._side = session.sides[frame.source]
        self._found = found
        self._notes = found.notes
        self._flight = 0
        self._repeats = False
        self._overtaken: list[tuple[int, int]] = []
        """Epoch and number of records that others overtook."""
        self._news = False
        """Whether it brought handshake content that was new."""
        self._old = 0
        """The latest frame that had some of its handshake content before."""

    def read(self, parsed: list[Record | Malformed]) -> SeenFrame:
        session = self._session
        records: list[SeenRecord | Malformed] = []
        offset = 0
        for index, entry in enumerate(parsed):
            if isinstance(entry, Malformed):
                records.append(entry)
            else:
                records.append(self._record(entry, offset, index))
                offset += 13 + len(entry.fragment)
        retransmission_of = 0 if self._news else self._old
        notes = words.repeats(records, self._captured.number) if self._repeats else []
        if retransmission_of and not notes:
            notes = [f"retransmission of frame {retransmission_of}"]
        if self._overtaken:
            notes += words.late(self._overtaken)
        return SeenFrame(
            self._captured,
            self._frame,
            "",
            tuple(records),
            session.seen(),
            session.from_client(self._frame.source),
            self._flight,
            retransmission_of,
            (*notes, *self._notes),
        )

    def _record(self, record: Record, offset: int, index: int) -> SeenRecord:
        session, side, number = self._session, self._side, self._captured.number
        epoch, fragment = record.epoch, record.fragment
        protection = Protection.PLAIN
        plaintext: bytes | None = fragment
        if epoch:
            plaintext = self._found.opened.get(index)
            if plaintext is None:
                plaintext = self._open(record)
            if plaintext is not None:
                protection = Protection.OPENED
            else:
                refused = session.keys is not None or session.refused
                protection = Protection.REFUSED if refused else Protection.SEALED
        if protection is Protection.REFUSED:  # a forgery takes no number
            replay_of, same = side.earlier(record)
            self._notes.append(f"record {epoch}/{record.seq} does not authenticate")
        else:
            replay_of, same = side.remember(record, number)
            if not replay_of and epoch <= 1:
                self._count(epoch, record.seq)
        fragments: tuple[SeenFragment | Malformed, ...] = ()
        kind = record.content_type
        if kind is ContentType.HANDSHAKE:
            if plaintext is not None:
                pieces = self._found.fragments.get(index) or parse_fragments(plaintext)
                fragments = tuple([self._fragment(piece) for piece in pieces])
            elif protection is Protection.SEALED:
                self._sealed_finished()
        elif kind is ContentType.CHANGE_CIPHER_SPEC:
            self._change_cipher_spec()
        elif protection is Protection.OPENED and kind is ContentType.APPLICATION_DATA and not side.data_begun:
            side.data_begun = True
            if self._captured.link is Link.SSS and SSS_ID in (self._frame.source, self._frame.target):
                self._notes.extend(words.registration(plaintext or b"", self._frame.source == SSS_ID))
        self._repeats |= bool(replay_of)
        return SeenRecord(
            kind,
            record.version,
            epoch,
            record.seq,
            offset,
            len(fragment),
            protection,
            plaintext or b"",
            fragments,
            replay_of,
            same,
        )

    def _open(self, record: Record) -> bytes | None:
        session = self._session
        keys = session.keys or session.find_keys(self._secrets)
        if keys is None or not session.client:
            return None
        return keys.open_fragment(
            record.content_type,
            record.version,
            record.epoch,
            record.seq,
            record.fragment,
            self._frame.source == session.client,
        )

    def _count(self, epoch: int, seq: int) -> None:
        """Note a gap in the numbers of an epoch, or that a record came late."""
        expected = self._side.expected
        begin = expected.get(epoch)
        if begin == seq:
            expected[epoch] = seq + 1
            return
        if begin is None:
            # An epoch begins with 0. The first of epoch 0 may be an answer to a hello, whose number it takes over.
            begin = 0 if epoch and not self._session.late else seq
        if seq < begin:
            self._overtaken.append((epoch, seq))
            return
        if seq > begin and not (epoch == 0 and not self._side.flow.messages):
            self._notes.append(words.missing(epoch, begin, seq - 1))
        expected[epoch] = seq + 1

    def _change_cipher_spec(self) -> None:
        self._handshake(self._side.change_cipher_spec)
        self._side.change_cipher_spec = self._side.change_cipher_spec or self._captured.number
        self._tell_flight(5, 6)

    def _sealed_finished(self) -> None:
        """Without renegotiation, a handshake record of epoch 1 is a Finished (DTL-4)."""
        self._handshake(self._side.sealed_finished)
        self._side.sealed_finished = self._side.sealed_finished or self._captured.number
        self._tell_flight(5, 6)

    def _handshake(self, earlier: int) -> None:
        """Count a piece of handshake content that an earlier frame had, or none (0)."""
        if earlier and earlier != self._captured.number:
            self._old = max(self._old, earlier)
        else:
            self._news = True

    def _tell_flight(self, of_client: int, of_server: int) -> None:
        from_client = self._session.from_client(self._frame.source)
        if not self._flight and from_client is not None:
            self._flight = of_client if from_client else of_server

    def _fragment(self, fragment: Fragment | Malformed) -> SeenFragment | Malformed:
        if isinstance(fragment, Malformed):
            self._news = True
            return fragment
        session, kind = self._session, fragment.type
        flow = self._side.flow
        if flow.next_seq is None and kind is HandshakeType.SERVER_HELLO:
            flow.next_seq = fragment.message_seq
        elif flow.next_seq is None and not session.late and self._frame.source == session.server:
            # A ServerHello has the number of the ClientHello that it answers (RFC 6347, section 4.2.2).
            hellos = session.sides[session.client].flow.messages
            if kind is not HandshakeType.HELLO_VERIFY_REQUEST and hellos:
                flow.next_seq = min(hellos[-1].message_seq, fragment.message_seq)
        placed = flow.feed(fragment, self._captured.number)
        self._handshake(placed.retransmission_of)
        self._flight_of(fragment)
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
        )

    def _message(self, message: Message) -> None:
        session = self._session
        if wrong := session.take(message, self._secrets):
            self._notes.append(wrong)
        if message.type is HandshakeType.FINISHED and session.keys is not None:
            from_client = self._frame.source == session.client
            transcript = session.transcript(HandshakeType.FINISHED, from_client=from_client)
            if transcript is not None and session.keys.verify_data(transcript, from_client) != message.body:
                self._notes.append("Finished does not fit the handshake's messages")

    def _flight_of(self, fragment: Fragment) -> None:
        if self._flight:
            return
        kind = fragment.type
        if kind is HandshakeType.CLIENT_HELLO:
            self._flight = _hello_flight(fragment)
        elif kind is HandshakeType.CERTIFICATE:
            self._tell_flight(5, 4)
        elif kind is HandshakeType.FINISHED:
            self._tell_flight(5, 6)
        else:
            self._flight = _FLIGHT_OF.get(kind, 0)


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
                protection=Protection.PLAIN if plain else Protection.SEALED,
                plaintext=entry.fragment if plain else b"",
                fragments=_fragments(entry) if plain and entry.content_type is ContentType.HANDSHAKE else (),
                replay_of=0,
                same=False,
            )
        )
        offset += 13 + size
    return tuple(found)


def _fragments(record: Record) -> tuple[SeenFragment | Malformed, ...]:
    return tuple(
        f
        if isinstance(f, Malformed)
        else SeenFragment(f.type, f.length, f.message_seq, f.offset, len(f.body), (), 0, 0)
        for f in parse_fragments(record.fragment)
    )


def _problem(data: bytes) -> str:
    """Why the bytes are not exactly one frame; empty if they are."""
    if len(data) < HEADER.size:
        return f"a frame of {len(data)} bytes, too short for its header of {HEADER.size}"
    if not data.startswith(MAGIC):
        return f"a frame that begins with {data[:2].hex()}, not with {MAGIC.hex()}"
    length = int.from_bytes(data[6:8], "little")
    if length != len(data) - HEADER.size:
        return f"a frame with {len(data) - HEADER.size} of {length} bytes of payload"
    return ""
