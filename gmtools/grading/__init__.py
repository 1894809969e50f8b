"""Labs and their autograder.

For students: ``open_lab`` (notebook.py), and what it says to them (feedback.py, advice.py).
For authors of checks: ``Lab``, ``Hidden`` (lab.py), the verdicts of expect.py, random inputs.py, and for what
was trained rebuild.py and damage.py.
For the grader: reader.py and slicer.py find the code, sandbox.py, zygote.py, confine.py and worker.py run it
apart, wire.py and session.py talk to it, marks.py, batch.py and report.py give marks, intake.py finds the
submissions, settle.py and similar.py say what counts and what is alike, handout.py and gradescope.py make
what leaves this machine, verify.py tests the tests.

The tier in which strangers' code runs is named in every report. Checks and answers never enter any of them.

========================================  =====================  ===================  ==================
protects                                  ``root``               ``user``             ``plain``
========================================  =====================  ===================  ==================
marks (tests, answers, other results)     yes                    yes                  no: files readable
operation counts, changes in place        no                     no                   no
other submissions, the grader's files     yes                    yes                  no
secrets in the environment                yes                    yes                  yes
network, new processes, other processes   yes                    yes                  by seccomp alone
memory, time, file sizes, threads         each process           each process         each process
memory of all processes and files         with control groups    rarely               rarely
a user id of its own for each exercise    yes                    no: one, powerless   no: yours
starts without root                       no                     yes                  yes
========================================  =====================  ===================  ==================

Values and gradients are compared outside, with what a student's code cannot reach. How many operations a call
took and which arguments it changed in place (``expect_no_loop``, ``expect_unchanged``) can only be seen where
that code runs: its process reports them, and code written to attack this grader can forge them. Let such a
check of style carry a few points at most. Of the folders of Python and of the system the isolated tiers show
libraries and programs (``bin``, ``lib``, ``site-packages``): keep no lab and no submission inside these.

A control group needs the right to make one (root, a container, systemd's delegation); reports say whether
there was one. None of the tiers protects against a hole in the Linux kernel;
``plain`` also leaves writable whatever you can write, and must be asked for by name (``--tier plain``).
"""

from gmtools.grading.expect import (
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_no_loop,
    expect_tensor,
    expect_tensors,
    expect_unchanged,
    expect_vectorised,
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
    "expect_no_loop",
    "expect_tensor",
    "expect_tensors",
    "expect_unchanged",
    "expect_vectorised",
    "open_lab",
]
