"""Two readings of the same bytes, written apart: these layers and `conformance.wire`, the judge's parsers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.compat import raw
from scapy.packet import Packet
from scapy.utils import rdpcap, wrpcap

from conformance.capture import write_capture
from conformance.case import Outcome, run_case
from conformance.layers import (
    DTLS,
    SCEWL,
    DTLSAlert,
    DTLSCertificate,
    DTLSCertificateVerify,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSClientKeyExchangeRSA,
    DTLSHelloVerifyRequest,
    DTLSNewSessionTicket,
    DTLSServerHello,
    Malformed,
    Opaque,
    SCEWLCapture,
    dissect_message,
)
from conformance.purpose import Peer, Purpose, Step
from conformance.targets.reference import ReferenceTarget
from conformance.wire import handshake as wire
from conformance.wire.describe import describe
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.records import ContentType, Record, parse_alert, parse_datagram
from conformance.wire.records import Malformed as WireMalformed
from model.verdict import Verdict

DATA = Path(__file__).parent / "data"
OPENSSL = {
    path.stem: [bytes.fromhex(line[2:]) for line in path.read_text().splitlines() if not line.startswith("#")]
    for path in sorted(DATA.glob("*.hex"))
}
DATAGRAMS = [data for datagrams in OPENSSL.values() for data in datagrams]
FAA, CPU_BUS = 2, 2

reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Two registrations and a message, between the reference's controllers and the suite's own peers."""
    steps = (Step("register", {}), Step("register", {"by": 11}), Step("send", {"to": 11, "size": 1_000}))
    expected = (Step("expect", {"what": "answer"}), Step("expect", {"what": "answer", "at": 11}))
    expected += (Step("expect", {"what": "message", "at": 11}),)
    purpose = Purpose("capture", "A capture", (), "", (*steps, *expected), peers=(Peer(11),))
    outcome = run_case(purpose, ReferenceTarget, profile="hardened", seed=0)
    assert outcome.result.verdict is Verdict.PASS, outcome.result.reason
    return outcome


# --- one comparison a structure; each returns how many messages it compared


def compare_datagram(data: bytes) -> int:
    ours, theirs = DTLS(data).records, parse_datagram(data)
    assert len(ours) == len(theirs)
    compared = 0
    for our, their in zip(ours, theirs, strict=True):
        if isinstance(their, WireMalformed):
            assert isinstance(our, Malformed)
            assert (our.load, our.why) == (their.data, their.why)
        else:
            compared += compare_record(our, their)
    return compared


def compare_record(our: Packet, their: Record) -> int:
    assert (our.type, our.version) == (their.content_type, their.version)
    assert (our.epoch, our.sequence_number, our.length) == (their.epoch, their.seq, len(their.fragment))
    assert b"".join(map(raw, our.content)) == their.fragment
    if their.epoch:
        return 0
    if their.content_type is ContentType.HANDSHAKE:
        return compare_fragments(our.content, their.fragment)
    if their.content_type is ContentType.ALERT:
        alert = parse_alert(their.fragment)
        assert isinstance(our.content[0], DTLSAlert) == (not isinstance(alert, WireMalformed))
        if not isinstance(alert, WireMalformed):
            assert (our.content[0].level, our.content[0].desc) == (alert.level, alert.code)
    return 0


def compare_fragments(ours: list[Packet], plaintext: bytes) -> int:
    compared = 0
    for our, their in zip(ours, wire.parse_fragments(plaintext), strict=False):
        if isinstance(their, WireMalformed):
            if their.why.startswith("no handshake type"):
                # The judge stops at a type that it does not know; we go on, if the lengths fit.
                assert raw(our) == their.data[: len(raw(our))]
                assert isinstance(our, Malformed) or our.msg_type == their.data[0]
            else:
                assert isinstance(our, Malformed) and (our.load, our.why) == (their.data, their.why)
            break
        assert (our.msg_type, our.length, our.message_seq) == (their.type, their.length, their.message_seq)
        assert (our.fragment_offset, our.fragment_length) == (their.offset, len(their.body))
        assert raw(our.payload) == their.body and our.whole == their.whole
        if their.whole:
            compare_body(our.payload, wire.Message(their.type, their.message_seq, their.body))
            compared += 1
    return compared


