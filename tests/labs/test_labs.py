"""Every lab: reference and alternatives get full marks, stubs none, mutants less, and its notebooks run."""

import json
import os
import re
import tomllib
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from gmtools.grading import batch, handout, intake, marks, solve, verify
from gmtools.grading.lab import hidden_files, load_graded, load_public, solutions_folder
from gmtools.grading.notebook import NamespaceStudent
from gmtools.grading.reader import code_cells
from gmtools.grading.sandbox import Limits, choose_tier
from gmtools.grading.slicer import without_magics

ROOT = Path(__file__).parents[2]
LABS = sorted(p.parent for p in (ROOT / "labs").glob("*/lab.md"))
SOLVED = [lab for lab in LABS if (solutions_folder(lab) / "solution.py").is_file()]
GRADED = [lab for lab in LABS if hidden_files(lab)]  # the warm-up is not
every_lab = pytest.mark.parametrize("lab", LABS, ids=lambda p: p.name)
solved_lab = pytest.mark.parametrize("lab", SOLVED, ids=lambda p: p.name)
graded_lab = pytest.mark.parametrize("lab", GRADED, ids=lambda p: p.name)


@pytest.fixture(scope="module")
def zygote():
    return batch.shared_zygote(
        choose_tier(), Limits()
    )  # fails, and says what to install, where nothing isolates


def test_there_are_labs():
    assert LABS


@graded_lab
def test_every_variant_gets_what_it_deserves(lab, zygote):
    rows = verify.verify(lab, zygote, seed=11)
    assert {row.kind for row in rows} == {"reference", "stubs", "alternative", "mutant"}
    assert [(r.kind, r.exercise, r.title, r.earned, r.failed) for r in rows if not r.right] == []


@graded_lab
@pytest.mark.parametrize("seed", (100, 101))
def test_right_answers_get_full_marks_on_other_inputs(lab, seed, zygote):
    rows = verify.verify(lab, zygote, seed, kinds=("reference", "alternative"))
    assert [(r.exercise, r.title, r.failed) for r in rows if not r.right] == []


@graded_lab
def test_enough_mutants_and_alternatives_and_a_hundred_points(lab):
    loaded, hidden = load_graded(lab)
    assert verify.too_few(hidden, loaded) == []
    assert marks.possible(loaded) + sum(q.points for q in loaded.questions.values()) == 100


TRIVIAL = ("return None", "return 0", "return torch.zeros({n}.shape[0])", "return {n}")


@graded_lab
@pytest.mark.parametrize("body", TRIVIAL)
def test_an_answer_without_thought_gets_nothing(lab, body, zygote):
    answers = solve.definitions(solve.solution_source(lab))
    heads = {name: source.split("\n")[0] for name, source in answers.items()}
    first = {name: re.search(r"\((\w+)", head)[1] for name, head in heads.items()}
    cells = ["import torch", *(f"{heads[name]}\n    {body.format(n=first[name])}" for name in heads)]
    loaded, _ = load_graded(lab)
    for name in heads.keys() & loaded.exercises.keys():
        row = verify._row(loaded, zygote, 3, "trivial", body, name, cells)
        assert row.earned == 0, (name, row.earned)


@every_lab
def test_public_checks_alone_pass_the_stubs_by(lab):
    loaded = load_public(lab)
    namespace = {}
    for cell in solve.cells_of(solve.student_notebook(lab)):
        for definition in solve.definitions(without_magics(cell)).values():
            exec(definition, namespace)
    for exercise in loaded.exercises.values():
        result = marks.run_exercise(exercise, NamespaceStudent(namespace), 0)
        assert (result["status"], result["earned"]) == ("missing" if exercise.trained else "unwritten", 0)
        assert not any(check.hidden for check in exercise.checks)


@every_lab
def test_chapters_exist_and_words_are_bulgarian(lab):
    loaded = load_public(lab)
    for exercise in loaded.exercises.values():
        assert (ROOT / "lectures" / f"{exercise.chapter}.md").is_file(), exercise.chapter
        for text in (exercise.title, *(c.title for c in exercise.checks), *(c.hint for c in exercise.checks)):
            assert re.search("[а-я]{3}", text), text


@every_lab
def test_the_repository_is_the_projects(lab):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    slug = project["urls"]["Source"].removeprefix("https://github.com/")
    assert f'REPOSITORY = "{slug}"' in (lab / "lab.md").read_text(encoding="utf-8")


@every_lab
def test_a_forks_notebook_points_to_the_fork(lab, monkeypatch):
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/fork")
    text = json.dumps(solve.student_notebook(lab), ensure_ascii=False)
    assert 'REPOSITORY = \\"someone/fork\\"' in text
    assert "https://someone.github.io/fork/" in text
    assert "](.." not in text and ")=\\n" not in text


@graded_lab
def test_the_hidden_part_is_one_file_an_exercise(lab):
    loaded, hidden = load_graded(lab)
    parts = {path.stem for path in hidden_files(lab)} - {"__init__", "common"}
    assert parts == loaded.exercises.keys() == {name for name, _ in hidden.checks}
    for _, check in hidden.checks:
        assert check.run.__code__.co_filename in map(str, hidden_files(lab)), check.title


MYST = re.compile(r"\{[\w:-]+\}`|^:::|^```\{|^\([\w-]+\)=$|\\\\[(\[]|\$\$[^\n]+|<\w+[^>]*>", re.M)


