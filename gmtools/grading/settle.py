"""From what the grader measured to the mark that counts: marks by hand, lateness, the best of several.

The results of grading are left as they are, so that changing a policy or a mark by hand never needs a second
run: ``gmtools grade ... --resume --manual marks.csv --late-policy ...`` only settles again.
"""

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gmtools.grading.handed_in import as_written, read_sheet
from gmtools.grading.intake import Submission
from gmtools.grading.lab import Question
from gmtools.grading.reader import printable

DAY = 86_400
Marks = dict[str, dict[str, tuple[float, float]]]  # id or student: question: points, possible


@dataclass(frozen=True)
class Late:
    """``per_day`` percent less for every day begun after the deadline, at most ``most`` percent.

    >>> Late.parse("deadline=2026-05-01T23:59+03:00,per-day=10,max=50").penalty(1777842000.0)
    30.0
    """

    deadline: float
    per_day: float
    most: float = 100.0

    @classmethod
    def parse(cls, text: str) -> "Late":
        """From ``deadline=2026-05-01T23:59+03:00,per-day=10,max=50`` (without an offset: local time)."""
        try:
            parts = dict(part.split("=", 1) for part in text.split(","))
            deadline = datetime.fromisoformat(parts.pop("deadline")).timestamp()
            late = cls(deadline, float(parts.pop("per-day")), float(parts.pop("max", 100)))
        except (KeyError, ValueError):
            parts = {"?": text}
        if parts or not (0 <= late.per_day <= 100 and 0 <= late.most <= 100):
            raise ValueError(
                f"--late-policy is {text!r}, expected deadline=2026-05-01T23:59+03:00,per-day=10,max=50"
            )
        return late

    def penalty(self, modified: float) -> float:
        """Percent to take off."""
        return min(self.per_day * max(math.ceil((modified - self.deadline) / DAY), 0), self.most)


def _points(text: str | None, line: int, path: Path) -> float:
    try:
        value = float((text or "0").strip().replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{path}, line {line}: {text!r} is no number of points")
    return value


def read_marks(path: Path, questions: dict[str, Question] | None = None) -> Marks:
    """Marks by hand: a CSV with the columns id, question, points and possible.

    As spreadsheets write it (``read_sheet``), with decimal commas too. The file is only read. Where the lab
    has ``questions``, they alone are marked, and they say how many points are possible.
    """
    possible = {name: question.points for name, question in (questions or {}).items()}
    marks: Marks = defaultdict(dict)
    for line, row in read_sheet(path, ("id", "question", "points")).rows:
        name, question = as_written(row["id"]), as_written(row["question"])
        place = f"{path}, line {line}: {name}, {question}"
        if questions and question not in questions:
            raise ValueError(f"{place}: the lab asks {', '.join(questions)}")
        if question in marks[name]:
            raise ValueError(f"{place} stands twice")
        points = _points(row["points"], line, path)
        most = possible[question] if questions else _points(row.get("possible"), line, path)
        if possible.setdefault(question, most) != most:
            raise ValueError(f"{place}: {most:g} points are possible here, {possible[question]:g} above")
        if points > most:
            raise ValueError(f"{place}: {points:g} points, but {most:g} are possible")
        marks[name][question] = (points, most)
    return dict(marks)


def check_names(marks: Marks, submissions: list[Submission]) -> None:
    """Raise ValueError if a mark by hand is for nobody: a typing error would lose it."""
    known = {printable(name) for s in submissions for name in (s.id, s.student)}
    unknown = sorted(marks.keys() - known)
    if unknown:
        raise ValueError(f"marks by hand for {', '.join(unknown)}: no such submission or student")


def _participant(submission: Submission) -> str:
    """The number that Moodle's download puts after the name, empty elsewhere."""
    return submission.student.rpartition("_")[2] if submission.moodle else ""


def settle(
    results: list[dict[str, Any]],
    submissions: list[Submission],
    late: Late | None = None,
    marks: Marks | None = None,
) -> list[dict[str, Any]]:
    """Each result with ``student``, ``manual``, ``penalty`` (percent), ``final``, ``possible``, ``counts``.

    Of a student's several submissions the one with the highest final mark counts (the earliest, if equal).
    """
    marks = marks or {}
    owners = {s.key: s for s in submissions}
    questions = {q: p for by_hand in marks.values() for q, (_, p) in by_hand.items()}
    settled = []
    for result in results:
        owner = owners[result["key"]]
        student = printable(owner.student)
        by_hand = {**marks.get(student, {}), **marks.get(result["id"], {})}
        manual = {q: by_hand.get(q, (0.0, p))[0] for q, p in questions.items()}
        penalty = late.penalty(owner.modified) if late else 0.0
        final = (result["earned"] + sum(manual.values())) * (1 - penalty / 100)
        settled.append(
            result
            | {"student": student, "manual": manual, "penalty": penalty, "final": round(final, 2)}
            | {"participant": _participant(owner)}
            | {"possible": result["points"] + sum(questions.values()), "modified": owner.modified}
        )
    best: dict[str, dict[str, Any]] = {}
    for result in sorted(settled, key=lambda r: (-r["final"], r["modified"], r["id"])):
        best.setdefault(result["student"], result)
    return [result | {"counts": best[result["student"]] is result} for result in settled]
