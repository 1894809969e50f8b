"""A lab's page shows what right answers give, a student gets the stubs; without answers a lab is not run."""

import nbformat
import pytest

from book.build.keys import key
from book.build.labs import to_run
from book.build.nbval import references
from book.build.notebooks import published
from book.build.sources import Book
from book.build.store import Store

LAB = "labs/1-sum/lab"
STUB = 'def total(x):\n    """Сумата на x."""\n    raise NotImplementedError'
CALL = "try:\n    print('отговор', total([1, 2]))\nexcept NotImplementedError:\n    print('още не')"
ANSWER = 'def total(x):\n    """Сумата на x."""\n    return sum(x)\n'


def write_lab(folder, sample, solved):
    root = sample.write(
        folder, {LAB: sample.notebook(STUB, CALL), "lectures/other": sample.notebook("print(1)")}
    )
    if solved:
        (root / "solutions" / "1-sum").mkdir(parents=True)
        (root / "solutions" / "1-sum" / "solution.py").write_text(ANSWER, "utf8")
    return root


@pytest.fixture(scope="module", params=[True, False], ids=["with solutions", "without"])
def lab(request, tmp_path_factory, sample):
    root = write_lab(tmp_path_factory.mktemp("lab") / "book", sample, solved=request.param)
    done = sample.run("book.build", root)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return request.param, Book(root)


def test_the_page_shows_the_stub_and_the_outputs_of_the_answers(lab):
    solved, book = lab
    page = (book.html / f"{LAB}.html").read_text("utf8")
    assert "NotImplementedError" in page and "return" not in page
    assert ("отговор 3" in page) == solved
    executed = Store(book.build / ".jupyter_cache").executed(book.page(LAB))
    assert any(cell.get("outputs") for cell in executed.cells) == solved


def test_the_students_notebook_has_stubs_and_no_outputs(lab):
    _, book = lab
    notebook = nbformat.read(published(book, book.page(LAB)), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in code[-2:]] == [STUB, CALL]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)


def test_nbval_leaves_labs_alone(lab):
    _, book = lab
    paths = references(book, Store(book.build / ".jupyter_cache"))
    assert paths == [published(book, book.page("lectures/other"))]


def test_a_changed_answer_or_check_runs_the_lab_again(tmp_path, sample):
    root = write_lab(tmp_path / "book", sample, solved=True)

    def fingerprint():
        from book.build import keys

        keys._digest.cache_clear()
        return key(Book(root), Book(root).page(LAB))

    first = fingerprint()
    assert fingerprint() == first
    (root / "solutions" / "1-sum" / "solution.py").write_text(ANSWER + "\n# друго\n", "utf8")
    second = fingerprint()
    (root / "labs" / "1-sum" / "checks.py").write_text("", "utf8")
    assert len({first, second, fingerprint()}) == 3


def test_an_answer_that_fails_is_a_failure_of_the_build(tmp_path, sample):
    root = write_lab(tmp_path / "book", sample, solved=True)
    (root / "solutions" / "1-sum" / "solution.py").write_text(ANSWER.replace("sum(x)", "x / 0"), "utf8")
    assert "x / 0" in to_run(Book(root).page(LAB)).cells[1].source
    done = sample.run("book.build", root)
    assert done.returncode == 1 and f"{LAB}  cell 2" in done.stderr and "TypeError" in done.stderr
