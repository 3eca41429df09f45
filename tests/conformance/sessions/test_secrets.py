"""Opening sessions of other suites than ours: AES-CBC with both orders of MAC, and plain RSA key exchange."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from capture_kinds import Made, made
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from conformance.capture import CapturedFrame
from conformance.sessions.protection import CIPHER_SUITES, CbcKeys, derive
from conformance.sessions.secrets import Secrets
from conformance.sessions.seen import Protection, SeenFrame, SeenRecord
from conformance.sessions.track import Tracker
from conformance.wire.handshake import HandshakeType
from conformance.wire.records import ContentType, Record, parse_datagram

RSA_KINDS = ["rsa", "rsa-ems", "rsa-etm", "rsa-ems-etm", "rsa-fragmented", "rsa-ems-fragmented"]


def log_of(capture: Made) -> bytes:
    return "".join(f"CLIENT_RANDOM {r.hex()} {m.hex()}\n" for r, m in capture.secrets).encode()


def follow(frames: Iterable[CapturedFrame], secrets: Secrets) -> list[SeenFrame]:
    tracker = Tracker(secrets)
    return [tracker.feed(replace(frame, number=n)) for n, frame in enumerate(frames, 1)]


def sealed(frames: Iterable[SeenFrame]) -> list[SeenRecord]:
    return [r for frame in frames for r in frame.records if isinstance(r, SeenRecord) and r.epoch]


@pytest.mark.parametrize("by", ["key log", "server's key"])
@pytest.mark.parametrize("name", RSA_KINDS)
def test_the_historic_suite_is_opened(name: str, by: str) -> None:
    """By the server's key alone, too: with and without extended master secret, encrypt-then-MAC, fragments."""
    capture, secrets = made(name), Secrets()
    secrets.add(log_of(capture) if by == "key log" else capture.server_key)
    frames = follow(capture.frames, secrets)
    assert {record.protection for record in sealed(frames)} == {Protection.OPENED}
    data = [r.plaintext for r in sealed(frames) if r.content_type is ContentType.APPLICATION_DATA]
    assert data == [b"a message", bytes(100 if "fragmented" in name else 923), b"and back"]
    assert not [note for frame in frames for note in frame.notes]  # both Finished fit the transcript, then
    finished = [f for r in sealed(frames) for f in r.fragments]
    assert len(finished) == 2
    (session,) = {frame.session.number: frame.session for frame in frames if frame.session}.values()
    assert session.suite == 0x003D and session.decrypted


def other_key() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_another_servers_key_opens_nothing() -> None:
    secrets = Secrets()
    secrets.add(other_key())
    frames = follow(made("rsa").frames, secrets)
    assert {record.protection for record in sealed(frames)} == {Protection.SEALED}


def test_a_key_exchange_that_does_not_fit_is_refused() -> None:
    frames = list(made("rsa").frames)
    (at,) = [n for n, f in enumerate(frames) if bytes([HandshakeType.CLIENT_KEY_EXCHANGE, 0, 1, 2]) in f.frame]
    data = bytearray(frames[at].frame)
    data[data.index(bytes([HandshakeType.CLIENT_KEY_EXCHANGE, 0, 1, 2])) + 100] ^= 1
    frames[at] = replace(frames[at], frame=bytes(data))
    secrets = Secrets()
    secrets.add(made("rsa").server_key)
    got = follow(frames, secrets)
    assert {record.protection for record in sealed(got)} == {Protection.REFUSED}
    assert "the premaster secret does not open with the server's key" in got[at].notes


def test_a_forged_cbc_record_is_refused() -> None:
    for name in ("rsa", "rsa-etm"):
        for place in (40, -1):
            frames = list(made(name).frames)
            data = bytearray(frames[-3].frame)
            data[place] ^= 1
            frames[-3] = replace(frames[-3], frame=bytes(data))
            secrets = Secrets()
            secrets.add(log_of(made(name)))
            got = sealed(follow(frames, secrets))
            assert [record.protection for record in got].count(Protection.REFUSED) == 1


