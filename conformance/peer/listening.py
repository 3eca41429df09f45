"""The way in: datagrams to messages, whatever they are, and what an honest peer makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from conformance.layers import (
    DTLS,
    DTLSAlert,
    DTLSCertificate,
    DTLSCertificateVerify,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSFinished,
    DTLSHandshake,
    DTLSHelloVerifyRequest,
    DTLSRecord,
    DTLSServerHello,
    DTLSServerKeyExchange,
    Exact,
    Malformed,
    dissect_content,
    dissect_message,
)
from conformance.peer import messages
from conformance.peer.credentials import look, verifies
from conformance.peer.keys import NAMED_CURVES
from conformance.peer.script import Send
from conformance.peer.speaking import refuse, repeat_flight, say, say_data, say_flight, whole
from conformance.peer.state import Held, State
from conformance.wire.certificates import Authorities
from conformance.wire.handshake import Assembler, Fragment, HandshakeType, Message, Standing
from conformance.wire.records import AlertCode

if TYPE_CHECKING:  # conformance.layers alone imports Scapy as it should be imported
    from scapy.packet import Packet

MAX_MESSAGES: Final = 64
"""Handshake messages of the other side that are followed; an honest handshake has 7 at the most."""
MAX_RECEIVED: Final = 1 << 20
"""Bytes of application data that are kept."""
MAX_ARRIVED: Final = 1_000
"""Messages that are remembered for steps to come."""
_WINDOW: Final = 64
_NAMES: Final = {number: name for name, number in messages.MESSAGE_TYPES.items() if name != "client-hello-cookie"}
_TYPES: Final = frozenset(HandshakeType)

_EXPECTED: Final[dict[bool, dict[str, tuple[str, ...]]]] = {
    True: {
        "": ("hello-verify-request", "server-hello"),
        "hello-verify-request": ("server-hello",),
        "server-hello": ("certificate",),
        "certificate": ("server-key-exchange",),
        "server-key-exchange": ("certificate-request", "server-hello-done"),
        "certificate-request": ("server-hello-done",),
        "server-hello-done": ("finished",),
    },
    False: {
        "": ("client-hello",),
        "client-hello": ("certificate",),
        "certificate": ("client-key-exchange",),
        "client-key-exchange": ("certificate-verify",),
        "certificate-verify": ("finished",),
    },
}
"""What may come after what, for a client and for a server (RFC 5246, section 7.3)."""


def receive(state: State, datagram: bytes, now: int) -> None:
    """Take a datagram, whatever it is."""
    records = DTLS(datagram).records
    state.keep(now, "got", tuple(n for r in records for n in _names(r)), datagram)
    if state.ended and not state.script.steps:
        return
    for record in records:
        if isinstance(record, DTLSRecord):
            _record(state, record, now)
            _release(state, now)


def _names(record: Packet) -> list[str]:
    """What a record is, as far as it is not sealed."""
    if not isinstance(record, DTLSRecord):
        return ["malformed"]
    if record.type == messages.HANDSHAKE and record.epoch == 0:
        return [_name(item) for item in record.content]
    if record.type == messages.ALERT and record.epoch == 0:
        return ["close-notify" if _bytes(record)[1:] == b"\0" else "alert"]
    kinds = {messages.CHANGE_CIPHER_SPEC: "change-cipher-spec", messages.ALERT: "alert"}
    return [kinds.get(record.type, "finished" if record.type == messages.HANDSHAKE else "data")]


def _name(fragment: Packet) -> str:
    if not isinstance(fragment, DTLSHandshake):
        return "malformed"
    if isinstance(fragment.payload, DTLSClientHello) and fragment.payload.cookie:
        return "client-hello-cookie"
    return _NAMES.get(fragment.msg_type, "handshake")


def _bytes(record: DTLSRecord) -> bytes:
    """Its fragment."""
    return b"".join(bytes(item) for item in record.content)


# --- records ----------------------------------------------------------------------------------------------------------


def _record(state: State, record: DTLSRecord, now: int) -> None:
    content = _bytes(record)
    if record.epoch == 0:
        _content(state, record.type, content, 0, record.sequence_number, now)
    elif record.epoch == 1:
        state.held.append(Held(record.type, record.version, record.sequence_number, content))


def _release(state: State, now: int) -> None:
    """Take the records of epoch 1 whose time has come."""
    again = True
    while again:
        again = False
        for record in list(state.held):
            early = record.content_type == messages.APPLICATION_DATA and not state.finished
            if state.keys is None or not state.ccs or early or record not in state.held:
                continue
            state.held.remove(record)
            _open(state, record, now)
            again = True


def _open(state: State, record: Held, now: int) -> None:
    keys = state.keys
    assert keys is not None
    direction = keys.server if state.client else keys.client
    plaintext = direction.open(1, record.seq, record.content_type, record.version, record.fragment)
    if plaintext is None:
        state.note(now, "a record does not authenticate")
    elif _replayed(state, record.seq):
        state.note(now, "a record came again")
    else:
        _content(state, record.content_type, plaintext, 1, record.seq, now)


def _replayed(state: State, seq: int) -> bool:
    """Whether a record of epoch 1 came before; notes that it came (RFC 6347, section 4.1.2.6)."""
    if seq > state.highest:
        state.window = (state.window << min(seq - state.highest, _WINDOW) | 1) & (1 << _WINDOW) - 1
        state.highest = seq
        return False
    bit = state.highest - seq
    if bit >= _WINDOW or state.window >> bit & 1:
        return True
    state.window |= 1 << bit
    return False


def _content(state: State, kind: int, plaintext: bytes, epoch: int, seq: int, now: int) -> None:
    if state.ended and not state.script.steps:
        return
    if kind == messages.APPLICATION_DATA:
        if epoch and state.received_size + len(plaintext) <= MAX_RECEIVED:
            state.received.append(plaintext)
            state.received_size += len(plaintext)
            _arrived(state, "data")
        return
    for item in dissect_content(kind, plaintext):
        if kind == messages.HANDSHAKE and isinstance(item, DTLSHandshake):
            _fragment(state, item, epoch, seq, now)
        elif kind == messages.CHANGE_CIPHER_SPEC and not isinstance(item, Malformed):
            state.ccs = True
            _arrived(state, "change-cipher-spec")
        elif isinstance(item, DTLSAlert):
            _alert(state, item, epoch, now)


def _arrived(state: State, name: str) -> None:
    if state.script.steps and len(state.arrived) < MAX_ARRIVED:
        state.arrived.append(name)


def _alert(state: State, alert: DTLSAlert, epoch: int, now: int) -> None:
    if state.established and not epoch:
        return
    state.note(now, f"alert {alert.level} {alert.desc}" + (", authenticated" if epoch else ""))
    closes = alert.desc == AlertCode.CLOSE_NOTIFY
    _arrived(state, "close-notify" if closes else "alert")
    state.peer_closed |= closes and epoch == 1
    if state.script.steps or (alert.level != 2 and not closes):
        return
    state.timer = None
    if closes and epoch and not state.closed:
        state.closing = True
        say_data(state, now)
    state.ended = state.ended or ("the other side closed" if closes else f"alert {alert.desc} of the other side")


# --- messages ---------------------------------------------------------------------------------------------------------


def _fragment(state: State, item: DTLSHandshake, epoch: int, seq: int, now: int) -> None:
    if item.msg_type not in _TYPES or len(state.assembler.messages) >= MAX_MESSAGES:
        return
    if state.script.verify and bool(epoch) != (item.msg_type == HandshakeType.FINISHED):
        state.note(now, f"{_name(item)} in epoch {epoch}")
        return
    body = bytes(item.payload)
    kind = HandshakeType(item.msg_type)
    fragment = Fragment(kind, item.length, item.message_seq, item.fragment_offset, body)
    if kind is HandshakeType.CLIENT_HELLO and not state.client and ("sent", "server-hello") not in state.datagrams:
        _listen(state, fragment.message_seq)
    if state.assembler.standing(fragment) is Standing.REPEAT:
        _repeated(state, fragment, now)
    for message in state.assembler.feed(fragment):
        if not state.ended or state.script.steps:
            _message(state, message, seq, now)


def _listen(state: State, first: int) -> None:
    """A server that has not begun takes a ClientHello of any number, as often as one comes."""
    if state.flight:
        return
    if state.assembler.messages or state.assembler.next_seq != first:
        state.assembler = Assembler(first)
        state.expected = ""


def _repeated(state: State, fragment: Fragment, now: int) -> None:
    """The end of the flight that our last one answers has come again."""
    last = state.assembler.messages[-1]
    if fragment.message_seq != last.message_seq or fragment.offset + len(fragment.body) < fragment.length:
        return
    if state.established and (state.client or state.received):
        return  # data of the client proves that it has our last flight (DTL-6)
    if state.script.steps or state.ended or last.type is HandshakeType.HELLO_VERIFY_REQUEST:
        return
    repeat_flight(state, now)


def _message(state: State, message: Message, seq: int, now: int) -> None:
    """Follow one whole message."""
    layer = dissect_message(message.type, message.body)
    name = _NAMES.get(message.type, "handshake")
    if name not in _EXPECTED[state.client].get(state.expected, ()) and refuse(
        state, AlertCode.UNEXPECTED_MESSAGE, f"{name} comes after {state.expected or 'nothing'}", now
    ):
        return
    state.expected = name
    reaction = _REACTIONS[state.client].get(name)
    if isinstance(layer, Malformed) and refuse(state, AlertCode.DECODE_ERROR, f"a malformed {name}", now):
        return
    before = bytes(state.transcript)
    if name != "hello-verify-request":
        state.transcript += whole(message.type, message.message_seq, message.body)
    if isinstance(layer, DTLSClientHello) and not state.client:
        _client_hello(state, layer, message, seq, now)
    elif reaction is not None and isinstance(layer, reaction[0]):
        reaction[1](state, layer, before, now)
    with_cookie = isinstance(layer, DTLSClientHello) and layer.cookie
    _arrived(state, "client-hello-cookie" if with_cookie else name)


def _client_hello(state: State, layer: Packet, message: Message, seq: int, now: int) -> None:
    state.transcript[:] = whole(message.type, message.message_seq, message.body)
    messages.follow_hello(state, layer)
    state.next_seq = message.message_seq
    # The answer takes the hello's number (RFC 6347, section 4.2.1), unless a script has used that up already.
    state.records[0] = max(state.records.get(0, 0), seq)
    if state.script.steps:
        return
    if not messages.has_cookie(state, layer):
        say(state, [Send("hello-verify-request")], now)
        return
    if state.suite.number not in layer.cipher_suites and refuse(
        state, AlertCode.HANDSHAKE_FAILURE, "the client does not offer our cipher suite", now
    ):
        return
    say_flight(
        state,
        ("server-hello", "certificate", "server-key-exchange", "certificate-request", "server-hello-done"),
        now,
    )


def _hello_verify_request(state: State, layer: Packet, _: bytes, now: int) -> None:
    state.cookie = bytes(layer.cookie)
    state.transcript.clear()
    if not state.script.steps:
        say_flight(state, ("client-hello-cookie",), now)


def _server_hello(state: State, layer: Packet, _: bytes, now: int) -> None:
    messages.follow_hello(state, layer)
    if layer.cipher_suite != state.suite.number:
        refuse(state, AlertCode.ILLEGAL_PARAMETER, "the server chose a cipher suite that was not offered", now)


def _certificate(state: State, layer: Packet, _: bytes, now: int) -> None:
    state.peer_chain = tuple(layer.certificates)
    seen = look(state.identity.ca, state.peer_chain)
    if seen is None:
        code = AlertCode.UNKNOWN_CA if state.peer_chain else AlertCode.HANDSHAKE_FAILURE
        refuse(state, code, "the certificate is not of the authority that is trusted", now)
    elif state.peer_name not in ("", seen.cn):
        refuse(state, AlertCode.BAD_CERTIFICATE, f"the certificate is of {seen.cn!r}", now)


def _server_key_exchange(state: State, layer: Packet, _: bytes, now: int) -> None:
    state.peer_point = bytes(layer.server_point)
    algorithm, signature, signed = messages.key_exchange_signature(state, layer)
    if layer.server_named_curve != NAMED_CURVES[state.script.curve]:
        refuse(state, AlertCode.ILLEGAL_PARAMETER, "another curve than was offered", now)
    elif state.ephemeral.premaster(state.peer_point) is None:
        refuse(state, AlertCode.ILLEGAL_PARAMETER, "no point of the curve", now)
    elif not verifies(_peer_key(state), algorithm, signature, signed):
        refuse(state, AlertCode.DECRYPT_ERROR, "the signature of the ServerKeyExchange is wrong", now)


def _certificate_request(state: State, *_: object) -> None:
    state.certificate_requested = True


def _server_hello_done(state: State, _: Packet, _before: bytes, now: int) -> None:
    if state.script.steps:
        return
    names = ["client-key-exchange", "change-cipher-spec", "finished"]
    if state.certificate_requested:
        names.insert(0, "certificate")
        if state.shown.chain:
            names.insert(2, "certificate-verify")
    say_flight(state, names, now)


def _client_key_exchange(state: State, layer: Packet, _: bytes, now: int) -> None:
    state.peer_point = bytes(layer.client_point)
    state.settle_keys()
    if state.ephemeral.premaster(state.peer_point) is None:
        refuse(state, AlertCode.ILLEGAL_PARAMETER, "no point of the curve", now)


def _certificate_verify(state: State, layer: Packet, before: bytes, now: int) -> None:
    if not verifies(_peer_key(state), layer.sig_hash_alg, layer.sig, before):
        refuse(state, AlertCode.DECRYPT_ERROR, "the signature of the CertificateVerify is wrong", now)


def _finished(state: State, layer: Packet, before: bytes, now: int) -> None:
    right = state.keys is not None and layer.verify_data == state.keys.verify_data(before, not state.client)
    if not right and refuse(state, AlertCode.DECRYPT_ERROR, "the Finished does not verify", now):
        return
    state.finished, state.timer = True, None
    if not state.script.steps:
        if not state.client:
            say_flight(state, ("change-cipher-spec", "finished"), now, timed=False)
        state.established = True
        say_data(state, now)


def _peer_key(state: State) -> bytes | None:
    return Authorities({}).classify(state.peer_chain[0]).public_key if state.peer_chain else None


_REACTIONS: Final[dict[bool, dict[str, tuple[type[Packet], Callable[[State, Any, bytes, int], None]]]]] = {
    True: {
        "hello-verify-request": (DTLSHelloVerifyRequest, _hello_verify_request),
        "server-hello": (DTLSServerHello, _server_hello),
        "certificate": (DTLSCertificate, _certificate),
        "server-key-exchange": (DTLSServerKeyExchange, _server_key_exchange),
        "certificate-request": (Exact, _certificate_request),
        "server-hello-done": (Exact, _server_hello_done),
        "finished": (DTLSFinished, _finished),
    },
    False: {
        "certificate": (DTLSCertificate, _certificate),
        "client-key-exchange": (DTLSClientKeyExchangeECDHE, _client_key_exchange),
        "certificate-verify": (DTLSCertificateVerify, _certificate_verify),
        "finished": (DTLSFinished, _finished),
    },
}
"""What to look for in a message, and what to do then."""
