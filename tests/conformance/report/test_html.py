from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conformance.report import html
from conformance.report.html import render_page
from conformance.report.matrices import CITED
from conformance.report.requirements import load_requirements
from conformance.report.write import write_report
from conformance.results import Report
from model.verdict import Verdict

VOID = {"meta", "link", "input", "img", "br"}


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str, attribute: str) -> list[str | None]:
        return [attributes.get(attribute) for name, attributes in self.tags if name == tag]


@pytest.fixture
def text(report: Report) -> str:
    return render_page(report, load_requirements())


def test_elements_are_nested_and_closed(text: str) -> None:
    assert Page(text).open == []


def test_worst_first_and_only_failures_open(text: str) -> None:
    cases = [attributes for tag, attributes in Page(text).tags if tag == "details" and "id" in attributes]
    assert [case["id"] for case in cases] == [
        "glare-lower-yields",
        "qemu-gone",
        "faa-while-busy",
        "register-then-send",
        "loss-flight-5",
    ]
    assert ["open" in case for case in cases] == [True, True, True, False, False]


def test_when_all_pass_all_are_closed(report: Report) -> None:
    report.cases = [report.cases[0], report.cases[2]]
    cases = [attributes for tag, attributes in Page(render_page(report, {})).tags if tag == "details"]
    assert not [case for case in cases if "open" in case]


def test_nothing_is_fetched_from_elsewhere(text: str) -> None:
    page = Page(text)
    targets = [*page.all("a", "href"), *page.all("link", "href"), *page.all("script", "src"), *page.all("img", "src")]
    local = [target for target in targets if target is not None and not target.startswith(("#", "./", "data:,"))]
    assert local == ["report.json", "junit.xml"]
    assert "url(" not in text and "@import" not in text


def test_links_are_relative_and_quoted(report: Report) -> None:
    report.cases[0].capture = "javascript:alert(1).pcapng"
    report.cases[0].trace = "a b#c.jsonl"
    links = Page(render_page(report, {})).all("a", "href")
    assert "./javascript%3Aalert%281%29.pcapng" in links and "./a%20b%23c.jsonl" in links


def test_the_policy_allows_only_what_the_page_holds(text: str) -> None:
    (policy,) = [a["content"] for t, a in Page(text).tags if t == "meta" and a.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none';") and "unsafe" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy
    assert not [tag for tag, attributes in Page(text).tags if "style" in attributes]


def test_hostile_text_stays_text(text: str) -> None:
    page = Page(text)
    assert page.all("script", "src") == [None] and page.all("img", "src") == []
    assert any("document.title='owned'" in words for words in page.words)


def test_divergence_requirements_and_reproduction_are_there(text: str) -> None:
    words = " ".join(" ".join(Page(text).words).split())
    for needed in (
        "Divergence at step 8, 7.400 s",
        "alert(to=11)",
        "Deadline: no timer",
        "Deadline: 7.000 s or 14.000 s",
        "No network input leads to FATAL_ERROR.",
        "There, everything is torn down",
        "XYZ-1",
        "scewl conform glare-lower-yields --target reference --seed 7",
        "8 of 49 have a case here",
    ):
        assert needed in words


def test_an_explanation_is_not_said_twice(report: Report) -> None:
    fail = report.cases[1]
    assert fail.divergence is not None
    fail.reason = fail.divergence.explanation
    words = Page(render_page(report, {})).words
    assert sum(fail.reason in text for text in words) == 1


def test_a_long_ladder_is_cut_and_says_so(report: Report) -> None:
    case = report.cases[0]
    case.ladder = case.ladder * 50
    text = render_page(report, {})
    assert "Frames, 300 of 450; the trace has all" in text
    assert text.count('"rung ') == 300 + 14 + 9 + 9


def test_a_page_of_thousands_stays_small(report: Report) -> None:
    passed = next(case for case in report.cases if case.verdict is Verdict.PASS)
    failed = [case for case in report.cases if case.verdict is Verdict.FAIL]
    report.cases = [replace(passed, case=f"case-{n}") for n in range(2_000)] + failed
    text = render_page(report, load_requirements())
    assert Page(text).open == []
    assert text.count("Ladder of ") == html._DRAWN and text.count("this page draws no frames") == 2_001 - html._DRAWN
    assert text.index(f'id="{failed[0].case}"') < text.index("Ladder of ") < text.index('id="case-0"')
    assert f"and {2_000 - CITED} more" in text
    assert len(text) < 12_000_000


def test_the_same_report_gives_the_same_page(report: Report, text: str) -> None:
    assert render_page(report, load_requirements()) == text


def test_a_run_without_cases_is_a_page() -> None:
    page = Page(render_page(Report("", "reference", "hardened", 0), {}))
    assert "No case was run." in page.words


def test_three_files_are_written(report: Report, tmp_path: Path) -> None:
    assert write_report(report, tmp_path) == tmp_path / "index.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "junit.xml", "report.json"]
    assert Report.load(tmp_path / "report.json") == report
