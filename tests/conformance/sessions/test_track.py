"""The tracker on captures of real sessions, where what the lab did is known, and on sessions that are taken apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from capture_kinds import PURPOSES, Made, made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.capture import CapturedFrame
from conformance.faults import Traffic
from conformance.sessions.assembly import MAX_BYTES, MAX_MESSAGES, MAX_PIECES
from conformance.sessions.attribution import MAX_OF_PAIR, MAX_SESSIONS
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import Protection, SeenFragment, SeenFrame, SeenRecord
from conformance.sessions.session import MAX_REMEMBERED
from conformance.sessions.track import Tracker
from conformance.wire.frames import Frame
from conformance.wire.handshake import Fragment, HandshakeType, parse_fragments
from conformance.wire.records import ContentType, Malformed, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import Link

reproducible = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

ROLES = {True: "client", False: "server", None: "?"}


def secrets(capture: Made) -> Secrets:
    log = KeyLog()
    for client_random, master in capture.secrets:
        log.add(client_random, master)
    return Secrets(log)


def numbered(frames: Iterable[CapturedFrame]) -> list[CapturedFrame]:
    return [replace(frame, number=number) for number, frame in enumerate(frames, 1)]


def follow(frames: Iterable[CapturedFrame], known: Secrets | None = None) -> list[SeenFrame]:
    tracker = Tracker(known)
    return [tracker.feed(frame) for frame in numbered(frames)]


def seen(name: str, *, sealed: bool = False) -> list[SeenFrame]:
    return follow(made(name).frames, None if sealed else secrets(made(name)))


def records(frames: Iterable[SeenFrame]) -> list[SeenRecord]:
    return [record for frame in frames for record in frame.records if isinstance(record, SeenRecord)]


def fragments(frames: Iterable[SeenFrame]) -> list[SeenFragment]:
    return [piece for record in records(frames) for piece in record.fragments if isinstance(piece, SeenFragment)]


def notes(frames: Iterable[SeenFrame]) -> list[str]:
    return [note for frame in frames for note in frame.notes]


def lines(frames: Iterable[SeenFrame]) -> list[str]:
    """Number, session, who sent it, flight; notes."""
    return [
        "; ".join(
            [
                f"{frame.captured.number} S{frame.session.number if frame.session else 0} "
                f"{ROLES[frame.from_client]} {frame.flight}",
                *frame.notes,
            ]
        )
        for frame in frames
        if frame.records
    ]


# --- honest captures


def test_an_honest_registration() -> None:
    frames = seen("register")
    assert [(frame.flight, frame.from_client) for frame in frames if frame.records] == [
        (1, True), (2, False), (3, True), (4, False), (5, True), (6, False), *[(0, True), (0, False)] * 2,
    ]  # fmt: skip
    assert [note for note in notes(frames) if "response" not in note] == [
        "request: register 10",
        "request: register 10",
        "answer: registered 10",
    ]
    (response,) = [note for note in notes(frames) if note.startswith("response")]
    assert response.startswith("response: registered 10, CA certificate 3") and ", key 121 B" in response
    (session,) = {frame.session.number: frame.session for frame in frames if frame.session}.values()
    assert (session.client, session.server, session.suite, session.decrypted) == (10, 1, 0xC02C, True)
    assert {record.protection for record in records(frames)} == {Protection.PLAIN, Protection.OPENED}
    titles = [message.type.title for piece in fragments(frames) for message in piece.completes]
    assert titles == [
        "ClientHello", "HelloVerifyRequest", "ClientHello", "ServerHello", "Certificate", "ServerKeyExchange",
        "CertificateRequest", "ServerHelloDone", "Certificate", "ClientKeyExchange", "CertificateVerify", "Finished",
        "Finished",
    ]  # fmt: skip


def test_a_deregistration_and_a_refusal_are_told() -> None:
    assert "request: deregister 10" in notes(seen("deregister"))
    assert "response: deregistered 10" in notes(seen("deregister"))
    assert "response: refused 10" in notes(seen("register-twice-refused"))
    assert "answer: refused 10" in notes(seen("register-twice-refused"))


@pytest.mark.parametrize(("name", "size"), [("registered-16", 16), ("unicast-4096", 4096), ("unregistered-0", 0)])
def test_the_plaintext_of_an_honest_unicast_is_the_message(name: str, size: int) -> None:
    frames = seen(name)
    got: dict[int, bytes] = {}
    for frame in frames:
        if frame.captured.link is Link.RADIO and frame.session and frame.from_client:
            data = (r for r in records([frame]) if r.content_type is ContentType.APPLICATION_DATA)
            number = frame.session.number
            got[number] = got.get(number, b"") + b"".join(record.plaintext for record in data)
    cpu = [frame.frame.payload for frame in frames if frame.captured.link is Link.CPU and frame.frame]
    assert list(got.values()) == [payload for payload in cpu if len(payload) == size]


@pytest.mark.parametrize("name", sorted({name for names in PURPOSES.values() for name in names}))
def test_no_capture_of_the_lab_is_misread(name: str) -> None:
    """Flights are those that the lab's links counted; nothing is taken for forged or contradictory; all is opened that
    sessions with known secrets hold."""
    frames, traffic = seen(name), Traffic()
    for frame in frames:
        if frame.records and frame.frame and frame.captured.link is Link.RADIO:
            content = traffic.content(frame.frame.source, frame.frame.target, frame.frame.payload)
            if "glare" not in name and "junk" not in name:  # the lab's count knows one session of a pair at a time
                assert frame.flight == content.flight, frame
    assert not [
        note for note in notes(frames) if "contradicts" in note or "does not" in note or "before the cap" in note
    ]
    for frame in frames:
        for record in frame.records:
            if isinstance(record, SeenRecord) and record.epoch and frame.session and frame.session.decrypted:
                assert record.protection is Protection.OPENED


@pytest.mark.parametrize("name", sorted({name for names in PURPOSES.values() for name in names}))
def test_without_secrets_the_same_is_seen(name: str) -> None:
    def known(frame: SeenFrame) -> tuple[object, ...]:
        return (frame.session and frame.session.number, frame.from_client, frame.flight, frame.retransmission_of)

    opened, sealed = seen(name), seen(name, sealed=True)
    assert [known(frame) for frame in opened] == [known(frame) for frame in sealed]
    assert {record.protection for record in records(sealed)} <= {Protection.PLAIN, Protection.SEALED}
    assert all(record.plaintext == b"" for record in records(sealed) if record.epoch)


# --- faults of which the lab knows


def test_retransmissions_in_pieces_of_another_size() -> None:
    """Flight 5 lost thrice, in either role; the third time it and flight 4 go in two datagrams."""
    assert lines(seen("lost-flight-5-thrice")) == [
        "2 S1 client 1",
        "3 S1 server 2",
        "4 S1 client 3",
        "5 S1 server 4",
        "6 S1 client 5",
        "7 S1 client 5; retransmission of frame 6",
        "8 S1 server 4; retransmission of frame 5",
        "9 S1 client 5; retransmission of frame 6",
        "10 S1 client 5; retransmission of frame 6",
        "11 S1 client 5; retransmission of frame 6",
        "12 S1 server 4; retransmission of frame 5",
        "13 S1 server 4; retransmission of frame 5",
        "14 S1 client 5; retransmission of frame 6",
        "15 S1 client 5; retransmission of frame 6",
        "16 S1 server 6",
        "17 S1 client 0",
        "18 S1 client 0",
        "19 S1 client 0",
        "20 S1 server 6; retransmission of frame 16",
        "21 S1 server 0",
        "22 S2 client 1",
        "23 S2 server 2",
        "24 S2 client 3",
        "25 S2 server 4",
        "26 S2 server 4; retransmission of frame 25",
        "27 S2 server 4; retransmission of frame 25",
        "28 S2 server 4; retransmission of frame 25",
        "29 S2 client 5; records 0/2 to 0/13 are missing",
        "30 S2 client 5; records 1/0 to 1/2 are missing",
        "31 S2 server 6",
        "32 S2 client 5; retransmission of frame 29",
        "33 S2 client 5; retransmission of frame 30",
        "34 S2 server 6; retransmission of frame 31",
        "35 S2 client 0",
        "36 S2 client 0",
        "37 S2 client 0",
        "38 S2 server 0",
    ]


def test_hellos_that_cross_are_two_sessions() -> None:
    higher = lines(seen("glare-higher"))
    assert higher[:7] == [
        "2 S1 client 1",
        "3 S2 client 1; glare: session 1 has no answer yet",
        "4 S1 server 2",
        "5 S1 client 3",
        "6 S1 server 4",
        "7 S1 client 5",
        "8 S1 server 6",
    ]
    assert lines(seen("glare-lower"))[2:7] == [
        "4 S2 server 2",
        "5 S2 client 3",
        "6 S2 server 4",
        "7 S2 client 5",
        "8 S2 server 6",
    ]


def test_duplicates_and_overtaken_records() -> None:
    assert notes(seen("record-duplicated")) == [
        "record 1/1 replays frame 7",
        "record 1/3 replays frame 10",
    ]
    assert notes(seen("records-swapped"))[:2] == ["record 1/1 is missing", "record 1/1 came late"]
    (replay, _) = (record for record in records(seen("record-duplicated")) if record.replay_of)
    assert replay.replay_of == 7 and replay.same and replay.protection is Protection.OPENED


def test_a_replayed_session_begins_another_at_the_server() -> None:
    assert lines(seen("replayed-session"))[9:] == [
        "11 S1 client 1; record 0/0 replays frame 1",
        "12 S1 server 2; record 0/0 replays frame 2",
        "13 S1 client 3; record 0/1 replays frame 3",
        "14 S2 server 4; another ServerHello for the ClientHello of session 1",
        "15 S1 client 5; records 0/2 to 0/5 replay frame 5; record 1/0 replays frame 5",
        "16 S2 server 0",
    ]
    assert [frame.retransmission_of for frame in seen("replayed-session")][10:15] == [1, 2, 3, 0, 5]


# --- sessions taken apart

PAIR = "aes-256"
"""11 datagrams: flights 1 to 6, three messages, close_notify both ways."""


def pair() -> list[CapturedFrame]:
    return numbered(made(PAIR).frames)


def datagram(frame: CapturedFrame) -> tuple[Frame, list[Record]]:
    _, target, source = frame.frame[:2], *(int.from_bytes(frame.frame[at : at + 2], "little") for at in (2, 4))
    parsed = parse_datagram(frame.frame[8:])
    return Frame(target, source, frame.frame[8:]), [entry for entry in parsed if isinstance(entry, Record)]


def with_records(frame: CapturedFrame, parts: Iterable[Record]) -> CapturedFrame:
    old, _ = datagram(frame)
    return replace(frame, frame=replace(old, payload=b"".join(part.encode() for part in parts)).encode())


def flight(number: int) -> int:
    """Index of the datagram with a flight."""
    return [frame.flight for frame in follow(pair(), secrets(made(PAIR)))].index(number)


def test_two_taps_are_apart() -> None:
    """The same radio frames at two SEDs: two sessions, and no retransmissions."""
    taps = [f for frame in made(PAIR).frames for f in (frame, replace(frame, sed=11, towards=not frame.towards))]
    frames = follow(taps, secrets(made(PAIR)))
    assert not notes(frames) and not any(frame.retransmission_of for frame in frames)
    assert {(f.captured.sed, f.session.number) for f in frames if f.session} == {(10, 1), (11, 2)}


def test_frames_without_numbers_are_counted() -> None:
    tracker = Tracker(secrets(made(PAIR)))
    doubled = [tracker.feed(replace(frame, number=0)) for frame in pair()[:1] * 2]
    assert doubled[1].retransmission_of == 1 and doubled[1].notes == ("record 0/0 replays frame 1",)


@pytest.mark.parametrize("start", range(1, 11))
def test_a_capture_that_began_late(start: int) -> None:
    whole, late = follow(pair(), secrets(made(PAIR))), follow(pair()[start:], secrets(made(PAIR)))
    assert {frame.session.number for frame in late if frame.session} == {1}
    hellos = [f.captured.number for f in whole if f.flight in (1, 3)]
    knows_hello = start < hellos[1]
    assert start == hellos[1] - 1 or late[0].notes[-1] == "session 1 began before the capture"
    assert [f.retransmission_of for f in late] == [0] * len(late)
    for before, after in zip(whole[start:], late, strict=True):
        if knows_hello:
            assert [r.protection for r in records([after])] == [r.protection for r in records([before])]
        assert after.from_client in (before.from_client, None) and after.flight in (before.flight, 0)
    told = [frame.from_client for frame in late]
    assert start > flight(5) or None not in told  # the messages of flights 2 to 5 tell who is who


@pytest.mark.parametrize("lost", range(11))
def test_a_frame_missing_from_the_capture(lost: int) -> None:
    whole = follow(pair(), secrets(made(PAIR)))
    frames = follow([*pair()[:lost], *pair()[lost + 1 :]], secrets(made(PAIR)))
    assert {frame.session.number for frame in frames if frame.session} == {1}
    assert not [note for note in notes(frames) if "does not" in note or "contradicts" in note]
    finished = [m for piece in fragments(frames) for m in piece.completes if m.type is HandshakeType.FINISHED]
    if lost not in (flight(3), flight(4), flight(5), flight(6)):
        assert len(finished) == 2
    if lost == flight(3):  # what the hello was is not known, and nothing is held against the Finished for it
        assert len(finished) == 2 and {r.protection for r in records(frames) if r.epoch} == {Protection.OPENED}
    assert len(records(frames)) == len(records(whole)) - len(records([whole[lost]]))


def test_secrets_that_come_later_open_what_comes_later() -> None:
    known, tracker = Secrets(), Tracker()
    tracker = Tracker(known)
    first = [tracker.feed(frame) for frame in pair()[:8]]
    assert not any(frame.session.decrypted for frame in first if frame.session)
    for client_random, master in made(PAIR).secrets:
        assert known.add_key_log(f"CLIENT_RANDOM {client_random.hex()} {master.hex()}\n") == 1
    later = [tracker.feed(frame) for frame in pair()[8:]]
    assert {record.protection for record in records(later)} == {Protection.OPENED}
    assert all(frame.session and frame.session.decrypted for frame in later)


def test_a_forged_record_is_refused_and_takes_no_number() -> None:
    frames = pair()
    data = next(
        n
        for n, f in enumerate(frames)
        if (r := datagram(f)[1])[0].epoch and r[0].content_type is ContentType.APPLICATION_DATA
    )
    (record,) = datagram(frames[data])[1]
    forged = with_records(frames[data], [replace(record, fragment=record.fragment[:-1] + b"?")])
    frames.insert(data, forged)
    got = follow(frames, secrets(made(PAIR)))
    assert got[data].notes == (f"record 1/{record.seq} does not authenticate",)
    assert [r.protection for r in records(got[data : data + 2])] == [Protection.REFUSED, Protection.OPENED]
    assert records([got[data]])[0].plaintext == b"" and not got[data + 1].notes


def test_another_record_under_an_old_number() -> None:
    frames = pair()
    _, parts = datagram(frames[0])
    frames.insert(1, with_records(frames[0], [replace(parts[0], content_type=ContentType.ALERT, fragment=b"\2\x28")]))
    got = follow(frames, secrets(made(PAIR)))
    assert got[1].notes == ("record 0/0 has the number of other content in frame 1",)
    (record,) = records([got[1]])
    assert record.replay_of == 1 and not record.same


def test_a_finished_that_does_not_fit_is_told() -> None:
    """A byte of the server's Certificate is altered in the capture: the Finished covers another."""
    frames = pair()
    at = flight(4)
    parts = datagram(frames[at])[1]
    altered = bytearray(parts[1].fragment)
    altered[-1] ^= 1
    frames[at] = with_records(frames[at], [parts[0], replace(parts[1], fragment=bytes(altered)), *parts[2:]])
    wrong = "Finished does not fit the handshake's messages"
    assert [n for n, f in enumerate(follow(frames, secrets(made(PAIR)))) if wrong in f.notes] == [flight(5), flight(6)]
    assert wrong not in notes(follow(pair(), secrets(made(PAIR))))