def compare_body(our: Packet, message: wire.Message) -> None:
    their = wire.parse_message(message)
    if isinstance(their, WireMalformed):
        # The judge is stricter: it also refuses what RFC 5246 forbids; we refuse what cannot be taken apart.
        assert isinstance(our, Malformed) or not their.why.endswith(("cut short", "too many")), their.why
        return
    if not isinstance(their, wire.Opaque):
        assert not isinstance(our, Malformed), their
    match their:
        case wire.ClientHello():
            assert isinstance(our, DTLSClientHello)
            assert (our.version, our.random, our.session_id) == (their.version, their.random, their.session_id)
            assert our.cookie == their.cookie
            assert our.cipher_suites == list(their.suites) and bytes(our.comp_methods) == their.compressions
            compare_extensions(our, their)
        case wire.ServerHello():
            assert isinstance(our, DTLSServerHello)
            assert (our.version, our.random, our.session_id) == (their.version, their.random, their.session_id)
            assert (our.cipher_suite, our.comp_method) == (their.suite, their.compression)
            compare_extensions(our, their)
        case wire.HelloVerifyRequest():
            assert isinstance(our, DTLSHelloVerifyRequest)
            assert (our.version, our.cookie) == (their.version, their.cookie)
        case wire.Certificate():
            assert isinstance(our, DTLSCertificate) and our.certificates == list(their.chain)
        case wire.CertificateVerify():
            assert isinstance(our, DTLSCertificateVerify)
            assert (our.sig_hash_alg, our.sig) == (their.algorithm, their.signature)


def compare_extensions(our: Packet, their: wire.ClientHello | wire.ServerHello) -> None:
    assert {e.type: raw(e)[4:] for e in our.extensions or []} == dict(their.extensions)


# --- real datagrams


def test_frames_of_the_reference(outcome: Outcome) -> None:
    compared = 0
    for captured in outcome.frames:
        (their,) = FrameReader().feed(captured.frame)
        assert isinstance(their, Frame)
        our = SCEWL(captured.frame)
        assert (our.target, our.source, our.length) == (their.target, their.source, len(their.payload))
        if captured.link != CPU_BUS and FAA not in (their.target, their.source):
            compared += compare_datagram(their.payload)
            if all(record.epoch == 0 for record in our[DTLS].records):
                assert our[DTLS].summary() == f"DTLS 1.2 {describe(their.payload)}"
    assert compared >= 22


@pytest.mark.parametrize("name", OPENSSL)
def test_datagrams_of_openssl(name: str) -> None:
    assert sum(compare_datagram(data) for data in OPENSSL[name]) > 6
    for data in OPENSSL[name]:
        if all(record.epoch == 0 for record in DTLS(data).records):
            assert DTLS(data).summary()[len("DTLS 1.x ") :] == describe(data)


@pytest.mark.parametrize(
    ("name", "key_exchange"), [("ecdhe-ecdsa", DTLSClientKeyExchangeECDHE), ("rsa", DTLSClientKeyExchangeRSA)]
)
def test_messages_of_openssl_across_fragments(name: str, key_exchange: type[Packet]) -> None:
    """Reassembled by the judge's assembler, every message of a handshake has its class; none is opaque or malformed."""
    seen: dict[int, Packet] = {}
    for mark in "><":
        assembler = wire.Assembler()
        lines = [line for line in (DATA / f"openssl-{name}.hex").read_text().splitlines() if line.startswith(mark)]
        for line in lines:
            for record in parse_datagram(bytes.fromhex(line[2:])):
                assert isinstance(record, Record)
                if record.epoch or record.content_type is not ContentType.HANDSHAKE:
                    continue
                for fragment in wire.parse_fragments(record.fragment):
                    assert isinstance(fragment, wire.Fragment)
                    for message in assembler.feed(fragment):
                        body = dissect_message(message.type, message.body)
                        assert raw(body) == message.body and not isinstance(body, Malformed | Opaque)
                        compare_body(body, message)
                        seen[message.type] = body
    expected = {1, 2, 3, 4, 11, 13, 14, 15, 16} | ({12} if name == "ecdhe-ecdsa" else set())
    assert set(seen) == expected
    assert isinstance(seen[16], key_exchange) and isinstance(seen[4], DTLSNewSessionTicket)


