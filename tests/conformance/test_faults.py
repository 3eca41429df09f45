"""The schedule of faults: flights are told apart, and each entry strikes exactly where it says."""

from __future__ import annotations

from conformance.faults import Content, Fault, Traffic
from conformance.wire.handshake import Fragment, HandshakeType
from conformance.wire.records import DTLS_1_2, ContentType, Record

CLIENT, SERVER = 10, 11


def handshake(kind: HandshakeType, body: bytes = b"x", offset: int = 0, length: int | None = None) -> bytes:
    fragment = Fragment(kind, len(body) if length is None else length, 0, offset, body)
    return Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 0, fragment.encode()).encode()


def hello(cookie: bytes) -> bytes:
    body = b"\xfe\xfd" + bytes(32) + b"\0" + bytes([len(cookie)]) + cookie + b"\0\2\xc0\x2c" + b"\1\0"
    return handshake(HandshakeType.CLIENT_HELLO, body)


def sealed(kind: ContentType) -> bytes:
    return Record(kind, DTLS_1_2, 1, 0, bytes(24)).encode()


def test_flights_are_told_apart_by_what_is_in_them_and_who_is_the_client() -> None:
    traffic = Traffic()
    ccs = Record(ContentType.CHANGE_CIPHER_SPEC, DTLS_1_2, 0, 0, b"\1").encode()
    seen = [
        (CLIENT, hello(b""), Content(flight=1)),
        (SERVER, handshake(HandshakeType.HELLO_VERIFY_REQUEST), Content(flight=2)),
        (CLIENT, hello(b"cookie"), Content(flight=3)),
        (SERVER, handshake(HandshakeType.SERVER_HELLO), Content(flight=4)),
        (SERVER, handshake(HandshakeType.CERTIFICATE), Content(flight=4, first=False)),
        (SERVER, handshake(HandshakeType.SERVER_HELLO_DONE, b""), Content(flight=4, first=False)),
        (CLIENT, handshake(HandshakeType.CERTIFICATE), Content(flight=5)),
        (CLIENT, handshake(HandshakeType.CERTIFICATE, b"y", 1, 2), Content(flight=5, first=False)),
        (CLIENT, handshake(HandshakeType.CLIENT_KEY_EXCHANGE), Content(flight=5, first=False)),
        (CLIENT, ccs, Content(flight=5, first=False)),
        (CLIENT, sealed(ContentType.HANDSHAKE), Content(flight=5, first=False)),
        (SERVER, ccs, Content(flight=6)),
        (SERVER, sealed(ContentType.HANDSHAKE), Content(flight=6, first=False)),
        (CLIENT, sealed(ContentType.APPLICATION_DATA), Content(record="data")),
        (CLIENT, sealed(ContentType.ALERT), Content(record="close")),
        (SERVER, Record(ContentType.ALERT, DTLS_1_2, 0, 0, b"\2\x2a").encode(), Content(record="alert")),
        (SERVER, b"junk", Content()),
        (SERVER, b"", Content()),
        (SERVER, handshake(HandshakeType.CERTIFICATE)[:20], Content()),
    ]
    for source, datagram, content in seen:
        assert traffic.content(source, CLIENT + SERVER - source, datagram) == content


def test_an_entry_strikes_the_nth_transmission_with_all_its_datagrams() -> None:
    fault = Fault("lose", flight=4, nth=2, times=2)
    first, rest, other = Content(flight=4), Content(flight=4, first=False), Content(flight=6)
    course = [first, rest, other, first, rest, rest, first, first, rest]
    assert [fault.strikes(SERVER, c) for c in course] == [False, False, False, True, True, True, True, False, False]


def test_an_entry_for_one_sender_leaves_the_others_alone() -> None:
    fault = Fault("lose", record="data", by=CLIENT)
    assert not fault.strikes(SERVER, Content(record="data"))
    assert fault.strikes(CLIENT, Content(record="data"))
    assert not fault.strikes(CLIENT, Content(record="data"))