def test_a_sealed_record_that_is_replayed_tells_its_session() -> None:
    frames = [*made(PAIR).frames, *made("aes-128").frames, made(PAIR).frames[flight(6) + 1]]
    got = follow(frames)
    assert [frame.session.number for frame in got if frame.session] == [1] * 11 + [2] * 11 + [1]
    assert got[-1].notes == (f"record 1/1 replays frame {flight(6) + 2}",)


def test_what_sessions_of_a_pair_have_alike_misleads_nobody() -> None:
    """In the second session: the cookie and the Certificate of the first, under the same numbers."""
    assert lines(seen("records-swapped"))[11:17] == [
        "12 S2 client 1",
        "13 S2 server 2",
        "14 S2 client 3",
        "15 S2 server 4",
        "16 S2 client 5",
        "17 S2 server 6",
    ]


def test_content_tells_a_session_before_numbers_do() -> None:
    """Flight 5 of the second session under the numbers that would continue the first."""
    second = list(made("aes-128").frames)
    at = flight(5)
    parts = datagram(second[at])[1]
    second[at] = with_records(second[at], [part if part.epoch else replace(part, seq=part.seq + 4) for part in parts])
    got = follow([*made(PAIR).frames, *second], secrets(made("aes-128")))
    assert [frame.session.number for frame in got if frame.session] == [1] * 11 + [2] * 11
    assert got[11 + at].notes == ("records 0/2 to 0/5 are missing",)


