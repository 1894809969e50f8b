"""What a notebook's outputs depend on: its code, what it imports of the course, the versions of the rest."""

import ast
import hashlib
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement

from . import labs
from .sources import Book, Page


def key(book: Book, page: Page) -> str:
    """A fingerprint that changes when the notebook has to be executed again. Prose is not part of it."""
    digest = hashlib.sha256()
    for package in _versions():
        digest.update(package.encode())
    for cell in page.code_cells:
        digest.update(page.notebook.cells[cell].source.encode() + b"\0")
    for path in sorted(dependencies(book, page)):
        digest.update(str(path.relative_to(book.root)).encode() + _digest(path))
    return digest.hexdigest()


def dependencies(book: Book, page: Page) -> set[Path]:
    """The files of the course that the notebook imports, directly or not, and the data beside them."""
    folders = (book.root, page.path.parent)
    python = TransformerManager().transform_cell  # takes the magics out
    cells = [python(page.notebook.cells[cell].source) for cell in page.code_cells]
    waiting = _files(set().union(*(_imports(cell, "") for cell in cells)), folders)
    found: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            package = ".".join(path.parent.relative_to(book.root).parts)
            waiting |= _files(_imports_of(path, package), folders)
    packages = {path.parent for path in found if path.name == "__init__.py"}
    found |= {data for package in packages for data in _data(package)}
    return found | set(labs.files(page)) if page.is_lab else found


@cache
def _imports_of(path: Path, package: str) -> set[str]:
    return _imports(path.read_text("utf8"), package)


def _imports(source: str, package: str) -> set[str]:
    """Dotted names that the source imports; `from a import b` may mean the module a.b, so both are named."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # running it will say so
        return set()
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def _files(names: set[str], folders: tuple[Path, ...]) -> set[Path]:
    """The files that importing those names would run, packages above them included."""
    files = set()
    for name in names:
        parts = name.split(".")
        for folder in folders:
            for n in range(1, len(parts) + 1):
                stem = folder.joinpath(*parts[:n])
                files |= {path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()}
    return files


@cache
def _data(package: Path) -> tuple[Path, ...]:
    """Files of a package that are not Python: arrays, weights, scripts."""
    found = []
    for path in sorted(package.iterdir()):
        if path.is_file() and path.suffix not in (".py", ".pyc"):
            found.append(path)
        elif path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").exists():
            found += [p for p in sorted(path.rglob("*")) if p.is_file()]
    return tuple(found)


@cache
def _digest(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


@cache
def _versions() -> tuple[str, ...]:
    """Python and the packages that gmtools needs: a new torch may print other digits."""
    try:
        names = [r.name for r in map(Requirement, requires("gmtools") or []) if r.marker is None]
    except PackageNotFoundError:
        names = []
    return (sys.version, *(f"{name}=={version(name)}" for name in sorted({*names, "ipykernel", "ipython"})))
