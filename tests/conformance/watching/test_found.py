"""What refinement found, each by itself: false alarms of the judge, and a mistake of the reference's SSS."""

from __future__ import annotations

import pytest
from memory_world import World, frame_of
from watched_worlds import watched_sss, watched_world

from conformance.wire.handshake import Fragment, HandshakeType, Message
from conformance.wire.records import DTLS_1_2, ContentType, Record, parse_datagram
from model.alphabet import BROADCAST, FAA_ID, Link
from reference.controller import Controller
from reference.frame import Frame
from reference.registration import Request


def records_of(datagram: bytes) -> list[Record]:
    return [r for r in parse_datagram(datagram) if isinstance(r, Record)]


def first_hello(world: World, sed: int, target: int) -> Frame:
    """The ClientHello that goes out on a link which loses it."""
    world.judge = lambda _medium, _frame: False
    world.cpu(sed, target, Request(sed, 0).encode() if target == 1 else b"message")
    world.judge = lambda _medium, _frame: True
    return world.sent[-1][2]


def lose_from(world: World, kind: HandshakeType, *, with_cookie: bool = False) -> None:
    """Lose everything from the first datagram on that begins with this message."""
    gone = False

    def judge(_medium: str, frame: Frame) -> bool:
        nonlocal gone
        record = records_of(frame.payload)[0]
        right = record.epoch == 0 and record.content_type is ContentType.HANDSHAKE and record.fragment[0] == kind
        gone = gone or (right and bool(record.fragment[5]) >= with_cookie)
        return not gone

    world.judge = judge


def test_an_faa_frame_for_broadcast_reaches_the_cpu_unchanged() -> None:
    world, alarms = watched_world(3)
    world.inject(3, Link.RADIO, Frame(BROADCAST, FAA_ID, b"to all").encode())
    assert world.heard[3] == [Frame(BROADCAST, FAA_ID, b"to all")] and not alarms


def test_a_client_hello_on_the_wire_of_the_sss_is_nobodys() -> None:
    world, alarms = watched_world(3, 4)
    hello = first_hello(world, 4, 3)
    world.inject(3, Link.SSS, Frame(3, 1, hello.payload).encode())
    assert not alarms


def test_a_whole_message_takes_the_place_of_pieces_that_contradict_it() -> None:
    world, alarms = watched_world(3, 4)
    hello = first_hello(world, 3, 4)
    piece = Fragment(HandshakeType.HELLO_VERIFY_REQUEST, 291, 0, 0, bytes(35)).encode()
    forged = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 7, piece).encode()
    world.inject(3, Link.RADIO, Frame(3, 4, forged).encode())
    world.inject(4, Link.RADIO, hello.encode())
    assert world.messages(4) == [(3, b"message")] and not alarms


def test_a_change_cipher_spec_counts_in_its_own_flight() -> None:
    """Else an old one makes a Finished count whose own ChangeCipherSpec is taken for a replay."""
    world, alarms = watched_world(3)
    first_hello(world, 3, 1)
    early = Record(ContentType.CHANGE_CIPHER_SPEC, DTLS_1_2, 0, 7, b"\1").encode()
    world.inject(3, Link.SSS, Frame(3, 1, early).encode())
    numbers = []

    def seen(_medium: str, frame: Frame) -> bool:
        numbers.extend(r.seq for r in records_of(frame.payload) if r.content_type is ContentType.CHANGE_CIPHER_SPEC)
        return True

    world.judge = seen
    world.run()
    assert 7 in numbers, "the SSS's own has this number"
    assert world.messages(3) == [(1, Request(3, 0).encode())] and not alarms


def test_no_more_messages_are_kept_ahead_than_mbed_tls_keeps() -> None:
    world, alarms = watched_world(3)
    spoiled = []

    def spoil(_medium: str, frame: Frame) -> bool:
        records = records_of(frame.payload)
        if not spoiled and len(records) > 2 and records[0].fragment[0] == HandshakeType.SERVER_HELLO:
            spoiled.append(Frame(3, 1, b"".join(r.encode() for r in records[1:])))
            return False
        return True

    world.judge = spoil
    world.cpu(3, 1, Request(3, 0).encode())
    world.inject(3, Link.SSS, spoiled[0].encode())
    world.run()
    assert world.messages(3) == [(1, Request(3, 0).encode())] and not alarms


def test_what_a_client_drops_uses_up_no_number() -> None:
    world, alarms = watched_world(3, 4)
    hello = first_hello(world, 3, 4)
    number = records_of(hello.payload)[0].seq
    done = Message(HandshakeType.SERVER_HELLO_DONE, 4, b"").encode()
    forged = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, number, done).encode()
    world.inject(3, Link.RADIO, Frame(3, 4, forged).encode())
    world.inject(4, Link.RADIO, hello.encode())
    assert world.messages(4) == [(3, b"message")] and not alarms


def test_a_hello_request_takes_no_messages_place() -> None:
    world, alarms = watched_world(3, 4)
    hello = first_hello(world, 3, 4)
    nothing = Message(HandshakeType.HELLO_REQUEST, 0, b"").encode()
    forged = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 55, nothing).encode()
    world.inject(3, Link.RADIO, Frame(3, 4, forged).encode())
    world.inject(4, Link.RADIO, hello.encode())
    assert world.messages(4) == [(3, b"message")] and not alarms


def test_a_hello_verify_request_of_no_version_may_be_refused() -> None:
    world, alarms = watched_world(3, 4)
    first_hello(world, 3, 4)
    request = Message(HandshakeType.HELLO_VERIFY_REQUEST, 0, b"\xfe\xfc\x04abcd").encode()
    forged = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 0, request).encode()
    world.inject(3, Link.RADIO, Frame(3, 4, forged).encode())
    assert world.sent[-1][2].payload[0] == ContentType.ALERT and world.states()[0] == "IDLE"
    assert not alarms


