"""The committed mutation matrix: of mutants that exist, all written ones killed, and each survivor explained."""

from __future__ import annotations

import tomllib
from pathlib import Path

from conformance.mutation import survivors
from conformance.mutation.page import BAR, bar, page, unexplained
from conformance.mutation.results import Matrix
from conformance.purpose import load_purposes
from conformance.report.traceability import Entry, missing_tests

ROOT = Path(__file__).parents[2]
MATRIX = Matrix.load(ROOT / "reports/mutants.json")
EXPLAINED = survivors.load(Path(__file__).with_name("survivors.toml"))


def test_the_page_is_made_from_the_matrix() -> None:
    assert (ROOT / "reports/mutants.md").read_text("utf-8") == page(MATRIX)


def test_every_written_mutant_of_it_exists_and_is_killed() -> None:
    entries = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text("utf-8"))["mutant"]
    known = {entry["id"] for entry in entries if entry["rule"]}
    assert len(MATRIX.written) >= 60
    for result in MATRIX.written:
        assert result.id in known and result.killed and not result.error, result.id


def test_every_case_that_it_names_exists() -> None:
    cases = {purpose.id for purpose in load_purposes()}
    for result in [*MATRIX.written, *(MATRIX.automatic.judged if MATRIX.automatic else [])]:
        assert result.killers.keys() <= cases, result.id


def test_nine_tenths_of_the_automatic_ones_are_killed_or_explained_and_none_is_unexplained() -> None:
    sample = MATRIX.automatic
    assert sample is not None and len(sample.judged) >= 75
    assert bar(sample) >= BAR
    assert [r.id for r in unexplained(sample)] == []


def test_every_explanation_is_of_a_survivor_and_every_test_that_it_names_exists() -> None:
    sample = MATRIX.automatic
    assert sample is not None
    alive = {r.id for r in sample.judged if not r.killed}
    assert EXPLAINED.keys() == alive
    assert missing_tests({e.id: Entry((e.test,), "") for e in EXPLAINED.values() if e.test}) == []
