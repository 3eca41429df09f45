"""The parsers against real DTLS: python-mbedtls at both ends, in memory, its master secret exported."""

from __future__ import annotations

import ctypes
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path

import mbedtls
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from mbedtls.pk import ECC
from mbedtls.tls import (
    ClientContext,
    DTLSConfiguration,
    DTLSVersion,
    HandshakeStep,
    HelloVerifyRequest,
    ServerContext,
    TLSWrappedBuffer,
    TrustStore,
    WantReadError,
    WantWriteError,
)
from mbedtls.x509 import CRT

from conformance.wire.certificates import Authorities
from conformance.wire.describe import describe
from conformance.wire.handshake import (
    Assembler,
    Certificate,
    CertificateVerify,
    ClientHello,
    Fragment,
    HandshakeType,
    Message,
    ServerHello,
    Standing,
    parse_fragments,
    parse_message,
)
from conformance.wire.records import ContentType, Record, parse_alert, parse_datagram
from conformance.wire.secrets import KeyLog, SessionKeys

SUITE_NAMES = {
    0xC02B: "TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256",
    0xC02C: "TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384",
}
CLIENT_DATA = [b"to the server", bytes(range(256)) + bytes(707)]
SERVER_DATA = [b"and back"]
BEGIN = dt.datetime(2021, 1, 1)
END = dt.datetime(2099, 1, 1)


@dataclass
class Identity:
    der: bytes
    key: ec.EllipticCurvePrivateKey

    @property
    def key_der(self) -> bytes:
        return self.key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def identity(cn: str, serial: int, secret: int, ca: Identity | None = None) -> Identity:
    key = ec.derive_private_key(secret, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.load_der_x509_certificate(ca.der).subject if ca else name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.BasicConstraints(ca=ca is None, path_length=None), critical=True)
    )
    certificate = builder.sign(ca.key if ca else key, hashes.SHA256(), ecdsa_deterministic=True)
    return Identity(certificate.public_bytes(Encoding.DER), key)


CA = identity("1", 1, 11)
CLIENT = identity("10", 10, 12, CA)
SERVER = identity("11", 11, 13, CA)


@dataclass
class Capture:
    """A session as it went over the wire: (from the client?, datagram)."""

    suite: int
    datagrams: list[tuple[bool, bytes]] = field(default_factory=list)
    key_log: KeyLog = field(default_factory=KeyLog)

    def records(self, from_client: bool) -> list[Record]:
        found = [r for side, d in self.datagrams if side is from_client for r in parse_datagram(d)]
        assert all(isinstance(r, Record) for r in found)
        return [r for r in found if isinstance(r, Record)]


EXPORT = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_void_p,
    ctypes.POINTER(ctypes.c_ubyte),
    ctypes.POINTER(ctypes.c_ubyte),
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.c_size_t,
    ctypes.POINTER(ctypes.c_ubyte),
    ctypes.POINTER(ctypes.c_ubyte),
    ctypes.c_int,
)


def export_keys(buffer: TLSWrappedBuffer, note: Callable[[bytes, bytes], None]) -> object:
    """Have Mbed TLS tell (client random, master secret). The returned callback must outlive the session."""

    def exported(_p: object, master: object, *rest: object) -> int:
        note(ctypes.string_at(rest[4], 32), ctypes.string_at(master, 48))
        return 0

    libraries = Path(mbedtls.__file__).parent.parent / "python_mbedtls.libs"
    library = ctypes.CDLL(str(next(libraries.glob("libmbedtls-*"))))
    callback = EXPORT(exported)
    assert version("python-mbedtls") == "2.10.1", "find out where this release keeps its SSL context"
    # The SSL context lies 24 bytes into the buffer object; its first word points at its configuration.
    config = ctypes.c_void_p.from_address(id(buffer) + 24)
    library.mbedtls_ssl_conf_export_keys_ext_cb.argtypes = [ctypes.c_void_p, EXPORT, ctypes.c_void_p]
    library.mbedtls_ssl_conf_export_keys_ext_cb(config, callback, None)
    return callback


def regrouped(stream: bytes, mtu: int) -> list[bytes]:
    """Records of a stream as datagrams; the buffer object loses the datagrams' bounds."""
    datagrams = [b""]
    for record in parse_datagram(stream):
        assert isinstance(record, Record)
        if len(datagrams[-1] + record.encode()) > mtu:
            datagrams.append(b"")
        datagrams[-1] += record.encode()
    return [d for d in datagrams if d]


