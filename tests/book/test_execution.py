"""What makes the build fail before a page is written, and what makes it execute a notebook again."""

import shutil

import pytest

from book.build.__main__ import SLOW, TOO_SLOW, _over_budget
from book.build.execute import Result
from book.build.keys import dependencies, key
from book.build.sources import Book
from book.build.store import Store


@pytest.fixture(scope="module")
def broken(tmp_path_factory, sample):
    pages = {
        "fails": sample.notebook("x = 1", "def f(x):\n    return x / 0\n\nf(x)"),
        "warns": sample.notebook("x = 1\n\nimport warnings\nwarnings.warn('внимание')"),
        "misspelt": sample.notebook("x = 1", "x = 1\ny = = x"),
        "dies": sample.notebook("import os\nos._exit(3)"),
        "works": sample.notebook("print(1)"),
    }
    root = sample.write(tmp_path_factory.mktemp("broken") / "book", pages)
    return root, sample.run("book.build", root)


def test_a_broken_notebook_fails_the_build_before_any_page_is_written(broken):
    root, done = broken
    assert done.returncode == 1
    assert "4 notebooks failed" in done.stderr
    assert not (root / "_build" / "html").exists()


@pytest.mark.parametrize(
    ("where", "code", "what"),
    [
        ("fails  cell 2, line 4 (fails.md:", "> f(x)", "ZeroDivisionError: division by zero"),
        ("warns  cell 1, line 4 (warns.md:", "> warnings.warn('внимание')", "UserWarning: внимание"),
        ("misspelt  cell 2, line 2 (misspelt.md:", "> y = = x", "SyntaxError: invalid syntax"),
        ("dies  cell 1, line 1 (dies.md:", "> import os", "the kernel died"),
    ],
)
def test_a_failure_names_chapter_cell_and_line(broken, where, code, what):
    root, done = broken
    report = next(block for block in done.stderr.split("\n\n") if where in block)
    first, shown, message = report.strip().splitlines()
    assert shown.strip() == code and what in message
    name, line = first.split("(")[1].rstrip(")").split(":")
    assert (root / name).read_text("utf8").splitlines()[int(line) - 1] == code.removeprefix("> ")


def test_the_report_fits_one_screen(broken):
    _, done = broken
    assert len((done.stdout + done.stderr).splitlines()) < 40
    assert "works" not in done.stderr


def keys_of(root):
    _forget_digests()
    book = Book(root)
    return {page.name: key(book, page) for page in book.pages}


def _forget_digests():
    from book.build import keys

    keys._digest.cache_clear()
    keys._data.cache_clear()


def replace(path, old, new):
    text = path.read_text("utf8")
    assert old in text
    path.write_text(text.replace(old, new), "utf8")


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("lectures/method.md", "Текст с", "Друг текст с", set()),
        ("lectures/method.md", "1 + 1", "1 + 2", {"lectures/method"}),
        ("lectures/helper.py", "2", "3", {"lectures/method"}),
        ("lectures/other.md", "без помощник", "сам", {"lectures/other"}),
    ],
)
def test_only_what_depends_on_a_change_is_executed_again(tmp_path, file, old, new, changed, sample):
    root = sample.write(tmp_path / "book")
    before = keys_of(root)
    replace(root / file, old, new)
    after = keys_of(root)
    assert {name for name in before if before[name] != after[name]} == changed


def test_imports_are_followed_through_packages_and_their_data(tmp_path, sample):
    cells = ["from tools.near import thing", "%matplotlib inline\nimport tools.far.deep as deep"]
    root = sample.write(tmp_path / "book", {"page": sample.notebook(*cells)})
    files = {
        "tools/__init__.py": "",
        "tools/near.py": "def thing():\n    from .far import wide\n    return wide",
        "tools/far/__init__.py": "from ..base import number",
        "tools/far/deep.py": "",
        "tools/far/wide.py": "import math, torch",
        "tools/far/weights.bin": "0",
        "tools/base.py": "number = 1",
        "tools/unused.py": "",
        "elsewhere/__init__.py": "",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    _forget_digests()
    found = dependencies(Book(root), Book(root).page("page"))
    expected = set(files) - {"tools/unused.py", "elsewhere/__init__.py"}
    assert {str(path.relative_to(root)) for path in found} == expected


def test_a_second_build_executes_nothing_and_a_changed_import_executes_its_page(built, tmp_path, sample):
    root = tmp_path / "copy"
    shutil.copytree(built, root)
    assert "0 executed" in sample.run("book.build", root).stdout
    page = root / "_build" / "html" / "lectures" / "method.html"
    assert "мащаб 2" in page.read_text("utf8")
    replace(root / "lectures" / "helper.py", "2", "5")
    done = sample.run("book.build", root)
    assert "1 executed" in done.stdout and "lectures/other" not in done.stdout.split("executed in")[0]
    assert "мащаб 5" in page.read_text("utf8")  # though the page's source is as it was


def test_the_budget_warns_and_then_fails(built, capsys):
    page = Book(built).pages[0]
    assert not _over_budget([Result(page, SLOW - 1)])
    assert "WARNING" not in capsys.readouterr().err
    assert not _over_budget([Result(page, SLOW + 1)])
    assert f"WARNING: {page.name}" in capsys.readouterr().err
    assert _over_budget([Result(page, SLOW - 1), Result(page, TOO_SLOW + 1, cached=True)])
    assert f"ERROR: {page.name}" in capsys.readouterr().err


def test_forked_kernels_give_the_same_outputs_as_ordinary_ones(tmp_path, sample):
    cells = [
        "import sys\nprint(sys.path[0] == '', 'torch' in dir(), __name__)",
        "import torch\ntorch.manual_seed(0)\ntorch.randn(2)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
        "import os\nprint(os.path.basename(os.getcwd()), os.environ['OMP_NUM_THREADS'])",
    ]
    outputs = {}
    for forked in (False, True):
        root = sample.write(tmp_path / str(forked) / "book", {"page": sample.notebook(*cells)})
        assert sample.run("book.build", root, forked=forked).returncode == 0
        book = Book(root)
        executed = Store(book.build / ".jupyter_cache").executed(book.page("page"))
        outputs[forked] = [cell.outputs for cell in executed.cells if cell.cell_type == "code"]
    assert outputs[True] == outputs[False]
    assert "image/png" in outputs[True][2][0]["data"]
