"""Fragments, reassembly in any order, and the message parsers."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.wire.handshake import (
    MAX_AHEAD,
    MAX_BODY,
    Assembler,
    Certificate,
    CertificateVerify,
    ClientHello,
    Fragment,
    HandshakeType,
    HelloVerifyRequest,
    Message,
    Opaque,
    ServerHello,
    Standing,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import Malformed

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

T = HandshakeType


def cut(message: Message, start: int, end: int) -> Fragment:
    return Fragment(message.type, len(message.body), message.message_seq, start, message.body[start:end])


BODY = bytes(range(100))
MESSAGE = Message(T.CERTIFICATE, 0, BODY)


# --- fragments


def test_a_fragment_on_the_wire() -> None:
    fragment = Fragment(T.CERTIFICATE, 0x10203, 5, 0x203, b"xy")
    assert fragment.encode() == bytes.fromhex("0b 010203 0005 000203 000002 7879")
    assert parse_fragments(fragment.encode()) == [fragment]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "an empty handshake record"),
        (bytes(11), "shorter than a handshake header"),
        (Fragment(T.FINISHED, 2, 0, 0, b"ab").encode()[:-1], "1 of 2 bytes of a handshake fragment"),
        (Fragment(T.FINISHED, 2, 0, 1, b"ab").encode(), "bytes 1 to 3 of a message of 2"),
        (b"\x05" + Fragment(T.FINISHED, 2, 0, 0, b"ab").encode()[1:], "no handshake type 5"),
    ],
)
def test_what_is_no_fragment_says_why(data: bytes, why: str) -> None:
    assert parse_fragments(data) == [Malformed(data, why)]


def test_a_good_fragment_before_a_bad_one_is_kept() -> None:
    good = cut(MESSAGE, 0, 10)
    assert parse_fragments(good.encode() + b"?") == [good, Malformed(b"?", "shorter than a handshake header")]


@pytest.mark.parametrize("change", [{"length": 2**24}, {"message_seq": 65536}, {"offset": -1}])
def test_a_fragment_that_does_not_fit_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Fragment(T.CERTIFICATE, **{"length": 9, "message_seq": 0, "offset": 0, **change}, body=b"").encode()


@reproducible
@given(st.binary(max_size=120))
def test_every_byte_of_a_handshake_record_is_accounted_for(data: bytes) -> None:
    found = parse_fragments(data)
    assert b"".join(f.encode() if isinstance(f, Fragment) else f.data for f in found) == data


# --- reassembly


@st.composite
def scrambled(draw: st.DrawFn) -> tuple[int, list[Message], list[Fragment]]:
    """Messages from a first number on, cut several ways each, with overlaps and repeats, in any order."""
    first = draw(st.integers(0, 3))
    bodies = draw(st.lists(st.binary(max_size=30), min_size=1, max_size=5))
    types = draw(st.lists(st.sampled_from(HandshakeType), min_size=len(bodies), max_size=len(bodies)))
    messages = [Message(t, first + n, b) for n, (t, b) in enumerate(zip(types, bodies, strict=True))]
    fragments = []
    for message in messages:
        size = len(message.body)
        edges = sorted({0, size, *draw(st.lists(st.integers(0, size), max_size=4))})
        fragments += [cut(message, a, b) for a, b in pairwise(edges)] or [cut(message, 0, 0)]
        for start, end in draw(st.lists(st.tuples(st.integers(0, size), st.integers(0, size)), max_size=3)):
            fragments.append(cut(message, min(start, end), max(start, end)))
    return first, messages, draw(st.permutations(fragments))


@reproducible
@given(scrambled())
def test_any_cutting_in_any_order_gives_each_message_once(case: tuple[int, list[Message], list[Fragment]]) -> None:
    first, messages, fragments = case
    assembler = Assembler(first)
    assert [m for f in fragments for m in assembler.feed(f)] == messages
    assert assembler.messages == messages
    assert {assembler.standing(f) for f in fragments} == {Standing.REPEAT}


@reproducible
@given(scrambled())
def test_a_message_is_not_whole_before_its_last_byte(case: tuple[int, list[Message], list[Fragment]]) -> None:
    first, messages, fragments = case
    missing = first + len(messages) - 1
    assembler = Assembler(first)
    for fragment in fragments:
        if fragment.message_seq == missing and fragment.offset + len(fragment.body) == fragment.length:
            continue
        assembler.feed(fragment)
    assert assembler.messages == messages[:-1]


def test_a_flight_comes_out_in_order() -> None:
    first, second = Message(T.SERVER_HELLO, 1, b"a"), Message(T.SERVER_HELLO_DONE, 2, b"")
    assembler = Assembler(first=1)
    assert assembler.feed(cut(second, 0, 0)) == []
    assert assembler.next_seq == 1
    assert assembler.feed(cut(first, 0, 1)) == [first, second]
    assert assembler.next_seq == 3


def test_the_standings() -> None:
    assembler = Assembler()
    assert assembler.standing(cut(MESSAGE, 0, 0)) is Standing.DUPLICATE
    assert assembler.standing(cut(MESSAGE, 0, 50)) is Standing.NEW
    assembler.feed(cut(MESSAGE, 0, 50))
    assert assembler.standing(cut(MESSAGE, 10, 50)) is Standing.DUPLICATE
    assert assembler.standing(cut(MESSAGE, 10, 51)) is Standing.NEW
    assembler.feed(cut(MESSAGE, 40, 100))
    assert assembler.messages == [MESSAGE]
    assert assembler.standing(cut(MESSAGE, 90, 100)) is Standing.REPEAT
    assert assembler.standing(replace(cut(MESSAGE, 90, 100), body=bytes(10))) is Standing.FOREIGN
    assert assembler.standing(replace(cut(MESSAGE, 90, 100), length=101)) is Standing.FOREIGN
    assert assembler.standing(replace(cut(MESSAGE, 90, 100), type=T.FINISHED)) is Standing.FOREIGN


@pytest.mark.parametrize(
    "forged",
    [
        replace(cut(MESSAGE, 0, 50), body=bytes(50)),
        replace(cut(MESSAGE, 50, 100), length=101),
        replace(cut(MESSAGE, 50, 100), type=T.FINISHED),
    ],
    ids=["other bytes", "other length", "other type"],
)
def test_a_contradiction_changes_nothing(forged: Fragment) -> None:
    assembler = Assembler()
    assembler.feed(cut(MESSAGE, 0, 50))
    assert assembler.standing(forged) is Standing.FOREIGN
    assert assembler.feed(forged) == []
    assert assembler.feed(cut(MESSAGE, 50, 100)) == [MESSAGE]


def test_what_would_cost_memory_without_bound_is_foreign() -> None:
    assembler = Assembler(first=1)
    for message_seq, length, standing in (
        (0, 1, Standing.FOREIGN),
        (1, MAX_BODY, Standing.NEW),
        (1, MAX_BODY + 1, Standing.FOREIGN),
        (1 + MAX_AHEAD, 1, Standing.NEW),
        (2 + MAX_AHEAD, 1, Standing.FOREIGN),
    ):
        assert assembler.standing(Fragment(T.FINISHED, length, message_seq, 0, b"x")) is standing


# --- message bodies

RANDOM = bytes(range(32))
EXTENSIONS = struct.pack(">HHHHHHH", 10, 23, 0, 10, 2, 0xAAAA, 0)[:12]  # extended_master_secret, supported_groups
HELLO = b"\xfe\xfd" + RANDOM + b"\0" + b"\2CK" + b"\0\4\xc0\x2c\xc0\x2b" + b"\1\0" + EXTENSIONS
SERVER = b"\xfe\xfd" + RANDOM + b"\2ID" + b"\xc0\x2c\0" + EXTENSIONS


def parsed(kind: HandshakeType, body: bytes) -> object:
    return parse_message(Message(kind, 0, body))


def test_a_client_hello() -> None:
    hello = parsed(T.CLIENT_HELLO, HELLO)
    assert hello == ClientHello(0xFEFD, RANDOM, b"", b"CK", (0xC02C, 0xC02B), b"\0", {23: b"", 10: b"\xaa\xaa"})
    bare = parsed(T.CLIENT_HELLO, HELLO[: -len(EXTENSIONS)])
    assert isinstance(bare, ClientHello) and bare.extensions == {}


def test_a_cookie_of_255_bytes() -> None:
    assert parsed(T.HELLO_VERIFY_REQUEST, b"\xfe\xff\xff" + bytes(255)) == HelloVerifyRequest(0xFEFF, bytes(255))


def test_a_server_hello() -> None:
    hello = parsed(T.SERVER_HELLO, SERVER)
    assert hello == ServerHello(0xFEFD, RANDOM, b"ID", 0xC02C, 0, {23: b"", 10: b"\xaa\xaa"})
    assert hello.extended_master_secret
    bare = parsed(T.SERVER_HELLO, SERVER[: -len(EXTENSIONS)])
    assert isinstance(bare, ServerHello) and not bare.extended_master_secret


def test_certificates_and_their_proof() -> None:
    assert parsed(T.CERTIFICATE, b"\0\0\0") == Certificate(())
    assert parsed(T.CERTIFICATE, b"\0\0\x09\0\0\2ab\0\0\1c") == Certificate((b"ab", b"c"))
    assert parsed(T.CERTIFICATE_VERIFY, b"\4\3\0\2xy") == CertificateVerify(0x0403, b"xy")


def test_the_others_go_by_their_names() -> None:
    assert parsed(T.SERVER_HELLO_DONE, b"") == Opaque(T.SERVER_HELLO_DONE, b"")
    assert T.SERVER_HELLO_DONE.title == "ServerHelloDone"


@pytest.mark.parametrize(
    ("kind", "body", "why"),
    [
        (T.CLIENT_HELLO, b"", "version cut short"),
        (T.CLIENT_HELLO, HELLO[:20], "random cut short"),
        (T.CLIENT_HELLO, HELLO + b"x", "1 bytes too many"),
        (T.CLIENT_HELLO, HELLO[:34] + b"\x21" + bytes(99), "session id of 33 bytes"),
        (T.CLIENT_HELLO, HELLO[:38] + b"\0\3abc", "cipher suites of 3 bytes"),
        (T.CLIENT_HELLO, HELLO[:38] + b"\0\0\1\0", "cipher suites of 0 bytes"),
        (T.CLIENT_HELLO, HELLO[:44] + b"\0", "no compression method"),
        (T.CLIENT_HELLO, HELLO[:46] + b"\0\x08\0\x17\0\0\0\x17\0\0", "extension 23 twice"),
        (T.SERVER_HELLO, SERVER[:-1], "extensions cut short"),
        (T.HELLO_VERIFY_REQUEST, b"\xfe\xff\2a", "cookie cut short"),
        (T.CERTIFICATE, b"\0\0\6\0\0\2a", "certificate list cut short"),
        (T.CERTIFICATE, b"\0\0\4\0\0\2a", "certificate cut short"),
        (T.CERTIFICATE, b"\0\0\3\0\0\0", "an empty certificate"),
        (T.CERTIFICATE, b"\0\0\4\0\0\1a\0", "1 bytes too many"),
        (T.CERTIFICATE_VERIFY, b"\4\3\0\2x", "signature cut short"),
    ],
)
def test_a_bad_body_says_why(kind: HandshakeType, body: bytes, why: str) -> None:
    found = parsed(kind, body)
    assert isinstance(found, Malformed)
    assert found.data == body and found.why.startswith(kind.title) and why in found.why


@reproducible
@given(st.sampled_from(HandshakeType), st.binary(max_size=200))
def test_no_body_raises(kind: HandshakeType, body: bytes) -> None:
    parsed(kind, body)


@reproducible
@given(st.sampled_from([(T.CLIENT_HELLO, HELLO), (T.SERVER_HELLO, SERVER)]), st.integers(0, 99), st.binary(max_size=3))
def test_no_damaged_hello_raises(good: tuple[HandshakeType, bytes], place: int, put: bytes) -> None:
    kind, body = good
    place %= len(body)
    assert isinstance(
        parsed(kind, body[:place] + put + body[place + len(put) :]), Malformed | ClientHello | ServerHello
    )


@reproducible
@given(st.integers(0, len(HELLO) - 1))
def test_a_cut_hello_is_malformed_unless_only_the_extensions_are_gone(size: int) -> None:
    found = parsed(T.CLIENT_HELLO, HELLO[:size])
    assert isinstance(found, ClientHello if size == len(HELLO) - len(EXTENSIONS) else Malformed)