def run_session(suite: int, mtu: int) -> Capture:
    """One session with cookie exchange and, at an MTU of 1,000, data both ways; ends with the client's close_notify."""
    capture = Capture(suite)

    def configuration(own: Identity) -> DTLSConfiguration:
        return DTLSConfiguration(
            trust_store=TrustStore([CRT.from_DER(CA.der)]),
            certificate_chain=([CRT.from_DER(own.der)], ECC.from_DER(own.key_der)),
            lowest_supported_version=DTLSVersion.DTLSv1_2,
            highest_supported_version=DTLSVersion.DTLSv1_2,
            ciphers=[SUITE_NAMES[suite]],
            validate_certificates=True,
            handshake_timeout_min=100.0,  # a slow machine must not bring a retransmission
            handshake_timeout_max=200.0,
        )

    client = ClientContext(configuration(CLIENT)).wrap_buffers("11")
    server = ServerContext(configuration(SERVER)).wrap_buffers()
    server.setcookieparam(b"10")
    keep = export_keys(client, capture.key_log.add)
    for end in (client, server):
        end.setmtu(mtu)

    def step(end: TLSWrappedBuffer) -> None:
        if end._handshake_state is HandshakeStep.HANDSHAKE_OVER:
            return
        try:
            end.do_handshake()
        except (WantReadError, WantWriteError):
            pass
        except HelloVerifyRequest:
            server.setcookieparam(b"10")  # the reset after a HelloVerifyRequest has cleared it

    def move(source: TLSWrappedBuffer, sink: TLSWrappedBuffer) -> bool:
        stream = source.peek_outgoing(1 << 16)
        source.consume_outgoing(len(stream))
        for datagram in regrouped(stream, mtu):
            capture.datagrams.append((source is client, datagram))
            sink.receive_from_network(datagram)
            step(sink)
        return bool(stream)

    for _ in range(200):
        step(client)
        if (
            not (move(client, server) | move(server, client))
            and client._handshake_state is HandshakeStep.HANDSHAKE_OVER
        ):
            break
        step(server)
    else:
        pytest.fail("the handshake does not end")
    for data in CLIENT_DATA if mtu == 1000 else []:
        client.write(data)
        move(client, server)
    for data in SERVER_DATA if mtu == 1000 else []:
        server.write(data)
        move(server, client)
    client.shutdown()
    move(client, server)
    del keep
    return capture


@pytest.fixture(scope="module", params=[0xC02B, 0xC02C], ids=["aes128-sha256", "aes256-sha384"])
def capture(request: pytest.FixtureRequest) -> Capture:
    return run_session(request.param, 1000)


def messages(capture: Capture, from_client: bool, first: int = 0) -> tuple[Assembler, list[Message]]:
    """The plaintext handshake messages of one side, reassembled."""
    assembler = Assembler(first)
    for record in capture.records(from_client):
        if record.content_type is ContentType.HANDSHAKE and record.epoch == 0:
            for fragment in parse_fragments(record.fragment):
                assert isinstance(fragment, Fragment)
                assembler.feed(fragment)
    return assembler, assembler.messages


def body(found: list[Message], kind: HandshakeType) -> object:
    return parse_message([m for m in found if m.type is kind][-1])


def hellos(capture: Capture) -> tuple[ClientHello, ServerHello]:
    client = body(messages(capture, True)[1], HandshakeType.CLIENT_HELLO)
    server = body(messages(capture, False)[1], HandshakeType.SERVER_HELLO)
    assert isinstance(client, ClientHello) and isinstance(server, ServerHello)
    return client, server


def keys(capture: Capture) -> SessionKeys:
    client, server = hellos(capture)
    found = capture.key_log.keys(client.random, server.random, server.suite)
    assert found is not None
    return found


def opened(capture: Capture, from_client: bool) -> list[tuple[int, ContentType, bytes]]:
    """(sequence number, content type, plaintext) of one side's protected records."""
    found = []
    for record in capture.records(from_client):
        if record.epoch == 1:
            plaintext = keys(capture).open(record, from_client)
            assert plaintext is not None
            found.append((record.seq, record.content_type, plaintext))
    return found


def test_the_datagrams_read_as_the_flights(capture: Capture) -> None:
    assert [(side, describe(datagram)) for side, datagram in capture.datagrams] == [
        (True, "ClientHello"),
        (False, "HelloVerifyRequest"),
        (True, "ClientHello with cookie"),
        (False, "ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone"),
        (True, "Certificate, ClientKeyExchange, CertificateVerify, CCS, Finished (sealed)"),
        (False, "CCS, Finished (sealed)"),
        (True, "data #1, 13 B (sealed)"),
        (True, "data #2, 963 B (sealed)"),
        (False, "data #1, 8 B (sealed)"),
        (True, "alert #3 (sealed)"),
    ]


def test_with_the_keys_the_labels_are_exact(capture: Capture) -> None:
    labels = [describe(datagram, keys(capture)) for _, datagram in capture.datagrams[4:]]
    assert labels == [
        "Certificate, ClientKeyExchange, CertificateVerify, CCS, Finished",
        "CCS, Finished",
        "data #1, 13 B",
        "data #2, 963 B",
        "data #1, 8 B",
        "close_notify",
    ]


def test_the_hellos_agree(capture: Capture) -> None:
    client, server = hellos(capture)
    assert client.version == server.version == 0xFEFD
    assert server.suite == capture.suite and capture.suite in client.suites
    assert len(client.cookie) == 32 and server.extended_master_secret


