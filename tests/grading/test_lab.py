"""How a lab's files are read: the hidden part is a package, and a mark depends on every file of it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from gmtools.grading import gradescope
from gmtools.grading.batch import lab_hash
from gmtools.grading.lab import hidden_files, load_graded, load_module, solutions_folder

COURSE = Path(__file__).parent / "course"
PART = """
from .common import hidden

@hidden.check("{name}", "{title}", points={points})
def check(student, generator):
    pass
"""


@pytest.fixture
def lab(tmp_path):
    """A copy of the lab of parts, with a hidden part of several files and a folder."""
    for kind in ("labs", "solutions"):
        shutil.copytree(COURSE / kind / "parts", tmp_path / kind / "parts")
    folder = tmp_path / "labs" / "parts"
    part = solutions_folder(folder) / "hidden"
    (part / "common.py").write_text("from gmtools.grading import Hidden\n\nhidden = Hidden()\n")
    (part / "affine.py").write_text(PART.format(name="Affine", title="едно", points=0))
    (part / "deeper").mkdir()
    (part / "deeper" / "__init__.py").write_text(
        PART.format(name="ascend", title="две", points=0).replace(".common", "..common")
    )
    (part / "__init__.py").write_text("from . import affine, deeper\nfrom .common import hidden\n")
    return folder


def test_the_parts_register_in_one_place_and_anew_each_time(lab):
    for _ in range(2):
        loaded, hidden = load_graded(lab)
        assert [(name, check.title) for name, check in hidden.checks] == [
            ("Affine", "едно"),
            ("ascend", "две"),
        ]
        assert all(sum(c.hidden for c in exercise.checks) == 1 for exercise in loaded.exercises.values())


def test_marks_depend_on_every_file_of_the_hidden_part(lab):
    files = hidden_files(lab)
    assert [path.name for path in files] == ["__init__.py", "affine.py", "common.py", "__init__.py"]
    seen = {lab_hash(lab)}
    for path in (lab / "checks.py", *files):
        path.write_text(path.read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8")
        seen.add(lab_hash(lab))
    assert len(seen) == len(files) + 2


def test_a_lab_without_a_hidden_part_is_not_graded(lab):
    shutil.rmtree(solutions_folder(lab) / "hidden")
    assert hidden_files(lab) == []
    with pytest.raises(FileNotFoundError, match="no hidden checks for parts"):
        load_graded(lab)


def test_a_module_is_run_each_time_it_is_loaded(tmp_path):
    path = tmp_path / "one.py"
    path.write_text("found = []\n")
    first, second = load_module(path), load_module(path)
    assert first is not second and first.found is not second.found


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("checks.py", "lab = (", "checks.py does not run: SyntaxError: .*line 1"),
        ("checks.py", "import no_such_module", "checks.py does not run: ModuleNotFoundError"),
        ("checks.py", "", "checks.py does not define 'lab'"),
        ("hidden/__init__.py", "", "hidden does not define 'hidden'"),
        ("hidden/affine.py", PART.format(name="Afine", title="е", points=0), "hidden is about 'Afine'"),
        (
            "hidden/affine.py",
            "from .common import hidden\nhidden.mistakes('ascent', ('', 'a', 'b'))",
            "hidden is about 'ascent', no exercise of parts: Affine, ",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_lab_is_said_by_file_and_name(lab, tmp_path, capsys, file, text, said):
    """On the command line, and for a student of Gradescope without what is hidden: there is a result."""
    place = solutions_folder(lab) if file.startswith("hidden") else lab
    (place / file).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        load_graded(lab)
    (tmp_path / "a.ipynb").write_text("{}")
    gradescope.main([str(lab), str(tmp_path), str(tmp_path / "results.json")])
    result = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert result["score"] == 0 and "грешка в оценителя" in result["output"]
    assert re.search(said, capsys.readouterr().err)