def test_alerts_without_a_session_begin_none() -> None:
    alert = Record(ContentType.ALERT, 0xFEFD, 0, 0, b"\2\x28").encode()
    frame = CapturedFrame(0, Link.RADIO, True, 10, Frame(10, 11, alert).encode())
    (got,) = follow([frame])
    assert got.session is None and got.from_client is None and records([got])[0].plaintext == b"\2\x28"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"SC\0", "a frame of 3 bytes, too short for its header of 8"),
        (b"XC" + bytes(6), "a frame that begins with 5843, not with 5343"),
        (b"SC\x0a\0\x0b\0\5\0abc", "a frame with 3 of 5 bytes of payload"),
        (b"SC\x0a\0\x0b\0\1\0abc", "a frame with 3 of 1 bytes of payload"),
    ],
)
def test_what_is_no_frame(data: bytes, problem: str) -> None:
    (got,) = follow([CapturedFrame(0, Link.RADIO, True, 10, data)])
    assert got.frame is None and got.problem == problem and not got.records


@pytest.mark.parametrize(("link", "source"), [(Link.CPU, 11), (Link.RADIO, 2), (Link.SSS, 2)])
def test_what_is_no_dtls(link: Link, source: int) -> None:
    _, parts = datagram(pair()[0])
    (got,) = follow([CapturedFrame(0, link, True, 10, Frame(10, source, parts[0].encode()).encode())])
    assert got.frame is not None and not got.records and got.session is None


