"""Trained weights beside the notebook: read as numbers alone, marked by what the grader measures."""

import csv
import io
import json
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from gmtools.grading import batch, handed_in, intake, settle
from gmtools.grading.lab import StudentError
from gmtools.grading.reader import notebook_of
from gmtools.grading.sandbox import choose_tier
from gmtools.nets import MLP

LAB = Path(__file__).parent / "course" / "labs" / "trained"
NOTEBOOK = json.dumps(notebook_of(["line = None\nraise SystemExit"]))


def weights(slope=2.0):
    network = MLP(1, 1, hidden=())
    with torch.no_grad():
        for value in network.parameters():
            value.fill_(1.0)
        next(network.parameters()).fill_(slope)
    return {f"net.{name}": value for name, value in network.state_dict().items()}


class Boom:
    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def pickled():
    file = io.BytesIO()
    torch.save(weights(), file)
    return file.getvalue()


LIAR = b'{"net.x": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4000000000000]}}'
FILES = {
    "right": (save(weights()), 10, "passed"),
    "wrong": (save(weights(3.0)), 0, "failed"),
    "missing": (None, 0, "missing"),
    "empty": (b"", 0, "error"),
    "a pickle": (pickle.dumps(Boom()), 0, "error"),
    "torch.save": (pickled(), 0, "error"),
    "a header that lies": (len(LIAR).to_bytes(8, "little") + LIAR, 0, "error"),
    "integers": (save({"net.layers.0.weight": torch.ones(1, 1, dtype=torch.int64)}), 0, "error"),
    "not finite": (save({k: v * float("nan") for k, v in weights().items()}), 0, "failed"),
    "another network": (save({"x": torch.ones(2)}), 0, "failed"),
}


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("case", FILES)
def test_weights_get_what_they_deserve(tmp_path, case, zipped):
    data, points, status = FILES[case]
    members = {
        "a.ipynb": NOTEBOOK.encode(),
        "a.line.safetensors": data,
        "b.line.safetensors": save(weights()),
    }
    members = {name: text for name, text in members.items() if text is not None}
    if zipped:
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for name, text in members.items():
                archive.writestr(name, text)
    else:
        for name, text in members.items():
            (tmp_path / name).write_bytes(text)
    (found,) = intake.find(tmp_path)
    result = batch.grade_one(batch.Run(str(LAB), 0, choose_tier()), found)
    assert (found.id, result["earned"]) == ("a", points)
    assert [c["status"] for c in result["exercises"][0]["checks"]] == [status]


def test_weights_are_capped(monkeypatch):
    monkeypatch.setattr(handed_in, "MAX_BYTES", 100)
    with pytest.raises(StudentError, match="BadWeights"):
        handed_in.from_bytes(save({"x": torch.ones(1000)}), "line")


def test_a_link_in_place_of_weights_is_not_followed(tmp_path):
    (tmp_path / "a.ipynb").write_text(NOTEBOOK)
    (tmp_path / "other").write_bytes(save(weights()))
    (tmp_path / "a.line.safetensors").symlink_to(tmp_path / "other")
    with pytest.raises(StudentError, match="NoWeights"):
        intake.find(tmp_path)[0].weights("line")


