"""The executed notebooks, in the jupyter-cache that Sphinx (myst-nb) reads."""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat import NotebookNode

from .sources import Page


@dataclass(frozen=True)
class Run:
    """One finished execution: what it was made from, its processor time, the cell that took most of it."""

    key: str
    seconds: float
    slowest_cell: int


class Store:
    """jupyter-cache knows only a notebook's code; the record's `key` adds what else the outputs depend on."""

    def __init__(self, path: Path):
        self.path = path
        self._cache = get_cache(path)

    def run(self, page: Page) -> Run | None:
        """The execution kept for this page's code; None if there is none of ours."""
        try:
            data = self._cache.match_cache_notebook(page.notebook).data
        except KeyError:
            return None
        if not {"key", "execution_seconds", "slowest_cell"} <= data.keys():  # not written by `save`
            return None
        return Run(data["key"], data["execution_seconds"], data["slowest_cell"])

    def save(self, page: Page, executed: NotebookNode, run: Run) -> None:
        data = {"key": run.key, "execution_seconds": run.seconds, "slowest_cell": run.slowest_cell}
        bundle = CacheBundleIn(executed, str(page.path), data=data)
        self._cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)

    def executed(self, page: Page) -> NotebookNode:
        """The page's notebook with its outputs.

        Raises:
            KeyError: the page was not executed by this build.
        """
        if self.run(page) is None:
            raise KeyError(f"{page.name} was not executed before Sphinx")
        return self._cache.merge_match_into_notebook(deepcopy(page.notebook))[1]
