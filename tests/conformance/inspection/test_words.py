"""The words for real frames are those of `conformance.wire.describe`, which takes them apart anew."""

from __future__ import annotations

from dataclasses import replace

import pytest
from capture_kinds import made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.inspection.words import Clock, counted, ends, hello_cookie, label, notes, numbers, seconds
from conformance.sessions.seen import SeenFrame
from conformance.wire.describe import describe
from conformance.wire.handshake import ClientHello, Fragment, HandshakeType, Message, parse_fragments, parse_message
from conformance.wire.records import ContentType, Malformed, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import Link


@pytest.mark.parametrize("kind", ["register", "lost-flight-5", "glare-lower", "junk-radio", "fragments-twice", "rare"])
def test_sealed_as_describe_says(explained, kind: str) -> None:
    frames = [seen for seen in explained(kind, secrets=False) if seen.records]
    assert frames
    for seen in frames:
        assert label(seen) == describe(seen.frame.payload)


@pytest.mark.parametrize("kind", ["register", "registered-964", "foreign-client", "duplicate-flight-5", "aes-128"])
def test_opened_as_describe_says(explained, kind: str) -> None:
    log = KeyLog()
    for pair in made(kind).secrets:
        log.add(*pair)
    frames = [seen for seen in explained(kind) if seen.records and seen.session and seen.session.suite]
    assert any("data #" in label(seen) for seen in frames)
    for seen in frames:
        session = seen.session
        keys = log.keys(session.client_random, session.server_random, session.suite)
        assert label(seen) == describe(seen.frame.payload, keys)
        assert "sealed" not in label(seen)


HELLOS = [
    (message.type, message.body)
    for kind in ("register", "rare")
    for message in (
        parse_fragments(record.fragment)[0]
        for frame in made(kind).frames
        for record in parse_datagram(frame.frame[8:])
        if isinstance(record, Record) and record.content_type is ContentType.HANDSHAKE and not record.epoch
    )
    if isinstance(message, Fragment) and message.type in (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO)
]


def agrees(kind: HandshakeType, body: bytes) -> bool | None:
    """What the quick look says, which must be what the judge's parser says."""
    quick = hello_cookie(body, kind is HandshakeType.CLIENT_HELLO)
    parsed = parse_message(Message(kind, 0, body))
    if quick is not None:
        assert not isinstance(parsed, Malformed)
        assert quick is (isinstance(parsed, ClientHello) and bool(parsed.cookie))
    return quick


def test_a_quick_look_at_a_hello() -> None:
    assert {agrees(*hello) for hello in HELLOS} == {True, False}  # none had to be parsed


@pytest.mark.parametrize(
    "rest",
    [
        b"\x21" + bytes(33) + b"\0\0\2\xc0\x2b\1\0",  # a session id of 33 bytes
        b"\0\0\0\3\xc0\x2b\0\1\0",  # suites of an odd size
        b"\0\0\0\0\1\0",  # no suite
        b"\0\0\0\2\xc0\x2b\0",  # no compression method
        b"\0\0\0\2\xc0\x2b\1\0\0\x08\0\x17\0\0\0\x17\0\0",  # an extension twice
        b"\0\0\0\2\xc0\x2b\1\0\0\x04\0\x17\0\1",  # an extension that goes beyond the end
        b"\0\0\0\2\xc0\x2b\1\0\0\x04\0\x17\0\0!",  # a byte too many
    ],
)
def test_a_quick_look_leaves_what_is_malformed(rest: bytes) -> None:
    assert agrees(HandshakeType.CLIENT_HELLO, b"\xfe\xfd" + bytes(32) + rest) is None


@settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(HELLOS), st.data())
def test_a_quick_look_at_a_damaged_hello(hello: tuple[HandshakeType, bytes], data: st.DataObject) -> None:
    kind, body = hello
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        if damaged:
            damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    agrees(kind, bytes(damaged[: data.draw(st.integers(0, len(damaged)))]))
    agrees(kind, bytes(damaged))


def test_data_of_a_padding_suite_has_no_size_until_it_is_opened(explained) -> None:
    sealed = [label(seen) for seen in explained("rsa", secrets=False)]
    opened = [label(seen) for seen in explained("rsa")]
    assert "data #1 (sealed)" in sealed and "data #1, 9 B" in opened


def test_what_is_not_dtls(explained) -> None:
    register = explained("register")
    assert [(ends(seen), label(seen), notes(seen)) for seen in (register[0], register[-2])] == [
        (("CPU", "SSS"), "request: register 10", ""),
        (("SSS", "CPU"), "answer: registered 10", ""),
    ]
    faa = [seen for seen in explained("faa-busy") if 2 in (seen.frame.source, seen.frame.target)]
    assert {label(seen).split(",")[0] for seen in faa} == {"FAA"} and len(faa) > 1
    assert ("FAA", "all") in {ends(seen) for seen in faa} or ("FAA", "10") in {ends(seen) for seen in faa}
    message = explained("registered-964")
    assert "message, 964 B" in [label(seen) for seen in message if seen.captured.link is Link.CPU]


def test_numbers_of_records(explained) -> None:
    assert [numbers(seen) for seen in explained("register")] == [
        "", "0/0", "0/0", "0/1", "0/1-5", "0/2-5, 1/0", "0/6, 1/0", "1/1", "1/1", "1/2", "", "1/2",
    ]  # fmt: skip


def test_a_hostile_datagram_does_not_make_an_endless_line(explained) -> None:
    seen: SeenFrame = explained("register")[4]
    many = replace(seen, records=seen.records * 1_000, notes=tuple(f"note {n}" for n in range(5_000)))
    assert label(many).endswith("and 4,988 more") and len(label(many)) < 500
    assert notes(many).endswith("; and 4,988 more") and len(numbers(many)) < 200


def test_times() -> None:
    assert [seconds(us) for us in (0, 5, 7_000_000, 165_000_001, -1_500_000)] == [
        "0.000000", "0.000005", "7.000000", "165.000001", "-1.500000",
    ]  # fmt: skip
    clock = Clock()
    assert [clock.relative(us) for us in (1_000, 1_500, 900)] == [0, 500, -100]


def test_counted() -> None:
    assert [counted(n, "frame") for n in (0, 1, 12_345)] == ["0 frames", "1 frame", "12,345 frames"]
