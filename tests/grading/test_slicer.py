"""What an exercise needs is kept, in the notebook's order; the rest never runs."""

import dis
import os
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmtools.grading.lab import StudentError
from gmtools.grading.slicer import _codes, needed, statements, without_magics
from gmtools.grading.worker import LoadedNotebook

FUZZ = int(os.environ.get("GMTOOLS_FUZZ", "300"))  # cases of each test; ``make fuzz``: 10 000


def value(cells, *args, name="f"):
    return LoadedNotebook(cells, name).trace(name, *args).value


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["def f():\n    return 1", "def f():\n    return 2"], 2),
        (["k = 1", "def f():\n    return k", "k = 5"], 5),
        (["from math import *", "def f():\n    return floor(pi)"], 3),
        (["def g():\n    return h()", "def f():\n    return g()", "def h():\n    return 7"], 7),
        (["f = lambda: 4"], 4),
        (["import functools", "@functools.cache\ndef f():\n    return 6"], 6),
        (["class A:\n    pass", "A.b = 9", "def f():\n    return A.b"], 9),
        (["try:\n    import nothing_such as m\nexcept ImportError:\n    m = 3", "def f():\n    return m"], 3),
        (["a, b = 1, 2", "def f():\n    return [b + i for i in range(2)][-1]"], 3),
        (["def f(): return 1", "this is not python"], 1),
        (
            [
                "%matplotlib inline\n!pip install x\nimport math\nx? \n",
                "def f():\n    return math.floor(2.5)",
            ],
            2,
        ),
        (["%%time\ndef f():\n    return 8"], 8),
        (["%%bash\nrm -rf /", "files = !ls", "def f():\n    return 0"], 0),
        (["%%time\n%matplotlib inline\ndef f():\n    return 14"], 14),
        (["%time k = 15", "def f():\n    return k"], 15),
        (["k = %time 8 + 8\n%time !ls", "def f():\n    return k"], 16),
        (["if True:\n    def f():\n        return 11"], 11),
        (["from __future__ import annotations\ndef f(x: Unknown = None) -> Other:\n    return 12"], 12),
        (["def f() -> int:\n    global k\n    k = 13\n    return k"], 13),
    ],
)
def test_the_definition_and_what_it_depends_on(cells, expected):
    assert value(cells) == expected


@pytest.mark.parametrize("before", ["", "%matplotlib inline\nx = !ls (\n!echo it's \"\nx?\n", "!a\n" * 20])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('("%s and %s"\n        % ("a", "b"))', "a and b"),
        ("(1\n    != 2)", True),
        ("""'''\n%a\n!b'''""", "\n%a\n!b"),
    ],
)
def test_a_line_of_python_that_looks_like_a_magic_stays(before, expression, expected):
    assert value([f"{before}def f():\n    return {expression}"]) == expected


def test_many_magics_are_replaced_at_once():
    assert without_magics("!ls\n" * 5000) == "pass\n" * 5000


def test_training_code_and_side_effects_do_not_run():
    cells = [
        "log = []",
        "def f():\n    return log",
        "log.count(1)\nwhile True:\n    pass",
        "raise ValueError",
        "exit()",
    ]
    assert value(cells) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("for i in range(2):\n    t[i] = 0.5", [0.5, 0.5, 0]),
        ("if True:\n    with open('/dev/null'):\n        t[0] += 1", [1, 0, 0]),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    (t[0], [*t[1:]]) = 3, [4, 5]", [3, 4, 5]),
        ("for t[2] in range(8):\n    pass", [0, 0, 7]),
        ("match t:\n    case [a, *_]:\n        del t[0]", [0, 0]),
        ("t.append(1)\nfor i in range(2):\n    t.append(i)", [0, 0, 0, 1, 0, 1]),
        ("def change():\n    t[0] = 1", [0, 0, 0]),
    ],
)
def test_what_changes_a_name_is_kept(change, expected):
    cells = ["t = [0, 0, 0]", change, "def f():\n    return list(t)"]
    assert value(cells) == expected
    kept = needed(statements([*cells, "other = []\nother.append(1)\nother[0] = 2"])[0], "f")
    assert not any("other" in statement.reads | statement.binds for statement in kept)


