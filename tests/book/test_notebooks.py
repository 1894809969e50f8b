"""The generated notebooks: the whole page is in them, as Markdown that plain Jupyter and Colab show."""

import ast
import re

import nbformat
import pytest

from book.build.markdown import Code
from book.build.notebooks import assemble
from book.build.sources import Book
from book.build.store import Store

SITE = "https://gmtools.github.io/generative-modelling/"


@pytest.fixture(scope="module")
def notebook(built):
    return nbformat.read(built / "_build/html/notebooks/lectures/method.ipynb", as_version=4)


@pytest.fixture(scope="module")
def text(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(
    "markdown",
    [
        "# Метод",
        "*курсив*, **получер**, `код`, $x_i^2 < 3$ и 2 \\* 3\\_4 за 5 \\$.",
        f"Kingma and Welling [[2014]({SITE}index.html#id",
        f"[апостериорно разпределение]({SITE}index.html#term-",
        f"[(1)]({SITE}lectures/method.html#equation-eq-bound)",
        f"[Начало]({SITE}index.html#start)",
        f"({SITE}lectures/method.html#fig-square)",
        "[външна страница](https://example.org)",
        "стойността 3,14.",
        "$$\n\\log p(x) \\geq \\mathcal{F} \\tag{1}\n$$",
        "> **Поправка**\n>\n> На слайда пише\n>\n> $$ \\begin{aligned} a &= b \\\\ c &= d \\end{aligned} $$",
        ">\n> - първо\n> - второ $z$",
        "| знак | смисъл |\n|---|---|\n| $p(x\\vert z)$ | правдоподобие |",
        "1. едно\n2. две",
        "![Черен квадрат.](data:image/svg+xml;base64,",
        "** Надпис с $x$.",
        "(Йенсен)**\n>\n> За изпъкнала $f$ е вярно $f(\\mathbb{E}x) \\le \\mathbb{E}f(x)$.",
        "<details>\n<summary>Подсказка</summary>\n\nСъберете.\n\n</details>",
        "<details>\n<summary>а) Първи отговор</summary>\n\nДа.\n\n</details>",
        "Събираме:",
    ],
)
def test_the_text_of_the_page_is_there(text, markdown):
    assert markdown in text


def test_nothing_of_myst_or_of_the_build_is_left(notebook, text):
    assert not re.search(r"\{[a-z:]+\}`|^:::|^```\{|^\(.*\)=$", text, re.MULTILINE)
    assert not any("myst_nb" in cell.source for cell in notebook.cells)
    targets = re.findall(r"\]\((?!data:)([^)]*)\)", text)
    assert targets and all(target.startswith("https://") for target in targets)


def test_every_code_cell_is_there_with_the_outputs_of_the_build(built, notebook):
    book = Book(built)
    executed = Store(book.build / ".jupyter_cache").executed(book.page("lectures/method"))
    expected = [(c.source, c.outputs) for c in executed.cells if c.cell_type == "code"]
    first, *rest = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "pip install" in first.source
    assert [(c.source, c.outputs) for c in rest] == expected
    assert sum(len(outputs) for _, outputs in expected) >= 4


def test_code_that_the_page_folds_is_folded(notebook):
    hidden = {c.source for c in notebook.cells if c.metadata.get("jupyter", {}).get("source_hidden")}
    assert {"import helper", "1 + 1"} <= hidden
    assert "1 / 0" not in hidden


def test_the_first_cell_installs_only_what_is_missing(notebook):
    from IPython.core.inputtransformer2 import TransformerManager

    source = TransformerManager().transform_cell(notebook.cells[0].source)
    (branch,) = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    installed, calls = {"gmtools"}, []

    class Util:
        @staticmethod
        def find_spec(name):
            return name if name in installed else None

    class Shell:
        def run_line_magic(self, *arguments):
            calls.append(arguments)

    importlib = type("importlib", (), {"util": Util})
    code = compile(ast.Module([branch], []), "cell", "exec")
    exec(code, {"importlib": importlib, "get_ipython": Shell})
    assert calls == []
    installed.clear()
    exec(code, {"importlib": importlib, "get_ipython": Shell})
    ((magic, line),) = calls
    assert magic == "pip" and "github" in line and "torch" not in line


def test_solutions_with_code_keep_their_cells_after_their_heading(notebook):
    at = next(i for i, cell in enumerate(notebook.cells) if cell.source == "1 + 1")
    assert notebook.cells[at - 1].source.startswith("### ") and "Събираме" in notebook.cells[at - 1].source


def test_cells_that_the_page_does_not_show_keep_their_place():
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(str(i)) for i in range(4)])
    made = assemble(["# Т", Code(1), "текст", Code(2)], source, "install", "https://page")
    assert [cell.source for cell in made.cells if cell.cell_type == "code"] == ["install", "0", "1", "2", "3"]
    assert [cell.cell_type for cell in made.cells][-4:] == ["code", "markdown", "code", "code"]


def test_a_page_without_code_has_no_notebook(built):
    assert not (built / "_build/html/notebooks/index.ipynb").exists()
    assert (built / "_build/html/index.html").exists()


def test_notebooks_are_valid_and_their_cells_have_steady_names(notebook):
    nbformat.validate(notebook)
    assert [cell.id for cell in notebook.cells] == [f"cell-{i}" for i in range(len(notebook.cells))]
