"""Every built page in a real Chromium with the network cut off: it must work, be typeset, be accessible."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build/html"))
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not path.relative_to(HTML).parts[0].startswith(("_", "slides")) and path != HTML / "index.html"
)
PHONE = {"width": 390, "height": 844}
OF_WIDTH_AND_THEME = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")

pytestmark = [pytest.mark.book, pytest.mark.browser]


def test_the_book_is_built():
    assert PAGES, f"there are no pages in {HTML}: run `make book` first"


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
def test_page(opened, violations, site, name):
    with opened(site + name, site) as (page, complaints):
        assert page.locator("html").get_attribute("lang") == "bg"
        assert page.locator("html").get_attribute("data-theme") == "light"
        assert not page.locator("mjx-merror").all_text_contents(), "formulas that MathJax cannot read"
        assert page.locator("span.math, div.math").count() == page.locator(".math mjx-container").count()
        assert page.locator("img[alt^='_images/'], img:not([alt])").count() == 0
        turn_every_knob(page)
        assert not violations(page)
        assert not complaints


@pytest.mark.parametrize("name", PAGES)
def test_page_opens_from_a_folder_on_a_phone_in_the_dark_theme(opened, violations, name):
    folder = HTML.resolve().as_uri()
    with opened(f"{folder}/{name}", folder, theme="dark", size=PHONE) as (page, complaints):
        assert page.locator("html").get_attribute("data-theme") == "dark"
        assert page.locator("span.math, div.math").count() == page.locator(".math mjx-container").count()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert not violations(page, *OF_WIDTH_AND_THEME)
        assert not complaints
