"""`python -m book.build report`: what the pages weigh and how soon one can read them in Chromium."""

import argparse
import statistics
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

from .pdf import chromium
from .sources import Book

LIMIT = 1_000_000  # bytes of HTML and pictures that a page may weigh
SHOWN = 8
# When the text was first painted and when its formulas were typeset, in milliseconds from the click.
CLOCK = """window.addEventListener("load", async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  window.readable = [painted ? painted.startTime : performance.now(), performance.now()];
})"""


def weight(page: Path) -> int:
    """Bytes of a page's HTML and of the pictures it shows; what all pages share is not counted."""
    text = page.read_text("utf8")
    sources = {image["src"] for image in BeautifulSoup(text, "html.parser").select("img[src], source[src]")}
    files = {page.parent / unquote(urlsplit(s).path) for s in sources if not urlsplit(s).scheme}
    return len(text.encode()) + sum(file.stat().st_size for file in {file.resolve() for file in files})


def seconds_to_read(browser, page: Path) -> tuple[float, float]:
    """Until the text is seen and until its formulas are typeset, by a reader who comes for the first time."""
    context = browser.new_context()
    tab = context.new_page()
    tab.add_init_script(CLOCK)
    tab.goto(page.as_uri())
    tab.wait_for_function("window.readable")
    painted, typeset = tab.evaluate("window.readable")
    context.close()
    return painted / 1000, typeset / 1000


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build report", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    options = parser.parse_args(arguments)
    book = Book(options.root.resolve())
    pages = {name: book.html / f"{name}.html" for name in book.names}
    weights = {name: weight(page) for name, page in pages.items()}
    with chromium() as browser:
        times = {name: seconds_to_read(browser, page) for name, page in pages.items()}
    print("The heaviest pages:   kB, seconds to the text, to its formulas")
    for name in sorted(weights, key=lambda name: -weights[name])[:SHOWN]:
        print(f"  {weights[name] / 1000:7.0f}  {times[name][0]:5.2f}  {times[name][1]:5.2f}  {name}")
    text, formulas = (statistics.median(column) for column in zip(*times.values(), strict=True))
    kilobytes = statistics.median(weights.values()) / 1000
    print(f"Median of {len(pages)}: {kilobytes:.0f} kB, text in {text:.2f} s, formulas in {formulas:.2f} s")
    heavy = [name for name in weights if weights[name] > LIMIT]
    if heavy:
        print(f"Heavier than {LIMIT / 1e6:.0f} MB: {', '.join(heavy)}", file=sys.stderr)
    return 1 if heavy else 0
