"""The page in a real browser: what a person can do with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.checking.results import CheckReport
from conformance.checking.write import write_report

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


@pytest.fixture(scope="module")
def address(report: CheckReport, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder: Path = tmp_path_factory.mktemp("page")
    return write_report(report, folder).as_uri()


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


LISTEN = "#node-state-receiving-message-listen a"


def test_a_click_on_a_state_shows_its_rules(page: playwright.Page) -> None:
    assert page.get_by_text("Choose a state in the diagram.").is_visible()
    page.locator("#controller").scroll_into_view_if_needed()
    page.locator(LISTEN).scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.locator(LISTEN).click()
    assert page.evaluate("scrollY") == before > 0  # the page does not jump
    state = page.locator("#state-receiving-message-listen")
    assert state.is_visible() and not page.get_by_text("Choose a state in the diagram.").is_visible()
    for needed in ("SES-3.deliver", "To IDLE", "DTL-6.timeout", "Stays here", "SES-7.noise", "Paths through it"):
        assert needed in state.inner_text()
    assert "SES-3" in state.locator("li", has_text="SES-3.deliver").locator(".tag").all_inner_texts()
    assert page.locator(".state[open]").count() == 1
    assert page.locator(".diagram .node.chosen").count() == 1
    assert page.locator(".diagram .edge.near").count() == 2  # from ACCEPT, and to IDLE, of one edge each


def test_from_state_to_state_and_to_a_path_through_it(page: playwright.Page) -> None:
    page.locator(LISTEN).click()
    page.locator("#state-receiving-message-listen").get_by_role("link", name="IDLE", exact=True).click()
    assert page.locator("#state-idle").is_visible() and page.locator(".state[open]").count() == 1
    link = page.locator("#state-idle").get_by_role("link", name="armed in alone without SES-7")
    target = page.locator(link.get_attribute("href") or "")
    assert not target.locator(".ladder").is_visible()
    link.click()
    target.locator(".ladder").wait_for(state="visible")


def test_an_address_chooses_a_state(page: playwright.Page) -> None:
    page.evaluate("location.hash = 'state-sending-message-keys'")
    page.locator("#state-sending-message-keys").wait_for(state="visible")
    page.reload()
    page.locator("#state-sending-message-keys").wait_for(state="visible")


def test_keyboard_alone_chooses_a_state(page: playwright.Page) -> None:
    page.locator(LISTEN).focus()
    page.keyboard.press("Enter")
    assert page.locator("#state-receiving-message-listen").is_visible()


def test_the_counterexample_stands_open_and_the_others_open_on_a_click(page: playwright.Page) -> None:
    assert page.locator("#property-all-delivered .ladder").is_visible()
    example = page.locator("#property-sends .ladder")
    assert not example.is_visible()
    page.locator("#property-sends > summary").click()
    page.locator("#property-sends .path > summary").click()
    assert example.is_visible()


def test_a_defect_leads_to_the_path_that_shows_it(page: playwright.Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    row = page.locator(".defects tr", has_text="The radio loses messages.")
    assert "Still there: all-delivered is false in pair, after 6 steps." in row.inner_text()
    page.locator("#property-all-delivered > summary").click()  # closes it
    target = page.locator(row.get_by_role("link").get_attribute("href") or "")
    assert not target.locator(".ladder").is_visible()
    row.get_by_role("link", name="Show the path").click()
    target.locator(".ladder").wait_for(state="visible")


def test_copy_takes_the_command(page: playwright.Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    button = page.locator("header .copy")
    button.click()
    playwright.expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "scewl check --engine run"


@pytest.mark.parametrize("width", [320, 390, 768, 920, 1280])
def test_the_body_never_scrolls_sideways(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.evaluate("for (const item of document.querySelectorAll('details')) item.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    clipped = "[...document.querySelectorAll('.card, .cases')].filter((e) => e.scrollWidth > e.clientWidth).length"
    assert page.evaluate(clipped) == 0
    assert page.locator("#defects").is_visible() and page.locator(".defects tbody tr").count() == 7


def test_no_word_of_a_table_is_torn(page: playwright.Page) -> None:
    for cell in page.locator(".grid th, .grid td.number").all():
        assert (
            cell.evaluate(
                "e => { const r = document.createRange(); r.selectNodeContents(e); return r.getClientRects().length; }"
            )
            <= 1
        )


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
@pytest.mark.parametrize("width", [390, 1280])
def test_text_is_readable_in_light_and_dark(page: playwright.Page, scheme: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    red, green, blue = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (red + green + blue > 600) is (scheme == "light")
    page.locator(LISTEN).click()
    for selector in (
        "h1",
        "h2 + p",
        ".summary p",
        ".facts dt",
        ".top .pill",
        ".property .kind",
        ".property .pill",
        ".tags .tag",
        ".found .where",
        ".path > summary",
        ".buys",
        ".needed code",
        ".shown",
        ".defects a",
        ".endless",
        ".never",
        ".grid .small",
        "footer p",
        ".ladder .time",
        ".ladder .rule",
        ".ladder .rung > text:not(.time)",
        ".diagram .node text",
        ".diagram .node text + text",
        ".diagram .edge.near text",
        ".state[open] h3",
        ".state[open] .tag",
    ):
        assert contrast(page, selector) >= 4.5, selector
