"""Records: several to a datagram, none across two, and hostile headers as data."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conformance.wire.records import (
    MAX_FRAGMENT,
    Alert,
    ContentType,
    Malformed,
    Record,
    parse_alert,
    parse_datagram,
)

# The same examples on every run, and no limit by the wall clock.
reproducible = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])

records = st.builds(
    Record,
    st.sampled_from(ContentType),
    st.sampled_from([0xFEFD, 0xFEFF]),
    st.integers(0, 0xFFFF),
    st.integers(0, 2**48 - 1),
    st.binary(max_size=60),
)
GOOD = Record(ContentType.APPLICATION_DATA, 0xFEFD, 1, 0x1_0000_0002, b"abc")


def test_a_record_on_the_wire() -> None:
    assert GOOD.encode() == bytes.fromhex("17 fefd 0001 000100000002 0003 616263")
    assert parse_datagram(GOOD.encode()) == [GOOD]


def test_an_empty_datagram_has_no_records() -> None:
    assert parse_datagram(b"") == []


@pytest.mark.parametrize(
    ("offset", "value", "why"),
    [(0, 19, "content type 19"), (0, 24, "content type 24"), (1, 3, "version 0x03fd"), (2, 0xFC, "version 0xfefc")],
)
def test_a_bad_header_spoils_the_rest(offset: int, value: int, why: str) -> None:
    bad = bytearray(GOOD.encode())
    bad[offset] = value
    first, second = parse_datagram(GOOD.encode() + bytes(bad) + GOOD.encode())
    assert first == GOOD
    assert isinstance(second, Malformed) and why in second.why
    assert second.data == bytes(bad) + GOOD.encode()


def test_a_fragment_that_is_cut_short_or_too_long() -> None:
    (cut,) = parse_datagram(GOOD.encode()[:-1])
    assert isinstance(cut, Malformed) and cut.why == "2 of 3 bytes of a fragment"
    most = Record(ContentType.APPLICATION_DATA, 0xFEFD, 1, 0, bytes(MAX_FRAGMENT))
    assert parse_datagram(most.encode()) == [most]
    (long,) = parse_datagram(Record(ContentType.APPLICATION_DATA, 0xFEFD, 1, 0, bytes(MAX_FRAGMENT + 1)).encode())
    assert isinstance(long, Malformed) and "above 18432" in long.why


@pytest.mark.parametrize("seq", [-1, 2**48])
def test_a_number_that_does_not_fit_is_refused(seq: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        Record(ContentType.ALERT, 0xFEFD, 0, seq, b"").encode()


def test_alerts() -> None:
    assert parse_alert(b"\2\x2a") == Alert(2, 42)
    assert parse_alert(b"\1\0") == Alert(1, 0)
    assert Alert(2, 42).fatal and not Alert(2, 42).close_notify
    assert Alert(1, 0).close_notify and not Alert(1, 0).fatal
    assert parse_alert(b"\7\xff") == Alert(7, 255)
    for size in (0, 1, 3):
        assert isinstance(parse_alert(bytes(size)), Malformed)


@reproducible
@given(st.lists(records, max_size=6), st.binary(max_size=12))
def test_records_come_back_and_what_follows_is_malformed(sent: list[Record], tail: bytes) -> None:
    found = parse_datagram(b"".join(r.encode() for r in sent) + tail)
    assert found[: len(sent)] == sent
    assert [f.data for f in found[len(sent) :] if isinstance(f, Malformed)] == ([tail] if tail else [])


@reproducible
@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda b: b"\x16\xfe\xfd" + b))
def test_every_byte_is_accounted_for(data: bytes) -> None:
    found = parse_datagram(data)
    assert b"".join(f.encode() if isinstance(f, Record) else f.data for f in found) == data
    assert not any(isinstance(f, Malformed) for f in found[:-1])