# --- the fragments of one message


def cut(body: bytes, *pieces: tuple[int, int]) -> list[Fragment]:
    return [Fragment(HandshakeType.CLIENT_HELLO, len(body), 0, begin, body[begin:end]) for begin, end in pieces]


def hello() -> bytes:
    (piece,) = parse_fragments(datagram(pair()[0])[1][0].fragment)
    assert isinstance(piece, Fragment)
    return piece.body


def of_pieces(pieces: Sequence[Fragment]) -> list[SeenFragment]:
    """One record to a frame."""
    made_of = [
        with_records(pair()[0], [Record(ContentType.HANDSHAKE, 0xFEFD, 0, n, piece.encode())])
        for n, piece in enumerate(pieces)
    ]
    return fragments(follow(made_of))


def test_fragments_that_overlap_and_come_in_any_order() -> None:
    body = hello()
    got = of_pieces(cut(body, (0, 40), (60, len(body)), (30, 50), (45, 65), (10, 62), (0, len(body))))
    assert [bool(piece.completes) for piece in got] == [False, False, False, True, False, False]
    (message,) = got[3].completes
    assert message.body == body and got[3].frames == (1, 3, 4, 2)
    assert [piece.retransmission_of for piece in got] == [0, 0, 0, 0, 4, 4]


