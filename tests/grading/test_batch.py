"""A batch gives everybody a mark or a reason, whatever happens to the grader itself."""

import csv
import json
import os
import signal
from pathlib import Path

import pytest

from gmtools import cli
from gmtools.grading import batch, intake, solve
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


def in_a_pool(run, submission):
    """Stands in for ``grade_one``; a process of the pool is killed once or always."""
    once = Path(run.lab) / "killed once"
    if submission.id == "always" or (submission.id == "once" and not once.exists()):
        once.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"id": submission.id}


@pytest.mark.parametrize(("killer", "looked_at"), [("always", ["always"]), ("once", [])])
def test_a_killed_process_costs_nobody_else(tmp_path, monkeypatch, killer, looked_at):
    names = [f"s{i}" for i in range(100)]
    names[3:3] = [killer]
    submissions = [intake.Submission(name, "") for name in names]
    monkeypatch.setattr(batch, "grade_one", in_a_pool)
    monkeypatch.setattr(batch, "_without_marks", lambda run, submission: {"id": submission.id})
    run, done = batch.Run(str(tmp_path), 0, "plain"), []
    with batch.executor(2) as pool:
        failures = batch.grade_all(run, submissions, tmp_path, pool, done.append)
    results = [json.loads(batch.result_path(tmp_path, s).read_text()) for s in submissions]
    assert [r["id"] for r in results] == names and sorted(s.id for s in done) == sorted(names)
    assert [(r["id"], r["status"]) for r in results if "status" in r] == [(n, "look") for n in looked_at]
    assert [failure.split(":")[0] for failure in failures] == looked_at
