"""What leaves the IUT on the radio and the SSS wire, as outputs of the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.abstraction.conduct import flight, offered_signatures
from conformance.abstraction.memory import Memory
from conformance.abstraction.session import KEPT_AHEAD, Session
from conformance.wire.handshake import (
    Assembler,
    Certificate,
    ClientHello,
    Fragment,
    HandshakeType,
    HelloVerifyRequest,
    Message,
    ServerHello,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import AlertCode, ContentType, Malformed, Record, parse_alert, parse_datagram
from model.alphabet import MAX_RECORD, MTU, SSS_ID, Ca, Link, Output

REQUEST_SIZE = 4
FLIGHTS = ("hello-cookie", "flight4", "flight5")
"""Those that go out again until they are answered."""


@dataclass
class Sending:
    """One flight on its way out."""

    assembler: Assembler
    types: list[HandshakeType] = field(default_factory=list)
    ca: Ca = Ca.OTHER
    change_cipher_spec: bool = False


class Outbound:
    """Turns the datagrams of one step into outputs. A flight counts when it is whole within the step."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._flights: dict[int, Sending] = {}

    def datagram(self, to: int, data: bytes) -> list[Output]:
        """The outputs that one datagram completes."""
        unknown = Output("unknown", (Link.SSS if to == SSS_ID else Link.RADIO,))
        if not 0 < len(data) <= MTU:
            return [unknown]
        outputs: list[Output] = []
        for record in parse_datagram(data):
            told = None if isinstance(record, Malformed) else self._record(to, record)
            outputs.extend([unknown] if told is None else told)
        session = self.memory.sessions.get(to)
        return self._unprovoked(session, outputs) if session else outputs

    def _unprovoked(self, session: Session, outputs: list[Output]) -> list[Output]:
        """The outputs without the flight that goes out once more because of a message's number alone: no rule has
        anything against it."""
        if session.poked and outputs == [session.latest_flight]:
            session.poked = False
            return []
        session.latest_flight = next((o for o in outputs if o.kind in FLIGHTS), session.latest_flight)
        return outputs

    def end_of_step(self) -> list[Output]:
        """What is wrong with a step's output as a whole: flights that were begun and not ended."""
        self.memory.refused.clear()
        unfinished = [Output("unknown", (Link.SSS if to == SSS_ID else Link.RADIO,)) for to in self._flights]
        self._flights.clear()
        for session in self.memory.sessions.values():
            session.poked = False
            if session.client and session.sent and session.peer != SSS_ID:
                unfinished.append(self._message(session))
        return unfinished

    def _record(self, to: int, record: Record) -> list[Output] | None:
        """The outputs that a record completes; None if it makes no sense."""
        if record.epoch == 0:
            match record.content_type:
                case ContentType.HANDSHAKE:
                    return self._handshake(to, record)
                case ContentType.CHANGE_CIPHER_SPEC:
                    sending = self._flights.setdefault(to, Sending(Assembler()))
                    sending.change_cipher_spec = True
                    return []
                case ContentType.ALERT:
                    alert = parse_alert(record.fragment)
                    if isinstance(alert, Malformed) or not alert.fatal:
                        return None
                    if to in self.memory.refused:  # a hello that nobody can agree to leaves no session behind
                        self.memory.refused.discard(to)
                        return []
                    return [Output("alert", (to,))]
            return None
        session = self.memory.sessions.get(to)
        if session is None or record.epoch != 1 or (1, record.seq) in session.sent_numbers:
            return None
        session.sent_numbers.add((1, record.seq))
        if record.content_type is ContentType.HANDSHAKE:
            return self._finished(session, record)
        return self._protected(session, record)

    def _handshake(self, to: int, record: Record) -> list[Output] | None:
        outputs: list[Output] = []
        for fragment in parse_fragments(record.fragment):
            told = None if isinstance(fragment, Malformed) else self._fragment(to, fragment)
            if told is None:
                return None
            outputs.extend(told)
        return outputs

    def _fragment(self, to: int, fragment: Fragment) -> list[Output] | None:
        sending = self._flights.get(to)
        if sending is None:
            sending = self._flights[to] = Sending(Assembler(first=fragment.message_seq))
        outputs: list[Output] = []
        for message in sending.assembler.feed(fragment):
            told = self._message_out(to, sending, message)
            if told is None:
                return None
            outputs.extend(told)
        return outputs

    def _message_out(self, to: int, sending: Sending, message: Message) -> list[Output] | None:
        body = parse_message(message)
        sending.types.append(message.type)
        if isinstance(body, Malformed):
            return None
        if isinstance(body, ClientHello):
            return self._client_hello(to, message, body)
        if isinstance(body, HelloVerifyRequest):
            self._flights.pop(to, None)
            self.memory.cookies.setdefault(to, set()).add(body.cookie)
            return [Output("verify-request", (to,))]
        session = self._server_session(to, body) if isinstance(body, ServerHello) else self.memory.sessions.get(to)
        if session is not None:
            _transcribe(session, message.message_seq, message.encode())
        if isinstance(body, Certificate):
            sending.ca = self.memory.identity.own_certificate(body.chain)
        if message.type is HandshakeType.SERVER_HELLO_DONE:
            self._flights.pop(to, None)
            return [Output("flight4", (to, sending.ca))] if self._is_flight(sending, of_server=True) else None
        return []

    def _client_hello(self, to: int, message: Message, hello: ClientHello) -> list[Output] | None:
        self._flights.pop(to, None)
        session = self.memory.sessions.get(to)
        known = session is not None and session.client and session.client_random == hello.random
        if not known and (hello.cookie or message.message_seq):
            return None
        if session is None or not known:
            session = self.memory.sessions[to] = Session(
                to, True, hello.random, Assembler(ahead=KEPT_AHEAD), rsa=self.memory.identity.rsa
            )
        if (hello, message.message_seq) != (session.offer, session.offer_seq):
            session.offer, session.offer_seq = hello, message.message_seq
            session.signatures = offered_signatures(hello)
            session.transcript[:] = message.encode()
        # A server's cookie may be empty (RFC 6347, section 4.2.1).
        return [Output("hello-cookie" if hello.cookie or message.message_seq else "hello", (to,))]

    def _server_session(self, to: int, hello: ServerHello) -> Session | None:
        """A ServerHello that we have not seen begins a session for the latest valid-cookie hello of that peer."""
        session = self.memory.sessions.get(to)
        if session is not None and not session.client and session.server_random == hello.random:
            return session
        opening = self.memory.hellos.get(to)
        if opening is None:
            return None
        session = self.memory.sessions[to] = Session(
            to,
            False,
            opening.client_random,
            Assembler(opening.message.message_seq + 1, KEPT_AHEAD),
            server_random=hello.random,
            hello_seq=opening.message.message_seq,
            rsa=self.memory.identity.rsa,
            suite=hello.suite,
            transcript=bytearray(opening.message.encode()),
        )
        session.fresh(opening.record)
        return session

    def _finished(self, session: Session, record: Record) -> list[Output] | None:
        """A protected handshake record: the Finished that ends flight 5 or 6."""
        if session.client:
            session.own_finished = record
        sending = self._flights.pop(session.peer, None)
        if sending is None or not sending.change_cipher_spec:
            return None
        if session.client:
            return (
                [Output("flight5", (session.peer, sending.ca))] if self._is_flight(sending, of_server=False) else None
            )
        return [Output("flight6", (session.peer,))] if not sending.types else None

    def _is_flight(self, sending: Sending, *, of_server: bool) -> bool:
        return tuple(sending.types) == flight(of_server, self.memory.identity.rsa)

    def _protected(self, session: Session, record: Record) -> list[Output] | None:
        plaintext = session.open(record, self.memory.keylog, inbound=False)
        if plaintext is None:
            return None
        if record.content_type is ContentType.APPLICATION_DATA:
            session.sent += plaintext
            session.sent_largest = max(session.sent_largest, len(plaintext))
            return self._request(session) if session.peer == SSS_ID else []
        alert = parse_alert(plaintext)
        if record.content_type is not ContentType.ALERT or isinstance(alert, Malformed):
            return None
        if session.asked_again and (alert.fatal, alert.code) == (False, AlertCode.NO_RENEGOTIATION):
            session.asked_again = False
            return []
        if not alert.close_notify:
            return [Output("alert", (session.peer,))] if alert.fatal else None
        close = Output("close", (session.peer,))
        if session.client and session.peer != SSS_ID:
            return [self._message(session), close]
        return [close]

    def _request(self, session: Session) -> list[Output] | None:
        """The registration request, one record of 4 bytes."""
        if len(session.sent) != REQUEST_SIZE:
            return None
        dev, op = int.from_bytes(session.sent[:2], "little"), int.from_bytes(session.sent[2:], "little", signed=True)
        self.memory.asked = op
        return [Output("request", (dev, op))]

    def _message(self, session: Session) -> Output:
        """The whole message that a client session carried; what it carries afterwards counts anew."""
        sent = bytes(session.sent)
        given = self.memory.messages.get(session.peer, [])
        intact = sent in given and session.sent_largest <= MAX_RECORD
        if intact:
            given.remove(sent)
        session.sent.clear()
        session.sent_largest = 0
        return Output("data", (session.peer, len(sent), int(intact)))


def _transcribe(session: Session, message_seq: int, message: bytes) -> None:
    """The handshake's hash takes each message once, however often it is sent."""
    if message_seq not in session.transcribed:
        session.transcribed.add(message_seq)
        session.transcript += message
