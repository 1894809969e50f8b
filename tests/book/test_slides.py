"""The lecturer's decks and the PDF, made from the built book: whole, offline, nothing off the screen."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from book.build import pdf, slides
from book.build.sources import Book

pytestmark = [pytest.mark.book, pytest.mark.browser]
CHAPTERS = [name for name in Book(Path(__file__).parents[2]).names if slides.CHAPTER.match(name)]
READY = "() => window.Reveal && Reveal.isReady()"
CUT_OFF = """() => [...document.querySelectorAll('.slides > section > section')].filter(slide => {
  const shown = slide.style.display;
  slide.style.display = 'block';
  const fits = slide.scrollHeight <= 720 || (slide.matches('.tall') && slide.clientHeight <= 720);
  slide.style.display = shown;
  return !fits;
}).map(slide => slide.innerText.slice(0, 80))"""


@pytest.fixture(scope="module")
def book(html) -> Book:
    return Book(html.parents[1])


@pytest.fixture(scope="module")
def decks(book) -> list[str]:
    """The decks that the list of decks leads to. Tests run side by side, so none of them makes the decks."""
    index = book.html / "slides/index.html"
    assert index.exists(), f"there are no decks in {index.parent}: run `make slides` first"
    listed = BeautifulSoup(index.read_text("utf8"), "html.parser")
    return [f"slides/{link['href']}" for link in listed.select("li a")]


def words(text: str) -> set[str]:
    return set(re.findall(r"[\w\\]{3,}", text))


def test_a_deck_for_every_chapter_with_all_its_words(book, decks):
    assert decks == [f"slides/{name}.html" for name in CHAPTERS]
    for name in CHAPTERS:
        page, deck = (
            BeautifulSoup((book.html / f"{path}.html").read_text("utf8"), "html.parser")
            for path in (name, f"slides/{name}")
        )
        assert words(page.article.section.get_text(" ")) <= words(deck.main.get_text(" ")), name


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_deck_opens_from_a_folder_and_every_slide_fits(book, opened, violations, name):
    folder = book.html.as_uri()
    with opened(f"{folder}/slides/{name}.html", folder) as (page, complaints):
        page.wait_for_function(READY)
        assert page.locator("span.math, div.math").count() == page.locator(".math mjx-container").count()
        assert not page.evaluate(CUT_OFF)
        assert not violations(page)
        page.keyboard.press("ArrowRight")
        assert page.evaluate("Reveal.getIndices().h") == 1
        assert not complaints


def test_links_of_a_deck_lead_to_pages(book, decks):
    for name in [*decks, "slides/index.html"]:
        deck = book.html / name
        page = BeautifulSoup(deck.read_text("utf8"), "html.parser")
        inner = [a["href"] for a in page.select("a[href]") if not re.match(r"#|[a-z]+:", a["href"])]
        assert inner and all((deck.parent / href.partition("#")[0]).is_file() for href in inner), name


@pytest.fixture(scope="module")
def printed(book, browser, tmp_path_factory):
    """Two pages that refer to each other, printed and merged."""
    from pypdf import PdfReader

    names = ["lectures/3-inference/30-laplace-approximation", "lectures/3-inference/31-importance-sampling"]
    target = tmp_path_factory.mktemp("pdf") / "book.pdf"
    pages = pdf.print_pages(book, names, browser)
    pdf.merge(book, {name: (title, data) for name, title, data in pages}, target)
    return PdfReader(target)


def test_the_pdf_can_be_searched_in_bulgarian_and_says_its_language(printed):
    text = " ".join(sheet.extract_text() for sheet in printed.pages)
    assert "апроксимация" in text.lower() and "извадка" in text.lower()
    assert printed.trailer["/Root"]["/Lang"] == "bg"


def test_the_pdf_has_bookmarks_by_part(printed):
    def titles(items):
        return [titles(item) if isinstance(item, list) else item.title for item in items]

    flat = str(titles(printed.outline))
    assert "Лекцията" in flat and flat.index("30. ") < flat.index("31. ")


def test_links_between_pages_stay_in_the_pdf_and_none_leads_to_this_machine(printed):
    notes = [note.get_object() for sheet in printed.pages for note in sheet.get("/Annots", [])]
    actions = [note["/A"] for note in notes if "/A" in note]
    assert any(action["/S"] == "/GoTo" for action in actions)
    assert not [action for action in actions if str(action.get("/URI", "")).startswith("file:")]


def test_every_page_of_the_book_is_in_the_outline(book):
    assert [name for _, name, is_page in pdf.outline(book) if is_page] == book.names
    assert Path(book.html / f"{book.root_page}.html").exists()
