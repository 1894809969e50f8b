"""What leaves the lecturer's machine: the students' files, and Gradescope's zip."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from gmtools import cli
from gmtools.grading import gradescope, handout, sandbox, solve
from gmtools.grading.lab import hidden_files, load_graded, solutions_folder

LABS = sorted(p.parent for p in (Path(__file__).parents[2] / "labs").glob("*/lab.md"))
GRADED = [lab for lab in LABS if hidden_files(lab)]
graded_lab = pytest.mark.parametrize("lab", GRADED, ids=lambda p: p.name)


@pytest.mark.parametrize("lab", LABS, ids=lambda p: p.name)
def test_students_get_no_answer_and_no_hidden_check(lab, tmp_path, capsys):
    assert cli.main(["lab", "release", str(lab), "--out", str(tmp_path)]) == 0
    assert sorted(os.listdir(tmp_path)) == sorted([f"{lab.name}.ipynb", "checks.py"])
    texts = [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()]
    notebook = next(json.loads(text) for text in texts if text.startswith("{"))
    searched = [*texts, *(cell["source"] for cell in notebook["cells"])]
    secrets = handout.secrets(lab)
    assert len(secrets) > (20 if lab in GRADED else 1)
    assert [s for s in secrets if any(s in text for text in searched)] == []


@graded_lab
def test_a_lab_that_gives_an_answer_away_is_not_released(lab, tmp_path, monkeypatch):
    solved = solve.solved_notebook(lab)
    monkeypatch.setattr(solve, "student_notebook", lambda _: solved)
    with pytest.raises(ValueError, match="gives away"):
        handout.release(lab, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@graded_lab
def test_gradescopes_zip_grades_where_it_is_unpacked(lab, tmp_path):
    path = tmp_path / "autograder.zip"
    assert cli.main(["lab", "export", "gradescope", str(lab), "--out", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "source")
        modes = {name: archive.getinfo(name).external_attr >> 16 for name in ("setup.sh", "run_autograder")}
        script = archive.read("run_autograder").decode()
    assert all(mode & 0o111 for mode in modes.values())
    parts = {path.relative_to(solutions_folder(lab)).as_posix() for path in hidden_files(lab)}
    assert {"pyproject.toml", "gmtools/grading/zygote.py"} <= names
    assert {f"solutions/{lab.name}/{part}" for part in parts} <= names
    assert not [n for n in names if "__pycache__" in n or n.startswith(("tests", "lectures"))]
    assert f"labs/{lab.name}" in script and "--tier" not in script
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "моята тетрадка.ipynb").write_text(json.dumps(solve.solved_notebook(lab)), encoding="utf-8")
    for weights in solutions_folder(lab).glob("*.safetensors"):
        shutil.copy(weights, submission / f"моята тетрадка.{weights.name}")
    gradescope.main([str(tmp_path / "source" / "labs" / lab.name), str(submission), str(tmp_path / "r.json")])
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    points = sum(exercise.points for exercise in load_graded(lab)[0].exercises.values())
    assert result["score"] == sum(t["max_score"] for t in result["tests"]) == points
    assert "изолирано" in result["output"]
    assert all(t["output_format"] == "text" and t["output"] == "" for t in result["tests"])


@graded_lab
def test_gradescope_says_why_nothing_was_graded(lab, tmp_path, monkeypatch):
    gradescope.main([str(lab), str(tmp_path), str(tmp_path / "r.json")])
    assert "no .ipynb" in json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["output"]
    (tmp_path / "a.ipynb").write_text("{}")
    sandbox._why_not.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda _: None)
    try:
        gradescope.main([str(lab), str(tmp_path), str(tmp_path / "r.json")])
    finally:
        sandbox._why_not.cache_clear()
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert result["score"] == 0 and "bubblewrap" in result["output"]
