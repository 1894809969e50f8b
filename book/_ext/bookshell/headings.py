"""Headings keep an address that does not change with the page.

Sphinx makes heading ids from Latin letters, so that Bulgarian headings would be ``id3``, ``id4``, ... and a
link to one of them would break when a section is added. Chapters put an ASCII label before each heading;
here it becomes the heading's address, and a heading without one fails the build.
"""

import re

from docutils import nodes
from docutils.transforms.references import PropagateTargets
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

logger = logging.getLogger(__name__)
AUTOMATIC = re.compile(r"id\d+").fullmatch


class StableHeadings(SphinxTransform):
    """Put the label first among a section's ids: the first is what Sphinx links to."""

    default_priority = PropagateTargets.default_priority + 1

    def apply(self) -> None:
        for section in self.document.findall(nodes.section):
            section["ids"].sort(key=lambda identifier: bool(AUTOMATIC(identifier)))
            if AUTOMATIC(section["ids"][0]):
                title = section.next_node(nodes.title).astext()
                message = f"put an ASCII label, (some-name)=, before the heading „{title}“"
                logger.warning(message, location=section, type="book", subtype="label")


def setup(app) -> None:
    app.add_transform(StableHeadings)
