"""Runs Sphinx on the executed notebooks, warnings being errors, and puts the wheel of gmtools beside them."""

import contextlib
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from jupyter_book.sphinx import build_sphinx
from sphinx.util.console import nocolor

from .sources import Book, Page
from .store import Store

WARNING = re.compile(
    r"^(?:\x1b\[\d+m)?(?P<path>/\S+?\.\w+):(?:\d+:)? (?:WARNING|ERROR|CRITICAL)", re.MULTILINE
)
HOME = """<!DOCTYPE html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={url}"></head>
<body><main><h1><a href="{url}">{title}</a></h1></main></body></html>
"""
ZIP_EPOCH = "315532800"  # 1980: the dates in the wheel do not change from build to build


def build_html(book: Book, store: Store, stale: list[Page], everything: bool = False) -> bool:
    """Write _build/html. True if Sphinx had nothing to complain of.

    Args:
        stale: pages whose outputs changed since the last build; Sphinx sees only changes of the source.
        everything: read and write every page again.
    """
    forget(book, [page.name for page in stale])
    everything = _tools_changed(book) or everything
    overrides = {
        "latex_individualpages": False,
        "nitpicky": True,
        "nb_execution_cache_path": str(store.path),
        "external_toc_path": str(book.root / "_toc.yml"),
    }
    if not sys.stderr.isatty():
        nocolor()
    # It looks at every object in memory; torch, if there, has one that warns of being looked at.
    warnings.filterwarnings("ignore", category=FutureWarning, module="sphinx_external_toc")
    messages = _Copy(sys.stderr)
    with contextlib.redirect_stderr(messages):
        status = build_sphinx(
            str(book.root),
            str(book.html),
            noconfig=True,
            path_config=str(book.root / "_config.yml"),
            confoverrides=overrides,
            doctreedir=str(book.doctrees),
            force_all=everything,
            freshenv=everything,
            quiet=True,
            warningiserror=True,
            keep_going=True,
        )
    if status != 0:
        _complain_again_next_time(book, messages.text)
        return False
    open_at_first_page(book)
    return True


def open_at_first_page(book: Book) -> None:
    """The site's own address leads to the first page of _toc.yml, wherever that lies."""
    if book.root_page != "index":
        language = book.config.get("sphinx", {}).get("config", {}).get("language", "en")
        text = HOME.format(
            language=language, title=book.config.get("title", ""), url=f"{book.root_page}.html"
        )
        (book.html / "index.html").write_text(text, "utf8")


def forget(book: Book, names: list[str]) -> None:
    """Make Sphinx read these pages again."""
    for name in names:
        (book.doctrees / f"{name}.doctree").unlink(missing_ok=True)


def _complain_again_next_time(book: Book, messages: str) -> None:
    """Sphinx warns of a page only when it reads it; a warning must not vanish by building twice."""
    paths = {Path(match["path"]) for match in WARNING.finditer(messages)}
    names = [str(path.relative_to(book.root).with_suffix("")) for path in paths if book.root in path.parents]
    if names and set(names) <= set(book.names):
        forget(book, names)
    else:
        shutil.rmtree(book.doctrees, ignore_errors=True)


def _tools_changed(book: Book) -> bool:
    """Have extensions or configuration changed since the last build? Then every page is read again."""
    here = Path(__file__).parent
    files = [*here.rglob("*.py"), *(p for p in (here.parent / "_ext").rglob("*") if p.is_file())]
    files = sorted(path for path in files if "__pycache__" not in path.parts) + [book.root / "_config.yml"]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    stamp = book.build / ".tools"
    changed = not stamp.exists() or stamp.read_text() != digest
    stamp.write_text(digest)
    return changed


class _Copy(io.TextIOBase):
    """Passes on what is written and keeps a copy."""

    def __init__(self, stream):
        self._stream, self.text = stream, ""

    def write(self, text: str) -> int:
        self.text += text
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return False


def build_wheel(book: Book) -> Path:
    """Pack gmtools into _build/html/wheels; the same sources give the same bytes."""
    sources = [book.root / "pyproject.toml", book.root / "README.md", book.root / "gmtools"]
    files = [p for source in sources for p in ([source] if source.is_file() else sorted(source.rglob("*")))]
    files = [p for p in files if p.is_file() and p.suffix != ".pyc"]
    digest = hashlib.sha256(b"".join(str(p).encode() + p.read_bytes() for p in files)).hexdigest()[:16]
    kept = book.build / "wheel" / digest
    if not kept.exists():
        _pack(book.root, files, kept)
    target = book.html / "wheels"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    return Path(shutil.copy(next(kept.glob("*.whl")), target))


def _pack(root: Path, files: list[Path], target: Path) -> None:
    """Build in a copy: setuptools leaves its own folders behind, and packs what it finds in old ones."""
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            copy = Path(folder, "source", path.relative_to(root))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        subprocess.run(
            [*command, "--wheel-dir", f"{folder}/wheel", f"{folder}/source"],
            check=True,
            env=os.environ | {"SOURCE_DATE_EPOCH": ZIP_EPOCH, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )
        shutil.rmtree(target.parent, ignore_errors=True)
        shutil.copytree(f"{folder}/wheel", target)


def prune(book: Book) -> None:
    """Remove pages that are no longer in _toc.yml: Sphinx leaves them where they are."""
    sources = book.html / "_sources"
    written = {path.relative_to(sources).with_suffix("") for path in sources.rglob("*.md")}
    for name in written - {Path(name) for name in book.names}:
        for path in (book.html / name, book.html / "notebooks" / name, sources / name):
            for suffix in (".html", ".ipynb", ".md"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
