"""Labs and their autograder.

For students: ``open_lab`` (notebook.py). For authors of checks: ``Lab``, ``Hidden`` (lab.py) and the
verdicts of expect.py. For the grader: reader.py and slicer.py find the code, sandbox.py, zygote.py,
confine.py and worker.py run it apart, wire.py and session.py talk to it, marks.py, batch.py and report.py
give marks, verify.py tests the tests.
"""

from gmtools.grading.expect import (
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_tensor,
    expect_unchanged,
)
from gmtools.grading.lab import Failed, Hidden, Lab
from gmtools.grading.notebook import open_lab

__all__ = [
    "Failed",
    "Hidden",
    "Lab",
    "expect",
    "expect_close",
    "expect_gradients",
    "expect_mean",
    "expect_tensor",
    "expect_unchanged",
    "open_lab",
]
