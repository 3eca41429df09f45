"""Captures of every kind, made on the spot and the same in every run: `KINDS` by name, `made(name)` makes one.

Two sources: the purposes of `conformance/purposes`, run on the reference, and pairs of sessions on a radio in memory,
for what no purpose has (the historic key exchange, the other suite, small fragments).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

from rsa_sessions import RSA_AES_256_CBC_SHA256, RsaIdentity, RsaPeer, RsaSession, rsa_identity
from session_pair import CLIENT, SERVER, Medium, SessionPair, in_order

from conformance.capture import CapturedFrame, Context
from conformance.case import run_case
from conformance.purpose import FOLDER, Peer, Purpose, Step, load
from conformance.targets.reference import ReferenceTarget
from conformance.wire.frames import Frame
from conformance.wire.handshake import Fragment, HandshakeType
from conformance.wire.records import DTLS_1_0, DTLS_1_2, ContentType, Record
from model.alphabet import Link
from model.verdict import Verdict
from reference.credentials import Peer as Expected
from reference.deployment import Deployment
from reference.dtls import AES_128, AES_256, CookieJar, Session
from reference.randomness import Drbg


@dataclass(frozen=True)
class Made:
    """A capture and what opens it."""

    frames: tuple[CapturedFrame, ...]
    secrets: tuple[tuple[bytes, bytes], ...] = ()
    server_key: bytes = b""
    """PEM of the RSA key that also opens it; empty if none does."""
    context: Context | None = None


PURPOSES = {
    "honest": ("register", "registered-16", "registered-963", "registered-964", "registered-16384", "unregistered-0",
               "deregister", "broadcast", "faa-busy"),
    "lossy": ("lost-flight-2", "lost-flight-4", "lost-flight-5", "lost-flight-6", "lost-flight-4-thrice",
              "lost-flight-5-thrice", "record-lost-2", "close-lost", "response-lost"),
    "reordered": ("overtaken-flight-4", "overtaken-flight-6", "records-swapped", "late-finished"),
    "duplicated": ("duplicate-flight-1", "duplicate-flight-4", "duplicate-flight-5", "record-duplicated"),
    "glare": ("glare-higher", "glare-lower", "glare-late"),
    "refused": ("foreign-client", "wrong-ca-server", "wrong-name-server", "register-twice-refused",
                "response-foreign-ca"),
    "hostile": ("junk-radio", "junk-sss", "spoofed-cookie", "replayed-hello", "replayed-session", "oversize-radio"),
    "restarted": ("power-cycle", "sss-restart", "preempt-late"),
}  # fmt: skip
"""Ids of purposes by what their captures are."""


def _of_purpose(purpose: Purpose) -> Made:
    outcome = run_case(purpose, ReferenceTarget, profile="hardened", seed=0)
    assert outcome.result.verdict is Verdict.PASS, outcome.result.reason
    return Made(tuple(outcome.frames), tuple(outcome.secrets), context=outcome.context)


def _unicast_4096() -> Made:
    steps = (Step("send", {"to": 11, "size": 4_096}), Step("expect", {"what": "message", "at": 11}))
    return _of_purpose(Purpose("unicast-4096", "Unicast", (), "", steps, peers=(Peer(11),)))


# --- pairs of sessions


def _pair(suite: int, mtu: int = 1_000, medium: Medium = in_order) -> Made:
    """One of our suites, data both ways."""
    seed = f"captures/{suite:04x}/{mtu}/{medium.__name__}".encode()
    deployment = Deployment.create([CLIENT, SERVER], seed=seed)
    drbg = Drbg(seed)
    jar = CookieJar(drbg)
    pair = SessionPair(
        lambda: Session(deployment.credentials(CLIENT), Expected(str(SERVER)), drbg, suite=suite),
        lambda: Session(
            deployment.credentials(SERVER), Expected(str(CLIENT)), drbg, suite=suite, server=(jar, b"%d" % CLIENT)
        ),
        mtu,
        medium,
    )
    return _talk(pair.start(), b"a message", b"" if mtu < 1_000 else bytes(963))


def _rsa(*, ems: bool = False, etm: bool = False, mtu: int = 1_000) -> Made:
    """The historic key exchange, with and without the extensions that stacks negotiate since."""

    class Variant(RsaSession):
        extended_master_secret = ems
        encrypt_then_mac = etm

    ca = rsa_identity("ca", "1")
    client, server = rsa_identity("client", str(CLIENT)), rsa_identity("server", str(SERVER))
    drbg = Drbg(f"captures/rsa/{ems}/{etm}/{mtu}".encode())
    jar = CookieJar(drbg)

    def end(own: RsaIdentity, peer: int, server: tuple[CookieJar, bytes] | None = None) -> RsaSession:
        return Variant(own.credentials(ca), RsaPeer(str(peer)), drbg, suite=RSA_AES_256_CBC_SHA256, server=server)

    pair = SessionPair(lambda: end(client, SERVER), lambda: end(server, CLIENT, (jar, b"%d" % CLIENT)), mtu)
    made = _talk(pair.start(), b"a message", bytes(100) if mtu < 1_000 else bytes(923))
    return Made(made.frames, made.secrets, server.pem)


def _talk(pair: SessionPair, *messages: bytes) -> Made:
    for message in messages:
        pair.say(message)
    pair.say(b"and back", from_client=False).close()
    return Made(tuple(pair.frames), tuple(pair.secrets))


def _first_two_swapped(datagrams: list[bytes]) -> list[bytes]:
    return [datagrams[1], datagrams[0], *datagrams[2:]] if len(datagrams) > 3 else datagrams


def _backwards(datagrams: list[bytes]) -> list[bytes]:
    return [*datagrams[-2::-1], *datagrams[-1:]]  # but for the last, which has the CCS that the rest must wait for


def _twice(datagrams: list[bytes]) -> list[bytes]:
    return [d for datagram in datagrams for d in (datagram, datagram)]


# --- messages that no stack of ours sends


def _extensions(*pairs: tuple[int, bytes]) -> bytes:
    body = b"".join(_u16(kind) + _vector(2, data) for kind, data in pairs)
    return _vector(2, body)


def _vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def _u16(*numbers: int) -> bytes:
    return b"".join(n.to_bytes(2, "big") for n in numbers)


RANDOM = bytes(range(32))
GREASE = 0x2A2A
CLIENT_EXTENSIONS = _extensions(
    (0, _vector(2, b"\0" + _vector(2, b"sss.example"))),
    (1, b"\x02"),
    (5, b"\x01" + _vector(2, b"") + _vector(2, b"")),
    (10, _vector(2, _u16(GREASE, 0x001D, 0x0017, 0x0018))),
    (11, _vector(1, b"\0\1\2")),
    (13, _vector(2, _u16(0x0403, 0x0804, 0x0401, 0x0807, 0x0203))),
    (15, b"\x01"),
    (16, _vector(2, _vector(1, b"coap") + _vector(1, b"h2"))),
    (22, b""),
    (23, b""),
    (35, b""),
    (28, _u16(1_024)),
    (0xFF01, _vector(1, bytes(12))),
    (0x1234, b"unknown"),
    (GREASE, b""),
)


def _rare() -> Made:
    """Messages and extensions that stacks send and ours do not; nothing answers, nothing is secret."""
    hello = _u16(DTLS_1_2) + RANDOM + _vector(1, bytes(range(32))) + _vector(1, b"cookie")
    hello += _vector(2, _u16(GREASE, 0xC02B, 0xC02C, 0x003D, 0x00FF)) + _vector(1, b"\1\0") + CLIENT_EXTENSIONS
    bare = _u16(DTLS_1_0) + RANDOM + _vector(1, b"") + _vector(1, b"") + _vector(2, _u16(0x003D)) + _vector(1, b"\0")
    chosen = _extensions((0, b""), (11, _vector(1, b"\0")), (16, _vector(2, _vector(1, b"coap"))), (22, b""), (23, b""),
                         (35, b""), (0xFF01, b"\0"))  # fmt: skip
    server = _u16(DTLS_1_2) + RANDOM[::-1] + _vector(1, bytes(8)) + _u16(0xC02B) + b"\0" + chosen
    silent = _u16(DTLS_1_2) + RANDOM[::-1] + _vector(1, b"") + _u16(0x003D) + b"\0"
    ticket = (300).to_bytes(4, "big") + _vector(2, b"a ticket")
    request = _vector(1, b"\1\x40") + _vector(2, _u16(0x0401, 0x0403)) + _vector(2, b"")
    messages = (
        (False, HandshakeType.HELLO_REQUEST, b""),
        (True, HandshakeType.CLIENT_HELLO, bare),
        (False, HandshakeType.HELLO_VERIFY_REQUEST, _u16(DTLS_1_0) + _vector(1, b"")),
        (True, HandshakeType.CLIENT_HELLO, hello),
        (False, HandshakeType.SERVER_HELLO, server),
        (False, HandshakeType.SERVER_HELLO, silent),
        (False, HandshakeType.CERTIFICATE, _vector(3, b"")),
        (False, HandshakeType.CERTIFICATE_REQUEST, request),
        (False, HandshakeType.NEW_SESSION_TICKET, ticket),
    )
    frames = [
        _record(n, from_client, ContentType.HANDSHAKE, Fragment(kind, len(body), n, 0, body).encode())
        for n, (from_client, kind, body) in enumerate(messages)
    ]
    frames += [_record(20 + n, True, ContentType.ALERT, bytes(alert)) for n, alert in enumerate(((1, 0), (2, 40)))]
    return Made((*frames, _record(30, True, ContentType.APPLICATION_DATA, b"plaintext")))


def _record(seq: int, from_client: bool, kind: ContentType, content: bytes) -> CapturedFrame:
    record = Record(kind, DTLS_1_2, 0, seq, content).encode()
    frame = Frame(SERVER, CLIENT, record) if from_client else Frame(CLIENT, SERVER, record)
    return CapturedFrame(seq * 1_000, Link.RADIO, not from_client, CLIENT, frame.encode())


KINDS: dict[str, Callable[[], Made]] = {
    **{p: lambda p=p: _of_purpose(load(FOLDER / f"{p}.toml")) for ids in PURPOSES.values() for p in ids},
    "unicast-4096": _unicast_4096,
    "aes-128": lambda: _pair(AES_128),
    "aes-256": lambda: _pair(AES_256),
    "fragmented": lambda: _pair(AES_256, 160),
    "fragmented-aes-128": lambda: _pair(AES_128, 256),
    "fragments-swapped": lambda: _pair(AES_256, 160, _first_two_swapped),
    "fragments-backwards": lambda: _pair(AES_256, 160, _backwards),
    "fragments-twice": lambda: _pair(AES_256, 160, _twice),
    "datagrams-twice": lambda: _pair(AES_256, medium=_twice),
    "rsa": _rsa,
    "rsa-ems": lambda: _rsa(ems=True),
    "rsa-etm": lambda: _rsa(etm=True),
    "rsa-ems-etm": lambda: _rsa(ems=True, etm=True),
    "rsa-fragmented": lambda: _rsa(mtu=400),
    "rsa-ems-fragmented": lambda: _rsa(ems=True, mtu=400),
    "rare": _rare,
}
"""How each capture is made."""


@functools.cache
def made(name: str) -> Made:
    """One of `KINDS`."""
    return KINDS[name]()
