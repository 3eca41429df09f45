"""The PRF against published vectors, the key log, the key block's order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.wire.records import ContentType, Record
from conformance.wire.secrets import SUITES, KeyLog, SessionKeys, prf

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

RANDOM, MASTER = bytes(range(32)), bytes(range(48))
LINE = f"CLIENT_RANDOM {RANDOM.hex()} {MASTER.hex()}"

# Posted to the IETF TLS working group's list as test vectors for TLS 1.2's P_SHA256 and P_SHA384 (label "test label").
VECTORS = {
    "sha256": (
        "9bbe436ba940f017b17652849a71db35",
        "a0ba9f936cda311827a6f796ffd5198c",
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af"
        "0fa022f7077def17abfd3797c0564bab4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
    ),
    "sha384": (
        "b80b733d6ceefcdc71566ea48e5567df",
        "cd665cf6a8447dd6ff8b27555edb7465",
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0"
        "e534cb400fed2700884f9dc236f80edd8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d918425"
        "9b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee691c8f3a26854308d5eaa3be85e099070"
        "3d73e56f",
    ),
}


@pytest.mark.parametrize("hash_name", VECTORS)
def test_the_prf_gives_the_published_output(hash_name: str) -> None:
    secret, seed, output = (bytes.fromhex(v) for v in VECTORS[hash_name])
    for size in (0, 1, 12, len(output)):
        assert prf(hash_name, secret, b"test label", seed, size) == output[:size]


def test_a_key_log_reads_its_own_text() -> None:
    log = KeyLog(f"# a comment\n\nEXPORTER_SECRET 00 11\n{LINE}\n")
    assert len(log) == 1 and log.master(RANDOM) == MASTER and log.master(bytes(32)) is None
    assert log.text() == LINE + "\n"
    assert KeyLog(log.text()).master(RANDOM) == MASTER


@pytest.mark.parametrize(
    "line",
    [
        "",
        LINE[:-1],
        LINE[:-2],
        LINE.replace("CLIENT_RANDOM 00", "CLIENT_RANDOM "),
        LINE + "00",
        LINE + " 00",
        LINE.replace("CLIENT", "SERVER"),
        LINE[:-1] + "g",
        LINE[:-2] + "١٢",
    ],
)
def test_a_damaged_line_is_told_and_not_noted(line: str) -> None:
    log = KeyLog()
    assert log.add_line(line) is False
    assert len(log) == 0
    assert log.add_line(LINE) is True


@reproducible
@given(st.text(max_size=40) | st.text(max_size=40).map(lambda s: "CLIENT_RANDOM " + s))
def test_no_line_raises(text: str) -> None:
    assert len(KeyLog(text)) == 0


@pytest.mark.parametrize(("random", "master"), [(RANDOM[1:], MASTER), (RANDOM, MASTER[1:])])
def test_a_secret_of_another_length_is_refused(random: bytes, master: bytes) -> None:
    with pytest.raises(ValueError, match="a client random is 32 bytes"):
        KeyLog().add(random, master)


def test_no_keys_without_a_secret_or_for_another_suite() -> None:
    log = KeyLog(LINE)
    assert log.keys(RANDOM, bytes(32), 0xC02C) is not None
    assert log.keys(RANDOM, bytes(32), 0x009C) is not None
    assert log.keys(RANDOM, bytes(32), 0x003D) is None
    assert log.keys(bytes(32), bytes(32), 0xC02C) is None


@reproducible
@given(st.sampled_from(sorted(SUITES)), st.sampled_from(ContentType), st.integers(0, 2), st.binary(max_size=80))
def test_no_record_raises_or_opens_by_chance(suite: int, kind: ContentType, epoch: int, fragment: bytes) -> None:
    keys = SessionKeys.derive(SUITES[suite], MASTER, RANDOM, RANDOM)
    for from_client in (True, False):
        assert keys.open(Record(kind, 0xFEFD, epoch, 1, fragment), from_client) is None
