"""Reading once for several views: progress, copies in sections, what is not read."""

from __future__ import annotations

from pathlib import Path

import pytest
from capture_kinds import made

from conformance.capture import CapturedFrame, KeyLogText, read_capture
from conformance.inspection import files, work
from conformance.inspection.files import CopyView
from conformance.inspection.keys import Keys
from conformance.inspection.select import Selection
from conformance.inspection.source import Source
from conformance.inspection.stats import Statistics
from conformance.inspection.views import Lines, StatsView
from conformance.inspection.words import Clock


def reading(path: Path, selection: Selection | None = None) -> work.Work:
    source = Source(path, Keys(), Clock())
    return work.Work("a", source, selection or Selection(), [StatsView(Lines(live=False), Statistics())])


def test_progress_is_told_and_wiped_off(
    capture, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_TICK", 4)
    one = reading(capture("register"))
    one.size = capture("register").stat().st_size
    one.read()
    err = capsys.readouterr().err
    told = [int(part.rstrip(" %")) for part in err.split("\r") if part.endswith("%")]
    assert len(told) == 3 and told == sorted(told) and told[-1] <= 100
    assert err.endswith("\r\x1b[K")


def test_no_progress_unless_it_is_wanted(capture, capsys: pytest.CaptureFixture[str]) -> None:
    reading(capture("register")).read()
    assert capsys.readouterr().err == ""


def test_the_rest_is_not_read_once_nothing_more_is_shown(capture) -> None:
    one = reading(capture("register"), Selection(frames=(2, 4)))
    one.read()
    assert (one.source.frames, one.shown, one.stopped) == (5, 3, True)
    assert one.summary() == "5 frames read; 3 shown; 1 session, 0 decrypted"


def test_a_long_copy_is_written_in_sections(capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SECTION", 5)
    path = tmp_path / "copy.pcapng"
    one = reading(capture("registered-964"))
    one.views = [CopyView(path, one.source, {})]
    one.read()
    entries = list(read_capture(path))
    frames = [entry for entry in entries if isinstance(entry, CapturedFrame)]
    assert [f.frame for f in frames] == [f.frame for f in made("registered-964").frames]
    assert [f.number for f in frames] == list(range(1, len(frames) + 1))
    assert sum(isinstance(entry, KeyLogText) for entry in entries) > 1
    assert [p.name for p in tmp_path.glob("copy*")] == ["copy.pcapng"]
    again = reading(path)
    again.read()
    assert again.source.decrypted == again.source.sessions == one.source.sessions
