"""Sessions by themselves: what the library is told, and what it is kept from."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from memory_world import DEPLOYMENT

from reference import dtls, mbedtls_c
from reference.authority import new_key
from reference.credentials import Credentials, CredentialsError, Peer
from reference.dtls import CookieJar, Kind, Session
from reference.randomness import Drbg
from reference.records import client_hello, hello_verify_request, split


def pair() -> tuple[Session, Session]:
    """Client 3 and server 4, their handshake complete."""
    jar = CookieJar(Drbg(b"cookies"))
    client = Session(DEPLOYMENT.credentials(3), Peer("4"), Drbg(b"client"))
    client.start(0)
    server = client
    for _ in range(4):
        happening = dtls.NOTHING
        if client.outgoing[0][13] == 1:
            server = Session(DEPLOYMENT.credentials(4), Peer("3"), Drbg(b"server"), server=(jar, b"3"))
        for source, target in ((client, server), (server, client)):
            for datagram in source.outgoing:
                for record in split(datagram):
                    happening = target.receive(record, 0)
            source.outgoing.clear()
        if happening.kind is Kind.ESTABLISHED:
            break
    assert client.established
    assert server.established
    return client, server


def test_963_bytes_are_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = pair()
    client.write(bytes(963))
    assert [len(d) for d in client.outgoing] == [1_000]
    monkeypatch.setattr(dtls, "MAX_RECORD", 964)
    with pytest.raises(RuntimeError, match="mbedtls_ssl_write"):
        client.write(bytes(964))


def test_both_ends_know_the_same_secrets() -> None:
    client, server = pair()
    assert client.secrets == server.secrets
    ((random, master),) = client.secrets
    assert (len(random), len(master)) == (32, 48)


def test_the_library_asks_us_for_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the wall clock would show in the first four bytes of every hello random."""
    monkeypatch.setattr(Session, "_time", lambda _: 0x01020304)
    assert pair()[0].secrets[0][0][:4] == b"\x01\x02\x03\x04"


def test_sessions_of_different_threads_do_not_meet() -> None:
    """Each thread has its own turn: the library lets go of Python's lock while it computes."""
    with ThreadPoolExecutor(4) as pool:
        pairs = list(pool.map(lambda _: pair(), range(16)))
    assert len({client.secrets[0] for client, _ in pairs}) == 1  # the same seeds, the same session


def test_closed_sessions_are_freed_and_abandoned_ones_are_collected() -> None:
    client, server = pair()
    client.close()
    client.close()
    alive = weakref.ref(server)
    del server
    gc.collect()
    assert alive() is None


def test_sessions_share_their_set_and_a_wiped_one_ends_with_the_last_of_them() -> None:
    """CRT-4, REG-6: the library's copy of the key is zeroised as soon as nobody needs it."""
    own, peer = DEPLOYMENT.credentials(3), Peer("4")
    first, second = (Session(own, peer, Drbg(name)) for name in (b"first", b"second"))
    key = own.chain().key
    own.wipe()
    first.close()
    second.start(0)
    assert second.outgoing and any(key), "the second session has it still"
    second.close()
    assert not any(key)
    with pytest.raises(CredentialsError):
        Session(own, peer, Drbg(b"third"))


def test_a_set_that_nobody_has_is_zeroised_without_being_asked() -> None:
    own = DEPLOYMENT.credentials(3)
    session = Session(own, Peer("4"), Drbg(b"first"))
    key = own.chain().key
    del own
    assert any(key)
    del session
    gc.collect()
    assert not any(key)


def test_two_nodes_with_one_set_draw_from_their_own_generators() -> None:
    own = DEPLOYMENT.credentials(3)
    hellos = []
    for seed in (b"one", b"other", b"one"):
        session = Session(own, Peer("4"), Drbg(seed))
        session.start(0)
        hellos += session.outgoing
    assert hellos[0] == hellos[2] != hellos[1]


def test_a_session_within_a_callback_of_another_leaves_it_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library calls back for the session that runs, also if that one runs another in between."""
    outer, inner = (Session(DEPLOYMENT.credentials(i), Peer("4"), Drbg(b"nested")) for i in (3, 5))
    send = Session._send

    def nested(session: Session, datagram: bytes) -> None:
        if session is outer:
            inner.start(500)
        send(session, datagram)

    monkeypatch.setattr(Session, "_send", nested)
    outer.start(0)
    assert (outer.deadline, inner.deadline) == (7_000, 7_500)
    assert (len(outer.outgoing), len(inner.outgoing)) == (1, 1)


def test_hello_verify_requests_without_state_are_the_librarys_but_for_the_version() -> None:
    """Which is DTLS 1.0's, as RFC 6347, section 4.2.1, has it."""
    jar = CookieJar(Drbg(b"cookies"))
    client = Session(DEPLOYMENT.credentials(3), Peer("4"), Drbg(b"client"))
    client.start(0)
    (record,) = split(client.outgoing[0])
    server = Session(DEPLOYMENT.credentials(4), Peer("3"), Drbg(b"server"), server=(jar, b"3"))
    assert server.receive(record, 0).kind is Kind.VERIFY
    hello = client_hello(record)
    assert hello is not None
    (theirs,) = server.outgoing
    assert hello_verify_request(record, hello, jar.cookie(b"3")) == theirs[:25] + b"\xfe\xff" + theirs[27:]


def test_credentials_that_do_not_parse() -> None:
    with pytest.raises(CredentialsError, match="key"):
        own = DEPLOYMENT.credentials(3)
        Session(Credentials(own.ca, own.certificate, bytearray(b"junk")), Peer("4"), Drbg(b""))


def test_cookies_are_bound_to_the_client() -> None:
    jar = CookieJar(Drbg(b"cookies"))
    assert jar.is_valid(b"3", jar.cookie(b"3"))
    assert not jar.is_valid(b"4", jar.cookie(b"3"))
    assert not jar.is_valid(b"3", b"")


def certificate_with(*names: str) -> bytes:
    key = new_key(b"names")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n) for n in names])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
    builder = builder.serial_number(1).not_valid_before(begin).not_valid_after(end)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("names", "good"), [(("3",), True), ((), False), (("3", "3"), False), (("3", "4"), False), (("33",), False)]
)
def test_exactly_one_name(names: tuple[str, ...], good: bool) -> None:
    peer, der = Peer("3"), certificate_with(*names)
    assert (peer.faults(der, leaf=True) == 0) == good
    assert peer.faults(der, leaf=False) == 0


@pytest.mark.parametrize(("year", "good"), [(2025, False), (2026, True), (2028, False)])
def test_dates_if_asked(year: int, good: bool) -> None:
    at = datetime(year, 6, 1, tzinfo=UTC)
    assert (Peer("3", at).faults(certificate_with("3"), leaf=False) == 0) == good


def test_hostile_certificate_is_at_fault() -> None:
    assert Peer("3").faults(b"junk", leaf=True) == mbedtls_c.BADCERT_OTHER
