"""Re-execution compares every output with the published one, and cannot pass without comparing."""

import shutil

import nbformat
import pytest

from book.build.nbval import MissingReference, references
from book.build.notebooks import published
from book.build.sources import Book
from book.build.store import Store


@pytest.fixture
def book(built, tmp_path):
    shutil.copytree(built, tmp_path / "book")
    return Book(tmp_path / "book")


def check(book):
    return references(book, Store(book.build / ".jupyter_cache"))


def edit(book, page, change):
    path = published(book, book.page(page))
    notebook = nbformat.read(path, as_version=4)
    change([cell for cell in notebook.cells if cell.cell_type == "code"])
    nbformat.write(notebook, path)


def test_published_notebooks_of_a_build_are_references(book):
    assert check(book) == [published(book, page) for page in book.pages]


def strip(cells):
    for cell in cells:
        cell.outputs = []


def not_run(cells):
    cells[-1].execution_count = None


def other(cells):
    cells[-1].outputs[0]["text"] = "друго\n"


@pytest.mark.parametrize("change", [strip, not_run, other, list.clear], ids=lambda f: f.__name__)
def test_a_notebook_without_the_outputs_of_the_build_is_no_reference(book, change):
    if change is list.clear:
        published(book, book.page("lectures/other")).unlink()
    else:
        edit(book, "lectures/other", change)
    with pytest.raises(MissingReference, match="lectures/other"):
        check(book)


def test_a_page_that_prints_nothing_has_nothing_to_compare(tmp_path, sample):
    root = sample.write(tmp_path / "book", {"silent": sample.notebook("x = 1")})
    assert sample.run("book.build", root).returncode == 0
    done = sample.run("book.build nbval", root)
    assert done.returncode == 1 and "silent: no outputs to compare" in done.stderr


CHANGING = {
    "text": "import time\nprint(time.time())",
    "result": "import time\ntime.time()",
    "picture": "import time, matplotlib.pyplot as plt\nplt.title(time.time())\nplt.show()",
    "svg": "import time\nfrom IPython.display import HTML\nHTML('x' * 100_000 + f'{time.time()}')",
}


@pytest.fixture(scope="module")
def changing(tmp_path_factory, sample):
    pages = {name: sample.notebook("print('същото')", code) for name, code in CHANGING.items()}
    pages["steady"] = sample.notebook(
        "print('същото')", "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()"
    )
    root = sample.write(tmp_path_factory.mktemp("changing") / "book", pages)
    assert sample.run("book.build", root).returncode == 0
    return sample.run("book.build nbval", root)


@pytest.mark.parametrize("page", sorted(CHANGING))
def test_an_output_that_comes_out_differently_fails(changing, page):
    assert changing.returncode == 1
    assert f"{page}.ipynb::Cell 2" in changing.stdout
    assert f"FAILED notebooks/{page}.ipynb::Cell 1" not in changing.stdout


def test_what_comes_out_the_same_passes_and_differences_are_told_briefly(changing):
    assert "4 failed" in changing.stdout
    assert "steady.ipynb" not in changing.stdout
    assert "outputs differ from character" in changing.stdout
    assert max(map(len, changing.stdout.splitlines())) < 2000


def test_forked_kernels_write_nothing_beside_their_outputs(tmp_path, sample):
    root = sample.write(tmp_path / "book", {"page": sample.notebook("print(1)")})
    assert sample.run("book.build", root, forked=True).stderr == ""
    done = sample.run("book.build nbval", root, forked=True)
    assert "2 passed" in done.stdout and "IPKernelApp" not in done.stdout + done.stderr
