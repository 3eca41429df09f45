"""The air, without sockets: what comes out, in which order, and when."""

from __future__ import annotations

import pytest

from conformance.faults import Fault
from conformance.radio.medium import Medium
from conformance.wire.frames import Frame
from conformance.wire.records import DTLS_1_2, ContentType, Record


def data(number: int, source: int = 10, target: int = 11) -> Frame:
    """A record of application data, which nobody can read."""
    return Frame(target, source, Record(ContentType.APPLICATION_DATA, DTLS_1_2, 1, number, bytes(24)).encode())


def heard(medium: Medium, now: int) -> list[tuple[int, str]]:
    """The record numbers that are due, with what was said of them."""
    return [(int.from_bytes(flying.frame.payload[5:11], "big"), flying.fate) for flying in medium.due(now)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault("lose", record="data", nth=2), [(0, ""), (2, "")]),
        (Fault("lose", record="data", nth=1, times=2), [(2, "")]),
        (Fault("duplicate", record="data", nth=2), [(0, ""), (1, "duplicate"), (1, "duplicate"), (2, "")]),
        (Fault("swap", record="data", nth=1), [(1, ""), (0, "swapped"), (2, "")]),
        (Fault("swap", record="data", nth=3), [(0, ""), (1, "")]),
        (Fault("lose", record="close"), [(0, ""), (1, ""), (2, "")]),
        (Fault("lose", record="data", by=11), [(0, ""), (1, ""), (2, "")]),
        (Fault("lose", record="data", to=12), [(0, ""), (1, ""), (2, "")]),
    ],
)
def test_each_fault(fault: Fault, expected: list[tuple[int, str]]) -> None:
    medium = Medium([fault])
    for number in range(3):
        medium.carry(1, data(number), 0)
    assert heard(medium, 0) == expected
    assert heard(medium, 10**9) == [] and medium.deadline() is None


def test_a_delay_is_one_of_milliseconds() -> None:
    medium = Medium([Fault("delay", record="data", nth=1, ms=500)])
    medium.carry(1, data(0), 100)
    medium.carry(1, data(1), 100)
    assert heard(medium, 100) == [(1, "")] and medium.deadline() == 600
    assert heard(medium, 599) == [] and heard(medium, 600) == [(0, "delayed")]


def test_a_cut_is_the_first_half_of_the_datagram() -> None:
    medium = Medium([Fault("cut", record="data")])
    medium.carry(1, data(0), 0)
    (flying,) = medium.due(0)
    assert flying.frame.payload == data(0).payload[: len(data(0).payload) // 2]


def test_a_swapped_frame_waits_for_its_own_antenna_and_goes_with_it() -> None:
    medium = Medium([Fault("swap", record="data", times=2)])
    medium.carry(1, data(0), 0)
    medium.carry(2, data(1, source=11, target=10), 0)
    assert heard(medium, 0) == []
    medium.leave(2)
    medium.carry(2, data(2), 0)
    medium.carry(1, data(3), 0)
    assert heard(medium, 0) == [(2, ""), (3, ""), (0, "swapped")]


def test_what_is_injected_is_struck_by_nothing() -> None:
    medium = Medium([Fault("lose", record="data", times=9)])
    medium.inject(data(7), 0)
    assert heard(medium, 0) == [(7, "injected")] and medium.struck == [0]


def test_the_faa_is_no_dtls() -> None:
    medium = Medium([Fault("lose", record="data", times=9)])
    for frame in (Frame(2, 10, data(0).payload), Frame(10, 2, data(1).payload)):
        medium.carry(1, frame, 0)
    assert len(medium.due(0)) == 2


def test_another_schedule_counts_anew() -> None:
    medium = Medium([Fault("lose", record="data", nth=2)])
    medium.carry(1, data(0), 0)
    medium.schedule([Fault("lose", record="data", nth=1)])
    medium.carry(1, data(1), 0)
    assert heard(medium, 0) == [(0, "")] and medium.struck == [1]
