"""From a requirement to what shows it: rules of the model, purposes, tests; or the reason why nothing does.

`docs/traceability.md` has the ledger of the protocol's rules, the last column of `docs/rfc6347.md` that of the RFCs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from conformance.report.requirements import PROTOCOL_PAGE, STANDARDS_PAGE
from model.rules import RULES

LEDGER_PAGE = PROTOCOL_PAGE.with_name("traceability.md")
UNTESTED_PART = 0.1
"""Part of the RFCs' requirements that may be untested."""

_PROTOCOL_ROW = re.compile(r"^\| ([A-Z]{3}-\d+) \| ([^|]+) \|$", re.MULTILINE)
_STANDARD_ROW = re.compile(r"^\| (RFC\d+-\d+) \|.*\| ([^|]+) \|$", re.MULTILINE)
_TEST = re.compile(r"`(tests/[\w/]+\.py::\w+)`")
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a ledger says of a requirement that no purpose cites."""

    tests: tuple[str, ...]
    """Ids of tests that show it; empty: nothing tests it."""
    reason: str
    """Why no purpose cites it."""


def model_rules() -> dict[str, list[str]]:
    """The ids of the model's rules by the requirement that they carry out."""
    found: dict[str, list[str]] = {}
    for rule in RULES:
        for requirement in (*rule.needs, *rule.timer):
            found.setdefault(requirement, []).append(rule.id)
    return {requirement: list(dict.fromkeys(rules)) for requirement, rules in found.items()}


def load_ledger(ledger: Path = LEDGER_PAGE, standards: Path = STANDARDS_PAGE) -> dict[str, Entry]:
    """The entries of both pages by the requirement's id; of a page that cannot be read, none."""
    found: dict[str, Entry] = {}
    for page, row in ((ledger, _PROTOCOL_ROW), (standards, _STANDARD_ROW)):
        text = _read(page)
        if page == ledger:
            text = _section(text, "Rules that no purpose cites")
        for name, said in row.findall(text):
            tests = tuple(_TEST.findall(said))
            if said.strip():
                found[name] = Entry(tests, " ".join(_TEST.sub("", said).split()).strip(" ,;"))
    return found


def load_beyond_model(ledger: Path = LEDGER_PAGE) -> dict[str, str]:
    """Who judges the rules of the protocol that the model's controller does not have, by their ids."""
    return dict(_PROTOCOL_ROW.findall(_section(_read(ledger), "Rules that the model does not have")))


def orphans(known: Iterable[str], cited: Iterable[str], ledger: Mapping[str, Entry]) -> list[str]:
    """What breaks the chain, in sentences: a requirement without purpose, test and reason; an entry that is none."""
    all_known, all_cited = set(known), set(cited)
    wrong = [f"{name} is cited by no purpose and stands in no ledger" for name in all_known - all_cited - ledger.keys()]
    wrong += [f"{name} stands in a ledger although a purpose cites it" for name in ledger.keys() & all_cited]
    wrong += [f"{name} stands in a ledger and is no requirement" for name in ledger.keys() - all_known]
    wrong += [f"{name} is cited by a purpose and is no requirement" for name in all_cited - all_known]
    wrong += [
        f"{name} stands in a ledger without a test and without a reason" for name, e in ledger.items() if e == _NOTHING
    ]
    return sorted(wrong)


def missing_tests(ledger: Mapping[str, Entry], root: Path = PROTOCOL_PAGE.parents[1]) -> list[str]:
    """Tests that a ledger names and that do not exist, in sentences."""
    return sorted(
        f"{name}: there is no {test}"
        for name, entry in ledger.items()
        for test in entry.tests
        if f"\ndef {test.partition('::')[2]}(" not in _read(root / test.partition("::")[0])
    )


def untested(cited: Iterable[str], ledger: Mapping[str, Entry]) -> list[str]:
    """The requirements that nothing tests."""
    return [name for name, entry in ledger.items() if not entry.tests and name not in set(cited)]


_NOTHING = Entry((), "")


def _section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next."""
    parts = _HEADING.split(text)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(heading, "")


def _read(page: Path) -> str:
    try:
        return page.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
