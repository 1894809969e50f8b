"""What a lab is: exercises, their checks, and how what defines them is read.

``labs/<lab>/checks.py`` holds ``lab = Lab(...)`` with the public checks; ``solutions/<lab>/hidden/`` is a
package with ``hidden = Hidden()``: the checks, mutants and alternative answers that students never see, one
file an exercise.
A check is a function ``(student, generator)``: it calls ``student.<name>(...)`` on inputs drawn from the
generator and raises ``Failed`` through the helpers of ``expect.py``. The same function runs in the student's
notebook, where ``student`` calls directly, and in the grader, where every call crosses into a sandbox.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import torch


class Failed(Exception):
    """A check's verdict: what is wrong, in words for the student."""


class WrongForm(Failed):
    """The verdict on a value of the wrong type or shape: the check's hint, about numbers, would mislead."""


class StudentError(Exception):
    """The student's own code raised: type, message, and the line in their own cell (None where unknown).

    ``loading`` says that it happened while the definitions ran, before any input was seen; ``function``, in a
    notebook, which other function than the one called the line is in.
    """

    def __init__(self, kind: str, message: str = "", cell: int | None = None, line: int | None = None):
        super().__init__(f"{kind}: {message}")
        self.kind, self.message, self.cell, self.line = kind, message, cell, line
        self.loading = False
        self.function = ""

    @property
    def unwritten(self) -> bool:
        """Whether a stub's bare ``raise NotImplementedError`` was met; ``message`` is the stub's name."""
        return self.kind == "Unwritten"


class StudentGone(Exception):
    """The student's process ended: ``reason`` is timeout, crash, exit, memory or protocol."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Check:
    title: str
    points: float
    run: Callable
    hint: str = ""
    hidden: bool = False


@dataclass
class Exercise:
    name: str
    title: str
    points: float
    chapter: str
    trained: bool = False
    checks: list[Check] = field(default_factory=list)

    def check(self, title: str, *, points: float, hint: str = "", hidden: bool = False) -> Callable:
        """Register the decorated function as one of the exercise's checks."""

        def register(run: Callable) -> Callable:
            self.checks.append(Check(title, points, run, hint, hidden))
            return run

        return register


@dataclass(frozen=True)
class Question:
    """An open question: the answer is a text assigned to ``name``, and a person marks it."""

    name: str
    title: str
    points: float


class Lab:
    """A lab: its folder name, its title, its exercises in the order they are asked, and open questions."""

    def __init__(self, key: str, title: str):
        self.key, self.title = key, title
        self.exercises: dict[str, Exercise] = {}
        self.questions: dict[str, Question] = {}

    def exercise(
        self, name: str, *, title: str, points: float, chapter: str, trained: bool = False
    ) -> Exercise:
        """Add an exercise; ``name`` is what the student defines, ``chapter`` a path like 3-inference/33-...

        With ``trained`` it is a module whose weights are handed in: checks see ``student.weights(name)``.
        """
        self.exercises[name] = Exercise(name, title, points, chapter, trained)
        return self.exercises[name]

    def question(self, name: str, *, title: str, points: float) -> None:
        """Add an open question, marked by hand."""
        self.questions[name] = Question(name, title, points)


@dataclass(frozen=True)
class Mutant:
    """A typical mistake: the reference answer with ``old`` replaced by ``new``, or its weights after
    ``damage``."""

    exercise: str
    title: str
    old: str = ""
    new: str = ""
    damage: Callable | None = None


@dataclass(frozen=True)
class Alternative:
    """A right answer in another style: a hidden function that stands in for the exercise's, or that
    makes of the reference's weights others as good."""

    exercise: str
    title: str
    function: Callable


@dataclass(frozen=True)
class Metric:
    """What the weights of a trained exercise are marked by: the reference is to exceed ``threshold`` by
    ``margin``."""

    exercise: str
    threshold: float
    margin: float
    measure: Callable


