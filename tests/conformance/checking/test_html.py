from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from conformance.checking.html import render_page
from conformance.checking.results import CheckReport
from conformance.checking.write import write_report
from conformance.report.requirements import load_requirements

VOID = {"meta", "link", "input", "img", "br"}
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


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

    def all(self, tag: str, attribute: str) -> list[str]:
        return [a[attribute] or "" for name, a in self.tags if name == tag and attribute in a]


@pytest.fixture(scope="module")
def text(report: CheckReport) -> str:
    return render_page(report, load_requirements(), Path())


def test_elements_are_nested_and_closed(text: str) -> None:
    assert Page(text).open == []


def test_ids_are_unique_and_links_within_the_page_lead_somewhere(text: str) -> None:
    page = Page(text)
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.all("a", "href") if href.startswith("#")} <= set(ids)


def test_nothing_is_fetched_from_elsewhere(text: str) -> None:
    page = Page(text)
    targets = [*page.all("a", "href"), *page.all("link", "href"), *page.all("script", "src"), *page.all("img", "src")]
    assert [t for t in targets if not t.startswith(("#", "./", "data:,"))] == ["report.json", "report.md"]
    assert "url(" not in text and "@import" not in text


def test_the_policy_allows_only_what_the_page_holds(text: str) -> None:
    (policy,) = [a["content"] for t, a in Page(text).tags if t == "meta" and a.get("http-equiv")]
    assert policy is not None and policy.startswith("default-src 'none';") and "unsafe" not in policy
    for tag in ("style", "script"):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() in policy
    assert not [tag for tag, attributes in Page(text).tags if "style" in attributes]


def test_hostile_text_stays_text(report: CheckReport) -> None:
    rows = [dataclasses.replace(p, says=HOSTILE) for p in report.properties]
    checks = [dataclasses.replace(c, error=HOSTILE) for c in report.checks]
    page = Page(render_page(dataclasses.replace(report, properties=rows, checks=checks, command=HOSTILE), {}, Path()))
    assert [t for t, _ in page.tags].count("script") == 1 and page.all("img", "src") == []
    assert any("document.title='owned'" in words for words in page.words)


def test_worst_first_and_only_what_is_false_stands_open(text: str) -> None:
    rows = [a for t, a in Page(text).tags if t == "details" and str(a.get("id")).startswith("property-")]
    assert [row["id"] for row in rows][:3] == ["property-all-delivered", "property-sss-timer", "property-back-to-idle"]
    assert ["open" in row for row in rows] == [True] + [False] * 8


def test_what_is_in_it(text: str) -> None:
    words = " ".join(" ".join(Page(text).words).split())
    for needed in (
        "Of 9 properties in the hardened profile",
        "checked within bounds: 89 states",
        "vacuous: its premise is never met in 89 states",
        "Counterexample: 6 steps, the last 2 for ever",
        "An example: 3 steps",
        "Without it, armed is false in alone, after 2 steps.",
        "for ever How: 2 steps, and then nothing makes it end",
        "RECEIVING_MESSAGE/LISTEN",
        "Paths through it",
        "one session as receiver in the historic profile",
        "only in the historic profile",
    ):
        assert needed in words, needed
    assert re.search(r"10 of \d+ are taken in this run's scopes", words)


def test_defects_link_to_the_paths_that_show_them(report: CheckReport, historic: CheckReport) -> None:
    text = render_page(historic, {}, Path())
    section = text[text.index('id="defects"') : text.index('id="bounds"')]
    targets = re.findall(r'after (\d) steps\.</span> <a href="#(path-\d+)">', section)
    assert [steps for steps, _ in targets] == ["3", "6", "2"]
    for (_, target), title in zip(
        targets, ("at-most-once in pair", "all-delivered in pair", "armed in alone"), strict=True
    ):
        drawn = text[text.index(f'id="{target}"') :]
        assert f'aria-label="{title}, counterexample found by run"' in drawn[: drawn.index("<svg")]
    for needed in (
        "Not reproduced: no-fatal holds in alone.",
        "Not looked at: no answer about registered in large.",
        "Not in the model. There are none here.",
    ):
        assert needed in section
    assert "Mended: at-most-once holds in pair." in render_page(report, {}, Path())
    assert 'id="defects"' not in render_page(dataclasses.replace(report, defects=[]), {}, Path())


def test_a_bound_has_its_note_and_a_profile_without_it_says_so(report: CheckReport) -> None:
    bounds = [dataclasses.replace(report.bounds[0], milliseconds=None, note="By <others>."), *report.bounds[3:]]
    text = render_page(dataclasses.replace(report, bounds=bounds), {}, Path())
    assert '<span class="endless">for ever</span> <span class="small">By &lt;others&gt;.</span>' in text
    assert '<span class="small">does not occur</span>' in text


def test_a_long_path_is_cut_and_says_so(report: CheckReport) -> None:
    check = report.checks[1]
    answer = next(a for a in check.answers if a.path)
    assert answer.path is not None
    longer = dataclasses.replace(answer.path, steps=answer.path.steps * 50)
    answers = [dataclasses.replace(answer, path=longer)]
    text = render_page(
        dataclasses.replace(report, checks=[dataclasses.replace(check, answers=answers)], matrix=[]), {}, Path()
    )
    assert "100 more steps are in report.json." in text


def test_a_trace_is_a_command_and_a_missing_one_has_a_reason(report: CheckReport) -> None:
    check = report.checks[1]
    (answer,) = [a for a in check.answers if a.path]
    assert answer.path is not None
    for change, needed in (
        ({"trace": "a b.jsonl"}, "scewl replay &#39;out/a b.jsonl&#39;"),
        ({"no_trace": "Because."}, "No trace: Because."),
    ):
        answers = [dataclasses.replace(answer, path=dataclasses.replace(answer.path, **change))]
        shown = dataclasses.replace(report, checks=[dataclasses.replace(check, answers=answers)])
        assert needed in render_page(shown, {}, Path("out"))


def test_without_graphviz_the_states_are_still_there(
    report: CheckReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    text = render_page(report, {}, Path())
    assert "No diagram: Graphviz is not installed" in text and 'id="state-receiving-message-listen"' in text


def test_a_report_of_nothing_and_an_interrupted_one(report: CheckReport) -> None:
    text = render_page(CheckReport("scewl check", "hardened", missing=["explore: pair"]), {}, Path())
    assert "Incomplete: the run was interrupted before explore: pair." in text and "No property was checked." in text
    assert 'id="controller"' not in text and 'id="rules"' not in text and Page(text).open == []


def test_the_three_files(report: CheckReport, tmp_path: Path) -> None:
    page = write_report(report, tmp_path)
    assert page == tmp_path / "index.html"
    assert {path.name for path in tmp_path.iterdir()} == {"index.html", "report.md", "report.json"}
    assert CheckReport.load(tmp_path / "report.json") == report
    write_report(report, tmp_path)
    assert page.read_text("utf-8") == render_page(report, load_requirements(), tmp_path)