def test_the_certificates_are_the_ones_presented(capture: Capture) -> None:
    authorities = Authorities({"provisioning": CA.der})
    for from_client, own in ((True, CLIENT), (False, SERVER)):
        certificate = body(messages(capture, from_client)[1], HandshakeType.CERTIFICATE)
        assert isinstance(certificate, Certificate)
        assert certificate.chain == (own.der,)
        assert authorities.classify(certificate.chain[0]).ca_label == "provisioning"


def test_the_certificate_verify_is_a_signature_over_the_transcript(capture: Capture) -> None:
    verify = body(messages(capture, True)[1], HandshakeType.CERTIFICATE_VERIFY)
    assert isinstance(verify, CertificateVerify)
    hashed = {4: hashes.SHA256(), 5: hashes.SHA384(), 6: hashes.SHA512()}[verify.algorithm >> 8]
    CLIENT.key.public_key().verify(verify.signature, transcript(capture)[1], ec.ECDSA(hashed))


def transcript(capture: Capture) -> tuple[bytes, bytes]:
    """What the client's Finished covers and what its CertificateVerify covers (RFC 6347, section 4.2.6)."""
    client = [m for m in messages(capture, True)[1] if m.message_seq > 0]
    server = [m for m in messages(capture, False)[1] if m.message_seq > 0]
    ordered = [client[0], *server, *client[1:]]
    return b"".join(m.encode() for m in ordered), b"".join(m.encode() for m in ordered[:-1])


def test_every_protected_record_opens(capture: Capture) -> None:
    client, server = opened(capture, True), opened(capture, False)
    assert [(seq, kind) for seq, kind, _ in client] == [
        (0, ContentType.HANDSHAKE),
        (1, ContentType.APPLICATION_DATA),
        (2, ContentType.APPLICATION_DATA),
        (3, ContentType.ALERT),
    ]
    assert [plaintext for _, _, plaintext in client[1:3]] == CLIENT_DATA
    assert parse_alert(client[3][2]).close_notify
    assert [plaintext for _, _, plaintext in server[1:]] == SERVER_DATA


def test_the_finished_messages_hold_the_right_verify_data(capture: Capture) -> None:
    covered = transcript(capture)[0]
    for from_client in (True, False):
        (fragment,) = parse_fragments(opened(capture, from_client)[0][2])
        assert isinstance(fragment, Fragment) and fragment.type is HandshakeType.FINISHED
        assert fragment.body == keys(capture).verify_data(covered, from_client)
        covered += fragment.encode()


def test_nothing_altered_opens(capture: Capture) -> None:
    record = next(r for r in capture.records(True) if r.content_type is ContentType.APPLICATION_DATA)
    ring = keys(capture)
    assert ring.open(record, True) == CLIENT_DATA[0]
    assert ring.open(record, False) is None
    for altered in (
        replace(record, seq=record.seq + 1),
        replace(record, epoch=0),
        replace(record, epoch=2),
        replace(record, version=0xFEFF),
        replace(record, content_type=ContentType.ALERT),
        replace(record, fragment=record.fragment[:-1]),
        replace(record, fragment=record.fragment[:23]),
        replace(record, fragment=b""),
    ):
        assert ring.open(altered, True) is None, altered
    for position in range(len(record.fragment)):
        damaged = bytearray(record.fragment)
        damaged[position] ^= 0x80
        assert ring.open(replace(record, fragment=bytes(damaged)), True) is None
    assert describe(altered.encode(), ring) == "data #1, 0 B (does not authenticate)"


def test_another_sessions_keys_open_nothing(capture: Capture) -> None:
    client, server = hellos(capture)
    log = KeyLog()
    log.add(client.random, bytes(48))
    wrong = log.keys(client.random, server.random, server.suite)
    assert wrong is not None
    assert [wrong.open(r, side) for side in (True, False) for r in capture.records(side)].count(None) == len(
        capture.records(True) + capture.records(False)
    )


def test_no_text_form_shows_a_secret(capture: Capture) -> None:
    client, _ = hellos(capture)
    master = capture.key_log.master(client.random)
    assert master is not None
    assert repr(master) not in repr(keys(capture)) and master.hex() not in repr(capture.key_log)


@pytest.mark.parametrize("mtu", [200, 256])
def test_a_small_mtu_gives_the_same_messages_in_fragments(mtu: int) -> None:
    capture = run_session(0xC02C, mtu)
    assert max(len(datagram) for _, datagram in capture.datagrams) <= mtu
    for from_client, own in ((True, CLIENT), (False, SERVER)):
        assembler, found = messages(capture, from_client)
        certificate = body(found, HandshakeType.CERTIFICATE)
        assert isinstance(certificate, Certificate) and certificate.chain == (own.der,)
        fragments = [
            f
            for r in capture.records(from_client)
            if r.content_type is ContentType.HANDSHAKE and r.epoch == 0
            for f in parse_fragments(r.fragment)
            if isinstance(f, Fragment)
        ]
        assert sum(f.type is HandshakeType.CERTIFICATE for f in fragments) > 1
        assert {assembler.standing(f) for f in fragments} == {Standing.REPEAT}
    assert any("Certificate (bytes 0 to " in describe(datagram) for _, datagram in capture.datagrams)
    assert opened(capture, True)