def test_other_weights_are_other_work(tmp_path):
    """``--resume`` grades again what was handed in again."""
    (tmp_path / "a.ipynb").write_text(NOTEBOOK)
    digests = set()
    for slope in (1.0, 2.0):
        (tmp_path / "a.line.safetensors").write_bytes(save(weights(slope)))
        digests.add(intake.find(tmp_path)[0].digest(["line"]))
    assert len(digests) == 2


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (r'answer_1 = "Казва \"да\", защото"', 'Казва "да", защото'),
        ('answer_1 = ("едно"\n    "две")', "еднодве"),
        (r'answer_1 = r"$\log p$"', r"$\log p$"),
        (r'answer_1 = "$\log p$"', r"$\log p$"),
        ('answer_1: str = "да"; answer_2 = "не"', "да"),
        ("x = answer_1 = 'да'", "да"),
        ('answer_1 = "първо"\nanswer_1 = "второ"', "второ"),
        ('answer_1 = "първо"\nanswer_1 = ""', ""),
        ('answer_1 = """\n  Защото.\n""".strip()', '"""\n  Защото.\n""".strip()'),
        ('answer_1 = "едно " + "две"', '"едно " + "две"'),
        ('answer_1 = "да"\nanswer_1 = len(answer_1)', "да"),
        ('%matplotlib inline\nanswer_1 = "да"', "да"),
        ("note = '''\nanswer_1 = \"не\"\n'''", ""),
        ('answer_1 = "\\ud800 да"', "? да"),
        ('answer_1 = "да"\n' + "x = " + "(" * 5000, "да"),
        ('answer_1 = "да"\nx = ' + "-" * 50_000 + "1", "да"),
        ('answer_1 = "да"\nx = ' + "1+" * 30_000 + "1", "да"),
        ('answer_1 = "да"\n' + "#" * 100_000, "да"),
        ('answer_1 = "да"\0', "да"),
    ],
)
def test_the_lecturer_reads_what_the_student_wrote(cell, text):
    assert handed_in.answers([cell], ["answer_1"]) == {"answer_1": text}


def answered(name, answer="Защото."):
    question = {"name": "answer_1", "title": "Защо?", "points": 5.0, "answer": answer}
    return {"id": name, "questions": [question]}


def again(results, path):
    """What every run of the grader does to the sheet."""
    sheet = handed_in.sheet_to_mark(results, handed_in.answers_sheet(path))
    path.write_text(sheet, encoding="utf-8-sig", newline="")


def rows_of(path, separator):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=separator))


def test_names_that_look_like_formulas_stand_once_however_often_the_lab_is_graded(tmp_path):
    results, path = [answered("=x"), answered("'quoted'"), answered("-1", "-1")], tmp_path / "answers.csv"
    for _ in range(3):
        again(results, path)
    assert settle.read_marks(path).keys() == {"=x", "'quoted'", "-1"}
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1 + len(results)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "cp1251"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_what_a_lecturer_filled_in_stays_however_the_spreadsheet_saves_it(tmp_path, encoding, separator):
    path = tmp_path / "answers.csv"
    again([answered("Ана", "едно; две, три")], path)
    (row,) = rows_of(path, ",")
    row |= {"points": "4,5", "Бележка": "-3 добре"}
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, row, delimiter=separator)
        writer.writeheader()
        writer.writerow(row)
        file.write(f"{separator * 4}\r\n" * 2)
    again([answered("Ана"), answered("Боби")], path)
    ana, bobi = rows_of(path, separator)
    assert ana == row
    assert (bobi["id"], bobi["points"], bobi["Бележка"]) == ("Боби", "", "")
    assert settle.read_marks(path) == {"Ана": {"answer_1": (4.5, 5.0)}, "Боби": {"answer_1": (0.0, 5.0)}}


def test_columns_without_a_name_do_no_harm(tmp_path):
    (tmp_path / "answers.csv").write_text("id;question;points;possible;;\na;q;1;5;;\nb;q;2;5;mine;\n;;;;;\n")
    again([], tmp_path / "answers.csv")
    assert settle.read_marks(tmp_path / "answers.csv") == {"a": {"q": (1.0, 5.0)}, "b": {"q": (2.0, 5.0)}}


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"a,b\n1,2\n", "no column id, question, points"),
        (b"", "no column"),
        (b"id,question,points\na,q\n", "line 2: no points"),
        (b"id,question,points,possible\na,q,7,5,10\n", "line 2: more cells than columns"),
        (b'id,question,points\n"' + b"a" * 200_000 + b'",q,1\n', "is no CSV"),
        (b"PK\x03\x04\x98\x00", "no column"),
    ],
)
def test_a_sheet_that_cannot_be_read_is_named(tmp_path, data, error):
    path = tmp_path / "answers.csv"
    path.write_bytes(data)
    for read in (settle.read_marks, handed_in.answers_sheet):
        with pytest.raises(ValueError, match=rf"answers\.csv.*{error}"):
            read(path)
