"""The book's pages: which files they are, and which of them are notebooks."""

import os
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import yaml
from jupyter_book.config import get_final_config
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from myst_parser.config.main import MdParserConfig
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml


@dataclass(frozen=True)
class Page:
    """A notebook of the book, as written (without outputs)."""

    name: str
    path: Path
    notebook: NotebookNode = field(repr=False, compare=False)

    @property
    def is_lab(self) -> bool:
        """A lab's notebook has stubs in it: it is not run as it stands."""
        return self.path.name == "lab.md"

    @property
    def code_cells(self) -> list[int]:
        return [i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == "code"]

    def line_of(self, cell: int, line: int = 1) -> int:
        """The line of the source file that holds line `line` (from 1) of a code cell, given by its index."""
        code = self.notebook.cells[cell].source.splitlines()
        lines = self.path.read_text("utf8").splitlines()
        fence = self.notebook.metadata.source_map[cell]
        starts = range(fence, len(lines) - len(code) + 1)
        start = next((i for i in starts if lines[i : i + len(code)] == code), fence)
        return start + line


@dataclass(frozen=True)
class Book:
    """A folder with _config.yml and _toc.yml."""

    root: Path

    @property
    def build(self) -> Path:
        return self.root / "_build"

    @property
    def html(self) -> Path:
        return self.build / "html"

    @property
    def doctrees(self) -> Path:
        return self.build / ".doctrees"

    @cached_property
    def config(self) -> dict:
        return yaml.safe_load((self.root / "_config.yml").read_text("utf8"))

    @cached_property
    def _markdown(self) -> MdParserConfig:
        config, _ = get_final_config(user_yaml=self.config, cli_config={"latex_individualpages": False})
        return MdParserConfig(enable_extensions=set(config["myst_enable_extensions"]))

    @cached_property
    def names(self) -> list[str]:
        """Every page of _toc.yml, in reading order."""
        return [name.removesuffix(".md") for name in parse_toc_yaml(self.root / "_toc.yml")]

    @property
    def root_page(self) -> str:
        return parse_toc_yaml(self.root / "_toc.yml").root.docname.removesuffix(".md")

    @cached_property
    def pages(self) -> list[Page]:
        """The pages that are notebooks, in reading order."""
        return [page for page in map(self.page, self.names) if page is not None]

    def page(self, name: str) -> Page | None:
        """The notebook of that name; None if the page has no code."""
        path = self.root / f"{name}.md"
        text = path.read_text("utf8") if path.exists() else ""
        if not is_myst_markdown_notebook(text):
            return None
        notebook = read_myst_markdown_notebook(text, config=self._markdown, add_source_map=True, path=path)
        return Page(name, path, notebook)

    @property
    def slug(self) -> str:
        """owner/name of the repository that publishes the book: a fork's links lead to the fork."""
        url = self.config.get("repository", {}).get("url", "")
        return os.environ.get("GITHUB_REPOSITORY") or url.removeprefix("https://github.com/").strip("/")

    @property
    def address(self) -> str:
        """Where the book is published, with a slash at the end."""
        owner, _, name = self.slug.partition("/")
        return f"https://{owner}.github.io/{name}/"
