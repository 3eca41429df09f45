"""Statistics: figures that add up, and memory that is bounded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.inspection import stats
from conformance.inspection.stats import Statistics
from conformance.sessions.seen import Protection


def fed(frames) -> Statistics:
    statistics = Statistics()
    for seen in frames:
        statistics.feed(seen)
    return statistics


def test_the_figures_add_up(explained) -> None:
    frames = explained("registered-964")
    figures = fed(frames).document()
    size = sum(len(seen.captured.frame) for seen in frames)
    assert (figures["frames"], figures["bytes"]) == (len(frames), size)
    for rows in (figures["links"].values(), figures["pairs"]):
        assert sum(row["frames"] for row in rows) == len(frames) and sum(row["bytes"] for row in rows) == size
    sessions = figures["sessions"]
    assert sum(session["frames"] for session in sessions) == sum(seen.session is not None for seen in frames)
    assert {session["end"] for session in sessions} == {"close_notify"}
    assert figures["handshakes"]["complete"] == len(sessions)


def test_how_long_a_handshake_took(explained) -> None:
    figures = fed(explained("lost-flight-2")).document()
    assert figures["handshakes"]["longest_us"] == 7_000_000
    late = [seen for seen in explained("lost-flight-2") if seen.flight != 6]
    assert fed(late).document()["handshakes"] == {
        "complete": 0, "shortest_us": None, "median_us": None, "longest_us": None,
    }  # fmt: skip


def test_a_handshake_across_all_times_that_a_file_can_hold(explained) -> None:
    frames = explained("registered-964")
    late = [
        replace(seen, captured=replace(seen.captured, time_us=seen.captured.time_us + (n > 4) * (2**64 - 2**32)))
        for n, seen in enumerate(frames)
    ]
    assert fed(late).document()["handshakes"]["longest_us"] > 2**63


def test_alerts_by_who_sent_them(explained) -> None:
    alerts = fed(explained("wrong-ca-server")).document()["alerts"]
    assert any(alert["what"].startswith("alert fatal") for alert in alerts)
    sealed = fed(explained("register", secrets=False)).document()
    assert sealed["alerts"] == [] and sealed["sealed_records"] == 6 and sealed["sessions"][0]["end"] == "alert (sealed)"


def test_what_does_not_authenticate_and_what_is_no_frame(explained) -> None:
    frames = explained("register")
    forged = [
        replace(seen, records=tuple(replace(r, protection=Protection.REFUSED) for r in seen.records if r.epoch))
        for seen in frames
    ]
    assert fed(forged).refused == 6
    assert fed([replace(frames[0], frame=None, problem="x")]).document()["broken_frames"] == 1
    assert fed(explained("record-duplicated")).replays > 0


def test_nothing_at_all() -> None:
    figures = Statistics().document()
    assert figures["frames"] == 0 and figures["duration_us"] == 0
    assert next(Statistics().text()) == "0 frames, 0 B, in 0 s"


def test_memory_is_bounded(explained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "MOST", 10)
    seen = explained("register")[1]
    many = [
        replace(seen, frame=replace(seen.frame, target=n), session=replace(seen.session, number=n))
        for n in range(1, 101)
    ]
    statistics = fed(many)
    assert (len(statistics.pairs), statistics.other_pairs.frames) == (10, 90)
    assert (len(statistics.sessions), statistics.other_sessions) == (10, 100)
    text = "\n".join(statistics.text())
    assert "and others with 90 frames" in text and "10 of 100 sessions" in text
