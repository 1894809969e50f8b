"""What is handed in beside the code: trained weights (safetensors) and answers to open questions.

A submission with weights is a zip of ``<name>.ipynb`` and, for each such exercise,
``<name>.<exercise>.safetensors``.
Weights are numbers: they are read here, outside the sandbox, and checks rebuild the network themselves
(rebuild.py), so no figure that a student reports is ever believed.
"""

import ast
import csv
import io
import re
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from gmtools.grading.lab import StudentError

MAX_BYTES = 64 * 2**20
MAX_TENSORS = 256
MAX_ANSWER = 20_000
SHEET = ("id", "question", "points", "possible", "answer")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MAX_PARSED = 4 * MAX_ANSWER
# A text that is assigned to a name at the beginning of a line: for cells that are no Python.
ANSWER = re.compile(r"^(?P<name>[^\W\d]\w*)\s*=\s*(?P<q>\"\"\"|'''|\"|')(?P<text>.*?)(?P=q)", re.M | re.S)


def weights_name(notebook: str, exercise: str) -> str:
    """The name of the file with an exercise's weights, beside a notebook's.

    >>> weights_name("1-elbo-10001.ipynb", "vae")
    '1-elbo-10001.vae.safetensors'
    """
    return f"{notebook[: -len('.ipynb')]}.{exercise}.safetensors"


def _refusal(kind: str, exercise: str) -> StudentError:
    error = StudentError(kind, exercise)
    error.loading = True
    return error


def none(exercise: str) -> dict[str, Tensor]:
    """What a check sees where no weights were handed in: StudentError."""
    raise _refusal("NoWeights", exercise)


def weights_of(value: Any, exercise: str) -> dict[str, Tensor]:
    """The weights of a live module (or dict of tensors).

    Raises:
        StudentError: it is none.
    """
    state = value.state_dict() if isinstance(value, nn.Module) else value
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise _refusal("BadWeights", exercise)
    return {str(name): v.detach().cpu().contiguous().clone() for name, v in state.items()}


def from_bytes(data: bytes | None, exercise: str) -> dict[str, Tensor]:
    """The weights in a safetensors file of an exercise's.

    Raises:
        StudentError: there is no file, or it is none of this kind, or too large.
    """
    if data is None:
        return none(exercise)
    if len(data) > MAX_BYTES:
        raise _refusal("BadWeights", exercise)
    try:
        weights = load(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError):
        raise _refusal("BadWeights", exercise) from None
    if len(weights) > MAX_TENSORS or not all(v.is_floating_point() for v in weights.values()):
        raise _refusal("BadWeights", exercise)
    return weights


def to_bytes(weights: dict[str, Tensor]) -> bytes:
    return save(weights)


def write_zip(path: Path, notebook: str, weights: dict[str, dict[str, Tensor]]) -> None:
    """Write a submission: the notebook's text and the weights of each exercise."""
    inside = path.with_suffix(".ipynb").name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(inside, notebook)
        for exercise, state in weights.items():
            archive.writestr(weights_name(inside, exercise), to_bytes(state))


def _is_text(value: ast.AST) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _text(value: ast.expr, source: str) -> str | None:
    """The text that an expression is; where it puts texts together, the code for it, as written."""
    if _is_text(value):
        return value.value
    return ast.get_source_segment(source, value) if any(map(_is_text, ast.walk(value))) else None


def _assigned(source: str) -> Iterator[tuple[str, str]]:
    """Names and the texts that a cell assigns to them, as Python reads it; nothing is run."""
    try:
        if len(source) > MAX_PARSED:
            raise ValueError("too long to parse")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an escape in a text, for example
            body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield from ((match["name"], match["text"]) for match in ANSWER.finditer(source))
        return
    for line in body:
        if isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None:
            targets = line.targets if isinstance(line, ast.Assign) else [line.target]
            text = _text(line.value, source)
            if text is not None:
                yield from ((target.id, text) for target in targets if isinstance(target, ast.Name))


def answers(cells: list[str], questions: list[str]) -> dict[str, str]:
    """The text last assigned to each question's name, stripped and capped; empty where there is none.

    >>> answers(['answer_1 = "нещо"', "answer_1 = '''  Защото. '''"], ["answer_1", "answer_2"])
    {'answer_1': 'Защото.', 'answer_2': ''}
    """
    found = dict.fromkeys(questions, "")
    for source in cells:
        if not any(name in source for name in questions):
            continue
        for name, text in _assigned(source):
            if name in found:
                storable = text.encode("utf-8", "replace").decode("utf-8")  # no half of a character pair
                found[name] = storable.strip()[:MAX_ANSWER]
    return found


def escaped(text: str) -> str:
    """Text that a spreadsheet shows and does not compute.

    >>> escaped("=1+1"), escaped("Ана")
    ("'=1+1", 'Ана')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def as_written(text: str) -> str:
    """The text that ``escaped`` was given.

    >>> as_written("'=1+1"), as_written("'тя'")
    ('=1+1', "'тя'")
    """
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA) else text


@dataclass(frozen=True)
class Sheet:
    """A CSV as people's spreadsheets save it; each row is of all columns (None: too short), with its line."""

    columns: list[str]
    rows: list[tuple[int, dict[str, str | None]]]
    separator: str = ","


def read_sheet(path: Path, needed: Sequence[str] = ()) -> Sheet:
    """Read a CSV: commas or semicolons, UTF-8 or Windows-1251; blank rows are left out.

    Raises:
        ValueError: it is none, a column of those ``needed`` is missing, or a row lacks its cell or has more
            cells than there are columns.
    """
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1251", "replace")
    head = text.partition("\n")[0]
    separator = ";" if head.count(";") > head.count(",") else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = [(reader.line_num, row) for row in reader if any(map(_filled, row.values()))]
    except csv.Error as error:
        raise ValueError(f"{path} is no CSV: {error}") from None
    columns = list(reader.fieldnames or [])
    if missing := [name for name in needed if name not in columns]:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    for line, row in rows:
        if empty := [name for name in needed if row[name] is None]:
            raise ValueError(f"{path}, line {line}: no {', '.join(empty)}")
        if any(row.pop(None, [])):
            raise ValueError(f"{path}, line {line}: more cells than columns (a comma without quotes?)")
    return Sheet(columns, rows, separator)


def _filled(cell: str | list[str] | None) -> bool:
    return any(map(_filled, cell)) if isinstance(cell, list) else bool(cell and cell.strip())


def answers_sheet(path: Path) -> Sheet:
    """The sheet of answers that is already at ``path``, empty where there is none."""
    return read_sheet(path, ("id", "question", "points")) if path.is_file() else Sheet([], [])


def sheet_to_mark(results: list[dict[str, Any]], existing: Sheet) -> str:
    """The answers as a CSV to fill in and give to ``--manual``; rows and columns that it has are kept.

    Columns: id, question, points (empty), possible, answer, then the lecturer's own.
    """
    rows = [row for _, row in existing.rows]
    known = {(as_written(row["id"]), row["question"]) for row in rows}
    for result in results:
        for question in result.get("questions", []):
            row = {"id": result["id"], "question": question["name"], "points": ""}
            if (row["id"], row["question"]) not in known:
                rows.append(row | {"possible": f"{question['points']:g}", "answer": question["answer"]})
    file = io.StringIO()
    columns = list(dict.fromkeys([*existing.columns, *SHEET]))
    writer = csv.DictWriter(file, columns, delimiter=existing.separator)
    writer.writeheader()
    for row in rows:
        safe = {name: escaped(row.get(name) or "") for name in SHEET if name != "points"}
        writer.writerow(row | safe)
    return file.getvalue()
