"""``gmtools grade`` from the command line to the files it leaves."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from gmtools import cli
from gmtools.grading import batch, intake, sandbox, solve
from gmtools.grading.reader import notebook_of

LAB = Path(__file__).parent / "course" / "labs" / "bound"
EVIL = "<script>document.title='pwned'</script>"


@pytest.fixture(scope="module")
def submissions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("submissions")
    source = solve.solution_source(LAB)
    wrong = source.replace("0.5 * (logvar.exp()", "(logvar.exp()")
    raising = 'def gaussian_kl(mu, logvar):\n    raise ValueError("' + EVIL + '")  # ' + EVIL

    def write(name, cells):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook_of(cells)), encoding="utf-8")

    write("Иван Петров 🙂.ipynb", [source])
    write("група 2/Мария.ipynb", [wrong])
    write("=HYPERLINK(1).ipynb", [source])
    write(f"a{EVIL.replace('/', '')}.ipynb", [source, raising])
    write("Иван_Петров__.ipynb", [wrong])
    write("..хитър..ipynb", [source])
    (folder / "empty.ipynb").write_bytes(b"")
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    (folder / "linked folder").symlink_to("/")
    (folder / "notes.txt").write_text("not a notebook")
    return folder


def grade(submissions, out, *options):
    return cli.main(["grade", str(LAB), str(submissions), "--out", str(out), "--jobs", "1", *options])


@pytest.fixture(scope="module")
def graded(submissions, tmp_path_factory):
    out = tmp_path_factory.mktemp("grades")
    assert grade(submissions, out, "--seed", "5") == 0
    return out


def rows(out):
    with open(out / "gradebook.csv", encoding="utf-8-sig", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def content(out):
    files = [p for p in sorted(out.rglob("*")) if p.is_file()]
    return {str(p.relative_to(out)): re.sub(rb"<time.*</time>", b"", p.read_bytes()) for p in files}


def test_everybody_gets_a_mark_or_a_reason(graded):
    marks = {name: (row["total"], row["status"]) for name, row in rows(graded).items()}
    assert marks["Иван Петров 🙂"] == ("100", "graded")
    assert marks["група 2/Мария"][1] == "graded" and 30 < float(marks["група 2/Мария"][0]) < 100
    assert marks["..хитър."] == ("100", "graded")
    assert marks["empty"] == ("0", "unreadable") and marks["link"] == ("0", "unreadable")
    assert len(marks) == 8


def test_a_spreadsheet_computes_nothing(graded):
    raw = (graded / "gradebook.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    cells = [cell for row in rows(graded).values() for cell in row.values()]
    assert "'=HYPERLINK(1)" in cells
    assert not [cell for cell in cells if cell[:1] in "=+-@" and cell]


def test_pages_hold_no_script_and_stay_in_their_folder(graded):
    pages = [graded / row["page"] for row in rows(graded).values()]
    assert len(set(pages)) == 8 and all(p.is_file() and p.parent == graded / "students" for p in pages)
    for page in [*pages, graded / "index.html"]:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert re.search(r'<html lang="bg">', text)
        assert "изолирано" in text


def test_the_page_says_what_happened_and_where(graded):
    page = next(p for p in (graded / "students").glob("a_script*")).read_text(encoding="utf-8")
    assert "ValueError (клетка с код 2, ред 2)" in page
    assert page.count("raise ValueError") == 2, "once in each exercise that runs it, not at every check"


def test_hidden_verdicts_are_not_stored(graded):
    for path in (graded / "results").glob("*.json"):
        for exercise in json.loads(path.read_text(encoding="utf-8"))["exercises"]:
            for check in exercise["checks"]:
                assert not (check["hidden"] and check["status"] == "failed" and check["message"])


def test_the_same_seed_gives_the_same_bytes(submissions, graded, tmp_path):
    assert grade(submissions, tmp_path, "--seed", "5") == 0
    assert content(tmp_path) == content(graded)


def test_resume_grades_only_what_is_missing_or_changed(submissions, graded, tmp_path, monkeypatch):
    shutil.copytree(graded, tmp_path / "out")
    lost = next((tmp_path / "out" / "results").glob("*Мария*"))
    lost.unlink()
    half = tmp_path / "out" / "results" / ".half.json.1"  # what a kill may leave
    half.write_text("{")
    graded_now = []
    original = batch.grade_all

    def recorded(run, todo, *rest):
        graded_now.extend(s.id for s in todo)
        return original(run, todo, *rest)

    monkeypatch.setattr(batch, "grade_all", recorded)
    assert grade(submissions, tmp_path / "out", "--resume") == 0
    assert "група 2/Мария" in graded_now and "Иван Петров 🙂" not in graded_now
    half.unlink()
    assert content(tmp_path / "out") == content(graded)


def test_a_lab_edited_during_a_batch_marks_nobody_by_half(submissions, tmp_path):
    """All results of the batch are of the lab as it was at its start, and say so: --resume grades again."""
    course = shutil.copytree(LAB.parents[1], tmp_path / "course")
    lab = course / "labs" / "bound"
    run = batch.Run(str(lab), 0, "plain")
    every = {s.id: s for s in intake.find(submissions)}
    first = batch.grade_one(run, every["Иван Петров 🙂"])
    checks = (lab / "checks.py").read_text(encoding="utf-8")
    (lab / "checks.py").write_text(checks.replace("points=30", "points=20"), encoding="utf-8")
    second = batch.grade_one(run, every["група 2/Мария"])
    assert first["lab_hash"] == second["lab_hash"] != batch.lab_hash(lab)
    assert first["points"] == second["points"] == 100
    (tmp_path / "results").mkdir()
    batch.write_atomically(batch.result_path(tmp_path, every["Иван Петров 🙂"]), json.dumps(first))
    assert not batch.finished(run, tmp_path, every["Иван Петров 🙂"])


def test_settling_again_needs_no_second_run(submissions, graded, tmp_path, monkeypatch, capsys):
    """Marks by hand and lateness change the reports alone; the file of marks and the results stay."""
    shutil.copytree(graded, tmp_path / "out")
    marks = tmp_path / "marks.csv"
    marks.write_text("id,question,points,possible\nИван Петров 🙂,Есе <b>,5,10\n", encoding="utf-8")
    before = marks.read_bytes()
    monkeypatch.setattr(batch, "grade_one", None)
    left_out = [s.id for s in intake.find(submissions) if s.id not in ("empty", "link")]
    monkeypatch.setattr(batch, "finished", lambda *_: True)
    policy = "deadline=2020-01-01T00:00+00:00,per-day=10,max=50"
    options = ("--resume", "--manual", str(marks), "--late-policy", policy)
    assert grade(submissions, tmp_path / "out", *options) == 0
    found = rows(tmp_path / "out")
    assert len(left_out) == 6 and found["Иван Петров 🙂"]["Есе <b>"] == "5"
    assert (found["Иван Петров 🙂"]["total"], found["Иван Петров 🙂"]["possible"]) == ("52.5", "110")
    page = (tmp_path / "out" / found["Иван Петров 🙂"]["page"]).read_text(encoding="utf-8")
    assert "52,5" in page and "намалени с 50 %" in page and "Есе &lt;b&gt;" in page
    assert marks.read_bytes() == before
    stored = {n: b for n, b in content(graded).items() if n.startswith("results/")}
    assert {n: b for n, b in content(tmp_path / "out").items() if n.startswith("results/")} == stored
    marks.write_text("id,question,points,possible\nnobody,q,1,5\n", encoding="utf-8")
    assert grade(submissions, tmp_path / "out", "--resume", "--manual", str(marks)) == 2
    assert "marks by hand for nobody" in capsys.readouterr().err


def test_copies_stand_together_in_the_overview(submissions, tmp_path):
    """A class of five, two of whom handed in the same code of their own."""
    own = (
        "def plotted(grid, scale=3):\n    return [grid.sin() * k - scale**k for k in range(17) if k % 5 != 2]"
    )
    folder = tmp_path / "class"
    folder.mkdir()
    source = solve.solution_source(LAB)
    extras = {"a": own, "b": own.replace("grid", "axis"), "c": "print(1)", "d": "x = 3", "e": "import os"}
    for name, extra in extras.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook_of([source, extra])), encoding="utf-8")
    assert grade(folder, tmp_path / "out") == 0
    overview = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    group = overview.split("Почти еднакви работи")[1].split("</section>")[0]
    assert re.findall(r"students/(\w+)\.html", group) == ["a", "b"]


def test_only_grades_the_one_asked_for(submissions, tmp_path, capsys):
    assert grade(submissions, tmp_path, "--seed", "5", "--only", "група 2/Мария") == 0
    assert list(rows(tmp_path)) == ["група 2/Мария"]
    assert grade(submissions, tmp_path, "--only", "nobody") == 2
    assert "no submission nobody" in capsys.readouterr().err


def test_without_bubblewrap_nothing_is_graded_unless_asked(submissions, tmp_path, monkeypatch, capsys):
    sandbox._why_not.cache_clear()
    monkeypatch.setattr(sandbox.shutil, "which", lambda _: None)
    try:
        assert grade(submissions, tmp_path) == 2
    finally:
        sandbox._why_not.cache_clear()
    said = capsys.readouterr().err
    assert "apt-get install bubblewrap" in said and "--tier plain" in said
    assert not list(tmp_path.iterdir())


def test_the_weak_tier_says_so_loudly(submissions, tmp_path, capsys):
    assert grade(submissions, tmp_path, "--tier", "plain", "--only", "Иван Петров 🙂") == 0
    assert "NOT ISOLATED" in capsys.readouterr().out
    assert "НЕИЗОЛИРАНО" in next((tmp_path / "students").iterdir()).read_text(encoding="utf-8")


def test_the_overview_warns_of_a_single_one_graded_without_isolation(submissions, graded, tmp_path):
    shutil.copytree(graded, tmp_path / "out")
    assert "без изолация" not in (graded / "index.html").read_text(encoding="utf-8")
    assert grade(submissions, tmp_path / "out", "--only", "група 2/Мария", "--tier", "plain") == 0
    overview = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "Оценяването на 1 от 8 работи е минало без изолация" in overview
    assert sandbox.TIERS["plain"] in overview and sandbox.TIERS[sandbox.choose_tier()] in overview


MORE = """

