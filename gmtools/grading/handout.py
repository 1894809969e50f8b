"""``gmtools lab release``: what students get of a lab, and a search that it holds no answer."""

import json
from pathlib import Path

from gmtools.grading import solve
from gmtools.grading.batch import write_atomically
from gmtools.grading.lab import hidden_files, load_graded

GIVEN = ("def ", "class ", "@", "super().__init__()", ")", '"', "'")  # what stubs have too


def secrets(folder: Path) -> list[str]:
    """Lines of the answers' code, and the hidden checks' titles, hints and code: what must not get out."""
    answers = solve.definitions(solve.solution_source(folder)).values()
    code = [part for answer in answers for part in solve.split_docstrings(answer)[::2]]
    lines = [line.strip() for part in code for line in part.splitlines()]
    lines = [line for line in lines if line and not line.startswith(GIVEN)]
    if not hidden_files(folder):  # an ungraded lab
        return lines
    _, hidden = load_graded(folder)
    texts = [text for _, check in hidden.checks for text in (check.title, check.hint)]
    names = [f"def {check.run.__name__}" for _, check in hidden.checks]
    return [text for text in (*lines, *texts, *names) if text]


def release(folder: Path, out: Path) -> list[Path]:
    """Write ``<lab>.ipynb`` and ``checks.py`` into ``out``.

    Raises:
        ValueError: a secret stands in them; nothing is written.
    """
    folder = Path(folder).resolve()
    notebook = solve.student_notebook(folder)
    files = {
        f"{folder.name}.ipynb": json.dumps(notebook, ensure_ascii=False, indent=1) + "\n",
        "checks.py": (folder / "checks.py").read_text(encoding="utf-8"),
    }
    searched = "\n".join([*(cell["source"] for cell in notebook["cells"]), files["checks.py"]])
    for secret in secrets(folder):
        if secret in searched:
            raise ValueError(f"{folder} gives away {secret!r}")
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        write_atomically(out / name, text)
    return [out / name for name in files]
