"""No bytes raise and all come back; what is built shows the fields that it was built from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scapy.compat import raw
from scapy.config import conf
from scapy.layers.tls.extensions import (
    TLS_Ext_ALPN,
    TLS_Ext_ExtendedMasterSecret,
    TLS_Ext_RenegotiationInfo,
    TLS_Ext_ServerName,
    TLS_Ext_SessionTicket,
    TLS_Ext_SignatureAlgorithms,
    TLS_Ext_SupportedGroups,
    TLS_Ext_SupportedPointFormat,
    TLS_Ext_Unknown,
)
from scapy.packet import Packet

from conformance.layers import (
    DTLS,
    EXTENSIONS,
    SCEWL,
    DTLSAlert,
    DTLSApplicationData,
    DTLSCertificate,
    DTLSCertificateRequest,
    DTLSCertificateVerify,
    DTLSChangeCipherSpec,
    DTLSClientHello,
    DTLSClientKeyExchangeECDHE,
    DTLSClientKeyExchangeRSA,
    DTLSFinished,
    DTLSHandshake,
    DTLSHelloRequest,
    DTLSHelloVerifyRequest,
    DTLSNewSessionTicket,
    DTLSRecord,
    DTLSSealed,
    DTLSServerHello,
    DTLSServerHelloDone,
    DTLSServerKeyExchange,
    Malformed,
    RegistrationResponse,
    SCEWLCapture,
    dissect_content,
    dissect_exactly,
    dissect_message,
)

reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

DATA = Path(__file__).parent / "data"
DATAGRAMS = [
    bytes.fromhex(line[2:])
    for path in sorted(DATA.glob("*.hex"))
    for line in path.read_text().splitlines()
    if not line.startswith("#")
]


@pytest.fixture(autouse=True, scope="module")
def strict() -> Iterator[None]:
    """With Scapy's debugging on, an exception in a dissector is raised; normally Scapy hides it and shows Raw."""
    before = conf.debug_dissector
    conf.debug_dissector = True
    yield
    conf.debug_dissector = before


@pytest.fixture(autouse=True)
def silent(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is said through Scapy's log."""
    caplog.set_level(logging.DEBUG, logger="scapy")
    yield
    assert [r.message for r in caplog.records if r.name.startswith("scapy")] == []


# --- hostile bytes


def shapes(data: bytes, *classes: type[Packet]) -> None:
    """Every view of the layers that the bytes may be."""
    for cls in classes or (DTLS, SCEWL, SCEWLCapture, DTLSRecord, DTLSHandshake):
        p = cls(data)
        assert raw(p) == data
        assert raw(p.copy()) == data
        p.clear_cache()
        assert raw(p) == data, "the fields alone do not hold all of it"
        assert p.summary() and p.show(dump=True) and repr(p)


def edits() -> st.SearchStrategy[bytes]:
    """Real datagrams, framed or not, with a few bytes replaced, inserted, removed, or cut off."""

    @st.composite
    def edited(draw: st.DrawFn) -> bytes:
        data = draw(st.sampled_from(DATAGRAMS))
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(data)))
            end = draw(st.sampled_from([start, start + 1, start + 2, len(data)]))
            data = data[:start] + draw(st.binary(max_size=3)) + data[end:]
        if draw(st.booleans()):
            data = raw(SCEWL(target=10, source=11, length=draw(st.sampled_from([None, len(data), 5])))) + data
            data = bytes(draw(st.integers(0, 3)) for _ in range(4)) + data
        return data

    return edited()


HEADERS = (
    b"",
    b"\x16\xfe\xfd\0\0",
    b"\x15\xfe\xfd\0\0",
    b"\x17\xfe\xfd\0\1",
    b"SC",
    b"\0\0\n\0SC",
    b"\2\0\n\0SC\1\0\n\0\4\0",
)