@lab.exercise("more", title="Още", points=10, chapter="3-inference/33-variational-bound").check("", points=10)
def more(student, generator):
    student.more()
"""


@pytest.fixture
def edited(tmp_path):
    """A copy of the lab, and what adds an exercise to it."""
    lab = shutil.copytree(LAB.parents[1], tmp_path / "course") / "labs" / "bound"

    def add_an_exercise():
        with open(lab / "checks.py", "a", encoding="utf-8") as file:
            file.write(MORE)
        batch._lab.cache_clear()  # another run is another process

    return lab, add_an_exercise


def test_results_of_the_lab_before_an_edit_are_named_and_left_out(edited, submissions, tmp_path, capsys):
    lab, add_an_exercise = edited
    for name in ("a", "b"):
        shutil.copy(submissions / "група 2" / "Мария.ipynb", tmp_path / f"{name}.ipynb")
    arguments = ["grade", str(lab), str(tmp_path), "--out", str(tmp_path / "out"), "--jobs", "1"]
    assert cli.main(arguments) == 0
    add_an_exercise()
    assert cli.main([*arguments, "--only", "b"]) == 1
    assert "because the lab has changed since: a\n" in capsys.readouterr().err
    assert list(rows(tmp_path / "out")) == ["b"] and "more" in rows(tmp_path / "out")["b"]
    assert "Още" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert cli.main([*arguments, "--resume"]) == 0
    assert [row["possible"] for row in rows(tmp_path / "out").values()] == ["110", "110"]


def test_a_lab_without_its_text_is_refused_before_anything_is_graded(edited, submissions, tmp_path, capsys):
    (edited[0] / "lab.md").unlink()
    assert cli.main(["grade", str(edited[0]), str(submissions), "--out", str(tmp_path / "out")]) == 2
    assert "lab.md" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_seed_or_a_policy_that_would_be_ignored_is_refused(submissions, graded, capsys):
    before = content(graded)
    assert grade(submissions, graded, "--resume", "--seed", "77") == 2
    assert "--seed is 77" in capsys.readouterr().err
    assert grade(submissions, graded, "--resume", "--late-policy", "") == 2
    assert "--late-policy is ''" in capsys.readouterr().err
    assert grade(submissions, graded, "--resume", "--seed", "5") == 0
    assert content(graded) == before


def test_what_cannot_start_is_said(tmp_path, capsys):
    assert grade(tmp_path, tmp_path / "out") == 2
    assert cli.main(["grade", str(tmp_path), str(tmp_path)]) == 2
    assert "no .ipynb" in capsys.readouterr().err


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1200])
def test_pages_fit_the_screen_and_run_nothing(graded, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    said = []
    page.on("console", lambda message: said.append(message.text))
    for path in [graded / "index.html", *(graded / "students").iterdir()]:
        page.goto(path.as_uri())
        assert page.title() != "pwned"
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path.name
    page.close()
    assert said == []


def test_jobs_share_the_work_and_agree(submissions, graded, tmp_path):
    many = tmp_path / "many"
    many.mkdir()
    for i in range(2):
        shutil.copytree(submissions, many / str(i), ignore=lambda *_: {"linked folder", "link.ipynb"})
    out = tmp_path / "out"
    arguments = ["grade", str(LAB), str(many), "--out", str(out), "--jobs", "2", "--seed", "5"]
    assert cli.main(arguments) == 0
    totals = {name: row["total"] for name, row in rows(out).items()}
    alone = {name: row["total"] for name, row in rows(graded).items()}
    assert totals["0/Иван Петров 🙂"] == totals["1/Иван Петров 🙂"] == "100"
    assert totals["0/група 2/Мария"] == alone["група 2/Мария"]
