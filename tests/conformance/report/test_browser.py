"""The page in a real browser: what a person can do with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.report.write import write_report
from conformance.results import Report

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def address(report: Report, tmp_path: Path) -> str:
    return write_report(report, tmp_path).as_uri()


@pytest.fixture
def page(browser: playwright.Browser, address: str) -> Iterator[playwright.Page]:
    """The page, loaded. Whatever it says on its console, a breach of its own policy included, fails the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "request", lambda request: said.append(request.url) if not request.url.startswith(("file:", "data:")) else 0
    )
    page.goto(address)
    yield page
    assert said == []
    page.close()


def visible(page: playwright.Page) -> list[str]:
    return [item.get_attribute("id") for item in page.locator(".case").all() if item.is_visible()]


def test_it_loads_and_the_hostile_evidence_does_not_run(page: playwright.Page) -> None:
    assert page.title() == "ERROR: 1 failed, 1 error, 1 inconclusive, 2 passed on reference"
    assert page.evaluate("document.querySelectorAll('script').length") == 1


def test_a_click_opens_a_case_and_shows_its_ladder(page: playwright.Page) -> None:
    ladder = page.locator("#loss-flight-5 .ladder")
    assert not ladder.is_visible()
    page.locator("#loss-flight-5 summary").click()
    assert ladder.is_visible()
    assert page.locator("#loss-flight-5 .cross").count() == 1


def test_chips_filter_by_verdict(page: playwright.Page) -> None:
    page.get_by_role("button", name="Pass 2").click()
    assert visible(page) == ["register-then-send", "loss-flight-5"]
    assert page.get_by_role("button", name="Pass 2").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="All 5").click()
    assert len(visible(page)) == 5


def test_search_takes_words_in_any_order_and_says_when_nothing_fits(page: playwright.Page) -> None:
    page.locator("#search").fill("ses-9 GLARE")
    assert visible(page) == ["glare-lower-yields"]
    page.locator("#search").fill("no such thing")
    assert visible(page) == [] and page.get_by_text("No case fits the filter.").is_visible()


def test_an_address_opens_a_case_even_if_it_is_filtered_out(page: playwright.Page) -> None:
    page.get_by_role("button", name="Fail 1").click()
    page.evaluate("location.hash = 'loss-flight-5'")
    page.locator("#loss-flight-5 .ladder").wait_for(state="visible")


def test_copy_takes_the_command(page: playwright.Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("#glare-lower-yields .copy")
    button.click()
    playwright.expect(button).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "scewl conform glare-lower-yields --target reference --seed 7"


def test_open_or_close_all_minds_the_filter(page: playwright.Page) -> None:
    page.get_by_role("button", name="Pass 2").click()
    page.locator("#expand").click()
    assert page.locator(".case[open]").count() == 5
    page.locator("#expand").click()
    assert page.locator(".case[open]").count() == 3


def test_keyboard_alone_opens_a_case(page: playwright.Page) -> None:
    page.locator("#loss-flight-5 summary").focus()
    page.keyboard.press("Enter")
    assert page.locator("#loss-flight-5 .ladder").is_visible()


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_body_never_scrolls_sideways(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.locator("#expand").click()
    for section in page.locator("summary.section").all():
        section.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width


def contrast(page: playwright.Page, selector: str) -> float:
    """WCAG contrast of an element's text against the first opaque background behind it."""
    return page.locator(selector).first.evaluate(
        """element => {
          const parse = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (text) => parse(text).slice(0, 3).map((v) => v / 255)
            .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          const style = getComputedStyle(element);
          let behind = element;
          const clear = (node) => (parse(getComputedStyle(node).backgroundColor)[3] ?? 1) === 0;
          while (clear(behind)) behind = behind.parentElement;
          const ink = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
          const two = [light(ink), light(getComputedStyle(behind).backgroundColor)].sort((a, b) => b - a);
          return (two[0] + 0.05) / (two[1] + 0.05);
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page: playwright.Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue > 600) is (scheme == "light")
    for selector in (
        "h1",
        ".facts dt",
        ".top .pill",
        ".name span",
        ".tags .tag",
        ".reason",
        ".copy",
        ".small",
        ".wrong",
        "footer p",
        ".pass .pill",
        ".inconclusive .pill",
        ".error .pill",
        ".ladder .time",
        ".ladder .rung > text:not(.time)",
        ".ladder tspan.tag",
    ):
        assert contrast(page, selector) >= 4.5, selector