@settings(reproducible, max_examples=300)
@given(st.sampled_from(HEADERS), st.binary(max_size=80))
@example(b"", b"")
@example(b"", b"\x16\xfe\xfd" + bytes(10))
def test_any_bytes_come_back(header: bytes, data: bytes) -> None:
    shapes(header + data)


@settings(reproducible, max_examples=300)
@given(edits())
def test_edited_datagrams_come_back(data: bytes) -> None:
    shapes(data)


@settings(reproducible, max_examples=400)
@given(st.integers(0, 25) | st.integers(0, 255), st.binary(max_size=90))
def test_any_body_comes_back(msg_type: int, body: bytes) -> None:
    assert raw(dissect_message(msg_type, body)) == body
    shapes(raw(DTLSRecord() / (DTLSHandshake(msg_type=msg_type) / dissect_message(msg_type, body))), DTLS)


@settings(reproducible, max_examples=200)
@given(st.sampled_from([*EXTENSIONS, 0x7777]), st.binary(max_size=24))
def test_any_extension_comes_back(kind: int, data: bytes) -> None:
    extension = TLS_Ext_Unknown(type=kind, val=data)
    hello = raw(DTLSServerHello(extensions=[extension]))
    found = dissect_message(2, hello)
    assert found.extensions[0].type == kind and raw(found.extensions[0]) == raw(extension)
    shapes(raw(DTLS() / DTLSRecord() / DTLSHandshake() / found), DTLS)


@settings(reproducible, max_examples=100)
@given(st.integers(18, 25), st.binary(max_size=40))
def test_any_content_comes_back(content_type: int, plaintext: bytes) -> None:
    assert b"".join(map(raw, dissect_content(content_type, plaintext))) == plaintext


def test_more_items_than_scapy_allows_in_a_list() -> None:
    assert conf.max_list_count == 100
    records = raw(DTLS(records=[DTLSRecord(sequence_number=n) / DTLSAlert() for n in range(300)]))
    assert len(DTLS(records).records) == 300
    hello = raw(DTLSClientHello(cipher_suites=list(range(400))))
    assert dissect_message(1, hello).cipher_suites == list(range(400))


def test_a_megabyte_is_dissected_in_one_pass() -> None:
    data = raw(DTLSRecord() / DTLSChangeCipherSpec()) * 4_000 + bytes(1_000_000)
    found = DTLS(data).records
    assert len(found) == 4_001 and len(found[-1].load) == 1_000_000


# --- built layers

blobs = st.binary(max_size=40)
numbers = st.lists(st.integers(0, 0xFFFF), max_size=6)
octets = st.lists(st.integers(0, 255), max_size=6)
versions = st.sampled_from([0xFEFF, 0xFEFD])
randoms = st.binary(min_size=32, max_size=32)
short = st.integers(0, 0xFFFF)
extensions = st.none() | st.lists(
    st.one_of(
        st.builds(TLS_Ext_SupportedGroups, groups=numbers),
        st.builds(TLS_Ext_SignatureAlgorithms, sig_algs=numbers),
        st.builds(TLS_Ext_SupportedPointFormat, ecpl=octets),
        st.builds(TLS_Ext_ExtendedMasterSecret),
        st.builds(TLS_Ext_SessionTicket, ticket=blobs),
        st.builds(TLS_Ext_RenegotiationInfo, renegotiated_connection=blobs),
        st.builds(TLS_Ext_Unknown, type=st.integers(0x8000, 0x9000), val=blobs),
    ),
    max_size=4,
)


def fields_of(
    cls: type[Packet], **values: st.SearchStrategy[Any]
) -> st.SearchStrategy[tuple[type[Packet], dict[str, Any]]]:
    return st.tuples(st.just(cls), st.fixed_dictionaries(values))


