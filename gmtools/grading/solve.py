"""Notebooks made from a lab: as students get it, solved, and in the variants that test the lab's checks.

No text stands twice: ``lab.md`` holds the words and the stubs, ``solution.py`` the answers. What is made
here is never stored in the repository.
"""

import ast
import copy
import inspect
import re
from collections.abc import Callable
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from gmtools.grading import handed_in, links
from gmtools.grading.lab import Alternative, Hidden, Lab, Mutant, solutions_folder
from gmtools.grading.slicer import without_magics


def student_notebook(folder: Path) -> dict[str, Any]:
    """The lab as a notebook, with links and the repository's name as published from here."""
    import jupytext

    notebook = jupytext.read(Path(folder) / "lab.md")
    key = Path(folder).resolve().name
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _published(cell["source"], key)
        else:
            cell["source"] = re.sub(
                r'(?m)^REPOSITORY = ".*"$', f'REPOSITORY = "{links.repository()}"', cell["source"]
            )
    return notebook


def _published(text: str, key: str) -> str:
    """Markdown as plain Jupyter shows it: no MyST labels, links to the published pages."""
    text = re.sub(r"(?m)^\([\w-]+\)=\n", "", text)
    text = re.sub(r"\]\(\.\./([\w-]+)/lab\.md\)", r"](../../labs/\1/lab.md)", text)
    return re.sub(
        r"\]\((?:\.\./)+(lectures|book|labs)/([^)\s]+)\.md\)",
        lambda m: f"]({links.page_url(f'{m[1]}/{m[2]}')})",
        text,
    )


def definitions(source: str) -> dict[str, str]:
    """The source of each top-level function or class, by name."""
    tree = ast.parse(source)
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    return {node.name: ast.get_source_segment(source, node) for node in found}


def replaced(source: str, answers: dict[str, str]) -> str:
    """Cell source with the definitions that ``answers`` holds put in place of its own."""
    tree = ast.parse(without_magics(source))
    lines = source.splitlines()
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in answers:
            lines[node.lineno - 1 : node.end_lineno] = answers[node.name].splitlines()
    return "\n".join(lines)


def solution_source(folder: Path) -> str:
    return (solutions_folder(folder) / "solution.py").read_text(encoding="utf-8")


def solved_notebook(folder: Path, **fields: str) -> dict[str, Any]:
    """The lab with the reference answers in place of the stubs; ``fields`` fills the submission cell, for
    example ``number="10001"``.

    Raises:
        ValueError: an answer has no stub in the lab.
    """
    notebook = copy.deepcopy(student_notebook(folder))
    answers = definitions(solution_source(folder))
    stubs: set[str] = set()
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            stubs |= definitions(without_magics(cell["source"])).keys()
            cell["source"] = replaced(cell["source"], answers)
            for name, value in fields.items():
                cell["source"] = cell["source"].replace(f'{name}=""', f'{name}="{value}"')
    if answers.keys() - stubs:
        raise ValueError(f"{folder}: no stub for {', '.join(sorted(answers.keys() - stubs))}")
    return notebook


def cells_of(notebook: dict[str, Any]) -> list[str]:
    return [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]


def mutant_cells(folder: Path, mutant: Mutant) -> list[str]:
    """The reference with one mistake, as cells.

    Raises:
        ValueError: the text to replace is not in the answer.
    """
    source = solution_source(folder)
    answer = definitions(source)[mutant.exercise]
    parts = split_docstrings(answer)
    parts[::2] = [part.replace(mutant.old, mutant.new) for part in parts[::2]]
    if "".join(parts) == answer:
        raise ValueError(f"mutant {mutant.title!r} of {mutant.exercise}: {mutant.old!r} is not in the answer")
    return ["import math", source, "".join(parts)]


def reference_weights(folder: Path, exercise: str) -> dict[str, Tensor]:
    """The reference's trained weights, ``solutions/<lab>/<exercise>.safetensors``; StudentError if none."""
    path = solutions_folder(folder) / f"{exercise}.safetensors"
    return handed_in.from_bytes(path.read_bytes() if path.is_file() else None, exercise)


def changed_weights(folder: Path, change: Callable) -> Callable[[str], dict[str, Tensor]]:
    """The reference's weights after ``change``, a function of a dict of tensors."""
    return lambda exercise: change(reference_weights(folder, exercise))


def split_docstrings(answer: str) -> list[str]:
    """An answer as code, docstring, code, docstring, ..., code.

    >>> split_docstrings("class A:\\n    'One.'\\n    x = 1")
    ['class A:\\n    ', "'One.'", '\\n    x = 1']
    """
    starts = [0, *accumulate(len(line) for line in answer.splitlines(keepends=True))]
    found = []
    for node in ast.walk(ast.parse(answer)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            text = node.body[0]
            found.append((starts[text.lineno - 1] + text.col_offset, ast.get_source_segment(answer, text)))
    pieces, end = [], 0
    for start, text in sorted(found):
        pieces += [answer[end:start], text]
        end = start + len(text)
    return [*pieces, answer[end:]]


def alternative_cells(folder: Path, alternative: Alternative) -> list[str]:
    """The reference with one exercise answered in another style, as cells."""
    name = alternative.function.__name__
    imports = [
        "from torch.distributions import *",
        "import math, torch",
        "import torch.nn.functional as F",
        "from torch import nn",
    ]
    return [
        solution_source(folder),
        "\n".join(imports),
        definitions(inspect.getsource(alternative.function))[name],
        f"{alternative.exercise} = {name}",
    ]


class Variant(NamedTuple):
    """A submission that tests the lab's checks."""

    kind: str
    title: str
    exercise: str | None  # the one it is about
    cells: list[str]
    weights: Callable


def variants(folder: Path, lab: Lab, hidden: Hidden) -> list[Variant]:
    """The answers, the empty stubs, every alternative and every mutant."""
    unknown = {v.exercise for v in (*hidden.alternatives, *hidden.mutants)} - lab.exercises.keys()
    if unknown:
        raise ValueError(f"{lab.key}: no exercise {', '.join(sorted(unknown))}")
    reference = partial(reference_weights, folder)
    found = [
        Variant("reference", "solution.py", None, cells_of(solved_notebook(folder)), reference),
        Variant("stubs", "lab.md", None, cells_of(student_notebook(folder)), handed_in.none),
    ]
    for a in hidden.alternatives:
        if lab.exercises[a.exercise].trained:
            found.append(Variant("alternative", a.title, a.exercise, [], changed_weights(folder, a.function)))
        else:
            cells = alternative_cells(folder, a)
            found.append(Variant("alternative", a.title, a.exercise, cells, handed_in.none))
    for m in hidden.mutants:
        if m.damage is not None:
            found.append(Variant("mutant", m.title, m.exercise, [], changed_weights(folder, m.damage)))
        else:
            found.append(Variant("mutant", m.title, m.exercise, mutant_cells(folder, m), handed_in.none))
    return found