class Hidden:
    """What the hidden part collects for its lab."""

    def __init__(self) -> None:
        self.checks: list[tuple[str, Check]] = []
        self.mutants: list[Mutant] = []
        self.metrics: list[Metric] = []
        self.alternatives: list[Alternative] = []

    def check(self, exercise: str, title: str, *, points: float, hint: str = "") -> Callable:
        """Register a hidden check; its title and hint are shown to students, its body and values never."""

        def register(run: Callable) -> Callable:
            self.checks.append((exercise, Check(title, points, run, hint, hidden=True)))
            return run

        return register

    def mistakes(self, exercise: str, *rows: tuple[str, str, str]) -> None:
        """Register typical wrong answers: title, text of the reference, what stands in its place."""
        self.mutants += [Mutant(exercise, *row) for row in rows]

    def damage(self, exercise: str, title: str) -> Callable:
        """Register the decorated function, which spoils the reference's weights, as a wrong answer."""

        def register(function: Callable) -> Callable:
            self.mutants.append(Mutant(exercise, title, damage=function))
            return function

        return register

    def metric(self, exercise: str, *, threshold: float, margin: float) -> Callable:
        """Register the decorated function, from weights to a number, as what an exercise is marked by."""

        def register(function: Callable) -> Callable:
            self.metrics.append(Metric(exercise, threshold, margin, function))
            return function

        return register

    def alternative(self, exercise: str, title: str) -> Callable:
        """Register the decorated function as another right answer to the exercise."""

        def register(function: Callable) -> Callable:
            self.alternatives.append(Alternative(exercise, title, function))
            return function

        return register


LOADS = count()


def load_module(path: Path) -> ModuleType:
    """The Python file at ``path``, run; a folder's ``__init__.py`` is run as a package.

    Each call runs it anew, under a name of its own: labs register what they hold while they are imported.
    """
    path = path / "__init__.py" if path.is_dir() else path
    spec = importlib.util.spec_from_file_location(f"_lab_module_{next(LOADS)}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # the parts of a package import one another relative to it
    spec.loader.exec_module(module)
    return module


def _defined(path: Path, name: str) -> Any:
    """What the module at ``path`` defines as ``name``; ValueError that names the file if it does not."""
    try:
        module = load_module(path)
    except Exception as error:
        raise ValueError(f"{path} does not run: {type(error).__name__}: {error}") from error
    if not hasattr(module, name):
        raise ValueError(f"{path} does not define {name!r}")
    return getattr(module, name)


def load_public(folder: Path) -> Lab:
    """The lab with its public checks alone, as students have it."""
    path = Path(folder) / "checks.py"
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no lab: {path} does not exist")
    return _defined(path, "lab")


def solutions_folder(folder: Path) -> Path:
    """Where the answers to ``labs/<lab>`` stand: ``solutions/<lab>`` beside ``labs``."""
    folder = Path(folder).resolve()
    return folder.parent.parent / "solutions" / folder.name


def hidden_files(folder: Path) -> list[Path]:
    """The files of the hidden part of ``labs/<lab>``, ``solutions/<lab>/hidden``; none of an ungraded lab."""
    return sorted((solutions_folder(folder) / "hidden").rglob("*.py"))


def load_graded(folder: Path) -> tuple[Lab, Hidden]:
    """The lab with public and hidden checks together, and what else the hidden part holds."""
    lab = load_public(folder)
    path = solutions_folder(folder) / "hidden"
    if not hidden_files(folder):
        raise FileNotFoundError(f"no hidden checks for {lab.key}: {path} does not exist")
    hidden = _defined(path, "hidden")
    about = [name for name, _ in hidden.checks]
    about += [entry.exercise for entry in (*hidden.mutants, *hidden.metrics, *hidden.alternatives)]
    if unknown := [name for name in about if name not in lab.exercises]:
        raise ValueError(
            f"{path} is about {unknown[0]!r}, no exercise of {lab.key}: {', '.join(lab.exercises)}"
        )
    for name, check in hidden.checks:
        lab.exercises[name].checks.append(check)
    for exercise in lab.exercises.values():
        total = sum(check.points for check in exercise.checks)
        if abs(total - exercise.points) > 1e-9:
            raise ValueError(
                f"{lab.key}: the checks of {exercise.name} add to {total:g}, not {exercise.points:g}"
            )
    return lab, hidden


def generator_for(seed: int, exercise: str, title: str) -> torch.Generator:
    """The stream of random inputs of one check: a function of the run's seed and of nothing else."""
    digest = hashlib.sha256(f"{seed}/{exercise}/{title}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
