"""The shell of the book: what Sphinx and its themes lack for a Bulgarian, offline, accessible course.

One concern a file:

==================  =======================================================================
catalogues.py       interface strings in Bulgarian
numbering.py        chapter, equation and figure numbers that follow the deck's slides
offline.py          MathJax and icons from the site itself, nothing loaded from elsewhere
buttons.py          Colab, Binder and download buttons that lead to the generated notebooks
alttext.py          a text alternative for every picture, or the build fails
headings.py         addresses of headings that do not change
landmarks.py        what screen readers need and the themes forget
search_bg.py        a light Bulgarian stemmer for the search box
bibliography.py     „и“ and „и др.“ in citations
manifest.py         the manifest of slides as Python objects, and where a chapter lives
deck.py             directives that draw the deck as a map and list the chapters to come
glossary.py         definitions shown when the pointer rests on a term
usage.py            links between the library's pages and the chapters that use them
==================  =======================================================================
"""

from . import (
    alttext,
    bibliography,
    buttons,
    catalogues,
    deck,
    glossary,
    headings,
    landmarks,
    numbering,
    offline,
    search_bg,
    usage,
)

PARTS = (
    catalogues,
    numbering,
    offline,
    buttons,
    alttext,
    headings,
    landmarks,
    search_bg,
    bibliography,
    deck,
    glossary,
    usage,
)


def setup(app):
    for part in PARTS:
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
