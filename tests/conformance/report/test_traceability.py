"""No requirement without a purpose, a test or a reason: what the ledgers say is complete, and true."""

from __future__ import annotations

from pathlib import Path

from conformance.purpose import load_purposes
from conformance.report.requirements import load_requirements, load_standards
from conformance.report.traceability import (
    UNTESTED_PART,
    Entry,
    load_beyond_model,
    load_ledger,
    missing_tests,
    model_rules,
    orphans,
    untested,
)
from model.rules import RULES

CITED = {requirement for purpose in load_purposes() for requirement in purpose.requirements}


def test_there_is_no_orphan() -> None:
    assert orphans(load_requirements() | load_standards(), CITED, load_ledger()) == []


def test_every_test_that_a_ledger_names_exists() -> None:
    ledger = load_ledger()
    assert sum(len(entry.tests) for entry in ledger.values()) >= 5
    assert missing_tests(ledger) == []


def test_less_than_a_tenth_of_the_rfcs_requirements_are_untested() -> None:
    standards = load_standards()
    left = [name for name in untested(CITED, load_ledger()) if name in standards]
    assert len(left) < UNTESTED_PART * len(standards), left


def test_every_rule_of_the_protocol_is_tested() -> None:
    assert [name for name in untested(CITED, load_ledger()) if name in load_requirements()] == []


def test_every_rule_of_the_protocol_is_a_rule_of_the_model_or_says_who_judges_it() -> None:
    protocol, rules, beyond = load_requirements(), model_rules(), load_beyond_model()
    assert rules.keys() <= protocol.keys()
    assert rules.keys().isdisjoint(beyond.keys())
    assert rules.keys() | beyond.keys() == protocol.keys()
    assert {name for names in rules.values() for name in names} == {rule.id for rule in RULES}


def test_an_orphan_is_named() -> None:
    ledger = {"B-1": Entry((), "why"), "C-1": Entry(("t",), ""), "D-1": Entry((), "why"), "X-1": Entry((), "")}
    assert orphans(["A-1", "B-1", "C-1", "D-1", "E-1"], ["A-1", "D-1", "Y-1"], ledger) == [
        "D-1 stands in a ledger although a purpose cites it",
        "E-1 is cited by no purpose and stands in no ledger",
        "X-1 stands in a ledger and is no requirement",
        "X-1 stands in a ledger without a test and without a reason",
        "Y-1 is cited by a purpose and is no requirement",
    ]
    assert untested(["D-1"], ledger) == ["B-1", "X-1"]


def test_a_test_that_does_not_exist_is_named(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_a.py").write_text("import x\n\ndef test_it() -> None: ...\n", "utf-8")
    ledger = {"A-1": Entry(("tests/test_a.py::test_it", "tests/test_a.py::test_i", "tests/none.py::test_it"), "")}
    assert missing_tests(ledger, tmp_path) == [
        "A-1: there is no tests/none.py::test_it",
        "A-1: there is no tests/test_a.py::test_i",
    ]


def test_entries_are_read_from_both_pages(tmp_path: Path) -> None:
    ledger, standards = tmp_path / "l.md", tmp_path / "s.md"
    ledger.write_text(
        "# L\n\n## Rules that no purpose cites\n\n| rule | tested by |\n| MBT-1 | `tests/a.py::test_b` Why. |\n"
        "\n## Rules that the model does not have\n\n| FRM-1 | the reader |\n",
        "utf-8",
    )
    standards.write_text("| RFC1-2 | 4 | MUST | It is. | |\n| RFC1-3 | 4 | MUST | It is. | not here |\n", "utf-8")
    assert load_ledger(ledger, standards) == {
        "MBT-1": Entry(("tests/a.py::test_b",), "Why."),
        "RFC1-3": Entry((), "not here"),
    }
    assert load_beyond_model(ledger) == {"FRM-1": "the reader"}
    assert load_ledger(tmp_path / "none.md", tmp_path / "none.md") == {}
