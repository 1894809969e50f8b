"""Trained weights beside the notebook: read as numbers alone, marked by what the grader measures."""

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
        digests.add(intake.find(tmp_path)[0].digest())
    assert len(digests) == 2


def answered(name, answer="Защото."):
    question = {"name": "answer_1", "title": "Защо?", "points": 5.0, "answer": answer}
    return {"id": name, "questions": [question]}


def test_names_that_look_like_formulas_stand_once_however_often_the_lab_is_graded(tmp_path):
    results, sheet = [answered("=x"), answered("'quoted'"), answered("-1", "-1")], ""
    for _ in range(3):
        sheet = handed_in.sheet_to_mark(results, sheet)
    (tmp_path / "answers.csv").write_text(sheet, encoding="utf-8-sig")
    assert settle.read_marks(tmp_path / "answers.csv").keys() == {"=x", "'quoted'", "-1"}
    assert len(sheet.splitlines()) == 1 + len(results)
