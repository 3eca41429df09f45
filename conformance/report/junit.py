"""JUnit XML, for the servers that collect test results.

FAIL becomes a failure, ERROR and INCONCLUSIVE become errors: neither says anything about the IUT, and neither may look
like a pass. A case that was not run is skipped; so is one that shows a known deviation, with the comment as message,
and one that does not show it any more is a failure.
"""

# mypy: allow-untyped-calls
# junitparser has type hints, but not on the functions that return nothing.

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from junitparser import Error, Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from conformance.report.console import Style, details
from conformance.report.requirements import Requirement
from conformance.results import KNOWN, STALE, CaseResult, Report
from model.verdict import Verdict

_NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters that XML 1.0 cannot carry, even escaped; evidence may hold any byte that a device wrote."""


def junit_xml(report: Report, known: Mapping[str, Requirement]) -> JUnitXml:
    """One suite with a test case per case. Times are wall seconds; virtual times and requirements are properties."""
    suite = TestSuite(f"scewl conform {report.target}")
    properties = {"target": report.target, "profile": report.profile, "seed": report.seed, "command": report.command}
    properties |= {f"firmware.{key}": value for key, value in sorted(report.firmware.items())}
    for name, value in properties.items():
        suite.add_property(name, _clean(str(value)))
    suite.add_testcases([_test_case(case, known) for case in report.cases])  # one by one, each counts all before it
    document = JUnitXml("scewl")
    document.add_testsuite(suite)
    document.update_statistics()
    return document


def write_junit(report: Report, path: Path, known: Mapping[str, Requirement]) -> None:
    """Write the XML. Raises OSError if the file cannot be written."""
    junit_xml(report, known).write(str(path), pretty=True)


def _test_case(case: CaseResult, known: Mapping[str, Requirement]) -> TestCase:
    test = TestCase(_clean(case.case), classname=f"scewl.{case.target}.{case.profile}", time=round(case.wall_s, 3))
    properties = Properties()
    for requirement in case.requirements:
        properties.add_property(Property("requirement", _clean(requirement)))
    properties.add_property(Property("virtual_ms", str(case.virtual_ms)))
    test.append(properties)
    if case.verdict is Verdict.SKIPPED or case.standing == KNOWN:
        why = case.reason if case.verdict is Verdict.SKIPPED else f"known deviation ({case.expected}): {case.known}"
        test.result = [Skipped(_clean(why), case.standing)]
    elif case.standing == STALE:
        test.result = [Failure(_clean(f"passes, but is a known deviation ({case.expected}): {case.known}"), STALE)]
    elif case.verdict is not Verdict.PASS:
        kind = Failure if case.verdict is Verdict.FAIL else Error
        result = kind(_clean(case.reason or case.title), case.verdict.name)
        result.text = _clean("\n".join(details(case, known, Style())))
        test.result = [result]
    return test


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
