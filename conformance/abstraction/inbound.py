"""Datagrams towards the IUT, as events of the model."""

from __future__ import annotations

from conformance.abstraction.conduct import (
    acceptable,
    acceptable_offer,
    flight,
    flight_whole,
    hear_finished,
    in_order,
    usable,
)
from conformance.abstraction.memory import Hello, Memory
from conformance.abstraction.proof import public_key
from conformance.abstraction.registration import judge_response
from conformance.abstraction.session import KEPT_AHEAD, Session
from conformance.wire.handshake import (
    HEADER_SIZE,
    MAX_AHEAD,
    Assembler,
    Certificate,
    ClientHello,
    Fragment,
    HandshakeType,
    HelloVerifyRequest,
    Message,
    ServerHello,
    Standing,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import DTLS_1_0, DTLS_1_2, ContentType, Malformed, Record, parse_alert, parse_datagram
from conformance.wire.secrets import SessionKeys
from model.alphabet import MTU, PLAINTEXT, SSS_ID, Ca, Event

LAST_OF_FLIGHT = {HandshakeType.HELLO_VERIFY_REQUEST: 2, HandshakeType.SERVER_HELLO_DONE: 4}
"""The last unprotected message of a server's flight, and the flight."""
MAX_CLOSING = 64
"""Protected handshake records that are kept for a peer's Finished: more than the smallest fragments of one need."""
ASKED_HASHES = (4, 5)
"""SHA-256 and SHA-384 (RFC 5246, section 7.4.1.4.1): those that the suites have."""
_TYPES = {bytes([kind]) for kind in HandshakeType}
CHANGE_CIPHER_SPEC = b"\1"
"""Its content (RFC 5246, section 7.1)."""


def datagram_events(memory: Memory, source: int, datagram: bytes) -> list[Event]:
    """The events in one datagram from a peer, in the order of its records."""
    noise = Event("noise", (source,))
    if not 0 < len(datagram) <= MTU:
        return [noise]
    events: list[Event] = []
    for record in parse_datagram(datagram):
        if isinstance(record, Malformed):
            events.append(noise)
        elif record.epoch == 0:
            # Once for all that follows: most of what a step costs is reading.
            fragments = parse_fragments(record.fragment) if record.content_type is ContentType.HANDSHAKE else []
            hello = _hello_of(fragments)
            session = memory.sessions.get(source)
            if hello is not None and source == SSS_ID:
                events.append(noise)  # the SSS calls nobody (SES-4, SES-5)
            elif hello is not None:
                events.extend(_client_hello(memory, session, source, record, hello))
            elif session is not None and not session.fresh(record, note=_reaches(session, fragments)):
                events.append(noise)
            else:
                events.extend(_plain(memory, source, record, fragments))
        else:
            session = memory.sessions.get(source) if record.epoch == 1 else None
            events.extend(_sealed(memory, session, record) if session else [noise])
    return events


def _reaches(session: Session, fragments: list[Fragment | Malformed]) -> bool:
    """Whether a plaintext record gets as far as the replay window: a client takes a HelloVerifyRequest first, and once,
    and drops what says otherwise unseen (section 4, pinned). Its number may come again, on a record that counts."""
    if not fragments:
        return True
    first = fragments[0]
    if isinstance(first, Malformed):  # dropped unseen, too, if only its lengths are wrong
        return len(first.data) >= HEADER_SIZE and first.data[:1] not in _TYPES
    verifies = first.type is HandshakeType.HELLO_VERIFY_REQUEST
    return verifies == (session.client and session.offer_seq <= 0)


def _plain(memory: Memory, source: int, record: Record, fragments: list[Fragment | Malformed]) -> list[Event]:
    match record.content_type:
        case ContentType.HANDSHAKE:
            events = []
            for fragment in fragments:
                if isinstance(fragment, Malformed):
                    events.append(Event("forged", (source,)))
                else:
                    events.extend(_fragment(memory, source, fragment))
            return events
        case ContentType.CHANGE_CIPHER_SPEC:
            session = memory.sessions.get(source)
            if session is None:
                return [Event("noise", (source,))]
            if record.fragment != CHANGE_CIPHER_SPEC:
                return [Event("forged", (source,))]
            session.change_cipher_spec = True
            return _flight_end(memory, session)
        case ContentType.ALERT:
            alert = parse_alert(record.fragment)
            if isinstance(alert, Malformed):
                return [Event("forged", (source,))]
            session = memory.sessions.get(source)
            if session is not None and session.change_cipher_spec and flight_whole(session):
                return [Event("noise", (source,))]  # of an epoch that is over (RFC 6347, section 4.1)
            if alert.fatal or alert.close_notify:
                return [Event("alert", (source, PLAINTEXT))]
        case ContentType.APPLICATION_DATA:
            return [Event("forged", (source,))]  # impermissible during a handshake (RFC 6347, section 4.1)
    return [Event("noise", (source,))]


def _fragment(memory: Memory, source: int, fragment: Fragment) -> list[Event]:
    session = memory.sessions.get(source)
    waits = session is not None and session.client and not session.offer_seq
    if session is None or (waits and fragment.type is not HandshakeType.HELLO_VERIFY_REQUEST):
        return [Event("forged", (source,))]  # DTL-3: a server says nothing else before it has seen its cookie
    if fragment.type is HandshakeType.HELLO_VERIFY_REQUEST and (session.offer_seq > 0 or not session.client):
        return [Event("verify-request", (source,))]  # of no hello that waits for one: it takes no message's place
    refused = [Event("forged", (source,))] if _can_never_be_right(session, fragment) else []
    if session.inbound.is_too_early(fragment) and fragment.message_seq <= session.inbound.next_seq + MAX_AHEAD:
        return refused
    match session.inbound.standing(fragment):
        case Standing.REPEAT if fragment.type in LAST_OF_FLIGHT:
            return [Event("repeat", (source, LAST_OF_FLIGHT[fragment.type], PLAINTEXT))]
        case Standing.FOREIGN:
            session.poked |= fragment.message_seq < session.inbound.next_seq
            return _instead(memory, session, fragment) or [Event("forged", (source,))]
    return _fed(memory, session, fragment) or refused


def _can_never_be_right(session: Session, fragment: Fragment) -> bool:
    """Whether a message may be refused before its turn: a ServerHelloDone whose number leaves no room for a
    CertificateRequest (DTL-1), or a CertificateVerify with another hash than was asked for (RFC 5246, 7.4.8)."""
    match fragment.type:
        case HandshakeType.SERVER_HELLO_DONE:
            return fragment.message_seq < len(flight(True, session.rsa))
        case HandshakeType.CERTIFICATE_VERIFY if fragment.offset == 0 and fragment.body:
            return fragment.body[0] not in ASKED_HASHES
    return False


def _instead(memory: Memory, session: Session, fragment: Fragment) -> list[Event]:
    """The events of a whole message that is the next and contradicts pieces of one: it needs no reassembly and takes
    their place. None if it is not the right one: then the pieces may be."""
    if not fragment.whole or fragment.message_seq != session.inbound.next_seq:
        return []
    trial = session.fork()
    trial.inbound.discard()
    events = _fed(memory, trial, fragment)
    if trial.spoiled or any(e.kind == "forged" for e in events):
        return []
    memory.sessions[session.peer] = trial
    return events or [Event("noise", (session.peer,))]  # a message in the middle of a flight


def _fed(memory: Memory, session: Session, fragment: Fragment) -> list[Event]:
    """The events of what a fragment completes."""
    messages = session.inbound.feed(fragment)
    if messages and messages[0].type is HandshakeType.HELLO_VERIFY_REQUEST:
        # A flight begins with what comes after its cue: what came too early was of another handshake.
        session.inbound = Assembler(messages[0].message_seq + 1, KEPT_AHEAD)
        session.change_cipher_spec = False
        del messages[1:]
    return [e for m in messages for e in _message(memory, session, m)]


def hello_in(record: Record) -> Message | None:
    """The ClientHello that fills a record, or a part of one."""
    return _hello_of(parse_fragments(record.fragment)) if record.content_type is ContentType.HANDSHAKE else None


def _hello_of(fragments: list[Fragment | Malformed]) -> Message | None:
    first = fragments[0] if fragments else None
    if not isinstance(first, Fragment) or first.type is not HandshakeType.CLIENT_HELLO:
        return None
    whole = first.whole and len(fragments) == 1
    return Message(first.type, first.message_seq, first.body if whole else b"")


def _client_hello(
    memory: Memory, session: Session | None, source: int, record: Record, message: Message
) -> list[Event]:
    """SES-6: only an unfragmented hello can be judged without a session, and it meets no replay window."""
    hello = parse_message(message)
    if not isinstance(hello, ClientHello):
        return [Event("noise", (source,))]
    if hello.cookie not in memory.cookies.get(source, ()):
        return [Event("hello", (source,))]
    running = session is not None and not session.client and session.client_random == hello.random
    if running and session is not None and not session.fresh(record):
        return [Event("noise", (source,))]
    if running and session is not None and not session.established and message.message_seq != session.hello_seq:
        # The cookie does not cover the number, and with another one it is another message.
        return _fragment(
            memory, source, Fragment(message.type, len(message.body), message.message_seq, 0, message.body)
        )
    if not acceptable_offer(hello, memory.identity.suite):
        memory.refused.add(source)
        return [Event("noise", (source,))]
    memory.hellos[source] = Hello(hello.random, message, record)
    return [Event("hello-cookie", (source, memory.handshake(hello.random)))]


def _message(memory: Memory, session: Session, message: Message) -> list[Event]:
    """A whole message of the peer's, in the order of the numbers."""
    body = parse_message(message)
    forged = [Event("forged", (session.peer,))]
    if message.type is HandshakeType.HELLO_REQUEST:
        return forged
    if message.type is HandshakeType.HELLO_VERIFY_REQUEST:
        # Its version is one of DTLS 1.0 to 1.2, which count downwards (RFC 6347, section 4.2.1).
        known = isinstance(body, HelloVerifyRequest) and DTLS_1_2 <= body.version <= DTLS_1_0
        return [Event("verify-request", (session.peer,))] if known else forged
    before = bytes(session.transcript)
    session.transcript += message.encode()
    if isinstance(body, ServerHello):
        session.server_random, session.suite = body.random, body.suite
    if isinstance(body, Certificate):
        session.peer_certificate = body.chain[0] if body.chain else b""
        session.peer_key = public_key(body.chain[0]) if body.chain else None
    if session.of_profile and not (in_order(session, message.type) and acceptable(session, message, body, before)):
        session.spoiled = True
    if session.spoiled:
        return forged
    if isinstance(body, Certificate):
        ca, cn = memory.identity.peer_certificate(body.chain)
        good = not session.of_profile or usable(body, server=session.client, rsa=session.rsa)
        return [Event("certificate", (session.peer, ca if good else Ca.OTHER, cn))]
    if message.type is HandshakeType.SERVER_HELLO_DONE:
        session.change_cipher_spec = False  # what came of flight 6 before flight 4 was whole is of another handshake
        return [Event("flight4", (session.peer,))]
    return [] if session.client else _flight_end(memory, session)


def _sealed(memory: Memory, session: Session, record: Record) -> list[Event]:
    """A record of epoch 1: it counts if it authenticates and is no replay."""
    plaintext = session.open(record, memory.keylog, inbound=True)
    if plaintext is None and session.keys is None and len(session.early) < MAX_CLOSING:
        session.early.append(record)
    if plaintext is None or not session.fresh(record):
        return [Event("noise", (session.peer,))]
    match record.content_type:
        case ContentType.HANDSHAKE:
            if not session.established and all(plaintext != held for _, held in session.closing):
                _close(session, record.seq, plaintext)
                return _flight_end(memory, session)
            if isinstance(session.keys, SessionKeys) and plaintext[:1] != bytes([HandshakeType.FINISHED]):
                session.asked_again = True
                return _nothing(session, record)
            return [Event("repeat", (session.peer, 6 if session.client else 5, record.seq))]
        case ContentType.APPLICATION_DATA if session.established:
            return _data(memory, session, record.seq, plaintext)
        case ContentType.ALERT:
            alert = parse_alert(plaintext)
            if not session.established:
                # In the Finished's place it ends the handshake, as in the clear; earlier, nobody can read it.
                ends = not isinstance(alert, Malformed) and (alert.fatal or alert.close_notify)
                if ends and session.change_cipher_spec and flight_whole(session):
                    return [Event("alert", (session.peer, record.seq))]
                return [Event("noise", (session.peer,))]
            if not isinstance(alert, Malformed) and alert.close_notify:
                memory.complete[session.peer] = bytes(session.collected)
                return [Event("close", (session.peer, record.seq))]
            if not isinstance(alert, Malformed) and alert.fatal:
                return [Event("alert", (session.peer, record.seq))]
            return _nothing(session, record)
    return [Event("noise", (session.peer,))]


def _nothing(session: Session, record: Record) -> list[Event]:
    """An authenticated record that brings nothing: it counts like empty data (section 5, pinned 2; SES-8)."""
    if session.established:
        return [Event("data", (session.peer, record.seq, 0))]
    return [Event("noise", (session.peer,))]


def _close(session: Session, seq: int, plaintext: bytes) -> None:
    """Keep a protected handshake record until the flight is whole."""
    if session.finished is None:
        session.finished = seq
    if len(session.closing) < MAX_CLOSING:
        session.closing.append((seq, plaintext))


def _open_early(memory: Memory, session: Session) -> None:
    """Who knows only the IUT's own secrets has none of a handshake before the peer's key exchange came; a Finished that
    overtook it is opened then. All else that is sealed counts for nothing before the handshake is complete."""
    waiting, session.early = session.early, []
    for record in waiting:
        plaintext = session.open(record, memory.keylog, inbound=True)
        if session.keys is None:
            session.early = waiting
            return
        handshake = record.content_type is ContentType.HANDSHAKE
        if plaintext is not None and handshake and session.fresh(record):
            _close(session, record.seq, plaintext)


def _flight_end(memory: Memory, session: Session) -> list[Event]:
    """Flight 5 or 6 is whole with ChangeCipherSpec and Finished, in whichever order their datagrams came."""
    if session.early:
        _open_early(memory, session)
    if not session.closing or not session.change_cipher_spec or session.established:
        return []
    if session.of_profile and not session.client and not flight_whole(session):
        return []
    if not session.spoiled and not hear_finished(session):
        return []
    if session.spoiled:
        return [Event("forged", (session.peer,))]
    session.established = True
    return [Event("flight6" if session.client else "flight5", (session.peer, session.finished or 0))]


def _data(memory: Memory, session: Session, seq: int, plaintext: bytes) -> list[Event]:
    session.collected += plaintext
    events = [Event("data", (session.peer, seq, len(plaintext)))]
    if session.peer == SSS_ID and not session.response_told:
        identity = memory.identity
        response = judge_response(bytes(session.collected), identity.me, memory.asked, wide=identity.wide_response)
        if response is not None:
            session.response_told = True
            if response.usable:
                memory.offered = (response.ca, response.public_key)
            events.append(Event("response", (response.op, int(response.good), int(response.usable))))
    return events
