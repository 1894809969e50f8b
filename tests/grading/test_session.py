"""What the grader says of an exercise whose process ends, and which time it counts."""

import time
from dataclasses import replace

import pytest

from gmtools.grading import batch
from gmtools.grading.lab import StudentGone
from gmtools.grading.sandbox import Limits, choose_tier
from gmtools.grading.session import RemoteStudent


@pytest.fixture
def remote():
    """Opens a notebook's definition of ``f`` in the sandbox, with other limits if asked."""
    sandbox = batch.shared_zygote(choose_tier(), Limits())
    usual, opened = sandbox.limits, []

    def open_remote(cell, **limits):
        sandbox.limits = replace(usual, **limits)
        opened.append(RemoteStudent(sandbox, ["import torch", cell], "f"))
        return opened[-1]

    yield open_remote
    sandbox.limits = usual
    for student in opened:
        student.close()


def test_the_graders_own_time_is_not_the_students(remote):
    student = remote("def f():\n    return 1", wall_seconds=3)
    assert student.f() == 1
    time.sleep(3.5)
    assert student.f() == 1


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("torch.zeros(10**8)", "protocol"),
        ("functools.reduce(lambda x, _: [x], range(3000), [])", "protocol"),
        ("[0] * 10**7", "protocol"),
        ("10**5000", "protocol"),
        ("torch.zeros(1).expand(10**12)", "protocol"),
        ("exit()", "exit"),
        ("os.abort()", "crash"),
        ("[torch.zeros(1).expand(10**12)]", "protocol"),
    ],
)
def test_a_process_that_ends_says_why(remote, value, reason):
    student = remote(f"import functools, os\ndef f():\n    return {value}")
    with pytest.raises(StudentGone) as caught:
        student.f()
    assert caught.value.reason == reason
