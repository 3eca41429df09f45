"""Suites with a name: made once, kept, and made anew when a source changes or what was kept is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conformance.cli import main
from conformance.generation import named
from conformance.generation.suite import COVERS, purposes
from conformance.purpose import load_purposes


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(named.NAMED, "quick", ("", ("sizes",)))


@pytest.mark.usefixtures("sizes")
def test_a_suite_is_made_once_and_then_read(tmp_path: Path) -> None:
    told: list[str] = []
    first = named.named("quick", told.append, tmp_path)
    assert first == [*load_purposes(), *purposes(["sizes"])]
    assert named.named("quick", told.append, tmp_path) == first
    assert len(told) == 1 and "sizes" in told[0] and "until a source changes" in told[0]


@pytest.mark.usefixtures("sizes")
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_a_damaged_one_is_made_anew(tmp_path: Path, keep: int) -> None:
    told: list[str] = []
    whole = named.named("quick", told.append, tmp_path)
    (path,) = tmp_path.iterdir()
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:keep]))
    assert named.named("quick", told.append, tmp_path) == whole
    assert len(told) == 2


@pytest.mark.usefixtures("sizes")
def test_a_changed_source_makes_it_anew_and_the_old_one_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for source in ("one", "other"):
        (tmp_path / source / "model").mkdir(parents=True)
        (tmp_path / source / "model/rules.py").write_text(source)
        monkeypatch.setattr(named, "ROOT", tmp_path / source)
        named.named("quick", told.append, tmp_path / "kept")
    assert len(told) == 2
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_full_is_everything_and_quick_what_the_page_says() -> None:
    assert {*COVERS} - {*named.NAMED["full"][1]} == {"w1"}
    made = purposes(named.NAMED["quick"][1])
    assert [p.id for p in made] == [f"places-{n}" for n in range(1, 10)]


def test_a_part_of_it_runs_and_the_coverage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = ["conform", "--suite", "quick", "--target", "reference", "places-1", "register", "--out", str(tmp_path)]
    assert main(call) == 0
    assert "of 6,808 transitions of the observable controller machine" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert [case["case"] for case in report["cases"]] == ["register", "places-1"]
    assert "--suite quick" in report["cases"][0]["reproduce"]
    assert json.loads((tmp_path / "coverage.json").read_text())["transitions"]["taken"] > 200
