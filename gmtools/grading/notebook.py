"""What a student's notebook calls: open the lab, check an exercise, hand the work in."""

import html
import json
import re
import sys
import urllib.request
from pathlib import Path
from typing import Any

from torch import Tensor

from gmtools.grading import handed_in, intake, links, marks
from gmtools.grading.calls import Call, Outcome, Student, perform_in
from gmtools.grading.lab import Exercise, Lab, StudentError, load_public
from gmtools.grading.reader import code_cells, notebook_of
from gmtools.grading.worker import LoadedNotebook, described

SEED = 0
SIGNS = {"passed": "✔", "unwritten": "…", "missing": "…"}


class NamespaceStudent(Student):
    """Calls the functions of a live notebook."""

    def __init__(self, namespace: dict[str, Any]):
        self._namespace = namespace
        self._kept: list[Any] = []

    def weights(self, name: str) -> dict[str, Tensor]:
        if name not in self._namespace:
            return handed_in.none(name)
        return handed_in.weights_of(self._namespace[name], name)

    def perform(self, call: Call) -> Outcome:
        if call.of is None and call.name not in self._namespace:
            raise StudentError("Missing", call.name)
        try:
            return perform_in(self._namespace, self._kept, call)
        except Exception as error:
            found = described(error)
            raise StudentError(found.kind, found.message, None, _live_line(error)) from None


def _live_line(error: Exception) -> int | None:
    """The line in the innermost frame that belongs to a cell of the running notebook."""
    lines, step = [], error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if "ipykernel_" in file or file.startswith("<ipython-input"):
            lines.append(step.tb_lineno)
        step = step.tb_next
    return lines[-1] if lines else None


class Feedback:
    """What the checks of one exercise found; shows itself in a notebook."""

    def __init__(self, exercise: Exercise, result: dict[str, Any]):
        self._exercise, self._result = exercise, result
        self.passed = result["status"] == "passed"

    def _headline(self) -> str:
        done = sum(c["status"] == "passed" for c in self._result["checks"])
        count = len(self._result["checks"])
        if self._result["status"] in ("unwritten", "missing"):
            return f"{self._exercise.title}: {self._result['checks'][0]['message']}"
        if self.passed:
            return f"{self._exercise.title}: всички открити проверки минават ({count} от {count})."
        return f"{self._exercise.title}: минали открити проверки – {done} от {count}."

    def _lines(self) -> list[tuple[str, str, str]]:
        if self._result["status"] in ("unwritten", "missing"):
            return []
        return [
            (
                SIGNS.get(c["status"], "✘"),
                c["title"],
                "" if c["status"] == "passed" else f"{c['message']} {c['hint']}".strip(),
            )
            for c in self._result["checks"]
        ]

    def _see(self) -> str:
        return "" if self.passed else f"Вижте глава {links.chapter_number(self._exercise.chapter)}"

    def __repr__(self) -> str:
        lines = [self._headline()]
        for sign, title, text in self._lines():
            lines += [f"  {sign} {title}"] + ([f"      {text}"] if text else [])
        return "\n".join(
            lines + ([f"  {self._see()}: {links.chapter_url(self._exercise.chapter)}"] if self._see() else [])
        )

    def _repr_html_(self) -> str:
        colour = "#2e7d32" if self.passed else "#b26a00"
        rows = "".join(
            f"<li style='margin:.2em 0'>{sign} {html.escape(title)}"
            + (f"<br><span style='opacity:.85'>{html.escape(text)}</span>" if text else "")
            + "</li>"
            for sign, title, text in self._lines()
        )
        see = f"<p><a href='{html.escape(links.chapter_url(self._exercise.chapter))}'>{self._see()}</a></p>"
        return (
            f"<div style='border-left:4px solid {colour};padding:.2em "
            f"1em'><b>{html.escape(self._headline())}</b>"
            f"<ul style='list-style:none;padding-left:0'>{rows}</ul>{see if self._see() else ''}</div>"
        )


def _show(thing: object) -> None:
    try:
        from IPython.display import display

        display(thing)
    except ImportError:
        print(thing)


