"""SIGKILL at random moments: after ``--resume`` the results are those of an undisturbed run, byte for byte.

Each round forks this process, which runs the command and is killed; the sandbox stays warm. GMTOOLS_KILLS=100
(``make kills``) kills a hundred times, else three.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from gmtools import cli
from gmtools.grading import solve
from gmtools.grading.lab import load_graded
from gmtools.grading.reader import notebook_of

LAB = Path(__file__).parent / "course" / "labs" / "bound"
KILLS = int(os.environ.get("GMTOOLS_KILLS", "3"))


def grade(folder, out):
    arguments = ["grade", str(LAB), str(folder), "--out", str(out), "--jobs", "1", "--seed", "5", "--resume"]
    return cli.main(arguments)


def content(out):
    files = [p for p in sorted(out.rglob("*")) if p.is_file() and not p.name.startswith(".")]
    return {str(p.relative_to(out)): re.sub(rb"<time.*</time>", b"", p.read_bytes()) for p in files}


def start(folder, out):
    """The command in a child of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1), os.dup2(null, 2)
            os._exit(grade(folder, out))
        finally:
            os._exit(99)
    return pid


def test_a_killed_batch_resumes_to_the_same_bytes(tmp_path):
    folder = tmp_path / "submissions"
    folder.mkdir()
    _, hidden = load_graded(LAB)
    for i, mutant in enumerate(hidden.mutants[:8]):
        (folder / f"работа {i}.ipynb").write_text(json.dumps(notebook_of(solve.mutant_cells(LAB, mutant))))
    assert grade(folder, tmp_path / "warm") == 0
    begin = time.monotonic()
    assert grade(folder, tmp_path / "whole") == 0
    whole, duration = content(tmp_path / "whole"), time.monotonic() - begin
    dice, out, killed = random.Random(0), tmp_path / "out", 0
    for number in range(KILLS):
        if number % 5 == 0:  # from nothing now and then; otherwise the next kill comes later in the batch
            out = tmp_path / f"out{number}"
        pid = start(folder, out)
        time.sleep(dice.uniform(0, duration / 2))
        os.kill(pid, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
        if number % 5 == 4 or number == KILLS - 1:
            assert grade(folder, out) == 0
            assert content(out) == whole
    assert killed  # others may have found nothing left to do


def test_a_killed_grader_leaves_no_process_behind(tmp_path):
    _, hidden = load_graded(LAB)
    for i in range(400):
        notebook = notebook_of(solve.mutant_cells(LAB, hidden.mutants[i % 8]))
        (tmp_path / f"{i}.ipynb").write_text(json.dumps(notebook))
    command = [sys.executable, "-m", "gmtools.cli", "grade", str(LAB), str(tmp_path), "--out"]
    with subprocess.Popen(
        [*command, str(tmp_path / "out"), "--jobs", "2"], stdout=subprocess.DEVNULL
    ) as grader:
        while not list(tmp_path.glob("out/results/*.json")):
            assert grader.poll() is None
            time.sleep(0.1)
        family = psutil.Process(grader.pid).children(recursive=True)
        grader.kill()
    assert len(family) >= 4  # two workers, each with a sandbox
    assert psutil.wait_procs(family, timeout=20)[1] == []
