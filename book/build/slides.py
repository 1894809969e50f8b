"""`python -m book.build slides`: a reveal.js deck of every chapter into _build/html/slides.

Each heading of the second level is a column of slides; slides.js divides its text once formulas have their
height. reveal.js is copied from the installed package sphinx-revealjs.
"""

import argparse
import html
import os
import re
import shutil
import sys
from importlib.metadata import distribution
from pathlib import Path
from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag

from .sources import Book

CHAPTER = re.compile(r"lectures/.+/\d\d-")
OURS = ("slides.js", "slides.css")
REVEAL = ("dist/reveal.js", "dist/reveal.css", "LICENSE")
STYLES = ("pygments", "mystnb", "book.css")  # of the page; the theme's own would fight with reveal.js
PAGE = """<!DOCTYPE html>
<html lang="{language}" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="stylesheet" href="{top}slides/reveal/reveal.css">
{styles}
<link rel="stylesheet" href="{top}slides/slides.css">
{mathjax}
</head>
<body>
<main class="bd-article">
{columns}
</main>
<div class="reveal"><div class="slides"></div></div>
<script src="{top}slides/reveal/reveal.js"></script>
<script src="{top}slides/slides.js"></script>
</body>
</html>
"""
INDEX = """<!DOCTYPE html>
<html lang="{language}" data-theme="light">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Слайдове: {title}</title>
<link rel="stylesheet" href="slides.css">
</head>
<body class="list">
<main>
<h1>{title}: слайдове по глави</h1>
<p>Стрелките сменят слайдовете, <kbd>O</kbd> ги показва всички, <kbd>F</kbd> ги отваря на цял екран.</p>
<ul>
{items}
</ul>
</main>
</body>
</html>
"""


def make(book: Book, name: str) -> str:
    """Write the deck of one chapter; returns its title."""
    page = BeautifulSoup((book.html / f"{name}.html").read_text("utf8"), "html.parser")
    chapter = page.find("article").find("section")
    top = "../" * (name.count("/") + 1)
    _point_outward(page, name, top)
    for anchor in chapter.select("a.headerlink"):
        anchor.decompose()
    for folded in chapter.select(".admonition.dropdown"):
        _make_details(page, folded)
    title = chapter.h1.get_text(" ", strip=True)
    back = page.new_tag("a", href=f"{top}{name}.html", string="Страницата в учебника")
    columns = _columns(page, chapter)
    columns[0].append(back)
    target = book.html / "slides" / f"{name}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    text = PAGE.format(
        language=page.html["lang"],
        title=html.escape(title),
        top=top,
        styles="\n".join(str(link) for link in page.select("link[rel=stylesheet]") if _is_kept(link)),
        mathjax="\n".join(str(s) for s in page.select("head script") if "mathjax" in str(s).lower()),
        columns="\n".join(map(str, columns)),
    )
    target.write_text(text, "utf8")
    return title


def _is_kept(link: Tag) -> bool:
    return any(style in link["href"] for style in STYLES)


def _point_outward(page: BeautifulSoup, name: str, top: str) -> None:
    """Links and pictures are relative to the page; the deck lies elsewhere."""
    for element in page.select("[href], [src]"):
        key = "href" if element.has_attr("href") else "src"
        address = element[key]
        if not re.match(r"#|[a-z]+:", address):
            element[key] = top + urljoin(f"/{name}.html", address).lstrip("/")


def _make_details(page: BeautifulSoup, admonition: Tag) -> None:
    """What the page's script folds is folded here by HTML alone."""
    admonition.name = "details"
    title = admonition.find(class_="admonition-title")
    title.name = "summary"
    admonition.insert(0, title.extract())


def _columns(page: BeautifulSoup, chapter: Tag) -> list[Tag]:
    """One <section> for the opening and one for each heading of the second level, its blocks side by side."""
    first = page.new_tag("section")
    columns = [first]
    for child in list(chapter.find_all(True, recursive=False)):
        if child.name == "section":
            columns.append(child)
        else:
            first.append(child.extract())
    for column in columns:
        for nested in column.select("section, div.cell"):
            if nested.name == "section" and (heading := nested.find(re.compile("h[1-6]"))):
                heading["id"] = nested["id"]
            nested.unwrap()
        if heading := column.find(re.compile("h[12]")):
            heading["id"] = column.get("id") or chapter["id"]
        column.attrs = {}
    return columns


def copy_assets(book: Book) -> None:
    target = book.html / "slides"
    shutil.rmtree(target, ignore_errors=True)
    (target / "reveal").mkdir(parents=True)
    for name in OURS:
        shutil.copy(Path(__file__).with_name(name), target)
    files = distribution("sphinx-revealjs").files or []
    for wanted in REVEAL:
        file = next(file for file in files if str(file).endswith(f"_static/revealjs/{wanted}"))
        shutil.copy(file.locate(), target / "reveal")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build slides", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    options = parser.parse_args(arguments)
    book = Book(Path(os.path.abspath(options.root)))
    names = [name for name in book.names if CHAPTER.match(name)]
    missing = [name for name in names if not (book.html / f"{name}.html").exists()]
    if missing or not names:
        print(f"Build the book first: {', '.join(missing) or 'no chapter is there'}", file=sys.stderr)
        return 1
    copy_assets(book)
    links = [f'<li><a href="{name}.html">{html.escape(make(book, name))}</a></li>' for name in names]
    language = book.config.get("sphinx", {}).get("config", {}).get("language", "en")
    title = html.escape(book.config.get("title", ""))
    index = book.html / "slides/index.html"
    index.write_text(INDEX.format(language=language, title=title, items="\n".join(links)), "utf8")
    print(f"{len(names)} decks: {index}")
    return 0