class OpenLab:
    """A lab opened in a notebook.

    ``check(name)`` runs the public checks of one exercise, shows what they found and returns whether all
    passed. ``submit(...)`` writes the file to hand in and checks that it is complete.
    """

    def __init__(self, lab: Lab, namespace: dict[str, Any] | None = None):
        self._lab = lab
        self._namespace = namespace

    def _live(self) -> dict[str, Any]:
        return self._namespace if self._namespace is not None else vars(sys.modules["__main__"])

    def check(self, name: str) -> bool:
        exercise = self._lab.exercises[name]
        feedback = Feedback(exercise, marks.run_exercise(exercise, NamespaceStudent(self._live()), SEED))
        _show(feedback)
        return feedback.passed

    def submit(self, number: str, name: str = "", folder: str = ".") -> None:
        """Write what was run in this notebook as ``<lab>-<number>.ipynb`` (with trained weights: as a zip),
        read it back as the grader will, and say what it holds. ``number`` is the student's faculty number."""
        number = re.sub(r"[^\w-]", "", str(number))
        if not number:
            print(
                'Попълнете факултетния си номер в number="…" и изпълнете клетката отново. Нищо не е записано.'
            )
            return
        cells = [f"# {self._lab.key}\n# {json.dumps({'number': number, 'name': name}, ensure_ascii=False)}"]
        cells += [source for source in self._live().get("In", []) if source.strip()]
        trained = [e.name for e in self._lab.exercises.values() if e.trained]
        path = Path(folder) / f"{self._lab.key}-{number}.{'zip' if trained else 'ipynb'}"
        text = json.dumps(notebook_of(cells), ensure_ascii=False, indent=1)
        if trained:
            handed_in.write_zip(path, text, self._weights(trained))
        else:
            path.write_text(text, encoding="utf-8")
        self._report(path)
        _download(path)

    def _weights(self, trained: list[str]) -> dict[str, dict[str, Tensor]]:
        """The weights of those modules that this notebook has."""
        live, found = NamespaceStudent(self._live()), {}
        for name in trained:
            try:
                found[name] = live.weights(name)
            except StudentError as error:
                print(marks.explain(error, name))
        return found

    def _report(self, path: Path) -> None:
        submission = intake.find(path)[0]
        cells = code_cells(submission.read())
        results = [_in_isolation(e, cells, submission) for e in self._lab.exercises.values()]
        answers = handed_in.answers(cells, list(self._lab.questions))
        print(f"Записано: {path.name}. Така го вижда оценителят, в чиста среда:")
        for result in results:
            done = sum(c["status"] == "passed" for c in result["checks"])
            note = (
                "готово"
                if result["status"] == "passed"
                else f"минали проверки – {done} от {len(result['checks'])}"
            )
            print(f"  {SIGNS.get(result['status'], '✘')} {result['name']}: {note}")
        for name, answer in answers.items():
            print(f"  ✔ {name}: {len(answer.split())} думи" if answer else f"  … {name}: няма отговор")
        if all(r["status"] == "passed" for r in results):
            print("Всички упражнения са налице. Предайте този файл.")
        else:
            print(
                "Има недовършени упражнения. Файлът може да се предаде и така, или да се запише отново "
                "по-късно."
            )


class _Unloadable(Student):
    def __init__(self, error: StudentError):
        self._error = error

    def perform(self, call: Call) -> Outcome:
        raise self._error


class _Weights(Student):
    def __init__(self, submission: intake.Submission):
        self.weights = submission.weights


def _in_isolation(exercise: Exercise, cells: list[str], submission: intake.Submission) -> dict[str, Any]:
    try:
        student: Student = _Weights(submission) if exercise.trained else LoadedNotebook(cells, exercise.name)
    except StudentError as error:
        student = _Unloadable(error)
    return marks.run_exercise(exercise, student, SEED)


def _download(path: Path) -> None:
    """In Colab, offer the file to the browser."""
    if "google.colab" in sys.modules:
        from google.colab import files

        files.download(str(path))


def open_lab(key: str) -> OpenLab:
    """The lab with its public checks: from this folder or a checkout around it, else from the repository.

    Args:
        key: the lab's folder name, for example ``1-elbo``.
    """
    here = Path.cwd()
    places = [here, *(parent / "labs" / key for parent in (here, *here.parents))]
    for place in places:
        if (place / "checks.py").is_file() and (lab := load_public(place)).key == key:
            return OpenLab(lab)
    target = here / f"gmtools-{key}"
    target.mkdir(exist_ok=True)
    with urllib.request.urlopen(links.raw_url(f"labs/{key}/checks.py"), timeout=30) as response:
        (target / "checks.py").write_bytes(response.read())
    return OpenLab(load_public(target))
