"""The tables that look across cases: what they say, and that a person can follow them in a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.mutation.results import Explained, Kill, Matrix, Result, Sample
from conformance.report import matrices
from conformance.report.html import render_page
from conformance.report.matrices import compared, heat, mutant_rows, requirement_rows, rule_rows
from conformance.report.requirements import load_requirements, load_standards
from conformance.report.write import write_report
from conformance.results import Report
from model.rules import RULES
from model.verdict import Verdict

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KNOWN = load_requirements() | load_standards()


@pytest.fixture
def covered(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Report:
    """The report with what its cases covered, and a mutation matrix beside it."""
    for case in report.cases:
        case.rules = {"SES-4.open": 1, "REG-4.granted": 9} if case.case == "register-then-send" else {"SES-2.open": 2}
        case.met = ["IDLE cpu-send", "SENDING_MESSAGE/HELLO hello-cookie"]
    report.cases[1].rules = {"SES-9.yield": 0, "SES-9.resume": 12}
    report.cases[2].shown = 5
    kill = Kill("glare-lower-yields", "FAIL", 7_000, 9, ["DTL-6", "SES-9"], "")
    written = [
        Result(
            "no-yield",
            "It does not yield.",
            "dtls.c",
            3,
            374,
            {"glare-lower-yields": "FAIL", "b": "FAIL"},
            kill,
            "b",
            "SES-9",
        ),
        Result("immortal", "<b>Nobody</b> sees it.", "dtls.c", 9, 374),
    ]
    sample = Sample(100, 50, 4, 1, 0, 1, [Result("dtls-1", "`a` -> `b`", "dtls.c", 4, 374)])
    sample.explained = [Explained("dtls-1", "equivalent", "never read")]
    (tmp_path / "mutants.json").write_text(Matrix("purposes", 374, written, sample).to_json(), "utf-8")
    monkeypatch.setattr(matrices, "MUTANTS", tmp_path / "mutants.json")
    return report


def row(report: Report, name: str) -> dict[str, object]:
    return next(r for r in requirement_rows(report, KNOWN) if r["id"] == name)


def test_a_requirement_leads_to_rules_cases_a_frame_and_a_verdict(covered: Report) -> None:
    yields = row(covered, "SES-9")
    assert "SES-9.yield" in yields["rules"] and "SES-6.verify" in yields["rules"]  # type: ignore[operator]
    assert (yields["cases"], yields["verdict"]) == (["glare-lower-yields"], "FAIL")
    assert (yields["witness"], yields["frame"]) == ("glare-lower-yields", 12)  # no frame moved with the other rule
    assert (row(covered, "REG-4")["witness"], row(covered, "REG-4")["frame"]) == ("register-then-send", 9)
    assert (row(covered, "DTL-6")["witness"], row(covered, "DTL-6")["frame"]) == ("loss-flight-5", 5)  # a deviation's


def test_without_a_case_there_are_tests_or_a_reason(covered: Report) -> None:
    masked, small = row(covered, "MBT-1"), row(covered, "RFC6347-18")
    assert masked["cases"] == [] and "tests/firmware/test_aes.py" in str(masked["tests"])
    assert small["tests"] == () and small["reason"] == "FRM-2 fixes the MTU"


def test_requirements_that_failed_come_first(covered: Report) -> None:
    names = [r["id"] for r in requirement_rows(covered, KNOWN)]
    assert set(names[:2]) == {"SES-9", "SES-12"}  # of the case that failed
    assert set(names[2:4]) == {"SES-7", "FRM-5"}  # error, inconclusive
    assert names[4:6] == ["FRM-1", "FRM-2"]  # then as on the page


def test_cells_are_warmer_for_more_cases(covered: Report) -> None:
    table = heat(covered)
    assert table["events"] == ["cpu-send", "hello-cookie"]
    assert [r["state"] for r in table["rows"]] == ["IDLE", "SENDING_MESSAGE/HELLO"]
    cell = table["rows"][0]["cells"][0]
    assert cell == {"count": 5, "level": 2, "cases": "register-then-send, glare-lower-yields, loss-flight-5 and 2 more"}
    assert table["rows"][0]["cells"][1] == {"count": 0, "level": 0, "cases": ""}
    covered.cases = [replace(covered.cases[0], case=f"case-{n}") for n in range(200)]
    assert heat(covered)["rows"][0]["cells"][0]["level"] == 5


def test_each_rule_of_the_model_is_listed_with_a_frame_if_there_is_one(covered: Report) -> None:
    rows = {r["id"]: r for r in rule_rows(covered)}
    assert list(rows) == [rule.id for rule in RULES]
    assert (rows["SES-2.open"]["count"], rows["SES-2.open"]["first"], rows["SES-2.open"]["frame"]) == (
        3,
        "loss-flight-5",
        2,
    )
    assert (rows["SES-9.yield"]["first"], rows["SES-9.yield"]["frame"]) == ("glare-lower-yields", 0)
    assert (rows["SES-8.gap"]["count"], rows["SES-8.gap"]["first"]) == (0, "")


def test_mutants_that_survive_come_first(covered: Report) -> None:
    found = mutant_rows(matrices.MUTANTS, {"glare-lower-yields"})
    assert found is not None
    assert [r["id"] for r in found["written"]] == ["immortal", "no-yield"]
    assert found["written"][1]["broke"] == ["DTL-6", "SES-9"] or found["written"][1]["broke"] == ["SES-9", "DTL-6"]
    assert found["written"][1]["linked"] and not mutant_rows(matrices.MUTANTS, set())["written"][1]["linked"]  # type: ignore[index]
    assert (found["killed"], found["automatic"]["bar"]) == (1, "100.0%")
    assert found["automatic"]["survivors"][0]["why"] == "equivalent: never read"
    assert mutant_rows(matrices.MUTANTS.with_name("none.json"), set()) is None


def test_the_run_before_is_compared(covered: Report) -> None:
    before = Report("scewl conform", "qemu", "hardened", 7, {"sha256": "cd" * 32}, list(covered.cases))
    before.cases = [replace(case) for case in covered.cases if case.case != "loss-flight-5"]
    before.cases[0].verdict = Verdict.FAIL
    before.cases.append(replace(before.cases[0], case="gone", verdict=Verdict.PASS))
    before.cases[1].verdict = Verdict.PASS  # it fails now
    found = compared(before, covered, selected=False)
    assert found is not None
    assert [(c["case"], c["was"], c["now"]) for c in found["changes"]] == [
        ("glare-lower-yields", "PASS", "FAIL"),
        ("register-then-send", "FAIL", "PASS"),
        ("gone", "PASS", ""),
    ]
    assert (found["same"], found["new"], found["gone"]) == (2, 1, 1)
    assert found["other"] == ["target qemu, now reference", f"firmware {'cd' * 6}, now {'ab' * 6}"]
    assert [c["case"] for c in compared(before, covered, selected=True)["changes"]] == [  # type: ignore[index]
        "glare-lower-yields",
        "register-then-send",
    ]
    assert compared(None, covered, selected=False) is None
    assert "The run before: 3 of the cases differ" in render_page(covered, KNOWN, before)
    assert "The run before: no difference" in render_page(covered, KNOWN, covered)


def test_thousands_of_cases_make_no_page_of_many_megabytes(covered: Report) -> None:
    case = covered.cases[0]
    many = [replace(case, case=f"case-{n}", rules={r.id: 3 for r in RULES}, ladder=[]) for n in range(4_000)]
    covered.cases = many
    few, all_of_them = render_page(replace(covered, cases=many[:400]), KNOWN), render_page(covered, KNOWN)
    tables = [len(text[text.index('id="none"') :]) for text in (few, all_of_them)]
    assert tables[0] < tables[1] < 1.05 * tables[0]  # they grow by digits alone
    assert len(all_of_them) < 8_000_000
    assert "case-0, case-1, case-2 and 3997 more" in all_of_them


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: playwright.Browser, covered: Report, tmp_path: Path) -> Iterator[playwright.Page]:
    """The page, with a run before in which one case had passed. Anything on its console fails the test."""
    before = replace(covered, cases=[replace(case) for case in covered.cases])
    before.cases[1].verdict = Verdict.PASS
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(write_report(covered, tmp_path, before).as_uri())
    yield page
    assert said == []
    page.close()


needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def section(page: playwright.Page, words: str) -> playwright.Locator:
    return page.locator("summary.section", has_text=words)


@needs_browser
def test_differences_from_the_run_before_stand_open_and_the_rest_is_closed(page: playwright.Page) -> None:
    assert page.locator("#section-compared table").is_visible()
    assert page.locator("#section-compared tbody tr").all_inner_texts() == [
        "glare-lower-yields\tPASS\tFAIL\tAt step 8 the IUT did what no rule allows."
    ]
    assert [page.locator(f"#section-{name}").is_visible() for name in ("requirements", "coverage", "mutants")] == [
        False
    ] * 3


@needs_browser
def test_from_a_requirement_to_its_rule_to_the_case_that_took_it(page: playwright.Page) -> None:
    section(page, "Requirements: ").click()
    first = page.locator("#section-requirements tbody tr").first
    assert first.get_attribute("class") == "fail" and "frame 12" in first.inner_text()
    page.locator("#requirement-REG-4").get_by_role("link", name="REG-4.granted").click()
    rule = page.locator("#rule-REG-4\\.granted")
    assert rule.is_visible() and "register-then-send, frame 9" in rule.inner_text()  # its closed section has opened
    assert not page.locator("#register-then-send .ladder").is_visible()
    rule.get_by_role("link", name="register-then-send").click()
    page.locator("#register-then-send .ladder").wait_for(state="visible")


@needs_browser
def test_the_heat_map_names_cases_and_is_warmer_where_more_are(page: playwright.Page) -> None:
    section(page, "Coverage: ").click()
    cells = page.locator(".heat tbody td")
    assert cells.all_inner_texts() == ["5", "", "", "5"]
    assert "IDLE, cpu-send: register-then-send" in (cells.first.get_attribute("title") or "")
    colours = [cell.evaluate("e => getComputedStyle(e).backgroundColor") for cell in cells.all()]
    assert colours[0] == colours[3] != colours[1] == colours[2]


@needs_browser
def test_hostile_words_of_a_mutant_stay_words(page: playwright.Page) -> None:
    section(page, "Wrong firmwares: 1 of 2").click()
    row = page.locator("#section-mutants tr.fail")
    assert "<b>Nobody</b> sees it." in row.inner_text() and "SURVIVES" in row.inner_text()


@needs_browser
@pytest.mark.parametrize("width", [320, 1280])
def test_wide_tables_scroll_in_themselves(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    for words in ("Requirements: ", "Coverage: ", "Wrong firmwares: "):
        section(page, words).click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_are_readable_on_every_warmth(page: playwright.Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    section(page, "Coverage: ").click()
    worst = page.locator(".heat tbody td").first.evaluate(
        """element => {
          const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const pixel = (colour) => { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((v) => v / 255); };
          const light = (colour) => pixel(colour)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const card = getComputedStyle(document.querySelector(".ledger")).backgroundColor;
          return Math.min(...[0, 1, 2, 3, 4, 5].map((level) => {
            element.className = `h${level}`;
            const style = getComputedStyle(element);
            const behind = level ? style.backgroundColor : card;
            const two = [light(style.color), light(behind)].sort((a, b) => b - a);
            return (two[0] + 0.05) / (two[1] + 0.05);
          }));
        }"""
    )
    assert worst >= 4.5
