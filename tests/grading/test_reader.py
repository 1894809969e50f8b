"""Notebooks in every form that students produce."""

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmtools.grading import reader
from gmtools.grading.reader import Unreadable, code_cells, file_key, notebook_of, printable, read_bytes

FUZZ = int(os.environ.get("GMTOOLS_FUZZ", "300"))  # cases of each test; ``make fuzz``: 10 000

CELLS = ["import torch", "def f(x):\n    return x  # Кирилица"]
NOTEBOOK = notebook_of(CELLS)
TEXT = json.dumps(NOTEBOOK, ensure_ascii=False)


def old_format():
    cells = [
        {"cell_type": "code", "input": source.splitlines(True), "language": "python"} for source in CELLS
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        json.dumps(NOTEBOOK).encode("latin-1"),
        json.dumps({"cells": NOTEBOOK["cells"]}).encode(),
        json.dumps({"cells": [{"cell_type": "code", "source": s} for s in CELLS], "metadata": None}).encode(),
        json.dumps(old_format()).encode(),
        json.dumps({"cells": [None, 3, {"cell_type": "raw"}, *NOTEBOOK["cells"]]}).encode(),
    ],
    ids=["utf-8", "bom", "utf-16", "ascii", "no format", "no metadata", "format 3", "junk cells"],
)
def test_the_same_code_is_read_from_every_form(data):
    assert code_cells(data) == CELLS


def test_latin_1_bytes_cost_only_their_own_characters():
    data = json.dumps(notebook_of(["x = 'café'", "y = 2"]), ensure_ascii=False).encode("latin-1")
    assert code_cells(data) == ["x = 'café'", "y = 2"]


def test_a_lone_surrogate_costs_one_character():
    assert code_cells(json.dumps(notebook_of(["x = '\ud800'"])).encode()) == ["x = '?'"]


def test_outputs_of_fifty_megabytes_are_ignored():
    notebook = notebook_of(CELLS)
    notebook["cells"][0]["outputs"] = [{"output_type": "stream", "text": "x" * 50 * 2**20}]
    assert code_cells(json.dumps(notebook).encode()) == CELLS


@pytest.mark.parametrize("unit", [b'{"":0},', b"[],", b"[{},0],"])
def test_a_file_that_would_fill_the_memory_is_refused_before_it_is_parsed(monkeypatch, unit):
    monkeypatch.setattr(reader.json, "loads", None)
    with pytest.raises(Unreadable, match="сложна"):
        code_cells(b'{"cells": [' + unit * 2_000_000 + b"0]}")


def test_a_figure_of_a_hundred_thousand_points_is_not_too_much():
    notebook = notebook_of(CELLS)
    notebook["cells"][0]["outputs"] = [{"data": {"application/json": [[0.5, {"x": 1}]] * 100_000}}]
    assert code_cells(json.dumps(notebook).encode()) == CELLS


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[1, 2]", b"null", b"[" * 100_000, b'{"cells": 3}', b'{"cells": []}', b"\x80abc"]
)
def test_what_is_no_notebook_gets_a_named_reason(data):
    with pytest.raises(Unreadable, match="[а-я]"):
        code_cells(data)


@settings(max_examples=FUZZ, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["cells", "cell_type", "source", "input", "worksheets", "code"]),
                inner | st.just("code"),
                max_size=4,
            )
        ),
    )
)
def test_any_json_is_read_or_refused(value):
    try:
        cells = code_cells(json.dumps(value).encode())
    except Unreadable:
        return
    assert all(isinstance(cell, str) for cell in cells)


@settings(max_examples=FUZZ, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    try:
        code_cells(data)
    except Unreadable as reason:
        assert str(reason)


def test_links_pipes_and_folders_are_refused(tmp_path):
    (tmp_path / "real.ipynb").write_text(TEXT)
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "real.ipynb")
    (tmp_path / "folder.ipynb").mkdir()
    os.mkfifo(tmp_path / "pipe.ipynb")
    for name in ("link", "folder", "pipe", "absent"):
        with pytest.raises(Unreadable):
            read_bytes(tmp_path / f"{name}.ipynb")
    assert read_bytes(tmp_path / "real.ipynb") == TEXT.encode()


def test_names_become_printable():
    assert printable("Иван 🙂") == "Иван 🙂"
    assert "\n" not in printable("a\nb") and printable("a\udcff").isprintable()


@pytest.mark.parametrize("name", ["Иван Петров", "a/b", "", "𠀀" * 90])
def test_nobody_can_take_anothers_key(name):
    """The second student names the file as the first one's result is called."""
    key = file_key(name)
    assert file_key(key) != key


def test_keys_fit_a_file_name_and_stay_apart():
    names = ["𠀀" * 90, "𠀀" * 91, "ქ" * 90, "ж" * 300, "a" * 300, "a" * 150, "лаб"]
    keys = {file_key(name) for name in names}
    assert len(keys) == len(names)
    assert all(len(f"{key}.json".encode()) < 200 for key in keys)
    assert "лаб" in keys, "a plain name is its own key"