bodies = st.one_of(
    fields_of(DTLSHelloRequest),
    fields_of(
        DTLSClientHello,
        version=versions,
        random=randoms,
        session_id=st.binary(max_size=32),
        cookie=blobs,
        cipher_suites=numbers,
        comp_methods=octets,
        extensions=extensions,
    ),
    fields_of(
        DTLSServerHello,
        version=versions,
        random=randoms,
        session_id=st.binary(max_size=32),
        cipher_suite=short,
        comp_method=st.integers(0, 255),
        extensions=extensions,
    ),
    fields_of(DTLSHelloVerifyRequest, version=versions, cookie=blobs),
    fields_of(DTLSNewSessionTicket, session_ticket_lifetime_hint=st.integers(0, 2**32 - 1), session_ticket=blobs),
    fields_of(DTLSCertificate, certificates=st.lists(blobs, max_size=3)),
    fields_of(DTLSServerKeyExchange, server_named_curve=short, server_point=blobs, sig_hash_alg=short, sig=blobs),
    fields_of(DTLSCertificateRequest, cert_types=octets, sig_hash_algs=numbers, dnames=st.lists(blobs, max_size=3)),
    fields_of(DTLSServerHelloDone),
    fields_of(DTLSCertificateVerify, sig_hash_alg=short, sig=blobs),
    fields_of(DTLSClientKeyExchangeECDHE, client_point=blobs),
    fields_of(DTLSClientKeyExchangeRSA, epms=blobs),
    fields_of(DTLSFinished, verify_data=blobs),
)


@settings(reproducible, max_examples=300)
@given(bodies, short, short, st.integers(0, 2**48 - 1), st.sampled_from(["radio", "SSS wire"]), short)
def test_a_built_message_shows_its_fields(
    body: tuple[type[Packet], dict[str, Any]], message_seq: int, sed: int, seq: int, link: str, target: int
) -> None:
    cls, values = body
    built = SCEWLCapture(link=link, towards=1, sed=sed) / SCEWL(target=target, source=10)
    built = built / DTLS() / DTLSRecord(sequence_number=seq) / DTLSHandshake(message_seq=message_seq) / cls(**values)
    data = raw(built)
    if target == 2:  # to the FAA: no DTLS
        return
    found = SCEWLCapture(data)
    assert raw(found) == data
    assert (found.sed, found.towards, found[SCEWL].target, found[SCEWL].source) == (sed, 1, target, 10)
    (record,) = found[DTLS].records
    assert (record.type, record.epoch, record.sequence_number) == (22, 0, seq)
    (handshake,) = record.content
    shown = handshake.payload
    assert type(shown) is cls and handshake.message_seq == message_seq
    assert len(raw(shown)) == handshake.length == handshake.fragment_length == record.length - 12
    for name, value in values.items():
        if name == "extensions" and value is not None:
            # An extension without items is one that Scapy builds and does not take apart.
            assert [raw(e) for e in shown.extensions] == [raw(e) for e in value]
        else:
            assert getattr(shown, name) == value, name


@settings(reproducible, max_examples=100)
@given(st.lists(bodies, min_size=1, max_size=4), st.integers(1, 50))
def test_a_flight_in_fragments_is_found_again(flight: list[tuple[type[Packet], dict[str, Any]]], size: int) -> None:
    messages = [DTLSHandshake(message_seq=n) / cls(**values) for n, (cls, values) in enumerate(flight)]
    parts = [part for message in messages for part in message.fragment(size)]
    found = DTLS(raw(DTLS() / DTLSRecord(content=parts))).records[0].content
    assert [p.message_seq for p in found] == [p.message_seq for p in parts]
    for n, message in enumerate(messages):
        mine = [p for p in found if p.message_seq == n]
        assert [p.fragment_offset for p in mine] == [n * size for n in range(len(mine))]
        assert {p.length for p in mine} == {len(raw(message)) - 12}
        body = dissect_message(message.msg_type, b"".join(raw(p.payload) for p in mine))
        assert raw(body) == raw(message.payload) and type(body) is type(message.payload)