def test_the_sss_refuses_nobody_before_his_cookie() -> None:
    """SES-6: a hello that nobody could agree to gets a HelloVerifyRequest like any other."""
    world, sss, alarms = watched_sss(3)
    hello = first_hello(world, 3, 1)
    at = hello.payload.index(b"\xc0\x2c")
    sss.receive(3, Frame(1, 3, hello.payload[:at] + b"\0\1" + hello.payload[at + 2 :]).encode(), 0)
    (answer,) = sss.outgoing()
    assert frame_of(answer[1]).payload[13] == HandshakeType.HELLO_VERIFY_REQUEST and not alarms


def test_a_server_hello_done_that_can_never_be_right_may_be_refused_before_its_turn() -> None:
    world, alarms = watched_world(3, 4)
    lose_from(world, HandshakeType.SERVER_HELLO)
    world.cpu(3, 4, b"message")
    done = Message(HandshakeType.SERVER_HELLO_DONE, 2, b"").encode()
    world.inject(3, Link.RADIO, Frame(3, 4, Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 54, done).encode()).encode())
    assert world.sent[-1][2].payload[0] == ContentType.ALERT and world.states()[0] == "IDLE"
    assert not alarms


def test_a_hello_with_another_number_is_not_the_one_that_is_served() -> None:
    """The cookie does not cover `message_seq`: who changes it on the way makes the client repeat in vain."""
    world, sss, alarms = watched_sss(3)
    lose_from(world, HandshakeType.CLIENT_HELLO, with_cookie=True)
    world.cpu(3, 1, Request(3, 0).encode())
    hello = world.sent[-1][2].payload
    altered = hello[:17] + b"\1" + hello[18:]
    for number, datagram in ((1, altered), (2, hello)):
        record = datagram[:10] + bytes([number]) + datagram[11:]
        sss.receive(3, Frame(1, 3, record).encode(), 0)
        assert bool(sss.outgoing()) == (number == 1)
    assert not alarms


def test_what_is_left_of_a_datagram_that_ended_a_session_is_not_of_the_next_one() -> None:
    """Else its ChangeCipherSpec takes a number from the replay window of the session that the CPU waited for."""
    world, alarms = watched_world(3, 4)
    lose_from(world, HandshakeType.CERTIFICATE)
    world.cpu(4, 3, b"message")
    world.judge = lambda _medium, _frame: True
    world.cpu(3, 4, b"answer")
    bad = Message(HandshakeType.CERTIFICATE, 2, b"\0\0\0").encode()
    datagram = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 40, bad).encode()
    for number in range(1, 8):
        datagram += Record(ContentType.CHANGE_CIPHER_SPEC, DTLS_1_2, 0, number, b"\1").encode()
    world.inject(3, Link.RADIO, Frame(3, 4, datagram).encode())
    assert world.messages(4) == [(3, b"answer")]
    assert not alarms


def test_a_flight_may_go_out_again_for_a_number_alone() -> None:
    """Mbed TLS takes whatever has the number of the peer's latest message for its repetition; nothing else may."""
    world, alarms = watched_world(3, 4)
    lose_from(world, HandshakeType.SERVER_HELLO)
    world.cpu(3, 4, b"message")
    flight = world.sent[-2][2].payload
    nothing = Message(HandshakeType.HELLO_REQUEST, 0, b"").encode()
    record = Record(ContentType.HANDSHAKE, DTLS_1_2, 0, 55, nothing).encode()
    world.inject(3, Link.RADIO, Frame(3, 4, record).encode())
    again = [f.payload for _, _, f in world.sent if f.payload[13:] == flight[13:]]
    assert len(again) == 2 and not alarms
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Controller, "_take_radio", lambda node, frame, now: node._outgoing.append((Link.RADIO, repeated)))
        repeated = Frame(4, 3, again[1][:10] + b"\x63" + again[1][11:]).encode()
        world.inject(3, Link.RADIO, Frame(3, 4, b"junk").encode())
    assert "hello-cookie" in alarms[0].result.reason


def test_a_malformed_message_uses_up_no_number() -> None:
    world, alarms = watched_world(3, 4)
    lose_from(world, HandshakeType.SERVER_HELLO)
    world.cpu(3, 4, b"message")
    (verify,) = [f.payload for _, _, f in world.sent if f.payload[13] == HandshakeType.HELLO_VERIFY_REQUEST]
    for number in range(1, 12):
        beyond = verify[:10] + bytes([number]) + verify[11:22] + b"\x10" + verify[23:]
        world.inject(3, Link.RADIO, Frame(3, 4, beyond).encode())
    world.judge = lambda _medium, _frame: True
    world.run(7_000)
    assert world.messages(4) == [(3, b"message")] and not alarms


def test_a_malformed_message_of_another_kind_uses_up_no_number_either() -> None:
    world, alarms = watched_world(3, 4)
    lose_from(world, HandshakeType.SERVER_HELLO)
    world.cpu(3, 4, b"message")
    for number in range(1, 12):
        cut = Message(HandshakeType.CERTIFICATE, 2, bytes(20)).encode()[:-1]
        world.inject(
            3, Link.RADIO, Frame(3, 4, Record(ContentType.HANDSHAKE, DTLS_1_2, 0, number, cut).encode()).encode()
        )
    world.judge = lambda _medium, _frame: True
    world.run(7_000)
    assert world.messages(4) == [(3, b"message")] and not alarms
