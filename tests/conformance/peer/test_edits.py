"""Every edit and every way of sending, seen on the wire by the judge's parsers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ends import Mbed, Wire, client, edited, server, shake

from conformance.peer.script import HONEST, BadScript, Script, parse
from conformance.wire.handshake import CertificateVerify, ClientHello, Fragment, HandshakeType, parse_fragments
from conformance.wire.records import ContentType, Malformed, Record, parse_alert, parse_datagram
from conformance.wire.secrets import SessionKeys
from reference.dtls import Kind

H = HandshakeType
FLIGHT_5 = [H.CERTIFICATE, H.CLIENT_KEY_EXCHANGE, H.CERTIFICATE_VERIFY]
FLIGHT_4 = [H.SERVER_HELLO, H.CERTIFICATE, H.SERVER_KEY_EXCHANGE, H.CERTIFICATE_REQUEST, H.SERVER_HELLO_DONE]


def by_client(script: Script, *, data: bytes = b"", until: int = 0) -> Wire:
    """A scripted client and an honest server that takes anything."""
    one = client(script)
    one.send(data)
    one.close()
    return shake(one, server(replace(HONEST, verify=False)), until=until)


def by_server(script: Script) -> Wire:
    return shake(client(replace(HONEST, verify=False)), server(script))


def keys(wire: Wire) -> SessionKeys:
    return wire.keys(wire.client.secrets())  # type: ignore[union-attr]


def flight_5(wire: Wire) -> list[H]:
    return wire.types(True)[2:]


class TestMessages:
    def test_omit(self) -> None:
        wire = by_client(edited("certificate-verify", omit=True))
        assert flight_5(wire) == [H.CERTIFICATE, H.CLIENT_KEY_EXCHANGE]
        assert [f.message_seq for f in wire.fragments(True)] == [0, 1, 2, 3]

    def test_omit_one_sending(self) -> None:
        wire = by_client(edited("certificate-verify", omit=True, sending=1), until=200_000)
        assert flight_5(wire)[:5] == [H.CERTIFICATE, H.CLIENT_KEY_EXCHANGE, *FLIGHT_5]
        assert [f.message_seq for f in wire.fragments(True)][2:7] == [2, 3, 2, 3, 4]
        assert wire.server.established and wire.now == 7_000

    @pytest.mark.parametrize(
        ("at", "edit", "order"),
        [
            ("certificate", {"move_after": "client-key-exchange"}, [1, 0, 2]),
            ("certificate-verify", {"move_before": "certificate"}, [2, 0, 1]),
            ("certificate-verify", {"move_before": "client-key-exchange"}, [0, 2, 1]),
        ],
    )
    def test_move(self, at: str, edit: dict[str, str], order: list[int]) -> None:
        wire = by_client(edited(at, **edit))
        assert flight_5(wire) == [FLIGHT_5[n] for n in order]
        assert [f.message_seq for f in wire.fragments(True)] == [0, 1, 2, 3, 4]

    def test_finished_before_change_cipher_spec(self) -> None:
        wire = by_client(edited("finished", move_before="change-cipher-spec"))
        assert [(r.content_type, r.epoch) for r in wire.records(True)[-3:]] == [
            (ContentType.HANDSHAKE, 1),
            (ContentType.CHANGE_CIPHER_SPEC, 0),
            (ContentType.ALERT, 1),
        ]

    def test_move_beside_what_is_not_there(self) -> None:
        wire = by_client(edited("finished", move_after="data"))
        assert wire.server.established
        assert any("cannot be moved" in e.what[0] for e in wire.client.log)  # type: ignore[union-attr]

    def test_insert(self) -> None:
        said = [
            {"send": "alert", "level": 1, "code": 90},
            {"send": "handshake", "type": 0, "hex": "", "transcript": "none", "message_seq": 0},
            {"send": "record", "type": 23, "hex": "aabb"},
            {"send": "raw", "hex": "00ff"},
        ]
        wire = by_client(edited("client-key-exchange", insert_before=said[:2], insert_after=said[2:]))
        kinds = [(r.content_type, r.fragment) for r in wire.records(True) if r.epoch == 0][3:]
        assert kinds[0] == (ContentType.ALERT, bytes([1, 90]))
        assert kinds[1] == (ContentType.HANDSHAKE, bytes(12))
        assert kinds[2][0] is ContentType.HANDSHAKE and kinds[2][1][0] == H.CLIENT_KEY_EXCHANGE
        assert kinds[3] == (ContentType.APPLICATION_DATA, b"\xaa\xbb")
        assert b"\0\xff" in wire.sent(True)
        assert wire.server.established

    def test_insert_in_one_sending(self) -> None:
        script = edited("client-hello", sending=2, insert_after=[{"send": "raw", "hex": "77"}])
        wire = shake(client(script), server(), until=200_000, drop=lambda number, *_: True)
        assert [(t, d == b"\x77") for t, d in zip(wire.times(True), wire.sent(True), strict=True)][:4] == [
            (0, False),
            (7_000, False),
            (7_000, True),
            (21_000, False),
        ]

    def test_stop(self) -> None:
        wire = by_client(edited("client-key-exchange", stop=True), until=1_000_000)
        assert flight_5(wire) == [H.CERTIFICATE, H.CLIENT_KEY_EXCHANGE]
        assert wire.client.deadline() is None

    def test_omit_and_stop(self) -> None:
        wire = by_client(edited("client-key-exchange", omit=True, stop=True), until=1_000_000)
        assert flight_5(wire) == [H.CERTIFICATE]
        assert wire.client.deadline() is None

    def test_nth(self) -> None:
        wire = by_client(edited("data", nth=2, seal="none"), data=bytes(3_000))
        data = [r for r in wire.records(True) if r.content_type is ContentType.APPLICATION_DATA]
        assert [len(r.fragment) for r in data] == [963 + 24, 963, 963 + 24, 111 + 24]

    def test_each(self) -> None:
        wire = by_client(edited(["data", "close-notify"], nth=0, seal="none"), data=bytes(1_000))
        sealed = [r for r in wire.records(True) if r.epoch == 1]
        assert [len(r.fragment) for r in sealed] == [48, 963, 37, 2]


class TestContent:
    @pytest.mark.parametrize(
        ("field", "value", "seen"),
        [
            ("version", 0x0303, ("version", 0x0303)),
            ("random", "ab" * 32, ("random", b"\xab" * 32)),
            ("session_id", "cd" * 32, ("session_id", b"\xcd" * 32)),
            ("cipher_suites", [0x002F, 0xC02C], ("suites", (0x002F, 0xC02C))),
            ("cipher_suites.0", 5, ("suites", (5,))),
            ("comp_methods", [1, 0], ("compressions", b"\1\0")),
        ],
    )
    def test_a_field_of_a_hello(self, field: str, value: Any, seen: tuple[str, Any]) -> None:
        wire = shake(client(edited("client-hello-cookie", set={field: value})), server(replace(HONEST, verify=False)))
        hello = wire.body(True, H.CLIENT_HELLO)
        assert isinstance(hello, ClientHello)
        assert getattr(hello, seen[0]) == seen[1]
        assert wire.server.established, "the keys and the transcript follow what was sent"

    def test_fields_inside_fields(self) -> None:
        wire = by_client(edited("client-hello-cookie", set={"extensions.0.groups": [24, 23], "extensions.1.ecpl.0": 1}))
        extensions = wire.body(True, H.CLIENT_HELLO).extensions
        assert (extensions[10], extensions[11]) == (bytes.fromhex("000400180017"), b"\1\1")

    def test_an_extension_as_bytes(self) -> None:
        wire = by_client(edited("client-hello", set={"extensions.0": "beef0001aa"}))
        hello = next(f for f in wire.fragments(True) if f.type is H.CLIENT_HELLO)
        assert b"\xbe\xef\0\1\xaa" in hello.body

    def test_lengths_that_lie(self) -> None:
        script = edited("client-hello-cookie", set={"cookie_length": 3, "handshake.length": 9_999, "record.length": 60})
        wire = by_client(script)
        first, *_ = parse_datagram(wire.sent(True)[1])
        assert isinstance(first, Record) and len(first.fragment) == 60
        assert int.from_bytes(first.fragment[1:4], "big") == 9_999

    def test_a_field_of_the_record(self) -> None:
        script = edited("client-hello", set={"record.version": 0x0303, "record.type": 99})
        assert by_client(script).sent(True)[0][:3] == bytes([99, 3, 3])

    def test_a_sealed_record_is_sealed_with_what_its_header_says(self) -> None:
        wire = by_client(edited("data", set={"record.version": 0xFEFF}), data=b"secret")
        (record,) = [r for r in wire.records(True) if r.content_type is ContentType.APPLICATION_DATA]
        assert record.version == 0xFEFF and keys(wire).open(record, True) == b"secret"

    def test_body_and_size(self) -> None:
        wire = by_client(edited("certificate-verify", body="0403" + "0002" + "abcd"))
        assert wire.body(True, H.CERTIFICATE_VERIFY) == CertificateVerify(0x0403, b"\xab\xcd")
        for size in (10, 300):
            fragment = by_client(edited("client-key-exchange", size=size)).fragments(True)[3]
            assert fragment.length == len(fragment.body) == size

    @pytest.mark.parametrize(("number", "following"), [(9, [0, 1, 2, 9, 10]), (0, [0, 1, 2, 0, 3])])
    def test_message_seq(self, number: int, following: list[int]) -> None:
        wire = by_client(edited("client-key-exchange", message_seq=number))
        assert [f.message_seq for f in wire.fragments(True)] == following

    @pytest.mark.parametrize(("transcript", "right"), [("sent", True), ("honest", False), ("none", False)])
    def test_transcript(self, transcript: str, right: bool) -> None:
        script = edited("client-hello-cookie", set={"session_id": "aa"}, transcript=transcript)
        other = server()
        shake(client(script), other)
        assert other.established is right

    def test_the_honest_transcript_is_that_of_the_honest_message(self) -> None:
        """Somebody on the way puts right what the client altered."""
        honest = shake(client(), server()).sent(True)[1]
        other = server()

        def put_right(number: int, from_client: bool, datagram: bytes) -> bool:
            if number == 2:
                other.receive(honest, 0)
            return number == 2

        shake(
            client(edited("client-hello-cookie", set={"session_id": "aa"}, transcript="honest")), other, drop=put_right
        )
        assert other.established

    def test_only_one_sending_is_altered(self) -> None:
        script = edited("client-hello", sending=1, set={"random": "00" * 32})
        wire = shake(client(script), server(), until=7_000, drop=lambda number, *_: number == 0)
        randoms = [f.body[2:34] for f in wire.fragments(True)[:2]]
        assert randoms[0] == bytes(32) != randoms[1]
        assert wire.server.established

    def test_a_field_that_only_sometimes_exists(self) -> None:
        wire = shake(client(replace(HONEST, extended_master_secret=False)), server(edited("server-hello", set=EMS)))
        assert wire.client.established

    @pytest.mark.parametrize(
        ("at", "edit", "words"),
        [
            ("server-hello", {}, "a client says no server-hello"),
            ("client-hello", {"set": {"randon": "00"}}, "no field 'randon'; there are version, random"),
            ("client-hello", {"set": {"cipher_suites.7": 0}}, "no item '7'; it has 1"),
            ("client-hello", {"set": {"version": "00"}}, "cannot be set like that"),
            ("client-hello", {"set": {"handshake.size": 0}}, "no field 'size'"),
            ("finished", {"set": {"record.epoch": 70_000}}, "cannot be set like that"),
        ],
    )
    def test_what_cannot_be(self, at: str, edit: dict[str, Any], words: str) -> None:
        with pytest.raises(BadScript, match=words):
            client(edited(at, **edit))


EMS = {"extensions.2": "00170000"}


class TestFragments:
    @pytest.mark.parametrize(
        "cuts", [[[0, 30], [20, 20], [30, -1]], [[40, -1], [0, 41]], [[0, 10], [0, 10], [10, -1]], [[0, 0], [0, -1]]]
    )
    def test_overlapping_swapped_repeated_and_empty(self, cuts: list[list[int]]) -> None:
        wire = by_client(edited("client-key-exchange", fragments=cuts))
        found = [f for f in wire.fragments(True) if f.type is H.CLIENT_KEY_EXCHANGE]
        assert [(f.offset, len(f.body)) for f in found] == [(o, 66 - o if s < 0 else s) for o, s in cuts]
        assert {(f.length, f.message_seq) for f in found} == {(66, 3)}
        assert wire.server.established

    def test_missing(self) -> None:
        wire = by_client(edited("client-key-exchange", fragments=[[0, 30], [31, -1]]))
        assert not wire.server.established

    def test_sizes(self) -> None:
        wire = by_client(edited("certificate", fragment_size=100))
        sizes = [len(f.body) for f in wire.fragments(True) if f.type is H.CERTIFICATE]
        assert sizes[:-1] == [100] * (len(sizes) - 1) and 0 < sizes[-1] <= 100 and len(sizes) > 3
        assert wire.server.established

    def test_what_is_too_large_is_cut_at_the_mtu(self) -> None:
        wire = by_client(edited("certificate", size=2_500))
        assert [len(f.body) for f in wire.fragments(True) if f.type is H.CERTIFICATE] == [975, 975, 550]
        assert max(map(len, wire.sent(True))) == 1_000


class TestRecords:
    def test_epoch(self) -> None:
        wire = by_client(edited("client-key-exchange", epoch=5, seal="none"))
        assert [(r.epoch, r.seq) for r in wire.records(True)][2:6] == [(0, 2), (5, 0), (0, 3), (0, 4)]

    def test_finished_in_plaintext(self) -> None:
        wire = by_client(edited("finished", epoch=0))
        fragment = wire.fragments(True)[-1]
        assert fragment.type is H.FINISHED and len(fragment.body) == 12

    @pytest.mark.parametrize(
        ("sequence", "seqs"), [(9, [0, 1, 9, 10]), (0, [0, 1, 0, 2]), (2**48 - 1, [0, 1, 2**48 - 1])]
    )
    def test_sequence(self, sequence: int, seqs: list[int]) -> None:
        wire = by_client(edited("data", nth=2, sequence=sequence), data=bytes(1_500))
        found = [r.seq for r in wire.records(True) if r.epoch == 1]
        assert found[: len(seqs)] == seqs

    @pytest.mark.parametrize("seal", ["right", "wrong", "other", "none"])
    def test_seal(self, seal: str) -> None:
        wire = by_client(edited("data", seal=seal), data=b"secret")
        (record,) = [r for r in wire.records(True) if r.content_type is ContentType.APPLICATION_DATA]
        ring = keys(wire)
        opened = ring.open(record, True), ring.open(record, False)
        assert opened == {"right": (b"secret", None), "other": (None, b"secret")}.get(seal, (None, None))
        assert (record.fragment == b"secret") is (seal == "none")
        assert wire.server.received == ([b"secret"] if seal == "right" else [])

    def test_sealed_before_there_are_keys(self) -> None:
        wire = by_client(edited("client-hello", epoch=1))
        assert wire.records(True)[0].epoch == 1 and len(wire.sent(True)) == 1

    @pytest.mark.parametrize("at", [0, 13, -1])
    def test_corrupt(self, at: int) -> None:
        honest, damaged = (by_client(s).sent(True)[0] for s in (HONEST, edited("client-hello", corrupt=[at, 5_000])))
        assert [n for n, (a, b) in enumerate(zip(honest, damaged, strict=True)) if a != b] == [at % len(honest)]
        assert honest[at] ^ damaged[at] == 0xFF

    def test_repeat_is_a_new_record_and_replay_the_same(self) -> None:
        for how, seqs in (({"repeat": 3}, [1, 2, 3]), ({"replay": 2}, [1, 1, 1])):
            wire = by_client(edited("data", **how), data=b"once")
            found = [r for r in wire.records(True) if r.content_type is ContentType.APPLICATION_DATA]
            assert [r.seq for r in found] == seqs
            assert (len({r.fragment for r in found}) == 1) is (seqs[1] == 1)
            assert wire.server.received == [b"once"] * (3 if seqs[1] == 2 else 1)

    def test_two_change_cipher_specs(self) -> None:
        wire = by_client(edited("change-cipher-spec", repeat=2))
        assert [r.content_type for r in wire.records(True)].count(ContentType.CHANGE_CIPHER_SPEC) == 2


class TestDatagrams:
    def contents(self, wire: Wire) -> list[list[ContentType]]:
        found = [[r for r in parse_datagram(d) if not isinstance(r, Malformed)] for d in wire.sent(True)]
        return [[r.content_type for r in records] for records in found]

    def test_split(self) -> None:
        script = edited(["client-key-exchange", "certificate-verify", "finished"], datagram="new")
        flight = self.contents(by_client(script))[2:-1]
        handshake, ccs = ContentType.HANDSHAKE, ContentType.CHANGE_CIPHER_SPEC
        assert flight == [[handshake], [handshake], [handshake, ccs], [handshake]]

    def test_merge(self) -> None:
        wire = by_client(edited(["data", "close-notify"], nth=0, datagram="same"), data=bytes(1_500))
        data, alert = ContentType.APPLICATION_DATA, ContentType.ALERT
        assert self.contents(wire)[3:] == [[data, data, alert]]
        assert len(wire.sent(True)[-1]) > 1_500

    def test_messages_in_one_record(self) -> None:
        wire = by_client(edited(["client-key-exchange", "certificate-verify"], datagram="record"))
        record = next(r for r in wire.records(True)[2:] if r.content_type is ContentType.HANDSHAKE)
        assert [f.type for f in plain(record)] == FLIGHT_5
        assert wire.server.established
        wire = by_client(edited("data", nth=0, datagram="record"), data=bytes(1_500))
        data = [r for r in wire.records(True) if r.content_type is ContentType.APPLICATION_DATA]
        assert [len(r.fragment) for r in data] == [1_500 + 24]

    def test_delay(self) -> None:
        wire = by_client(edited("client-key-exchange", delay=2_500), until=10_000)
        at = {f.type: t for t, side, d in wire.datagrams if side for r in parse_datagram(d) for f in plain(r)}
        assert at[H.CLIENT_KEY_EXCHANGE] == 2_500 and at[H.CERTIFICATE] == at[H.CERTIFICATE_VERIFY] == 0
        assert wire.server.established and wire.now == 2_500

    def test_what_no_datagram_can_carry(self) -> None:
        script = edited("data", nth=0, size=60_000, datagram="same")
        wire = by_client(script, data=bytes(1_500))
        assert max(map(len, wire.sent(True))) < 65_508
        assert any("no datagram has room" in e.what[0] for e in wire.client.log)  # type: ignore[union-attr]


def plain(record: Record | Malformed) -> list[Fragment]:
    if isinstance(record, Malformed) or record.epoch or record.content_type is not ContentType.HANDSHAKE:
        return []
    return [f for f in parse_fragments(record.fragment) if isinstance(f, Fragment)]


class TestServers:
    def test_without_cookies(self) -> None:
        wire = by_server(replace(HONEST, cookies=False))
        assert wire.types(False) == FLIGHT_4 and wire.fragments(False)[0].message_seq == 0
        assert wire.client.established

    def test_omit_the_certificate_request(self) -> None:
        wire = by_server(edited("certificate-request", omit=True))
        assert [t for t in wire.types(True) if t in FLIGHT_5] == [H.CLIENT_KEY_EXCHANGE]

    def test_keys_follow_a_server_hello_as_it_was_sent(self) -> None:
        wire = by_server(edited("server-hello", set={"random": "42" * 32}))
        assert wire.body(False, H.SERVER_HELLO).random == b"\x42" * 32
        assert wire.client.established

    def test_hello_verify_request(self) -> None:
        script = edited("hello-verify-request", nth=0, set={"version": 0xFEFD, "cookie": "ee" * 255})
        wire = shake(Mbed(is_server=False), server(script))
        cookie = wire.body(False, H.HELLO_VERIFY_REQUEST)
        assert (cookie.version, cookie.cookie) == (0xFEFD, b"\xee" * 255)
        assert wire.body(True, H.CLIENT_HELLO).cookie == b"\xee" * 255

    def test_an_alert_of_its_own(self) -> None:
        other = server(edited("alert", set={"desc": 80}))
        wire = shake(client(edited("finished", body="00" * 12)), other)
        alerts = [parse_alert(r.fragment) for r in wire.records(False) if r.content_type is ContentType.ALERT]
        assert [(a.level, a.code) for a in alerts] == [(2, 80)]

    @pytest.mark.parametrize("certificate", ["empty", "stranger", "wrong-name", "other", "p384", "rsa", "damaged"])
    def test_wrong_credentials_are_refused_by_mbed_tls(self, certificate: str) -> None:
        theirs = Mbed(is_server=False)
        shake(theirs, server(replace(HONEST, certificate=certificate)))
        assert Kind.FAILED in theirs.kinds and not theirs.established

    @pytest.mark.parametrize(
        "change", [{"signature": "other-key"}, {"signature": "other-transcript"}, {"hash": "sha1"}]
    )
    def test_wrong_signatures_are_refused_by_mbed_tls(self, change: dict[str, str]) -> None:
        theirs = Mbed(is_server=False)
        shake(theirs, server(replace(HONEST, **change)))
        assert Kind.FAILED in theirs.kinds and not theirs.established

    def test_an_ephemeral_key_on_another_curve(self) -> None:
        wire = shake(client(), server(replace(HONEST, curve="p384")))
        assert wire.client.ended == "another curve than was offered"
        both = shake(*(end(replace(HONEST, curve="p384")) for end in (client, server)))
        assert both.client.established


def test_edits_add_up() -> None:
    script = parse(
        {"edits": [{"at": "finished", "repeat": 2}, {"at": ["finished", "data"], "seal": "wrong", "datagram": "new"}]}
    )
    wire = by_client(script)
    finished = [r for r in wire.records(True) if r.epoch == 1 and r.content_type is ContentType.HANDSHAKE]
    assert len(finished) == 2 and keys(wire).open(finished[0], True) is None
