"""Signs from what an onlooker makes of a capture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from conformance.monitors.catalogue.suites import GCM, WEAK
from conformance.monitors.ledger import Book, Ledger
from conformance.monitors.signs import CLIENT, NO_FACTS, SERVER, Kind, Sign
from conformance.sessions.seen import Protection, SeenFragment, SeenFrame, SeenRecord
from conformance.wire.frames import Frame
from conformance.wire.handshake import (
    Certificate,
    ClientHello,
    HandshakeType,
    HelloVerifyRequest,
    Message,
    ServerHello,
    parse_message,
)
from conformance.wire.records import HEADER, Alert, ContentType, parse_alert
from conformance.wire.secrets import EXPLICIT_NONCE, OVERHEAD
from model.alphabet import FAA_ID, LOWEST_SED_ID, MAX_MESSAGE, SSS_ID, Link

_FRAGMENT_HEADER: Final = 12
_KINDS: Final[Mapping[HandshakeType, Kind]] = MappingProxyType(
    {
        HandshakeType.HELLO_REQUEST: Kind.HELLO_REQUEST,
        HandshakeType.CLIENT_HELLO: Kind.HELLO,
        HandshakeType.SERVER_HELLO: Kind.SERVER_HELLO,
        HandshakeType.HELLO_VERIFY_REQUEST: Kind.VERIFY_REQUEST,
        HandshakeType.NEW_SESSION_TICKET: Kind.NEW_SESSION_TICKET,
        HandshakeType.CERTIFICATE: Kind.CERTIFICATE,
        HandshakeType.SERVER_KEY_EXCHANGE: Kind.SERVER_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_REQUEST: Kind.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE: Kind.SERVER_HELLO_DONE,
        HandshakeType.CERTIFICATE_VERIFY: Kind.CERTIFICATE_VERIFY,
        HandshakeType.CLIENT_KEY_EXCHANGE: Kind.CLIENT_KEY_EXCHANGE,
        HandshakeType.FINISHED: Kind.FINISHED,
    }
)
_OPENING: Final = frozenset({HandshakeType.CLIENT_HELLO, HandshakeType.HELLO_VERIFY_REQUEST})
WRONG_FINISHED: Final = "Finished does not fit"
"""What a note of the tracker has in it that says that a Finished does not fit the transcript."""


def mark(data: bytes) -> bytes:
    """Stands for bytes that are compared and not kept."""
    return hashlib.blake2b(data, digest_size=12).digest()


class SignReader:
    """Turns frames into signs, one capture at a time. Memory is bounded: `Book` says how."""

    def __init__(self, boots: Mapping[int, tuple[int, ...]] = MappingProxyType({})) -> None:
        """`boots` are `Context.boots`: the SEDs all of whose frames are there, and their power cycles."""
        self._boots = {sed: sorted(times) for sed, times in boots.items()}
        self._complete = frozenset(boots)
        self._book = Book()

    def read(self, seen: SeenFrame) -> Iterator[Sign]:
        """The signs in a frame, in their order."""
        captured, frame = seen.captured, seen.frame
        tap = captured.sed
        waiting = self._boots.get(tap)
        while waiting and waiting[0] <= captured.time_us:
            time_us = waiting.pop(0)
            self._book.forget(tap)
            yield Sign(Kind.BOOT, tap, tap, tap, False, time_us, captured.number, captured.link)
        cpu = captured.link is Link.CPU
        if frame is None or (captured.towards and not cpu and frame.source == tap):  # its own echo (FRM-3)
            return
        here = Sign(
            Kind.DATAGRAM,
            frame.source if captured.towards else tap,
            frame.target,
            tap,
            not captured.towards,
            captured.time_us,
            captured.number,
            captured.link,
            complete=tap in self._complete,
        )
        if cpu:
            yield from self._cpu(here, frame)
        elif FAA_ID not in (frame.source, frame.target):
            yield here._replace(facts={"size": len(frame.payload)})
            yield from self._datagram(here, seen, frame)

    # --- the CPU link

    def _cpu(self, here: Sign, frame: Frame) -> Iterator[Sign]:
        size, marked = {"size": len(frame.payload)}, mark(frame.payload)
        if not here.own:
            if len(frame.payload) > MAX_MESSAGE or frame.target == here.tap:
                return
            if frame.target == SSS_ID:
                self._book.give(here.tap, SSS_ID, marked)
                yield here._replace(kind=Kind.REQUEST, facts=size)
            elif frame.target >= LOWEST_SED_ID:
                self._book.give(here.tap, frame.target, marked)
        elif frame.source == SSS_ID:
            yield here._replace(kind=Kind.ANSWER, to=SSS_ID, facts=size)
        elif frame.source >= LOWEST_SED_ID:
            facts = size | self._book.delivered(here.tap, frame.source, frame.payload, here.complete)
            yield here._replace(kind=Kind.DELIVER, to=frame.source, mark=marked, facts=facts)

    # --- datagrams

    def _datagram(self, here: Sign, seen: SeenFrame, frame: Frame) -> Iterator[Sign]:
        session = seen.session
        self._book.over(here)
        ledger = self._book.ledger(here.tap, session.number if session else 0)
        role = "" if seen.from_client is None else CLIENT if seen.from_client else SERVER
        if session is not None:
            here = here._replace(session=session.number, role=role, client_random=session.client_random)
            ledger.suite = session.suite or ledger.suite
        for record in seen.records:
            if isinstance(record, SeenRecord):
                yield from self._record(here, ledger, seen, record, frame.payload)

    def _record(
        self, here: Sign, ledger: Ledger, seen: SeenFrame, record: SeenRecord, payload: bytes
    ) -> Iterator[Sign]:
        raw = payload[record.offset : record.offset + HEADER.size + record.length]
        again = bool(record.replay_of)
        messages = list(_messages(record)) if record.content_type is ContentType.HANDSHAKE else []
        for kind, body in ((m.type, b) for m, b in messages):
            if kind is HandshakeType.SERVER_HELLO and body is not None and record.epoch == 0:
                self._chosen(here, ledger, record, body)
        gapless = ledger.note(here.by, record.epoch, record.seq, opens=_opens(messages))
        types = {m.type for m, _ in messages}
        here = here._replace(
            kind=Kind.RECORD,
            server_random=ledger.server_random,
            epoch=record.epoch,
            number=record.seq,
            version=record.version,
            protection=record.protection,
            mark=mark(raw),
        )
        facts: dict[str, Any] = {
            "opening": bool(types & _OPENING),
            "verify_request": HandshakeType.HELLO_VERIFY_REQUEST in types,
            "contradicts": any(m.contradicts > ledger.since for m, _ in messages),
        }
        if record.epoch and ledger.suite in GCM and record.length >= OVERHEAD:
            facts["nonce"] = raw[HEADER.size : HEADER.size + EXPLICIT_NONCE]
        yield here._replace(facts=facts)
        if record.protection is Protection.REFUSED:
            return
        if record.protection is Protection.OPENED:
            ledger.opened(here.by, record.seq)
        certain = {"gapless": gapless} if gapless is not None else {}
        match record.content_type:
            case ContentType.HANDSHAKE:
                if record.protection is Protection.SEALED:  # without renegotiation nothing else is sealed
                    yield here._replace(kind=Kind.FINISHED, facts=NO_FACTS)
                for fragment, body in messages:
                    yield from self._message(here, ledger, seen, fragment, body, certain, again)
            case ContentType.CHANGE_CIPHER_SPEC:
                if record.protection is Protection.SEALED or record.plaintext == b"\1":
                    yield here._replace(kind=Kind.CCS, facts=certain | {"again": again})
            case ContentType.ALERT:
                yield from self._alert(here, ledger, record)
            case ContentType.APPLICATION_DATA:
                yield self._data(here, ledger, record)

    def _chosen(self, here: Sign, ledger: Ledger, record: SeenRecord, body: bytes) -> None:
        hello = parse_message(Message(HandshakeType.SERVER_HELLO, 0, body))
        if isinstance(hello, ServerHello) and hello.random != ledger.server_random:
            ledger.begin(hello.random, hello.suite, here.by, record.seq, here.frame)

    def _message(
        self,
        here: Sign,
        ledger: Ledger,
        seen: SeenFrame,
        fragment: SeenFragment,
        body: bytes | None,
        certain: Mapping[str, Any],
        again: bool,
    ) -> Iterator[Sign]:
        """The sign of a message at its first fragment, and what the messages say that are whole with this one."""
        facts = {**certain, "again": again or bool(fragment.retransmission_of)}
        here = here._replace(message_seq=fragment.message_seq)
        if body is not None:
            yield self._told(here, ledger, seen, fragment.type, body, facts)
        elif fragment.offset == 0:
            ledger.cookie_in_pieces |= fragment.type is HandshakeType.HELLO_VERIFY_REQUEST
            yield here._replace(kind=_KINDS[fragment.type], mark=b"", facts=facts)
        for message in fragment.completes:  # the others were told where they came
            if body is None and message.message_seq == fragment.message_seq:
                yield self._told(here, ledger, seen, message.type, message.body, facts)

    def _told(
        self,
        here: Sign,
        ledger: Ledger,
        seen: SeenFrame,
        type_: HandshakeType,
        body: bytes,
        facts: dict[str, Any],
    ) -> Sign:
        """A whole message with what it says."""
        kind = _KINDS[type_]
        here = here._replace(mark=mark(bytes([type_]) + body))
        match parse_message(Message(type_, max(0, here.message_seq), body)):
            case ClientHello() as hello:
                kind = Kind.HELLO_WITH_COOKIE if hello.cookie else Kind.HELLO
                if not ledger.cookie_in_pieces:
                    facts["cookie"] = hello.cookie
                facts["offers_weak"] = not WEAK.isdisjoint(hello.suites)
                offers = repr((hello.version, hello.session_id, hello.suites, hello.compressions))
                facts["offers"] = mark(offers.encode())
                if here.epoch == 0:
                    ledger.offered(hello)
            case HelloVerifyRequest(cookie=cookie):
                facts["cookie"] = cookie
            case ServerHello() as hello:
                facts |= {"suite": hello.suite, "compression": hello.compression, "hello_version": hello.version}
                facts |= ledger.answered(hello)
            case Certificate(chain=chain):
                facts["empty"] = not chain
        if kind is Kind.FINISHED:
            facts["wrong"] = any(WRONG_FINISHED in note for note in seen.notes)
            if here.protection is Protection.OPENED:
                ledger.side(here.by).finished = True
                self._book.proved(here, ledger)
        return here._replace(kind=kind, facts=facts)

    def _alert(self, here: Sign, ledger: Ledger, record: SeenRecord) -> Iterator[Sign]:
        if record.protection is Protection.SEALED:
            yield here._replace(kind=Kind.ALERT, facts=NO_FACTS)
            return
        alert = parse_alert(record.plaintext)
        if not isinstance(alert, Alert):
            return
        facts: dict[str, Any] = {"fatal": alert.fatal}
        if record.protection is Protection.OPENED and alert.close_notify:
            ledger.closed(here.by, record.seq)
            facts["carried"] = ledger.side(here.by).carried
            as_given = self._book.as_given(here, ledger)
            if as_given is not None:
                facts["as_given"] = as_given
        yield here._replace(kind=Kind.CLOSE if alert.close_notify else Kind.ALERT, facts=facts)

    def _data(self, here: Sign, ledger: Ledger, record: SeenRecord) -> Sign:
        facts: dict[str, Any] = {"suite_in_use": ledger.suite}
        if record.protection is Protection.SEALED:
            self._book.cover(here.tap, here.by)
            return here._replace(kind=Kind.DATA, facts=facts)
        facts["size"] = len(record.plaintext)
        if record.protection is Protection.PLAIN:
            self._book.uncover(here.tap, here.by, record.plaintext)
        else:
            if here.by == SSS_ID and not ledger.has_data(SSS_ID):
                facts["ships_key"] = len(record.plaintext) >= 10 and record.plaintext[8:10] != b"\0\0"
            ledger.data(here.by, record.seq, record.plaintext)
            self._book.cover(here.tap, here.by)
            self._book.proved(here, ledger)
        return here._replace(kind=Kind.DATA, facts=facts)


def _messages(record: SeenRecord) -> Iterator[tuple[SeenFragment, bytes | None]]:
    """The fragments of a record, each with the message's body if it is whole in it."""
    position = 0
    for fragment in record.fragments:
        if not isinstance(fragment, SeenFragment):
            return
        position += _FRAGMENT_HEADER
        whole = fragment.offset == 0 and fragment.size == fragment.length
        yield fragment, record.plaintext[position : position + fragment.size] if whole else None
        position += fragment.size


def _opens(messages: list[tuple[SeenFragment, bytes | None]]) -> bool:
    """Whether the record begins what its sender says in a session: a ClientHello."""
    return any(m.type is HandshakeType.CLIENT_HELLO and m.offset == 0 for m, _ in messages)
