"""What a student's notebook calls: open the lab, check an exercise, hand the work in."""

import json
import re
import sys
import traceback
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from gmtools.grading import handed_in, intake, links, marks, slicer
from gmtools.grading.calls import Call, Outcome, Student, perform_in
from gmtools.grading.feedback import SIGNS, Feedback, show
from gmtools.grading.lab import Exercise, Lab, StudentError, load_public
from gmtools.grading.reader import code_cells, notebook_of
from gmtools.grading.worker import LoadedNotebook, described

SEED = 0


class NamespaceStudent(Student):
    """Calls the functions of a live notebook."""

    def __init__(self, namespace: dict[str, Any]):
        self._namespace = namespace
        self._kept: list[Any] = []

    def weights(self, name: str) -> dict[str, Tensor]:
        if name not in self._namespace:
            raise StudentError("NotTrained", name)
        try:
            return handed_in.weights_of(self._namespace[name], name)
        except StudentError:
            raise StudentError("NoModule", name) from None

    def perform(self, call: Call) -> Outcome:
        if call.of is None and call.name not in self._namespace:
            raise _absent(self._namespace, call.name)
        try:
            return perform_in(self._namespace, self._kept, call)
        except Exception as error:
            found = described(error)
            function, line = _live_place(error)
            found = StudentError(found.kind, found.message, None, line)
            found.function = "" if function == call.name else function
            raise found from None


def _absent(namespace: dict[str, Any], name: str) -> StudentError:
    """Why the notebook has no such name: the cell that was to define it is no Python, or was not run."""
    defines = re.compile(rf"^\s*(def|class)\s+{re.escape(name)}\b", re.M)
    cells = [source for source in namespace.get("In", []) if defines.search(source)]
    broken = slicer.statements(cells[-1:])[1]
    if broken:
        return StudentError("SyntaxError", broken[0].message, None, broken[0].line)
    return StudentError("Unrun", name)


def _live_place(error: Exception) -> tuple[str, int | None]:
    """Function and line of the innermost frame that belongs to a cell of the running notebook."""
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if "ipykernel_" in file or file.startswith("<ipython-input"):
            return frame.f_code.co_qualname.partition(".")[0], line
    return "", None


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
        show(feedback)
        return feedback.passed

    @contextmanager
    def training(self) -> Iterator[None]:
        """Around a training: a loss that is not finite ends it with a sentence instead of a traceback."""
        try:
            yield
        except FloatingPointError as error:
            found = re.search(r"loss is (\S+) at step (\d+)", str(error))
            what = (
                f"на стъпка {found[2]} загубата стана {found[1]}" if found else "загубата не е крайно число"
            )
            print(
                f"Обучението спря: {what}.\n"
                "Пресметнете загубата за един пакет от данните и вижте коя нейна част първа не е крайна. "
                "Най-често е логаритъм\nот нула или от отрицателно число, exp на голямо число или твърде "
                "голямо lr."
            )

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
        trained = self._trained()
        path = Path(folder) / f"{self._lab.key}-{number}.{'zip' if trained else 'ipynb'}"
        text = json.dumps(notebook_of(cells), ensure_ascii=False, indent=1)
        if trained:
            handed_in.write_zip(path, text, self._weights(trained))
        else:
            path.write_text(text, encoding="utf-8")
        self._report(path)
        _download(path)

    def _trained(self) -> list[str]:
        return [e.name for e in self._lab.exercises.values() if e.trained]

    def _weights(self, trained: list[str]) -> dict[str, dict[str, Tensor]]:
        """The weights of those modules that this notebook has."""
        live, found = NamespaceStudent(self._live()), {}
        for name in trained:
            try:
                found[name] = live.weights(name)
            except StudentError as error:
                if error.kind != "NotTrained":  # that one the report says
                    print(marks.explain(error, name))
        return found

    def _report(self, path: Path) -> None:
        submission = intake.find(path)[0]
        cells, trained = code_cells(submission.read()), self._trained()
        with _as_in_the_grader():
            results = [_in_isolation(e, cells, submission) for e in self._lab.exercises.values()]
        answers = handed_in.answers(cells, list(self._lab.questions))
        print(f"Записано: {path.name}. Така го вижда оценителят, в чиста среда:")
        for result in results:
            print(f"  {SIGNS.get(result['status'], '✘')} {result['name']}: {_note(result)}")
        for name, answer in answers.items():
            print(f"  ✔ {name}: {len(answer.split())} думи" if answer else f"  … {name}: няма отговор")
        if any(r["status"] == "missing" and r["name"] not in trained for r in results):
            print(
                "Във файла влизат само клетките, изпълнени след последното рестартиране: "
                "изпълнете всички отгоре надолу и запишете отново."
            )
        unanswered = [name for name, answer in answers.items() if not answer]
        if any(r["status"] != "passed" for r in results):
            print("Има недовършени упражнения. Файлът може да се предаде и така, или да се запише отново.")
        elif unanswered:
            print(f"Всички упражнения са налице. Без отговор: {', '.join(unanswered)}.")
        else:
            print("Всички упражнения са налице. Предайте този файл.")


def _note(result: dict[str, Any]) -> str:
    """How an exercise stands in the file that was written, in a line."""
    checks = result["checks"]
    failed = [c for c in checks if c["status"] != "passed"]
    if not failed:
        return "готово"
    if failed[0]["status"] in ("unwritten", "missing"):
        return failed[0]["message"]
    return f"минали проверки – {len(checks) - len(failed)} от {len(checks)}. {failed[0]['message']}"


_grading = False


@contextmanager
def _as_in_the_grader() -> Iterator[None]:
    """The grader has no screen, and no checks to run: where a lab's own cells are needed, they do nothing."""
    from IPython.utils.capture import capture_output

    global _grading
    _grading = True
    try:
        with capture_output():
            yield
    finally:
        _grading = False


class _Unloadable(Student):
    def __init__(self, error: StudentError):
        self._error = error

    def perform(self, call: Call) -> Outcome:
        raise self._error


class _Weights(Student):
    def __init__(self, submission: intake.Submission):
        self._submission = submission

    def weights(self, name: str) -> dict[str, Tensor]:
        try:
            return self._submission.weights(name)
        except StudentError as error:
            raise StudentError("NotTrained", name) if error.kind == "NoWeights" else error from None


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
    if _grading:
        raise RuntimeError("there is no lab in the grader")
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
