"""Sphinx extension: beside every page that has code, write notebooks/<page>.ipynb for Colab and for download.

The notebook holds all code cells (also those that the page hides), their outputs as published (and stills of
the figures), and the page's text as plain Markdown. It needs nothing but gmtools, which its first cell
installs where it is missing.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from . import labs, stills
from .markdown import Code, Markdown, Part
from .sources import Book, Page
from .store import Store

INSTALL = """\
# Инсталира библиотеката на курса там, където я няма, например в Colab.
import importlib.util

if importlib.util.find_spec("gmtools") is None:
    %pip install -q "{requirement}"
"""
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}


def requirement(book: Book) -> str:
    """What pip installs: the wheel published with this very book, or else the repository."""
    project = book.root / "pyproject.toml"
    if not project.exists():
        return f"git+https://github.com/{book.slug}"
    version = tomllib.loads(project.read_text("utf8"))["project"]["version"]
    return f"{book.address}wheels/gmtools-{version}-py3-none-any.whl"


def assemble(parts: Iterable[Part], source: NotebookNode, install: str, address: str) -> NotebookNode:
    """Put texts and code cells together; code cells that the page does not show keep their place."""
    code = {i: cell for i, cell in enumerate(source.cells) if cell.cell_type == "code"}
    installs_itself = any('%pip install -q "gmtools' in cell.source for cell in code.values())
    cells = [] if installs_itself else [new_code_cell(install.strip())]
    waiting = list(code)
    for part in parts:
        if isinstance(part, Code):
            while waiting and waiting[0] <= part.index:
                index = waiting.pop(0)
                cells.append(_code_cell(code[index], folded=part.folded and index == part.index))
        elif cells and cells[-1].cell_type == "markdown" and not part.startswith("#"):
            cells[-1].source += f"\n\n{part}"
        elif part:
            cells.append(new_markdown_cell(part))
    cells += [_code_cell(code[index]) for index in waiting]
    first = next((cell for cell in cells if cell.cell_type == "markdown"), None)
    if first is not None:
        first.source += f"\n\n[Страницата в учебника]({address})"
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def _code_cell(cell: NotebookNode, folded: bool = False) -> NotebookNode:
    tags = cell.metadata.get("tags", [])
    metadata = {"tags": tags} if tags else {}
    if folded or HIDDEN & set(tags):
        metadata["jupyter"] = {"source_hidden": True}
    outputs = stills.add(cell.outputs)
    return new_code_cell(
        cell.source, outputs=outputs, execution_count=cell.execution_count, metadata=metadata
    )


def published(book: Book, page: Page) -> Path:
    """Where the notebook of a page lies."""
    return book.html / "notebooks" / f"{page.name}.ipynb"


def _write(app, pagename, templatename, context, doctree) -> None:
    book = _book(Path(app.srcdir))
    page = book.page(pagename) if doctree is not None else None
    if page is None or not page.code_cells:
        return
    source = Store(Path(app.config.nb_execution_cache_path)).executed(page)
    if page.is_lab:
        source = labs.for_students(page, source)
    address = f"{book.address}{pagename}.html"
    parts = Markdown(app, pagename, address).parts(doctree)
    notebook = assemble(parts, source, INSTALL.format(requirement=requirement(book)), address)
    target = published(book, page)
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(notebook)
    nbformat.write(notebook, target)


_book = cache(Book)


def setup(app) -> dict:
    app.connect("html-page-context", _write, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
