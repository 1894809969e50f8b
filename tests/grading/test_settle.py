"""Lateness, marks by hand and the best of several, on results as the grader leaves them."""

import csv
import io

import pytest

from gmtools.grading import report, settle
from gmtools.grading.intake import Submission
from gmtools.grading.lab import Question

DEADLINE = 1_777_000_000.0
LATE = settle.Late(DEADLINE, per_day=10, most=50)


def result(name, earned=80.0):
    return {
        "id": name, "key": Submission(name, "").key, "title": "Лаборатория", "earned": earned,
        "points": 100.0, "exercises": [], "status": "graded", "reason": "", "tier": "root", "seed": 1,
    }  # fmt: skip


def settled(pairs, **options):
    results = settle.settle([r for r, _ in pairs], [s for _, s in pairs], **options)
    return {r["id"]: r for r in results}


def pair(name, student, modified=DEADLINE, earned=80.0, **options):
    return result(name, earned), Submission(name, "", student=student, modified=modified, **options)


@pytest.mark.parametrize(
    ("seconds", "percent"), [(-5, 0), (0, 0), (1, 10), (86_400, 10), (86_401, 20), (86_400 * 30, 50)]
)
def test_a_day_begun_is_a_day_late(seconds, percent):
    assert LATE.penalty(DEADLINE + seconds) == percent
    assert settled([pair("a", "a", DEADLINE + seconds)], late=LATE)["a"]["final"] == 80 * (1 - percent / 100)


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "per-day=10", "deadline=2026-05-01,per-day=x", "deadline=2026-05-01,per-day=200",
             "deadline=2026-05-01,per-day=1,typo=2"]
)  # fmt: skip
def test_a_policy_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="--late-policy is"):
        settle.Late.parse(text)


def test_the_best_of_several_counts_after_the_penalty():
    pairs = [
        pair("early", "ana", earned=75.0),
        pair("late", "ana", DEADLINE + 90_000, earned=90.0),
        pair("other", "bob", earned=10.0),
    ]
    counts = {name: r["counts"] for name, r in settled(pairs, late=LATE).items()}
    assert counts == {"early": True, "late": False, "other": True}
    assert settled(pairs)["late"]["counts"]


def test_marks_by_hand_are_merged_and_their_file_is_left_alone(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_text("\ufeffid;question;points;possible\nana;Есе;7,5;10\nlate;Чертеж;2;5\n", encoding="utf-8")
    before = path.read_bytes(), path.stat().st_mtime_ns
    marks = settle.read_marks(path)
    found = settled([pair("early", "ana"), pair("late", "bob")], marks=marks)
    assert found["early"]["manual"] == {"Есе": 7.5, "Чертеж": 0.0} and found["early"]["final"] == 87.5
    assert found["late"]["final"] == 82.0 and found["late"]["possible"] == 115
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("id,points\n", "no column question"),
        ("id,question,points\na,q,many\n", "line 2: 'many' is no number"),
        ("id,question,points\na,q,nan\n", "no number"),
        ("id,question,points,possible\na,q,1,5\na,q,2,5\n", "line 3: a, q stands twice"),
        ("id,question,points,possible\na,q,45,5\n", "line 2: a, q: 45 points, but 5 are possible"),
        ("id,question,points\na,q,5\n", "line 2: a, q: 5 points, but 0 are possible"),
        ("id,question,points,possible\na,q,1,5\nb,q,1,10\n", "line 3: b, q: 10 points .* 5 above"),
    ],
)
def test_a_file_of_marks_that_cannot_be_meant_is_refused(tmp_path, text, error):
    (tmp_path / "marks.csv").write_text(text)
    with pytest.raises(ValueError, match=error):
        settle.read_marks(tmp_path / "marks.csv")


QUESTIONS = {name: Question(name, "Защо?", 5.0) for name in ("answer_1", "answer_2")}


def test_the_labs_questions_say_what_is_asked_and_for_how_many_points(tmp_path):
    path = tmp_path / "marks.csv"
    path.write_text("id,question,points\na,answer_1,5\n")
    assert settle.read_marks(path, QUESTIONS) == {"a": {"answer_1": (5.0, 5.0)}}
    for row, error in {
        "a,answr_1,4": "the lab asks answer_1, answer_2",
        "a,answer_2,45": "but 5 are",
    }.items():
        path.write_text(f"id,question,points,possible\na,answer_1,5,50\n{row},50\n")
        with pytest.raises(ValueError, match=f"marks.csv, line 3: .*{error}"):
            settle.read_marks(path, QUESTIONS)


def test_a_mark_for_nobody_is_refused():
    with pytest.raises(ValueError, match="for anna: no such"):
        settle.check_names({"anna": {"q": (1.0, 1.0)}}, [Submission("ana", "")])


def test_moodle_takes_percent_by_participant_and_formulas_are_text():
    pairs = [
        pair("=1+1_12/a", "=1+1_12", moodle=True),
        pair("=1+1_12/b", "=1+1_12", earned=50.0, moodle=True),
        pair("Иван Петров_7", "Иван Петров_7", earned=12.345, moodle=True),
    ]
    results = list(settled(pairs, marks={"Иван Петров_7": {"=cmd": (1.0, 0.0)}}).values())
    rows = list(csv.reader(io.StringIO(report.moodle_worksheet(results))))[1:]
    assert rows == [
        ["Participant 12", "'=1+1", "80", "100.00"],
        ["Participant 7", "Иван Петров", "13.35", "100.00"],
    ]
    cells = [cell for row in csv.reader(io.StringIO(report.gradebook(results))) for cell in row if cell]
    assert "'=cmd" in cells and not [cell for cell in cells if cell[0] in "=+-@"]
