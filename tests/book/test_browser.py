"""Every built page in a real Chromium with the network cut off: it must work, be typeset, be accessible."""

import contextlib
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build/html"))
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not path.relative_to(HTML).parts[0].startswith("_") and path != HTML / "index.html"
)
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TYPESET = "() => window.MathJax && MathJax.startup ? MathJax.startup.promise.then(() => true) : true"

pytestmark = [pytest.mark.book, pytest.mark.browser]


def test_the_book_is_built():
    assert PAGES, f"there are no pages in {HTML}: run `make book` first"


@contextlib.contextmanager
def opened(browser, address: str, allowed: str, theme: str = "light", size: dict = DESK):
    """A page at `address`, typeset, with what went wrong collected in its second value."""
    context = browser.new_context(viewport=size, color_scheme=theme, reduced_motion="reduce")
    complaints: list[str] = []

    def only_here(route):
        if route.request.url.startswith((allowed, "data:", "blob:")):
            route.continue_()
        else:
            complaints.append(f"asks the network for {route.request.url}")
            route.abort()

    context.route("**/*", only_here)
    page = context.new_page()
    page.on("console", lambda m: complaints.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("response", lambda r: complaints.append(f"{r.status} for {r.url}") if r.status >= 400 else None)
    page.goto(address, wait_until="load")
    page.evaluate(TYPESET)
    page.wait_for_timeout(100)  # what the page does once its formulas have their width
    yield page, complaints
    context.close()


def violations(page) -> list[str]:
    """What axe-core finds wrong, with the first offending element of each kind."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options={"preload": False}).response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:160]} ({len(v['nodes'])} in all)" for v in found]


def turn_every_knob(page) -> None:
    """Interactive figures answer the keyboard: the picture moves and the knob says its new value."""
    for figure in page.locator("figure.gm-explore").all():
        knob, picture = figure.locator("input").first, figure.locator("svg").first
        before, said = picture.inner_html(), knob.get_attribute("aria-valuetext")
        knob.focus()
        page.keyboard.press("ArrowLeft" if knob.input_value() == knob.get_attribute("max") else "ArrowRight")
        assert picture.inner_html() != before, "the picture did not change"
        assert knob.get_attribute("aria-valuetext") != said, "the knob's spoken value did not change"


@pytest.mark.parametrize("name", PAGES)
def test_page(browser, site, name):
    with opened(browser, site + name, site) as (page, complaints):
        assert page.locator("html").get_attribute("lang") == "bg"
        assert page.locator("html").get_attribute("data-theme") == "light"
        assert not page.locator("mjx-merror").all_text_contents(), "formulas that MathJax cannot read"
        assert page.locator("span.math, div.math").count() == page.locator(".math mjx-container").count()
        assert page.locator("img[alt^='_images/'], img:not([alt])").count() == 0
        turn_every_knob(page)
        assert not violations(page)
        assert not complaints


@pytest.mark.parametrize("name", PAGES)
def test_page_on_a_phone_in_the_dark_theme(browser, site, name):
    with opened(browser, site + name, site, theme="dark", size=PHONE) as (page, complaints):
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert not violations(page)
        assert not complaints


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_a_folder(browser, name):
    folder = HTML.resolve().as_uri()
    with opened(browser, f"{folder}/{name}", folder) as (page, complaints):
        assert page.locator("span.math, div.math").count() == page.locator(".math mjx-container").count()
        assert not complaints