@settings(reproducible, max_examples=100)
@given(
    st.lists(
        st.one_of(
            st.builds(DTLSAlert, level=st.integers(0, 255), desc=st.integers(0, 255)),
            st.builds(DTLSChangeCipherSpec, change_cipher_spec=st.integers(0, 255)),
            st.builds(DTLSApplicationData, app_data=blobs),
        ),
        max_size=5,
    ),
    blobs,
)
def test_a_built_datagram_shows_its_records(contents: list[Packet], sealed: bytes) -> None:
    last = DTLSRecord(type=23, epoch=1, content=DTLSSealed(load=sealed))
    data = raw(DTLS(records=[*(DTLSRecord(sequence_number=n) / c for n, c in enumerate(contents)), last]))
    *found, opaque = DTLS(data).records
    assert [r.sequence_number for r in found] == list(range(len(contents)))
    assert [r.type for r in found] == [c.content_type for c in contents]
    assert [r.content for r in found] == [[c] for c in contents]
    assert opaque.content == [DTLSSealed(load=sealed)]


@reproducible
@given(short, st.sampled_from([-1, 0, 1]), blobs, blobs, blobs)
def test_a_registration_response_shows_its_fields(dev: int, op: int, ca: bytes, crt: bytes, key: bytes) -> None:
    data = raw(RegistrationResponse(dev=dev, op=op, ca=ca, crt=crt, key=key))
    assert len(data) == 10 + len(ca + crt + key)
    found = dissect_exactly(RegistrationResponse, data)
    assert (found.dev, found.op, found.ca, found.crt, found.key) == (dev, op, ca, crt, key)
    assert isinstance(dissect_exactly(RegistrationResponse, data[:-1]), Malformed)


def test_extensions_of_names_come_back() -> None:
    from scapy.layers.tls.extensions import ProtocolName, ServerName

    hello = DTLSClientHello(
        extensions=[
            TLS_Ext_ServerName(servernames=[ServerName(servername=b"sss")]),
            TLS_Ext_ALPN(protocols=[ProtocolName(protocol=b"coap"), ProtocolName(protocol=b"x")]),
        ]
    )
    found = dissect_message(1, raw(hello)).extensions
    assert isinstance(found[0], TLS_Ext_ServerName) and found[0].servernames[0].servername == b"sss"
    assert isinstance(found[1], TLS_Ext_ALPN) and [p.protocol for p in found[1].protocols] == [b"coap", b"x"]


# --- alterations


@pytest.mark.parametrize("data", DATAGRAMS, ids=range(len(DATAGRAMS)))
def test_an_alteration_at_any_depth_shows_and_nothing_else_does(data: bytes) -> None:
    altered = 0
    for path in list(paths(DTLS(data))):
        p = DTLS(data)
        layer = p
        for step in path:
            layer = step(layer)
        name, value = next(
            (f.name, v) for f in layer.fields_desc[::-1] if isinstance(v := layer.getfieldval(f.name), int)
        )
        layer.setfieldval(name, value ^ 1)
        assert len(raw(p)) == len(data) and raw(p) != data, (type(layer), name)
        layer.setfieldval(name, value)
        assert raw(p) == data
        altered += 1
    assert altered


def paths(layer: Packet) -> Iterator[tuple[Any, ...]]:
    """The ways down to each layer inside that has a number in it."""
    for f in layer.fields_desc:
        for n, item in enumerate(layer.getfieldval(f.name) or [] if f.holds_packets else []):
            step = lambda at, name=f.name, n=n: at.getfieldval(name)[n]  # noqa: E731
            yield from ((step, *rest) for rest in paths(item))
    if layer.payload:
        yield from ((lambda at: at.payload, *rest) for rest in paths(layer.payload))
    if any(isinstance(layer.getfieldval(f.name), int) for f in layer.fields_desc):
        yield ()


def test_the_order_of_dissection_does_not_matter() -> None:
    """Scapy's TLS keeps sessions; nothing that one datagram says may show in another."""
    alone = [DTLS(data).show(dump=True) for data in DATAGRAMS]
    assert [DTLS(data).show(dump=True) for data in DATAGRAMS[::-1]][::-1] == alone