def test_training_does_not_run_though_it_calls_what_the_exercise_reads():
    training = """
    while True:
        optimizer.zero_grad()
        loss = net(x).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        history["loss"].append(loss.item())
        progress.update(1)
    """
    cells = [
        "import numpy as np, torch\nnet = torch.nn.Linear(1, 1)\nx = torch.ones(1, 1)",
        "def f():\n    return float(net(torch.zeros(1, 1)) * np.zeros(1)) * x.sum()",
        textwrap.dedent(training),
        "np.sort(exit())\nnp.insert(exit(), 0, 0)\ntorch.add(exit(), 1)\nnet.train()\nnet(exit())",
    ]
    assert len(needed(statements(cells)[0], "f")) == 4  # the imports are one


def test_a_failed_download_matters_only_to_what_needs_it():
    cells = ["data = 1 / 0", "def f():\n    return 1", "def g():\n    return data"]
    assert value(cells) == 1
    with pytest.raises(StudentError) as caught:
        value(cells, name="g")
    assert caught.value.kind == "NameError" and (caught.value.cell, caught.value.line) == (3, 2)


def test_nothing_defines_the_name():
    with pytest.raises(StudentError) as caught:
        LoadedNotebook(["x = 1", "g = f"], "f")
    assert caught.value.kind == "Missing"


def test_a_broken_cell_is_named():
    with pytest.raises(StudentError) as caught:
        LoadedNotebook(["x = 1", "def f(x):\n    return (x"], "f")
    assert (caught.value.kind, caught.value.cell, caught.value.line) == ("SyntaxError", 2, 2)


def test_the_line_is_the_innermost_of_the_students_own():
    cells = [
        "import torch",
        "def helper(x):\n    y = x\n    return torch.ones(2) @ torch.ones(3)",
        "def f(x):\n    return helper(x)",
    ]
    with pytest.raises(StudentError) as caught:
        value(cells, 1)
    assert (caught.value.cell, caught.value.line) == (2, 3)


@pytest.mark.parametrize(
    "bomb",
    ["(" * 5000, "-" * 50_000 + "1", "x" + ".a" * 50_000, "[" * 90 + "]" * 90, "\0", "a = '" + "\\" * 99],
)
def test_hostile_text_costs_its_own_cell(bomb):
    assert value([bomb, "def f():\n    return 1"]) == 1


@settings(max_examples=FUZZ, deadline=None)
@given(st.lists(st.text(alphabet="fx=(): \n%!?def\"'[]1", max_size=30), max_size=4))
def test_any_cells_are_sliced(cells):
    found, broken = statements(cells)
    assert len(broken) <= len(cells)
    assert set(needed(found, "f")) <= set(found)


@settings(max_examples=FUZZ, deadline=None)
@given(st.text(max_size=60))
def test_removing_magics_keeps_the_lines(source):
    if not source.lstrip().startswith("%%"):
        assert without_magics(source).count("\n") == source.count("\n")


def test_more_names_than_fit_in_a_byte_are_read():
    """Beyond 256 names, and 128 for globals in a function, the bytecode needs EXTENDED_ARG."""
    names = [f"n{i}" for i in range(700)]
    uses = "def f():\n    return [" + ", ".join(names) + "]"
    cells = ["\n".join(f"{name} = 1" for name in names), "other = 2", uses]
    kept = needed(statements(cells)[0], "f")
    assert len(kept) == 701 and not any("other" in statement.binds for statement in kept)


def test_names_are_those_that_the_disassembler_finds():
    body = "    z = w\n    def m(self):\n        global g\n        g = h.i(self.j)"
    source = f"import a.b as c\nx: int = y\nclass D(E):\n{body}"
    for statement in statements([source])[0]:
        found = set()
        for code in _codes(statement.code):
            steps = dis.get_instructions(code)
            found |= {s.argval for s in steps if s.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
        assert statement.reads == found
