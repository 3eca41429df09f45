"""Facts that the reader takes from real bytes: an honest capture with one message altered raises the alarm for it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest

from conformance.capture import CapturedFrame
from conformance.case import run_case
from conformance.monitors import Alarm, Monitors
from conformance.monitors.ledger import MAX_NUMBERS, Book, Side
from conformance.monitors.reader import SignReader
from conformance.monitors.signs import FACTS, Kind, Sign
from conformance.purpose import FOLDER, load
from conformance.sessions.track import Tracker
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import HEADER, Frame
from conformance.wire.handshake import Fragment, HandshakeType, parse_fragments
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import Link

ME, PEER = 10, 11


@cache
def capture(name: str) -> tuple[tuple[CapturedFrame, ...], tuple[tuple[bytes, bytes], ...]]:
    outcome = run_case(load(FOLDER / f"{name}.toml"), ReferenceTarget, profile="hardened", seed=0)
    return tuple(outcome.frames), tuple(outcome.secrets)


CASE = "unregistered-16"
"""The controller is client once and server once."""


def alter(name: str, type_: HandshakeType, own: bool, change: Callable[[Fragment], Fragment | None]) -> list[Alarm]:
    """The alarms with each such message, of the controller or of another, changed; None leaves it out."""
    frames, secrets = capture(name)
    keylog = KeyLog()
    for client_random, master in secrets:
        keylog.add(client_random, master)
    monitors, tracker = Monitors(boots={ME: (0,)}), Tracker(keylog)
    alarms: list[Alarm] = []
    for number, captured in enumerate(frames, 1):
        frame = captured.frame
        if captured.link is Link.RADIO and captured.towards != own:
            frame = _altered(frame, type_, change)
        alarms += monitors.feed(tracker.feed(replace(captured, frame=frame, number=number)))
    return alarms + monitors.end()


def _altered(data: bytes, type_: HandshakeType, change: Callable[[Fragment], Fragment | None]) -> bytes:
    _, target, source, _ = HEADER.unpack_from(data)
    payload = b""
    for record in parse_datagram(data[HEADER.size :]):
        assert isinstance(record, Record)
        fragment = record.fragment
        if record.content_type is ContentType.HANDSHAKE and record.epoch == 0:
            parts = [p for p in parse_fragments(fragment) if isinstance(p, Fragment)]
            kept = [change(p) if p.type is type_ else p for p in parts]
            fragment = b"".join(p.encode() for p in kept if p is not None)
        if fragment:
            payload += replace(record, fragment=fragment).encode()
    return Frame(target, source, payload).encode()


def told(alarms: list[Alarm]) -> set[tuple[str, int]]:
    return {(a.monitor, a.party) for a in alarms}


def poke(at: int, value: bytes) -> Callable[[Fragment], Fragment]:
    return lambda f: replace(f, body=f.body[:at] + value + f.body[at + len(value) :])


AFTER_RANDOM = 2 + 32 + 1 + 32
"""Where the suite is in a ServerHello with a session id of 32 bytes."""


class TestServerHello:
    def test_unchanged_it_raises_nothing(self) -> None:
        assert alter(CASE, HandshakeType.SERVER_HELLO, True, lambda f: f) == []

    @pytest.mark.parametrize(
        ("at", "value", "monitors"),
        [
            (AFTER_RANDOM, b"\x00\x03", {"weak-suite-chosen", "suite-not-offered", "no-forward-secrecy"}),
            (AFTER_RANDOM, b"\x00\x3d", {"suite-not-offered", "no-forward-secrecy"}),
            (AFTER_RANDOM + 2, b"\1", {"compression-chosen"}),
            (0, b"\xfe\xff", {"version-downgraded"}),
            (AFTER_RANDOM + 5, struct.pack(">H", 0xABCD), {"extension-not-offered"}),
        ],
    )
    def test_what_it_agrees_on(self, at: int, value: bytes, monitors: set[str]) -> None:
        alarms = alter(CASE, HandshakeType.SERVER_HELLO, True, poke(at, value))
        assert {(m, ME) for m in monitors} <= told(alarms)
        assert monitors >= {m for m, _ in told(alarms)} & {
            "weak-suite-chosen",
            "suite-not-offered",
            "no-forward-secrecy",
            "compression-chosen",
            "version-downgraded",
            "extension-not-offered",
        }

    def test_its_message_seq(self) -> None:
        alarms = alter(CASE, HandshakeType.SERVER_HELLO, True, lambda f: replace(f, message_seq=0))
        assert ("server-hello-message-seq", ME) in told(alarms)


class TestOtherMessages:
    def test_a_verify_request_of_another_number(self) -> None:
        alarms = alter(CASE, HandshakeType.HELLO_VERIFY_REQUEST, True, lambda f: replace(f, message_seq=3))
        assert told(alarms) == {("verify-request-message-seq", ME)}

    def test_no_certificate_request(self) -> None:
        alarms = alter(CASE, HandshakeType.CERTIFICATE_REQUEST, True, lambda f: None)
        assert ("client-certificate-not-requested", ME) not in told(alarms), "its record may be in what was not seen"

    def test_an_empty_certificate_of_the_client(self) -> None:
        empty = b"\0\0\0"
        alarms = alter(CASE, HandshakeType.CERTIFICATE, False, lambda f: replace(f, length=3, offset=0, body=empty))
        assert {m for m, _ in told(alarms)} >= {"unauthenticated-client-accepted", "unauthenticated-server-accepted"}

    def test_a_missing_certificate_verify(self) -> None:
        alarms = alter(CASE, HandshakeType.CERTIFICATE_VERIFY, False, lambda f: None)
        assert ("missing-certificate-verify-accepted", ME) in told(alarms)

    def test_a_cookie_that_nobody_gave(self) -> None:
        alarms = alter(CASE, HandshakeType.HELLO_VERIFY_REQUEST, False, poke(3, b"\1\2\3\4"))
        assert told(alarms) == {("cookie-not-echoed", ME)}


class TestSigns:
    def signs(self, name: str) -> list[Sign]:
        frames, secrets = capture(name)
        keylog = KeyLog()
        for client_random, master in secrets:
            keylog.add(client_random, master)
        reader, tracker = SignReader({ME: (0,)}), Tracker(keylog)
        return [s for n, f in enumerate(frames, 1) for s in reader.read(tracker.feed(replace(f, number=n)))]

    def test_facts_have_names(self) -> None:
        assert {name for s in self.signs("registered-16") for name in s.facts} <= FACTS.keys()

    def test_a_session_in_order(self) -> None:
        session = [s for s in self.signs(CASE) if s.session == 1 and s.kind not in (Kind.RECORD, Kind.DATAGRAM)]
        assert [s.kind.value for s in session] == [
            "hello",
            "verify-request",
            "hello-with-cookie",
            "server-hello",
            "certificate",
            "server-key-exchange",
            "certificate-request",
            "server-hello-done",
            "certificate",
            "client-key-exchange",
            "certificate-verify",
            "ccs",
            "finished",
            "ccs",
            "finished",
            "data",
            "close",
            "close",
        ]
        client = {s.by for s in session if s.role == "client"}
        assert client == {session[0].by}
        assert all(s.facts["gapless"] for s in session if s.epoch == 0 and "gapless" in s.facts)

    def test_a_power_cycle_is_a_sign(self) -> None:
        frames, _ = capture(CASE)
        reader, tracker = SignReader({ME: (0, 1)}), Tracker(KeyLog())
        first = [s.kind for s in reader.read(tracker.feed(frames[0]))]
        assert first[0] is Kind.BOOT
        later = replace(frames[1], time_us=5)
        assert [s.kind for s in reader.read(tracker.feed(later))].count(Kind.BOOT) == 1


class TestSide:
    def test_numbers_are_gapless_from_the_beginning_on(self) -> None:
        side = Side()
        assert side.note(3) is None
        side.begin(3)
        assert [side.note(n) for n in (3, 5, 4, 6, 2)] == [True, False, True, True, None]

    def test_too_many_numbers_prove_nothing(self) -> None:
        side = Side()
        side.begin(0)
        for n in range(2, 2 * MAX_NUMBERS):
            assert side.note(n) is False

    def test_a_third_party_has_no_part_in_a_session(self) -> None:
        ledger = Book().ledger(ME, 1)
        first, second = ledger.side(ME), ledger.side(PEER)
        assert ledger.side(12) is ledger.side(13)
        assert ledger.side(12) not in (first, second)
