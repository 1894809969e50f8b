"""The checks are checked: reference and alternatives get full marks, stubs none, every mutant loses
points."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from gmtools.grading import handed_in, marks, solve
from gmtools.grading.lab import Hidden, Lab, load_graded
from gmtools.grading.sandbox import Zygote
from gmtools.grading.session import RemoteStudent


@dataclass(frozen=True)
class Row:
    """One variant: what it is, the exercise it is about (None for all), its mark, and whether that is as it
    should be."""

    kind: str
    title: str
    exercise: str | None
    earned: float
    points: float
    right: bool
    failed: tuple[str, ...]


def _row(
    lab: Lab,
    zygote: Zygote,
    seed: int,
    kind: str,
    title: str,
    exercise: str | None,
    cells: list[str],
    weights: Callable[[str], dict[str, Tensor]] = handed_in.none,
) -> Row:
    chosen = [lab.exercises[exercise]] if exercise else list(lab.exercises.values())
    results = []
    for one in chosen:
        student = RemoteStudent(zygote, cells, one.name, weights)
        results.append(marks.run_exercise(one, student, seed))
        student.close()
    earned, points = marks.total(results), sum(e.points for e in chosen)
    failed = tuple(c["title"] for r in results for c in r["checks"] if c["status"] != "passed")
    crashed = any(c["status"] == "broken check" for r in results for c in r["checks"])
    right = {"stubs": earned == 0, "mutant": earned < points}.get(kind, earned == points) and not crashed
    return Row(kind, title, exercise, earned, points, right, failed)


def verify(folder: Path, zygote: Zygote, seed: int = 0, kinds: tuple[str, ...] = ()) -> list[Row]:
    """Grade every variant of the lab (of these ``kinds``; all by default)."""
    lab, hidden = load_graded(folder)
    chosen = [v for v in solve.variants(folder, lab, hidden) if not kinds or v[0] in kinds]
    return [_row(lab, zygote, seed, *variant) for variant in chosen]


def too_few(hidden: Hidden, lab: Lab, mutants: int = 4, alternatives: int = 2) -> list[str]:
    """Exercises with fewer mutants or alternatives than a lab needs."""
    problems = []
    for name in lab.exercises:
        found = (
            sum(m.exercise == name for m in hidden.mutants),
            sum(a.exercise == name for a in hidden.alternatives),
        )
        if found[0] < mutants or found[1] < alternatives:
            problems.append(
                f"{name}: {found[0]} mutants (need {mutants}), {found[1]} alternatives (need {alternatives})"
            )
    return problems
