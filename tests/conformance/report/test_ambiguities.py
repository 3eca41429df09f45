"""The ledger of what the RFCs leave open: each choice has its reason and its cases, and those exist and say so."""

from __future__ import annotations

import re
from pathlib import Path

from conformance.purpose import load_purposes
from conformance.report.requirements import load_requirements, load_standards

PAGE = (Path(__file__).parents[3] / "docs/ambiguities.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line[1:-1].split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| open |")
]


def test_every_row_has_a_choice_and_cases_that_exist() -> None:
    known = {purpose.id for purpose in load_purposes()}
    assert len(ROWS) > 25
    for row in ROWS:
        assert len(row) == 4, row
        cases = re.findall(r"`([^`]+)`", row[3])
        assert row[0] and row[1] and cases, row
        assert set(cases) <= known, (row[0], set(cases) - known)


def test_every_requirement_that_it_cites_exists() -> None:
    cited = set(re.findall(r"\b(?:RFC\d{4}|[A-Z]{3})-\d+\b", PAGE))
    assert len(cited) > 20
    assert cited <= (load_requirements() | load_standards()).keys()


def test_every_other_reaction_is_any_of_several_in_the_case() -> None:
    """Where *any* choice passes, the case really lets more than one pass, or a rule of the model does."""
    said = {
        purpose.id: [text for step in purpose.steps for text in step.arguments.get("said", ())]
        for purpose in load_purposes()
    }
    for row in ROWS:
        if "*any*" in row[1] and "kept or discarded" not in row[1]:
            for case in re.findall(r"`([^`]+)`", row[3]):
                assert len(said[case]) > 1 or any("|" in text for text in said[case]), case
