"""Labels for people; those of real sessions are in test_wire_live."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.wire.describe import describe
from conformance.wire.handshake import Fragment, HandshakeType
from conformance.wire.records import ContentType, Record
from conformance.wire.secrets import SUITES, SessionKeys

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

C = ContentType
KEYS = SessionKeys.derive(SUITES[0xC02C], bytes(48), bytes(32), bytes(32))


def record(kind: ContentType, fragment: bytes, epoch: int = 0, seq: int = 0) -> bytes:
    return Record(kind, 0xFEFD, epoch, seq, fragment).encode()


DONE = Fragment(HandshakeType.SERVER_HELLO_DONE, 0, 5, 0, b"").encode()
PART = Fragment(HandshakeType.CERTIFICATE, 400, 2, 100, bytes(50)).encode()


@pytest.mark.parametrize(
    ("datagram", "label"),
    [
        (b"", "empty"),
        (bytes(17), "not DTLS, 17 B"),
        (record(C.HANDSHAKE, PART + DONE), "Certificate (bytes 100 to 150 of 400), ServerHelloDone"),
        (record(C.HANDSHAKE, DONE + b"junk"), "ServerHelloDone, malformed handshake, 4 B"),
        (record(C.HANDSHAKE, DONE) + b"junk", "ServerHelloDone, malformed, 4 B"),
        (record(C.HANDSHAKE, b""), "malformed handshake, 0 B"),
        (
            record(C.HANDSHAKE, Fragment(HandshakeType.CLIENT_HELLO, 1, 0, 0, b"?").encode()),
            "malformed ClientHello, 1 B",
        ),
        (record(C.CHANGE_CIPHER_SPEC, b"\1"), "CCS"),
        (record(C.CHANGE_CIPHER_SPEC, b"\2"), "malformed CCS, 1 B"),
        (record(C.CHANGE_CIPHER_SPEC, b"\1") + record(C.HANDSHAKE, bytes(48), 1), "CCS, Finished (sealed)"),
        (record(C.ALERT, b"\2\x2a"), "alert fatal bad_certificate(42)"),
        (record(C.ALERT, b"\1\x5a"), "alert warning user_canceled(90)"),
        (record(C.ALERT, b"\7\xfe"), "alert level 7 unassigned(254)"),
        (record(C.ALERT, b"\1\0"), "close_notify"),
        (record(C.ALERT, b"\1"), "malformed alert, 1 B"),
        (record(C.ALERT, bytes(26), 1, 4), "alert #4 (sealed)"),
        (record(C.APPLICATION_DATA, bytes(987), 1, 3), "data #3, 963 B (sealed)"),
        (record(C.APPLICATION_DATA, bytes(5), 1, 3), "data #3, 0 B (sealed)"),
        (record(C.APPLICATION_DATA, bytes(5), 0, 3), "data #3, 5 B in plaintext"),
    ],
)
def test_a_label(datagram: bytes, label: str) -> None:
    assert describe(datagram) == label


def test_keys_that_do_not_fit_say_so() -> None:
    assert describe(record(C.APPLICATION_DATA, bytes(987), 1, 3), KEYS) == "data #3, 963 B (does not authenticate)"


@reproducible
@given(st.lists(st.tuples(st.sampled_from(C), st.binary(max_size=60), st.integers(0, 2))), st.binary(max_size=20))
def test_anything_gets_a_label_of_one_line(parts: list[tuple[ContentType, bytes, int]], tail: bytes) -> None:
    datagram = b"".join(record(*part) for part in parts) + tail
    for label in (describe(datagram), describe(datagram, KEYS)):
        assert label.isprintable() and label
