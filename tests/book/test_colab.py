"""The published notebooks need nothing but the published wheel. `make colab` runs all of them; here one."""

import asyncio
import re
import zipfile

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from book.build import colab
from book.build.sources import Book

QUICK = "lectures/4-gradients/42-classical-inference"  # two seconds
ELSEWHERE = re.compile(
    r"\bmyst_nb\b|\bfrom book\b|\bimport book\b|\bsolutions\b|(?<![\w.])/(?:work|home|root)/"
)

pytestmark = pytest.mark.book


@pytest.fixture(scope="module")
def notebooks(html):
    found = {p.name: nbformat.read(p, as_version=4) for p in (html / "notebooks").rglob("*.ipynb")}
    assert found, "no notebook was published"
    return found


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_code_names_nothing_that_a_checkout_has(notebooks):
    named = {name: ELSEWHERE.findall("\n".join(code(notebook))) for name, notebook in notebooks.items()}
    assert not {name: found for name, found in named.items() if found}


def test_code_compiles_and_the_first_cell_installs_the_library(notebooks):
    python = TransformerManager().transform_cell
    for name, notebook in notebooks.items():
        first, *rest = code(notebook)
        assert "%pip install" in first and "gmtools" in first, name
        for source in rest:
            compile(python(source), name, "exec")


def test_text_has_no_link_into_the_checkout_and_no_myst(notebooks):
    for name, notebook in notebooks.items():
        text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
        links = re.findall(r"\]\((?!data:)([^)\s]+)\)", text)
        assert not [link for link in links if not link.startswith(("https://", "http://"))], name
        assert not re.search(r"\{[a-z:]+\}`|^:::|^\(.*\)=$", text, re.MULTILINE), name


@pytest.fixture
def wheel(html, tmp_path, monkeypatch):
    """The wheel, unpacked where Python looks first: before a checkout that is installed."""
    with zipfile.ZipFile(next((html / "wheels").glob("*.whl"))) as archive:
        archive.extractall(tmp_path / "wheel")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "wheel"))
    return tmp_path / "wheel"


def test_a_chapter_runs_in_an_empty_folder_with_the_wheel(html, notebooks, wheel):
    notebook = notebooks[f"{QUICK.rpartition('/')[2]}.ipynb"]
    assert asyncio.run(colab.run(Book(html.parents[1]), notebook, "python3", wheel)) is None


def test_a_notebook_that_needs_more_is_found_out(html, wheel):
    def wrong(source):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        return asyncio.run(colab.run(Book(html.parents[1]), made, "python3", wheel))

    assert "FileNotFoundError" in wrong("open('helper.py')")
    assert wrong("import sys; print('!', file=sys.stderr)") == "wrote to stderr: !"
    assert "gmtools came from elsewhere" in wrong("import gmtools; gmtools.__file__ = 'elsewhere'")
