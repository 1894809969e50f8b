"""Classes and functions as arguments: what crosses the wall between the grader and a student's code, and what
does not."""

from pathlib import Path

import pytest
import torch

from gmtools.grading import batch, callback, marks, solve, verify
from gmtools.grading.callback import Answers
from gmtools.grading.calls import Foreign, perform
from gmtools.grading.lab import StudentError, StudentGone, load_public
from gmtools.grading.notebook import NamespaceStudent
from gmtools.grading.sandbox import Limits, choose_tier
from gmtools.grading.session import RemoteStudent
from gmtools.grading.wire import ProtocolError

LAB = Path(__file__).parent / "course" / "labs" / "parts"


@pytest.fixture
def sandbox():
    return batch.shared_zygote(choose_tier(), Limits())


@pytest.fixture
def remote(sandbox):
    """Opens a notebook's definition of ``f`` in the sandbox."""
    opened = []

    def open_remote(cell):
        opened.append(RemoteStudent(sandbox, ["import torch", cell], "f"))
        return opened[-1]

    yield open_remote
    for student in opened:
        student.close()


def test_every_variant_gets_what_it_deserves(sandbox):
    rows = verify.verify(LAB, sandbox, seed=4)
    assert [(r.kind, r.title, r.earned, r.failed) for r in rows if not r.right] == []
    assert len(rows) == 14


def test_the_same_checks_run_in_a_notebook():
    namespace = {}
    exec(solve.solution_source(LAB), namespace)
    for exercise in load_public(LAB).exercises.values():
        result = marks.run_exercise(exercise, NamespaceStudent(namespace), 0)
        assert result["status"] == "passed", result


def test_a_class_that_is_missing_or_raises_is_named(remote):
    with pytest.raises(StudentError, match="Missing"):
        remote("x = 1").make("Flow")
    init = "    def __init__(self, n):\n        self.n = 1 / n\n"
    cell = f"class f:\n{init}    def half(self):\n        return self.n / 2"
    student = remote(cell)
    assert student.make("f", 4).half() == 0.125
    with pytest.raises(StudentError) as caught:
        student.make("f", 0)
    assert (caught.value.kind, caught.value.line) == ("ZeroDivisionError", 3)
    with pytest.raises(StudentError, match="AttributeError"):
        student.make("f", 1).double()


def test_an_object_never_leaves_the_sandbox(remote):
    student = remote("class f:\n    def me(self):\n        return self")
    assert type(student.make("f").me()) is Foreign


def test_functions_are_called_back_and_differentiated(remote):
    student = remote("def f(g, x):\n    return 3 * g(x, x) + g(x, x.detach())")
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)
    outcome = student.trace("f", lambda a, b: a.exp() * b, x)
    here = perform(lambda g, x: 3 * g(x, x) + g(x, x.detach()), [lambda a, b: a.exp() * b, x], {})
    torch.testing.assert_close(outcome.value, here.value.detach())
    torch.testing.assert_close(outcome.gradients, here.gradients)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("while True: g(x)", "protocol"),
        ("g(torch.zeros(5_000_000))", "protocol"),
        ("g._number = 99; g(x)", "protocol"),
        ("g._number = -7; g(x)", "protocol"),
        ("g._ask({'callback': {'a': 1}}, [x])", "protocol"),
        ("import os; os._exit(0)", "exit"),
    ],
)
def test_calls_back_are_counted_and_checked(remote, body, reason, monkeypatch):
    monkeypatch.setattr(callback, "MAX_CALLS", 50)
    student = remote(f"def f(g, x):\n    {body}\n    return x")
    with pytest.raises(StudentGone) as caught:
        student.f(torch.sin, torch.zeros(2))
    assert caught.value.reason == reason
    assert torch.equal(remote("def f(x):\n    return x").f(torch.ones(2)), torch.ones(2))


def test_an_error_of_the_function_is_told_by_its_type_alone(remote):
    def secretive(x):
        raise ValueError("the hidden value is 42")

    with pytest.raises(StudentError) as caught:
        remote("def f(g, x):\n    return g(x)").f(secretive, torch.ones(1))
    assert "ValueError" in caught.value.message and "42" not in caught.value.message


@pytest.mark.parametrize(
    "message", [{}, {"callback": 0}, {"callback": 0, "args": 3}, {"callback": "x", "args": {"list": []}}]
)
def test_what_is_no_call_is_refused(message):
    answers = Answers()
    answers.functions.append(torch.sin)
    with pytest.raises(ProtocolError):
        answers.frame(message, {})
