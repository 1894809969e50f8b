"""`python -m book.build pdf`: the whole built book as one file, printed by Chromium page by page.

Bookmarks follow _toc.yml; links between pages stay inside the file.
"""

import argparse
import contextlib
import io
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx_external_toc.parsing import parse_toc_yaml

from .sources import Book

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Formulas typeset, everything folded opened. The page's own style for print does the rest.
READY = """async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  for (const details of document.querySelectorAll("details")) details.open = true;
  for (const folded of document.querySelectorAll(".toggle-hidden")) folded.classList.remove("toggle-hidden");
  return document.querySelector("article h1").textContent.replace(/#$/, "");
}"""
FOOTER = """<div style="width: 100%; text-align: center; font-size: 8px; font-family: sans-serif">
<span class="title"></span></div>"""
PAPER = {
    "format": "A4",
    "print_background": True,
    "display_header_footer": True,
    "header_template": "<span></span>",
    "footer_template": FOOTER,
    "margin": {"top": "15mm", "bottom": "18mm", "left": "18mm", "right": "18mm"},
}


def outline(book: Book) -> Iterator[tuple[int, str, bool]]:
    """Depth, name of the page or caption of the part, whether it is a page; in reading order."""
    site = parse_toc_yaml(book.root / "_toc.yml")
    yield 0, book.root_page, True

    def below(document, depth: int) -> Iterator[tuple[int, str, bool]]:
        for tree in document.subtrees:
            if tree.caption:
                yield depth, tree.caption, False
            for name in map(str, tree.items):
                name = name.removesuffix(".md")
                yield depth + bool(tree.caption), name, True
                yield from below(site[name], depth + bool(tree.caption) + 1)

    yield from below(site.root, 0)


@contextlib.contextmanager
def chromium():
    """The machine's Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright  # an extra: pip install 'gmtools[test]'

    program = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if program is None:
        sys.exit("Chromium is missing: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


def print_pages(book: Book, names: list[str], browser) -> Iterator[tuple[str, str, bytes]]:
    """Name, title and PDF of each page."""
    page = browser.new_page(color_scheme="light", reduced_motion="reduce")
    for name in names:
        page.goto((book.html / f"{name}.html").as_uri())
        title = page.evaluate(READY)
        yield name, " ".join(title.split()), page.pdf(**PAPER)
    page.close()


def merge(book: Book, printed: dict[str, tuple[str, bytes]], target: Path) -> int:
    """Write one file with bookmarks; how many sheets it has."""
    from pypdf import PdfWriter

    writer, first = PdfWriter(), {}
    for name, (_, pdf) in printed.items():
        first[name] = len(writer.pages)
        writer.append(io.BytesIO(pdf), import_outline=False)
    parents: dict[int, object] = {}
    waiting: list[tuple[int, str]] = []  # captions have no page of their own: they lead to the next one
    for depth, name, is_page in outline(book):
        if not is_page:
            waiting.append((depth, name))
            continue
        if name not in printed:
            continue
        for level, title in [*waiting, (depth, printed[name][0])]:
            above = parents.get(level - 1)
            parents[level] = writer.add_outline_item(title=title, page_number=first[name], parent=above)
        waiting.clear()
    _turn_links_inward(book, writer, first)
    writer.add_metadata({"/Title": book.config.get("title", ""), "/Author": book.config.get("author", "")})
    writer.root_object.update({_name("/Lang"): _text(book.config["sphinx"]["config"].get("language", "en"))})
    writer.write(target)
    return len(writer.pages)


def _turn_links_inward(book: Book, writer, first: dict[str, int]) -> None:
    """Links to other pages of the book lead to their first sheet here, or else to the published page."""
    from pypdf.generic import ArrayObject, DictionaryObject

    root = f"{book.html.as_uri()}/"
    for sheet in writer.pages:
        for annotation in (reference.get_object() for reference in sheet.get("/Annots", [])):
            action = annotation.get("/A", {})
            if not str(action.get("/URI", "")).startswith(root):
                continue
            address = action["/URI"].removeprefix(root)
            name = unquote(urlsplit(address).path).removesuffix(".html")
            if name in first:
                page = writer.pages[first[name]].indirect_reference
                goto = {_name("/S"): _name("/GoTo"), _name("/D"): ArrayObject([page, _name("/Fit")])}
                annotation[_name("/A")] = DictionaryObject(goto)
            else:
                action[_name("/URI")] = _text(book.address + address)


def _name(text: str):
    from pypdf.generic import NameObject

    return NameObject(text)


def _text(text: str):
    from pypdf.generic import TextStringObject

    return TextStringObject(text)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build pdf", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    options = parser.parse_args(arguments)
    book = Book(options.root.resolve())
    start, target = time.monotonic(), book.build / "book.pdf"
    missing = [name for name in book.names if not (book.html / f"{name}.html").exists()]
    if missing:
        print(f"Build the book first: {', '.join(missing[:5])} missing", file=sys.stderr)
        return 1
    with chromium() as browser:
        printed = {name: (title, pdf) for name, title, pdf in print_pages(book, book.names, browser)}
    sheets = merge(book, printed, target)
    size = target.stat().st_size / 1e6
    print(
        f"{len(printed)} pages on {sheets} sheets, {size:.1f} MB, {time.monotonic() - start:.0f} s: {target}"
    )
    return 0
