"""A batch gives everybody a mark or a reason, whatever happens to the grader itself."""

import csv
import json
from pathlib import Path

import pytest

from gmtools import cli
from gmtools.grading import batch, solve
from gmtools.grading.reader import notebook_of

LAB = Path(__file__).parent / "course" / "labs" / "bound"
NOTEBOOK = json.dumps(notebook_of(["x = 1"]))


def grade(folder, out, *options):
    return cli.main(["grade", str(LAB), str(folder), "--out", str(out), "--jobs", "1", *options])


def rows(out):
    with open(out / "gradebook.csv", encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


@pytest.fixture
def submissions(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook_of([solve.solution_source(LAB)])))
    return folder


@pytest.mark.parametrize("graded_before", [False, True])
def test_where_the_grader_fails_a_person_is_to_look(
    submissions, tmp_path, monkeypatch, capsys, graded_before
):
    out = tmp_path / "out"
    if graded_before:
        assert grade(submissions, out) == 0
        assert rows(out)["a"]["total"] == "100"
    (submissions / "a.ipynb").write_text(NOTEBOOK)
    grade_one = batch.grade_one

    def failing(run, submission):
        if submission.id == "a":
            raise MemoryError("the text of a hidden test")
        return grade_one(run, submission)

    with monkeypatch.context() as patched:
        patched.setattr(batch, "grade_one", failing)
        assert grade(submissions, out) == 1
    found = rows(out)
    assert (found["a"]["total"], found["a"]["status"]) == ("0", "look")
    assert "MemoryError" in found["a"]["reason"] and "hidden test" not in found["a"]["reason"]
    assert "hidden test" in capsys.readouterr().err
    assert found["b"]["total"] == "100"
    assert found["a"]["reason"] in (out / found["a"]["page"]).read_text(encoding="utf-8")
    assert found["a"]["reason"] in (out / "index.html").read_text(encoding="utf-8")
    assert grade(submissions, out, "--resume") == 0
    assert rows(out)["a"]["status"] == "graded"