def test_fragments_that_contradict() -> None:
    body = hello()
    other = body[:50] + bytes([body[50] ^ 1]) + body[51:]
    got = of_pieces([*cut(body, (0, 45)), *cut(other, (40, 60)), *cut(body, (45, 60)), *cut(other, (0, len(body)))])
    assert [piece.contradicts for piece in got] == [0, 0, 2, 0]
    longer = [replace(cut(body, (0, 45))[0], length=len(body) + 1)]
    assert [piece.contradicts for piece in of_pieces([*cut(body, (0, len(body))), *longer])] == [0, 1]


def test_a_frame_with_something_new_is_no_retransmission() -> None:
    again, new = cut(hello(), (0, len(hello())))[0], replace(cut(hello(), (0, 40))[0], message_seq=1)
    first = with_records(pair()[0], [Record(ContentType.HANDSHAKE, 0xFEFD, 0, 0, again.encode())])
    pieces = [Record(ContentType.HANDSHAKE, 0xFEFD, 0, n, piece.encode()) for n, piece in enumerate([again, new], 1)]
    got = follow([first, with_records(first, pieces), with_records(first, pieces[:1])])
    assert [piece.retransmission_of for piece in fragments(got)] == [0, 1, 0, 1]
    assert [frame.retransmission_of for frame in got] == [0, 0, 1]


