"""A small book with one of everything, built in a temporary folder as the real one is built."""

import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
SAMPLE = Path(__file__).parent / "sample"
HEADER = (SAMPLE / "lectures" / "other.md").read_text("utf8").split("(other)=")[0]


def write_book(root: Path, pages: dict[str, str] | None = None) -> Path:
    """The sample book in `root`, executed as the real one is; `pages` (name: text) replace its own."""
    shutil.copytree(SAMPLE, root)
    real = yaml.safe_load((REPOSITORY / "_config.yml").read_text("utf8"))
    config = {key: real[key] for key in ("execute", "parse", "only_build_toc_files", "repository")}
    config["bibtex_bibfiles"] = ["references.bib"]
    config["sphinx"] = {
        "extra_extensions": ["sphinx_exercise", "sphinx_proof"],
        "local_extensions": {"book.build.notebooks": str(REPOSITORY)},
        "config": {"bibtex_reference_style": "author_year"},
    }
    (root / "_config.yml").write_text(yaml.safe_dump(config, allow_unicode=True), "utf8")
    if pages is not None:
        for name, text in pages.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / f"{name}.md").write_text(text, "utf8")
        toc = {"format": "jb-book", "root": "index", "chapters": [{"file": name} for name in pages]}
        (root / "_toc.yml").write_text(yaml.safe_dump(toc), "utf8")
    return root


def notebook(*cells: str) -> str:
    """A page with these code cells."""
    return HEADER + "# Глава\n" + "".join(f"\n```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)


def run(module: str, root: Path, *options: str, forked: bool = False) -> subprocess.CompletedProcess:
    """`python -m book.build...` on the book in `root`; the sample does not need kernels with torch."""
    kernels = [] if forked else ["--ordinary-kernels"]
    command = [sys.executable, "-m", module, "--root", str(root), *kernels, *options]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> Path:
    """The sample book, built. Tests only read it."""
    root = write_book(tmp_path_factory.mktemp("book") / "sample")
    done = run("book.build", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return root


@pytest.fixture(scope="session")
def sample() -> SimpleNamespace:
    """How tests make and build books of their own."""
    return SimpleNamespace(write=write_book, notebook=notebook, run=run, header=HEADER)