@every_lab
def test_the_students_notebook_is_markdown_that_colab_shows(lab):
    """No directive, role, label or raw HTML; links that lead somewhere; each displayed formula a block."""
    for cell in solve.student_notebook(lab)["cells"]:
        assert not cell["metadata"]
        if cell["cell_type"] == "markdown":
            text = cell["source"]
            assert not MYST.search(text), MYST.search(text)
            assert all(target.startswith("https://") for target in re.findall(r"\]\(([^)]*)\)", text))
            assert len(re.findall(r"(?m)^\$\$$", text)) % 2 == 0
            tables = [line for line in text.splitlines() if line.startswith("|")]
            assert not [line for line in tables if re.search(r"\$[^$]*\|[^$]*\$", line)]


@every_lab
def test_checks_speak_in_plain_text(lab):
    """What they say is shown as it is: neither Markdown nor LaTeX is rendered there."""
    marked = re.compile(r"[`$]|\*[а-я]+\*")
    exercises = load_public(lab).exercises.values()
    texts = [text for e in exercises for text in (e.title, *(t for c in e.checks for t in (c.title, c.hint)))]
    assert [text for text in texts if marked.search(text)] == []


@graded_lab
def test_students_get_no_answer_and_no_hidden_check(lab):
    given = json.dumps(solve.student_notebook(lab), ensure_ascii=False) + (lab / "checks.py").read_text()
    assert [secret for secret in handout.secrets(lab) if secret in given] == []


SEEDS = range(1, 1 + int(os.environ.get("GMTOOLS_SEEDS", 0)))  # `make seeds` trains ten times


@pytest.fixture(scope="module")
def solved(tmp_path_factory):
    """Runs a lab's solved notebook, warnings as errors, once a seed: the notebook and what it handed in."""

    @cache
    def run(lab, seed):
        place = tmp_path_factory.mktemp(f"{lab.name}-{seed}")
        (place / "checks.py").write_bytes((lab / "checks.py").read_bytes())
        notebook = solve.solved_notebook(lab, number="10001")
        for cell in notebook["cells"]:
            cell["source"] = re.sub(r"(?m)^SEED = 0$", f"SEED = {seed}", cell["source"])
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONWARNINGS", "error::UserWarning,error::RuntimeWarning")
            executed = _executed(notebook, place)
        return executed, intake.find(place / next(p.name for p in place.glob(f"{lab.name}-10001.*")))[0]

    return run


@solved_lab
def test_the_solved_notebook_runs_and_hands_itself_in(lab, solved):
    """Top to bottom; the file that its last cell writes gets full public marks."""
    notebook, submission = solved(lab, 0)
    text = json.dumps(notebook, ensure_ascii=False)
    assert "Всички упражнения са налице" in text
    assert text.count("<svg") >= len(load_public(lab).exercises)
    assert not [o for c in notebook.cells for o in c.get("outputs", []) if o.get("name") == "stderr"]
    cells = code_cells(submission.read())
    for name, answer in solve.definitions(solve.solution_source(lab)).items():
        assert any(answer in cell for cell in cells), name


@graded_lab
@pytest.mark.parametrize("seed", (0, *SEEDS))
def test_what_was_trained_passes_with_its_margin(lab, seed, solved, zygote, capsys):
    loaded, hidden = load_graded(lab)
    assert {m.exercise for m in hidden.metrics} == {e.name for e in loaded.exercises.values() if e.trained}
    for metric in hidden.metrics:
        _, submission = solved(lab, seed)
        value = metric.measure(submission.weights(metric.exercise))
        with capsys.disabled():
            print(f"\n{lab.name} {metric.exercise}, seed {seed}: {value:.2f}, threshold {metric.threshold:g}")
        assert value >= metric.threshold + metric.margin
        row = verify._row(loaded, zygote, 5, "reference", "", metric.exercise, [], submission.weights)
        assert row.right, row.failed


@every_lab
def test_the_empty_notebook_runs_and_says_what_is_missing(lab, tmp_path):
    (tmp_path / "checks.py").write_bytes((lab / "checks.py").read_bytes())
    notebook = _executed(solve.student_notebook(lab), tmp_path)
    text = json.dumps(notebook, ensure_ascii=False)
    written = [e for e in load_public(lab).exercises.values() if not e.trained]
    assert text.count("Функцията още не е написана") >= len(written)
    assert [path.name for path in tmp_path.iterdir()] == ["checks.py"]


def _executed(notebook, place):
    notebook = nbformat.from_dict(notebook)
    nbformat.validate(notebook)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(place)}}).execute()
    return notebook


@every_lab
def test_the_first_cell_installs_only_what_is_missing(lab):
    first = solve.cells_of(solve.student_notebook(lab))[0]
    assert "except ImportError:\n    %pip install" in first
    assert not re.search(r"[=<>]=\s*\d|--force|--upgrade|torch\s*[=<>]", first)
    compile(without_magics(first), "first", "exec")


@solved_lab
def test_a_stub_left_in_a_solution_is_found(lab, monkeypatch):
    source = solve.solution_source(lab) + "\n\ndef no_such_exercise():\n    pass\n"
    monkeypatch.setattr(solve, "solution_source", lambda _: source)
    with pytest.raises(ValueError, match="no stub for no_such_exercise"):
        solve.solved_notebook(lab)


@solved_lab
def test_solutions_hold_no_stub(lab):
    assert "NotImplementedError" not in solve.solution_source(lab)
    assert "TODO" not in solve.solution_source(lab)
