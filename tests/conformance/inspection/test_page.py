"""The page: what it holds, and what a person can do with it in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from capture_kinds import made

from conformance.capture import Problem, write_capture
from conformance.cli import main
from conformance.inspection.keys import Keys
from conformance.inspection.page import MOST_FRAMES, PageView
from conformance.inspection.source import Source
from conformance.inspection.words import Clock
from model.alphabet import Link

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"


def view(frames, tmp_path: Path) -> PageView:
    """A page of these frames."""
    page = PageView(Source(tmp_path / "x", Keys(), Clock()), tmp_path / "a.html", HOSTILE, "scewl inspect x")
    for seen in frames:
        page.frame(seen)
    return page


def test_everything_hostile_is_escaped(explained, tmp_path: Path) -> None:
    frames = [
        replace(seen, captured=replace(seen.captured, comment=HOSTILE), notes=(HOSTILE,))
        for seen in explained("register")
    ]
    page = view([*frames, replace(frames[0], frame=None, problem=HOSTILE)], tmp_path)
    page.problem(Problem(3, 0, HOSTILE))
    text = page.render()
    assert text.count("<script>") == 1 and "<img" not in text and text.count(HOSTILE) == 0


def test_the_same_capture_gives_the_same_page(explained, tmp_path: Path) -> None:
    frames = explained("register")
    assert view(frames, tmp_path).render() == view(frames, tmp_path).render()


def test_no_private_key_and_no_secret_is_on_it(explained, tmp_path: Path) -> None:
    text = view(explained("register"), tmp_path).render()
    secrets = [secret.hex() for _, secret in made("register").secrets]
    assert secrets and not any(secret in text.replace(":", "") for secret in secrets)
    assert "not shown: a response to a registration holds a private key" in text
    key = explained("register")[8].records[0].plaintext[-121:]
    assert key and key.hex() not in text.replace(":", "")


def test_it_stays_small(explained, tmp_path: Path) -> None:
    frames = [
        replace(seen, captured=replace(seen.captured, number=n)) for n, seen in enumerate(explained("register") * 100)
    ]
    text = view(frames, tmp_path).render()
    assert text.count('<details class="case') == MOST_FRAMES
    assert f"{len(frames) - MOST_FRAMES} more are not on this page" in text and "frames not drawn" in text


playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_a_browser = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a capture in which the controller's close_notify leaves it once more, judged."""
    folder = tmp_path_factory.mktemp("page")
    what = made("register")
    close = next(f for f in reversed(what.frames) if f.link is Link.SSS and not f.towards)
    write_capture(folder / "a.pcapng", [*what.frames, close], what.secrets, what.context)
    data = bytearray((folder / "a.pcapng").read_bytes())
    (folder / "a.pcapng").write_bytes(data + b"\0" * 7)
    assert main(["inspect", str(folder / "a.pcapng"), "--judge", "--html", str(folder / "a.html")]) == 1
    return (folder / "a.html").as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


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


@in_a_browser
def test_it_shows_the_whole_story(page: playwright.Page) -> None:
    assert page.title() == "a.pcapng: a capture of DTLS over SCEWL"
    assert page.locator(".verdict.fail .pill").inner_text() == "NOT ALLOWED"
    assert page.locator(".ladder .rung").count() == 13 and page.locator(".ladder .here").count() == 1
    assert len(visible(page)) == 13
    assert page.get_by_text("at byte").count() == 1
    assert page.locator("#frame-13 .wrong").count() >= 1
    assert page.locator("table tbody tr").count() == 1


@in_a_browser
def test_a_frame_unfolds_with_its_fields(page: playwright.Page) -> None:
    fields = page.locator("#frame-4 pre")
    assert not fields.is_visible()
    page.locator("#frame-4 summary").click()
    assert "dtls.handshake.message_seq: 1" in fields.inner_text()


@in_a_browser
def test_frames_are_filtered_and_searched(page: playwright.Page) -> None:
    page.get_by_role("button", name="cpu 2").click()
    assert visible(page) == ["frame-1", "frame-11"]
    page.get_by_role("button", name="All 13").click()
    page.locator("#search").fill("clienthello COOKIE")
    assert visible(page) == ["frame-4"]
    page.locator("#search").fill("no such thing")
    assert visible(page) == [] and page.get_by_text("No frame fits the filter.").is_visible()


@in_a_browser
def test_a_link_leads_to_its_frame(page: playwright.Page) -> None:
    page.get_by_role("button", name="cpu 2").click()
    page.locator(".verdict.fail a.tag").last.click()
    page.locator("#frame-13 pre").wait_for(state="visible")


@in_a_browser
@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_body_never_scrolls_sideways(page: playwright.Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.locator("#expand").click()
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


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_dark(page: playwright.Page, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    red, green, blue = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert (red + green + blue > 600) is (scheme == "light")
    selectors = ["h1", "h2", ".facts dt", ".verdict .pill", ".frames .link", ".frames .time", ".note", ".wrong", "th"]
    for selector in [*selectors, "footer p", ".ladder .time", ".ladder .rung > text:not(.time)"]:
        assert contrast(page, selector) >= 4.5, selector
