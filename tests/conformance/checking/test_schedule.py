"""When frames arrive, in a purpose's steps."""

from __future__ import annotations

import pytest

from conformance.checking.schedule import Schedule

HELLO = ("flight", 1)


@pytest.fixture
def schedule() -> Schedule:
    """One that has begun with a message."""
    schedule = Schedule()
    schedule.begin(do="send", by=3, to=4, size=1)
    return schedule


def test_what_arrives_in_its_own_segment_needs_no_step(schedule: Schedule) -> None:
    schedule.send("h", 3, HELLO)
    schedule.arrive("h")
    schedule.arrive("unknown")
    schedule.lose("unknown")
    assert schedule.steps() == [{"do": "send", "by": 3, "to": 4, "size": 1}]


def test_what_arrives_after_time_has_passed_is_delayed_by_that_time_and_a_moment(schedule: Schedule) -> None:
    schedule.send("h", 3, HELLO)
    schedule.begin(do="wait", ms=7_000)
    schedule.begin(do="register", by=4)
    schedule.arrive("h")
    schedule.begin(do="register", by=3)
    assert schedule.steps() == [
        {"do": "delay", "flight": 1, "by": 3, "nth": 1, "ms": 7_001},
        {"do": "send", "by": 3, "to": 4, "size": 1},
        {"do": "wait", "ms": 7_000},
        {"do": "register", "by": 4},
        {"do": "wait", "ms": 1},
        {"do": "register", "by": 3},
    ]


def test_what_is_still_on_its_way_arrives_at_the_end(schedule: Schedule) -> None:
    schedule.send("h", 3, HELLO)
    schedule.begin(do="restart")
    assert [s["do"] for s in schedule.steps()] == ["delay", "send", "restart", "wait"]


def test_a_frame_with_another_name_is_the_same_frame(schedule: Schedule) -> None:
    schedule.send("h", 3, HELLO)
    schedule.rename("h", "old")
    schedule.begin(do="restart")
    schedule.arrive("old")
    schedule.begin(do="restart")
    assert [s["do"] for s in schedule.steps()] == ["delay", "send", "restart", "wait", "restart"]


def test_a_repetition_counts_and_what_it_repeats_is_lost(schedule: Schedule) -> None:
    schedule.send("h", 3, HELLO)
    schedule.send("h", 3, HELLO, times=5)
    schedule.send("v", 4, ("flight", 2))
    schedule.arrive("v")
    schedule.lose("h")
    assert schedule.steps()[:-1] == [
        {"do": "lose", "flight": 1, "by": 3, "nth": 1},
        {"do": "lose", "flight": 1, "by": 3, "nth": 1, "times": 5},
    ]  # what the first one strikes does not count for the second


def test_a_struck_frame_after_one_that_is_not(schedule: Schedule) -> None:
    schedule.send("d0", 3, ("record", "data"))
    schedule.arrive("d0")
    schedule.send("d1", 3, ("record", "data"))
    schedule.lose("d1")
    assert schedule.steps()[0] == {"do": "lose", "record": "data", "by": 3, "nth": 2}


def test_what_is_overtaken_comes_a_moment_later(schedule: Schedule) -> None:
    schedule.send("d0", 3, ("record", "data"))
    schedule.arrive("d0", overtaken=True)
    assert schedule.steps()[0] == {"do": "delay", "record": "data", "by": 3, "nth": 1, "ms": 1}
    assert schedule.steps()[-1] == {"do": "wait", "ms": 1}
