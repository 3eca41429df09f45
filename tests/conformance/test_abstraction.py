"""Bytes to alphabet: what the abstraction must not overlook, on live sessions that are changed on the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.abstraction import Abstraction, Identity
from conformance.abstraction.proof import keys_proved, proves, public_key
from conformance.abstraction.registration import judge_response
from conformance.case import run_case
from conformance.purpose import load_purposes
from conformance.results import CaseResult
from conformance.targets.base import Reaction
from conformance.targets.reference import ReferenceTarget
from conformance.wire.certificates import Authorities
from conformance.wire.frames import Frame, FrameReader
from conformance.wire.handshake import CertificateVerify
from conformance.wire.records import ContentType, Record, parse_datagram
from conformance.wire.secrets import KeyLog
from model.alphabet import Ca, Event, Link, Output
from model.verdict import Verdict
from reference.credentials import Credentials
from reference.deployment import Deployment

PURPOSES = {p.id: p for p in load_purposes()}
DEPLOYMENT = Deployment.create([10, 11], seed=b"abstraction")
RUNTIME = Deployment.create([10, 11], seed=b"another authority")


def identity() -> Identity:
    authorities = Authorities(
        {"PROVISIONING": DEPLOYMENT.authority.certificate, "RUNTIME": RUNTIME.authority.certificate}
    )
    own = authorities.classify(DEPLOYMENT.credentials(10).certificate)
    return Identity(10, authorities, own.public_key or b"")


# --- whole sessions, changed ------------------------------------------------------------------------------------------

Change = Callable[[Frame, list[Record]], Iterable[bytes]]


class Changed(ReferenceTarget):
    """A reference whose DTLS datagrams are rewritten, each into any number of datagrams."""

    def __init__(self, change: Change) -> None:
        super().__init__()
        self._change = change

    def send(self, link: Link, data: bytes) -> Reaction:
        reaction = super().send(link, data)
        chunks = tuple((to, b"".join(self._rewritten(to, bytes_))) for to, bytes_ in reaction.chunks)
        return Reaction(reaction.now, reaction.deadline, chunks, reaction.debug)

    def _rewritten(self, link: Link, data: bytes) -> Iterable[bytes]:
        for frame in FrameReader().feed(data):
            assert isinstance(frame, Frame)
            records = [r for r in parse_datagram(frame.payload) if isinstance(r, Record)]
            if link is Link.CPU or not records:
                yield frame.encode()
                continue
            for payload in self._change(frame, records):
                yield Frame(frame.target, frame.source, payload).encode()


def changed(name: str, change: Change) -> CaseResult:
    return run_case(PURPOSES[name], lambda: Changed(change), profile="hardened", seed=0).result


def encoded(records: Iterable[Record]) -> bytes:
    return b"".join(r.encode() for r in records)


def is_flight(records: list[Record], kind: int) -> bool:
    return records[0].content_type is ContentType.HANDSHAKE and records[0].epoch == 0 and records[0].fragment[0] == kind


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


PLAINTEXT_DATA = Record(ContentType.APPLICATION_DATA, 0xFEFD, 0, 99, b"x").encode()


def test_a_flight_in_other_datagrams_is_the_same_flight() -> None:
    result = changed("unregistered-16", lambda frame, records: [r.encode() for r in records])
    assert result.verdict is Verdict.PASS, result.reason


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("a flight that lacks its last message", lambda f, r: [encoded(r[:-1] if is_flight(r, 2) else r)]),
        ("a flight that lacks its Finished", lambda f, r: [encoded(r[:-1] if is_flight(r, 11) else r)]),
        ("a flight without CertificateVerify", lambda f, r: [encoded((r[:2] + r[3:]) if is_flight(r, 11) else r)]),
        ("two flights in one step", lambda f, r: [encoded(r)] * (2 if is_flight(r, 2) else 1)),
        ("a record number twice", lambda f, r: [encoded(r)] * (2 if r[0].epoch == 1 else 1)),
        ("a record that does not open", lambda f, r: [flipped(f.payload) if r[0].epoch else f.payload]),
        ("a datagram above the MTU", lambda f, r: [f.payload.ljust(1_001) if r[0].epoch else f.payload]),
        ("plaintext data", lambda f, r: [f.payload, PLAINTEXT_DATA]),
        ("a second cookie hello instead of the first", lambda f, r: [f.payload.replace(b"\xfe\xfd", b"\xfe\xfc", 1)]),
        ("an empty datagram", lambda f, r: [f.payload, b""]),
    ],
)
def test_what_is_wrong_with_a_datagram_shows(told: str, change: Change) -> None:
    result = changed("unregistered-16", change)
    assert result.verdict is Verdict.FAIL, told
    assert result.divergence is not None
    assert any("unknown" in o for o in result.divergence.observed) or told == "two flights in one step"


def test_frames_in_other_names_are_unknown() -> None:
    for frame in (Frame(11, 12, b"x"), Frame(1, 10, b"x")):
        abstraction = Abstraction(identity(), KeyLog())
        assert Output("unknown", (Link.RADIO,)) in abstraction.observe([(Link.RADIO, frame.encode())])
    abstraction = Abstraction(identity(), KeyLog())
    assert abstraction.observe([(Link.CPU, Frame(11, 12, b"x").encode())]) == (Output("unknown", (Link.CPU,)),)


# --- certificates -----------------------------------------------------------------------------------------------------


def issued(by: Deployment, cn: str, secret: bytes = b"k") -> Credentials:
    return by.issue(cn, secret)


def test_whose_certificate_the_iut_presents() -> None:
    who = identity()
    assert who.own_certificate((DEPLOYMENT.credentials(10).certificate,)) is Ca.PROVISIONING
    assert who.own_certificate(()) is Ca.OTHER
    assert who.own_certificate((b"junk",)) is Ca.OTHER
    assert who.own_certificate((DEPLOYMENT.credentials(11).certificate,)) is Ca.OTHER, "another name"
    assert who.own_certificate((issued(DEPLOYMENT, "10").certificate,)) is Ca.OTHER, "another key"
    old, new = issued(RUNTIME, "10", b"old"), issued(RUNTIME, "10", b"new")
    assert who.own_certificate((old.certificate,)) is Ca.STALE
    who.runtime_key = who.authorities.classify(new.certificate).public_key
    assert who.own_certificate((new.certificate,)) is Ca.RUNTIME
    assert who.own_certificate((old.certificate,)) is Ca.STALE


@pytest.mark.parametrize(
    ("cn", "peer"),
    [("11", 11), ("1", 1), *((cn, 0) for cn in ("011", "11 ", "+11", "65536", "\u0661\u0661", "11_PROVISION"))],
)
def test_a_peers_id_is_its_cn_in_plain_decimal(cn: str, peer: int) -> None:
    assert identity().peer_certificate((issued(DEPLOYMENT, cn).certificate,)) == (Ca.PROVISIONING, peer)


def test_a_peers_certificate_of_no_authority() -> None:
    foreign = Deployment.create([11], seed=b"foreign")
    assert identity().peer_certificate((foreign.credentials(11).certificate,)) == (Ca.OTHER, 11)
    assert identity().peer_certificate(()) == (Ca.OTHER, 0)
    assert identity().peer_certificate((b"junk",)) == (Ca.OTHER, 0)


def test_signatures_that_prove_nothing() -> None:
    key = public_key(DEPLOYMENT.credentials(11).certificate)
    assert key is not None
    assert public_key(b"junk") is None
    assert not proves(None, CertificateVerify(0x0403, b""), b"")
    assert not proves(key, CertificateVerify(0x0401, b"x"), b"")
    assert not proves(key, CertificateVerify(0x0403, b"x"), b"transcript")
    for body in (b"", b"\3", b"\3\0\x17\4abcd", b"\3\0\x17\4abcd\4\3\0\1x", b"\1" + bytes(20)):
        assert not keys_proved(key, b"randoms", body)


# --- responses --------------------------------------------------------------------------------------------------------


def response(dev: int = 10, op: int = 0, blobs: tuple[bytes, ...] = (b"", b"", b"")) -> bytes:
    sizes = b"".join(len(b).to_bytes(2, "little") for b in blobs)
    return dev.to_bytes(2, "little") + op.to_bytes(2, "little", signed=True) + sizes + b"".join(blobs)


def test_responses() -> None:
    good = issued(RUNTIME, "10")
    blobs = (good.ca, good.certificate, bytes(good.key))
    told = judge_response(response(blobs=blobs), 10, 0)
    assert told is not None
    assert told.good
    assert told.usable
    for size in (0, 4, 9, 10, len(response(blobs=blobs)) - 1):
        assert judge_response(response(blobs=blobs)[:size], 10, 0) is None, size
    for bad in (response(blobs=blobs) + b"x", response(11, blobs=blobs), response(op=2), response(op=1, blobs=blobs)):
        told = judge_response(bad, 10, 0)
        assert told is not None
        assert not told.good
    told = judge_response(response(blobs=blobs)[:20], 10, 1)
    assert told is not None, "another op than asked shows in the header"
    other = issued(RUNTIME, "11", b"other")
    for unusable in (
        (b"", b"", b""),
        (DEPLOYMENT.authority.certificate, good.certificate, bytes(good.key)),
        (good.ca, good.certificate, bytes(other.key)),
        (other.ca, other.certificate, bytes(other.key)),
        (good.ca, b"junk", bytes(good.key)),
        (good.ca, good.certificate, b"junk"),
    ):
        told = judge_response(response(blobs=unusable), 10, 0)
        assert told is not None
        assert told.good
        assert not told.usable


# --- hostile bytes ----------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(Link), st.booleans(), st.binary(max_size=200)), max_size=8))
def test_no_bytes_break_it(pieces: list[tuple[Link, bool, bytes]]) -> None:
    abstraction = Abstraction(identity(), KeyLog())
    for link, towards, data in pieces:
        framed = Frame(10 if towards else 11, 11 if towards else 10, data).encode()
        for bytes_ in (data, framed):
            if towards:
                assert all(isinstance(e, Event) for e in abstraction.stimulus(link, bytes_))
            else:
                assert all(isinstance(o, Output) for o in abstraction.observe([(link, bytes_)]))


@pytest.mark.parametrize(
    ("pattern", "name", "sed_id"),
    [
        ("{id}", "11", 11),
        ("{id}", "11_PROVISION", 0),
        ("{id}_PROVISION", "11_PROVISION", 11),
        ("{id}_PROVISION", "11", 0),
        ("{id}_PROVISION", "1234567890_PROVISION", 0),
        ("{id}_PROVISION", "11xPROVISION", 0),
        ("SED {id}", "SED 11", 11),
        ("SED {id}", "xyz 11", 0),
        ("{id}_PROVISION", "_PROVISION", 0),
        ("1{id}1", "1", 1),  # the SSS's name is its id in any deployment (CRT-6)
    ],
)
def test_the_id_in_a_provisioning_name(pattern: str, name: str, sed_id: int) -> None:
    deployment = Deployment.create([10], seed=b"names")
    authorities = Authorities({"PROVISIONING": deployment.authority.certificate})
    identity = Identity(10, authorities, b"", cn_pattern=pattern)
    certificate = deployment.issue(name, b"key").certificate
    assert identity.peer_certificate((certificate,)) == (Ca.PROVISIONING, sed_id)
