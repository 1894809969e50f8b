"""`python -m book.build nbval`: run the published notebooks again and compare every output.

nbval passes a cell that has no reference output, so first every notebook is held against what the build kept.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from . import stills
from .execute import environment
from .notebooks import published
from .sources import Book, Page
from .store import Store


class MissingReference(Exception):
    """A published notebook that nbval would pass without comparing anything."""


def references(book: Book, store: Store) -> list[Path]:
    """The published notebooks, each known to carry the outputs of the build.

    Raises:
        MissingReference: a notebook is not there, or lacks outputs that the build kept.
    """
    paths = [_reference(book, store, page) for page in book.pages if page.code_cells and not page.is_lab]
    if not paths:
        raise MissingReference("there is no notebook to compare")
    return paths


def _reference(book: Book, store: Store, page: Page) -> Path:
    path = published(book, page)
    if not path.exists():
        raise MissingReference(f"{page.name}: {path} is missing; build the book first")
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"][
        1:
    ]  # the first installs
    kept = [c for c in store.executed(page).cells if c.cell_type == "code"]
    if [_comparable(c) for c in cells] != [_comparable(c) for c in kept]:
        raise MissingReference(f"{page.name}: the notebook does not carry the outputs of the build")
    if not any(c.outputs for c in cells) or any(c.execution_count is None for c in cells):
        raise MissingReference(f"{page.name}: no outputs to compare with")
    return path


def _comparable(cell: NotebookNode) -> tuple:
    return cell.source, cell.execution_count, stills.remove(cell.outputs)


def validate(book: Book, paths: list[Path], jobs: int, threads: int, forked: bool = True) -> int:
    """Exit status of pytest with nbval over the notebooks."""
    plugins = ["-p", "book.build.nbval_plugin", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(book.html), *plugins]
    command += ["--nbval", "--nbval-current-env", "-n", str(jobs), "--dist", "loadfile", *map(str, paths)]
    env = os.environ | environment(book) | {"OMP_NUM_THREADS": str(threads)}
    env["BOOK_FORKED_KERNELS"] = "1" if forked else ""
    env["OMP_WAIT_POLICY"] = "passive"  # notebooks share the cores: a thread that waits must not spin
    return subprocess.run(command, cwd=Path(__file__).parents[2], env=env).returncode


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m book.build nbval", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="notebooks at a time")
    parser.add_argument(
        "--threads", type=int, default=1, help="threads of torch; outputs must not depend on it"
    )
    parser.add_argument("--ordinary-kernels", action="store_true", help="start each kernel as a new Python")
    parser.add_argument("pages", nargs="*", help="names such as lectures/3-inference/30-...; all by default")
    options = parser.parse_args(arguments)
    book = Book(options.root.resolve())
    try:
        paths = references(book, Store(book.build / ".jupyter_cache"))
    except MissingReference as problem:
        print(problem, file=sys.stderr)
        return 1
    wanted = [published(book, page) for page in book.pages if page.name in options.pages]
    return validate(book, wanted or paths, options.jobs, options.threads, not options.ordinary_kernels)