# --- what a file holds


def test_what_a_file_of_secrets_is() -> None:
    secrets = Secrets()
    assert secrets.add(log_of(made("aes-256"))) == "a key log with 1 session secret"
    assert secrets.add(b"# comment\n" + log_of(made("aes-256")) + log_of(made("aes-128"))).endswith("2 session secrets")
    assert secrets.add(made("rsa").server_key) == "an RSA private key"
    der = load_pem_private_key(made("rsa").server_key, None).private_bytes(
        Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    assert secrets.add(der) == "an RSA private key" and len(secrets) == 3
    curve = ec.derive_private_key(7, ec.SECP256R1())
    sec1 = curve.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    assert "it opens nothing" in secrets.add(sec1) and len(secrets) == 3


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n", bytes(100), b"\x30\x03\x02\x01\x05"]
)
def test_what_holds_no_secret(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"neither a key log \(no CLIENT_RANDOM line\) nor a private key"):
        Secrets().add(data)


def test_no_text_form_shows_a_secret() -> None:
    secrets = Secrets()
    secrets.add(log_of(made("aes-256")))
    ((client_random, master),) = made("aes-256").secrets
    assert secrets.master(client_random) == master
    keys = derive(0x003D, master, client_random, bytes(32), encrypt_then_mac=False)
    assert isinstance(keys, CbcKeys)
    for text in (repr(secrets), repr(keys)):
        assert master.hex() not in text and repr(master) not in text and "_key=" not in text


# --- the other suites: sealed here as RFC 5246 says, opened there


@pytest.mark.parametrize("number", sorted(n for n, suite in CIPHER_SUITES.items() if suite.mac))
@pytest.mark.parametrize("encrypt_then_mac", [False, True])
def test_lengths_of_padding_and_damage(number: int, encrypt_then_mac: bool) -> None:
    """Whatever bytes: no exception, and nothing opens that was not sealed."""
    keys = derive(number, bytes(48), bytes(32), bytes(32), encrypt_then_mac=encrypt_then_mac)
    assert keys is not None
    for size in range(0, 120):
        assert keys.open_fragment(23, 0xFEFD, 1, 0, bytes(range(size)), from_client=True) is None


def test_an_unknown_suite_has_no_keys() -> None:
    assert derive(0x1301, bytes(48), bytes(32), bytes(32), encrypt_then_mac=False) is None


def test_every_record_is_bound_to_its_number_and_direction() -> None:
    capture = made("rsa")
    secrets = Secrets()
    secrets.add(log_of(capture))
    tracker = Tracker(secrets)
    for frame in capture.frames:
        tracker.feed(frame)
    (session,) = tracker.sessions
    assert session.keys is not None
    (record,) = parse_datagram(capture.frames[-3].frame[8:])
    assert isinstance(record, Record)
    facts = (record.content_type, record.version, record.epoch, record.seq, record.fragment)
    opened = [session.keys.open_fragment(*facts, from_client=side) for side in (True, False)]
    assert opened.count(None) == 1
    side = opened[0] is not None
    for wrong in (
        (21, *facts[1:]),
        (facts[0], 0xFEFF, *facts[2:]),
        (*facts[:2], 2, *facts[3:]),
        (*facts[:3], record.seq + 1, record.fragment),
    ):
        assert session.keys.open_fragment(*wrong, from_client=side) is None


def test_a_key_exchange_counts_though_a_message_before_it_was_lost() -> None:
    """The first piece of the client's Certificate is missing from the capture; that flight 5 was answered tells that it
    had been there."""
    frames = list(made("rsa-fragmented").frames)
    tracker = Tracker()
    flights = [tracker.feed(frame).flight for frame in frames]
    del frames[flights.index(5)]
    secrets = Secrets()
    secrets.add(made("rsa-fragmented").server_key)
    got = sealed(follow(frames, secrets))
    assert [record.protection for record in got] == [Protection.SEALED] + [Protection.OPENED] * (len(got) - 1)
