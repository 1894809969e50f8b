"""Every picture says in Bulgarian what is seen, or the build fails: warnings are errors."""

import re
from html.parser import HTMLParser

from docutils import nodes
from sphinx.util import logging

logger = logging.getLogger(__name__)
BULGARIAN = re.compile("[а-яА-Я]{3}")


class _Pictures(HTMLParser):
    """Collect the text alternative of every picture in a piece of HTML; None where there is none."""

    def __init__(self):
        super().__init__()
        self.found: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("aria-hidden") == "true":
            return
        if tag in ("img", "canvas"):
            self.found.append((tag, attributes.get("alt") or attributes.get("aria-label")))
        elif tag == "svg":
            is_image = attributes.get("role") == "img"
            self.found.append((tag, attributes.get("aria-label") if is_image else None))

    handle_startendtag = handle_starttag


def pictures(html: str) -> list[tuple[str, str | None]]:
    """The pictures in `html` as (tag, text alternative).

    >>> pictures('<img src="a.png"><svg role="img" aria-label="Крива"></svg>')
    [('img', None), ('svg', 'Крива')]
    """
    parser = _Pictures()
    parser.feed(html)
    return parser.found


def _alternatives(doctree):
    for image in doctree.findall(nodes.image):
        yield image, image.get("uri", "image"), image.get("alt")
    for raw in doctree.findall(nodes.raw):
        if "html" in raw.get("format", ""):
            for tag, alt in pictures(raw.astext()):
                yield raw, f"<{tag}>", alt


def check_alternatives(app, doctree, docname) -> None:
    """Warn about each picture that says nothing to those who cannot see it."""
    for node, name, alt in _alternatives(doctree):
        if not BULGARIAN.search(alt or ""):
            message = f"{docname}: {name} has no alt text in Bulgarian (it says {alt!r})"
            logger.warning(message, location=node, type="book", subtype="alt")


def setup(app) -> None:
    app.connect("doctree-resolved", check_alternatives)
