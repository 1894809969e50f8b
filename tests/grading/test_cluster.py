"""The same marks from a dask cluster of two local workers as from this process."""

import json
import sys
from pathlib import Path

import pytest

from gmtools import cli
from gmtools.grading import solve
from gmtools.grading.lab import load_graded
from gmtools.grading.reader import notebook_of

LAB = Path(__file__).parent / "course" / "labs" / "bound"


def grade(folder, out, *options):
    assert cli.main(["grade", str(LAB), str(folder), "--out", str(out), "--seed", "5", *options]) == 0
    return {p.name: p.read_bytes() for p in (out / "results").iterdir()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # distributed's own
def test_a_cluster_gives_the_same_results(tmp_path):
    from distributed import LocalCluster

    folder = tmp_path / "submissions"
    folder.mkdir()
    _, hidden = load_graded(LAB)
    for i, mutant in enumerate(hidden.mutants[:6]):
        (folder / f"{i}.ipynb").write_text(json.dumps(notebook_of(solve.mutant_cells(LAB, mutant))))
    alone = grade(folder, tmp_path / "alone", "--jobs", "1")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        assert grade(folder, tmp_path / "cluster", "--executor", f"dask://{address}") == alone


def test_another_kind_of_executor_is_refused(tmp_path, capsys):
    (tmp_path / "a.ipynb").write_text("{}")
    arguments = ["grade", str(LAB), str(tmp_path), "--out", str(tmp_path / "out"), "--executor", "ray://x"]
    assert cli.main(arguments) == 2
    assert "expected dask://host:port" in capsys.readouterr().err


def test_without_distributed_the_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    (tmp_path / "a.ipynb").write_text("{}")
    arguments = ["grade", str(LAB), str(tmp_path), "--out", str(tmp_path / "out"), "--executor", "dask://x:1"]
    assert cli.main(arguments) == 2
    assert "pip install 'gmtools[cluster]'" in capsys.readouterr().err
