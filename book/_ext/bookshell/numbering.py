"""The chapter of slide 31 is chapter 31, its equations are (31.1), (31.2), ... whatever else is in the book.

Sphinx numbers documents by their place in the table of contents, so each chapter that lands would shift
the numbers of all that follow. Here the number comes from the manifest. Figures, equations, exercises and
theorems take it over by Sphinx's own means (``numfig_secnum_depth = 1``).
"""

from docutils import nodes
from sphinx.environment.collectors.toctree import TocTreeCollector

from .manifest import chapter_numbers


def assign_section_numbers(collector, env) -> list[str]:
    """Number the chapters by slide, leave sections unnumbered; return documents whose number changed."""
    before, env.toc_secnumbers = env.toc_secnumbers, {}
    for docname, number in chapter_numbers().items():
        if docname not in env.tocs:
            continue
        entries = list(env.tocs[docname].findall(nodes.reference))
        env.toc_secnumbers[docname] = {entry["anchorname"]: None for entry in entries} | {"": (number,)}
        for entry in entries:
            entry["secnumber"] = None if entry["anchorname"] else (number,)
        env.titles[docname]["secnumber"] = (number,)
    return [doc for doc, numbers in env.toc_secnumbers.items() if before.get(doc) != numbers]


def setup(app) -> None:
    TocTreeCollector.assign_section_numbers = assign_section_numbers