def test_a_capture_is_read_by_scapy(outcome: Outcome, tmp_path: Path) -> None:
    path = tmp_path / "a.pcapng"
    write_capture(path, outcome.frames, outcome.secrets)
    found = rdpcap(str(path))
    assert len(found) == len(outcome.frames)
    for p, captured in zip(found, outcome.frames, strict=True):
        assert isinstance(p, SCEWLCapture)
        assert (p.link, p.towards, p.sed) == (captured.link, captured.towards, captured.sed)
        assert raw(p)[4:] == captured.frame
        assert round(float(p.time) * 1_000_000) == captured.time_us
    summaries = [p.summary() for p in found]
    assert "radio / SED 10 to SED 11 / DTLS 1.2 ClientHello with cookie" in summaries
    assert "CPU bus / SED 10 to SSS / request: register SED 10" in summaries
    wrpcap(str(tmp_path / "b.pcap"), found)
    assert [raw(p) for p in rdpcap(str(tmp_path / "b.pcap"))] == [raw(p) for p in found]
    assert (tmp_path / "b.pcap").read_bytes()[20:24] == (147).to_bytes(4, "little")


# --- edited and arbitrary bytes


@st.composite
def edited(draw: st.DrawFn) -> bytes:
    data = draw(st.sampled_from(DATAGRAMS))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.sampled_from([start, start + 1, start + 2, len(data)]))
        data = data[:start] + draw(st.binary(max_size=3)) + data[end:]
    return data


@settings(reproducible, max_examples=400)
@given(edited() | st.binary(max_size=60) | st.binary(max_size=60).map(lambda tail: b"\x16\xfe\xfd\0\0" + tail))
def test_edited_datagrams(data: bytes) -> None:
    compare_datagram(data)


HELLO = b"\xfe\xfd" + bytes(32)


@settings(reproducible, max_examples=400)
@given(
    st.sampled_from(list(wire.HandshakeType)),
    st.binary(max_size=60)
    | st.binary(max_size=9).map(lambda tail: HELLO + bytes.fromhex("00 00 0002 c02c 01 00 00") + tail)
    | st.binary(max_size=9).map(lambda tail: HELLO + bytes.fromhex("00 c02c 00 00") + tail),
)
def test_any_body(kind: wire.HandshakeType, body: bytes) -> None:
    compare_body(dissect_message(kind, body), wire.Message(kind, 0, body))


def test_an_extension_cut_short() -> None:
    whole = HELLO + bytes.fromhex("00 c02c 00 0007 0017 0000 ff01 00")
    assert isinstance(dissect_message(2, whole), Malformed)
    compare_body(dissect_message(2, whole), wire.Message(wire.HandshakeType.SERVER_HELLO, 0, whole))
    part = HELLO + bytes.fromhex("00 c02c 00 0007 0017 0003 010203")
    assert not isinstance(dissect_message(2, part), Malformed)
    lying = HELLO + bytes.fromhex("00 c02c 00 0007 0017 0004 010203")
    compare_body(dissect_message(2, lying), wire.Message(wire.HandshakeType.SERVER_HELLO, 0, lying))


@settings(reproducible, max_examples=200)
@given(st.binary(max_size=20) | st.binary(max_size=20).map(lambda tail: b"SC" + tail))
def test_any_frame(data: bytes) -> None:
    found = FrameReader().feed(data)
    whole = len(found) == 1 and isinstance(found[0], Frame) and len(data) == 8 + len(found[0].payload)
    our = SCEWL(data)
    assert whole == (isinstance(our, SCEWL) and our.length == len(data) - 8)
    if whole:
        assert (our.target, our.source, raw(our.payload)) == (found[0].target, found[0].source, found[0].payload)