# --- hostile input


def test_memory_is_bounded() -> None:
    """200,000 hostile frames: new sessions of new pairs, huge messages, tiny pieces, every record number."""
    tracker = Tracker(secrets(made(PAIR)))
    body = bytearray(hello())
    piece = Fragment(HandshakeType.CLIENT_HELLO, len(body), 0, 0, bytes(body)).encode()
    for n in range(200_000):
        number = (n // 4).to_bytes(4, "big")
        match n % 4:
            case 0:
                content = piece[:14] + number + piece[18:]
            case 1:
                content = b"\x0b\0\xea\x60\0%c\0%b\0\0\1x" % (1 + n % 40, (n % 50_000).to_bytes(2, "big"))
            case 2:
                content = b"\3\0\x0b\xb8\0\0\0\0\0\0\x0b\xb8" + number + bytes(2996)
            case _:
                content = b"\2\xff\xff\xff%b\0%b\0\0\x1e" % (number[2:], number[2:]) + b"y" * 30
        record = b"\x16\xfe\xfd\0\0\0\0%b%b%b" % (n.to_bytes(4, "big"), len(content).to_bytes(2, "big"), content)
        target, source = (10, 3 + n // 8 % 2000) if n % 8 < 4 else (11, 12)
        ids = b"".join(k.to_bytes(2, "little") for k in (target, source, len(record)))
        frame = b"SC" + ids + record
        tracker.feed(CapturedFrame(0, Link.RADIO, True, 10, frame))
    assert len(tracker.sessions) == MAX_SESSIONS
    assert 1_000_000 < tracker.held <= MAX_SESSIONS * 2 * (MAX_BYTES + MAX_PIECES + MAX_REMEMBERED)


def test_the_messages_of_a_flow_are_bounded() -> None:
    tracker, frame = Tracker(), pair()[1]
    for n in range(2 * MAX_MESSAGES):
        pieces = [
            Fragment(HandshakeType.HELLO_VERIFY_REQUEST, 4, 0, 0, n.to_bytes(4)),
            Fragment(HandshakeType.NEW_SESSION_TICKET, 1, n, 0, b"x"),
        ]
        parts = [Record(ContentType.HANDSHAKE, 0xFEFD, 0, 2 * n + m, f.encode()) for m, f in enumerate(pieces)]
        got = tracker.feed(with_records(frame, parts))
    assert got.notes[-1] == f"NewSessionTicket is not followed: its flow has more than {MAX_MESSAGES} messages"
    flows = [side.flow for session in tracker.sessions for side in session.sides.values()]
    assert sum(flow.held for flow in flows) == MAX_MESSAGES * (4 + 1 + 1)


def test_the_sessions_of_a_pair_are_bounded() -> None:
    tracker, frame, body = Tracker(), pair()[0], bytearray(hello())
    for n in range(20):
        body[2] = n
        piece = Fragment(HandshakeType.CLIENT_HELLO, len(body), 0, 0, bytes(body))
        tracker.feed(with_records(frame, [Record(ContentType.HANDSHAKE, 0xFEFD, 0, 0, piece.encode())]))
    assert [session.number for session in tracker.sessions] == list(range(21 - MAX_OF_PAIR, 21))


def test_memory_of_one_session_is_bounded() -> None:
    tracker, told, frames = Tracker(), set[str](), pair()
    tracker.feed(frames[0])
    _, (first, *_) = datagram(frames[0])
    for n in range(3000):
        pieces = [
            Fragment(HandshakeType.HELLO_VERIFY_REQUEST, 3000, 0, 0, n.to_bytes(4) + bytes(2996)),
            Fragment(HandshakeType.CERTIFICATE, 1 << 20, 1, n, b"x"),
            Fragment(HandshakeType.CERTIFICATE, 9000, 2, 2 * n, b"x"),
            Fragment(HandshakeType.CERTIFICATE, 1, 3 + n, 0, b"x"),
        ]
        pieces = pieces[1 - n % 2 :]  # the client, which speaks first, sends no HelloVerifyRequest
        parts = [replace(first, seq=4 * n + m, fragment=piece.encode()) for m, piece in enumerate(pieces)]
        told.update(tracker.feed(with_records(frames[n % 2], parts)).notes)
    (session,) = tracker.sessions
    assert all(0 < side.held <= MAX_BYTES + MAX_PIECES + MAX_REMEMBERED for side in session.sides.values())
    for why in ("more than 65536 bytes", "more than 512 pieces", "is too far ahead of"):
        assert any(why in note for note in told)


@st.composite
def hostile(draw: st.DrawFn) -> list[CapturedFrame]:
    """A real capture, its frames shuffled, repeated and left out, bytes altered, ids changed."""
    frames = list(made(draw(st.sampled_from(["aes-256", "fragmented", "rsa", "glare-higher"]))).frames)
    picks = draw(st.lists(st.integers(0, len(frames) - 1), min_size=1, max_size=25))
    found = []
    for pick in picks:
        data = bytearray(frames[pick].frame)
        for place, value in draw(st.lists(st.tuples(st.integers(8, 200), st.integers(0, 255)), max_size=3)):
            if place < len(data):
                data[place] = value
        data[2:6] = draw(st.sampled_from([data[2:6], data[2:6], data[4:6] + data[2:4], b"\x0a\0\x0a\0"]))
        found.append(replace(frames[pick], frame=bytes(data)))
    return found


@settings(reproducible, max_examples=150)
@given(hostile())
def test_nothing_raises(frames: list[CapturedFrame]) -> None:
    names = ("aes-256", "fragmented", "rsa", "glare-higher")
    known = Secrets(KeyLog("".join(f"CLIENT_RANDOM {r.hex()} {m.hex()}\n" for n in names for r, m in made(n).secrets)))
    known.add(made("rsa").server_key)
    for frame in follow(frames, known):
        if frame.frame is not None:
            parsed = parse_datagram(frame.frame.payload) if frame.captured.link is not Link.CPU else []
            assert [isinstance(r, Malformed) for r in frame.records] == [isinstance(r, Malformed) for r in parsed]
        assert 0 <= frame.retransmission_of < frame.captured.number
        assert all(0 <= record.replay_of <= frame.captured.number for record in records([frame]))


@settings(reproducible, max_examples=150)
@given(st.lists(st.binary(max_size=80), max_size=10))
def test_no_bytes_raise(payloads: list[bytes]) -> None:
    for head in (b"", bytes.fromhex("16fefd0000000000000000"), bytes.fromhex("17fefd0001000000000000")):
        frames = [CapturedFrame(0, Link.RADIO, True, 10, Frame(10, 11, head + p).encode()) for p in payloads]
        assert len(follow(frames, secrets(made(PAIR)))) == len(payloads)
