from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

from junitparser import Error, Failure, JUnitXml

from conformance.report.junit import junit_xml, write_junit
from conformance.report.requirements import load_requirements
from conformance.results import Report


def test_each_verdict_has_its_kind(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(report, path, load_requirements())
    document = JUnitXml.fromfile(str(path))
    assert (document.tests, document.failures, document.errors, document.skipped) == (5, 1, 2, 0)
    (suite,) = document
    kinds = {case.name: [(type(result), result.type) for result in case.result] for case in suite}
    assert kinds == {
        "register-then-send": [],
        "glare-lower-yields": [(Failure, "FAIL")],
        "loss-flight-5": [],
        "faa-while-busy": [(Error, "INCONCLUSIVE")],
        "qemu-gone": [(Error, "ERROR")],
    }


def test_a_failure_carries_message_details_and_requirements(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(report, path, load_requirements())
    case = ET.parse(path).getroot().find(".//testcase[@name='glare-lower-yields']")
    assert case.get("classname") == "scewl.reference.hardened"
    assert case.get("time") == "0.83"
    properties = [(p.get("name"), p.get("value")) for p in case.iter("property")]
    assert properties == [("requirement", "SES-9"), ("requirement", "SES-12"), ("virtual_ms", "28000")]
    failure = case.find("failure")
    assert failure.get("message") == "At step 8 the IUT did what no rule allows."
    assert "observed: alert(to=11)" in failure.text and "reproduce: scewl conform glare-lower-yields" in failure.text


def test_the_run_is_described(report: Report) -> None:
    (suite,) = junit_xml(report, {})
    assert {p.name: p.value for p in suite.properties()} == {
        "target": "reference",
        "profile": "hardened",
        "seed": "7",
        "command": "scewl conform --seed 7",
        "firmware.path": "controller.elf",
        "firmware.sha256": "ab" * 32,
        "firmware.text": "181234",
    }


def test_characters_that_xml_cannot_carry_are_replaced(report: Report, tmp_path: Path) -> None:
    report.cases[1].reason = "a \x00 \x1b \ud800 \uffff <&> b"
    path = tmp_path / "junit.xml"
    write_junit(report, path, {})
    failure = ET.parse(path).getroot().find(".//failure")
    assert failure.get("message") == "a \ufffd \ufffd \ufffd \ufffd <&> b"


def test_an_empty_run_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    write_junit(Report("", "reference", "hardened", 0), path, {})
    assert JUnitXml.fromfile(str(path)).tests == 0
