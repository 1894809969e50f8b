"""CPU, wall time and memory of ``gmtools grade``: ``python benchmarks/grading.py [--counts 200 2000]
[--jobs 1 2]``.

Grades made submissions (a third right, a third with a typical mistake, a third empty) of a lab with three
exercises, and reads the CPU time and the memory of every process involved from a control group of its own, so
it needs root (or a writable cgroup).
"""

import argparse
import contextlib
import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gmtools.grading import solve
from gmtools.grading.lab import load_graded
from gmtools.grading.reader import notebook_of
from gmtools.grading.sandbox import choose_tier

LAB = Path(__file__).parents[1] / "tests" / "grading" / "course" / "labs" / "bound"


class CpuMeter:
    """CPU seconds of the processes that join and of their descendants, by a cgroup (version 2 or 1)."""

    number = itertools.count()

    def __init__(self) -> None:
        for root, usage, scale in (("", "cpu.stat", 1e-6), ("cpuacct", "cpuacct.usage", 1e-9)):
            self._group = Path("/sys/fs/cgroup", root, f"gmtools-bench-{os.getpid()}-{next(self.number)}")
            try:
                self._group.mkdir()
            except OSError:
                continue
            self._usage, self._scale = self._group / usage, scale
            if self._usage.exists():
                return
            self._group.rmdir()
        raise SystemExit("no writable cgroup to measure CPU time with; run as root")

    def join(self) -> None:
        """Measure the process that calls this: what samples its memory is not to be counted."""
        (self._group / "cgroup.procs").write_text(str(os.getpid()))

    def close(self) -> None:
        with contextlib.suppress(OSError):  # somebody is still ending
            self._group.rmdir()

    def processes(self) -> set[int]:
        return {int(pid) for pid in (self._group / "cgroup.procs").read_text().split()}

    def seconds(self) -> float:
        """CPU seconds used since the first process joined."""
        words = self._usage.read_text().split()
        return self._scale * float(words[1] if words[0] == "usage_usec" else words[0])


def make_submissions(folder: Path, count: int) -> None:
    """Write ``count`` notebooks: solved, wrong and empty in turn."""
    _, hidden = load_graded(LAB)
    wrong = [notebook_of(solve.mutant_cells(LAB, mutant)) for mutant in hidden.mutants]
    kinds = [solve.solved_notebook(LAB, number="1"), None, solve.student_notebook(LAB)]
    for i in range(count):
        notebook = kinds[i % 3] or wrong[i // 3 % len(wrong)]
        (folder / f"{i:05d}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def held_memory(group: CpuMeter) -> float:
    """Megabytes that the processes in the group hold, what they share counted once."""
    total = 0
    for pid in group.processes():
        with contextlib.suppress(OSError):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1])
    return total / 1024


def measure(folder: Path, out: Path, options: list[str]) -> None:
    """Run the command and print CPU, wall time, and memory over the batch."""
    count, meter = len(list(folder.iterdir())), CpuMeter()
    command = [sys.executable, "-m", "gmtools.cli", "grade", str(LAB), str(folder), "--out", str(out)]
    quiet = {"stdout": subprocess.DEVNULL, "preexec_fn": meter.join}
    begin, memory = time.perf_counter(), []
    with subprocess.Popen([*command, "--seed", "0", *options], **quiet) as running:
        while running.poll() is None:
            time.sleep(0.5)
            done = sum(1 for _ in os.scandir(out / "results")) if (out / "results").is_dir() else 0
            memory.append((done, held_memory(meter)))
    wall, cpu = time.perf_counter() - begin, meter.seconds()
    meter.close()
    print(f"{count} submissions, {' '.join(options)}: exit status {running.returncode}")
    print(f"  CPU, start and reports included: {1000 * cpu / count:.0f} ms a submission")
    print(f"  wall: {wall:.1f} s, {count / wall:.1f} submissions a second (load {os.getloadavg()[0]:.1f})")
    for low, high in ((0.1, 0.3), (0.7, 0.9)):
        window = [held for done, held in memory if low * count <= done <= high * count] or [0.0]
        print(f"  memory after {low:.0%} to {high:.0%}: {statistics.median(window):.0f} MB")
    print(f"  most, reports included: {max(held for _, held in memory):.0f} MB", flush=True)


def main() -> None:
    """Grade and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[200])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--tier", choices=("root", "user", "plain"), default=choose_tier())
    options = parser.parse_args()
    for count in options.counts:
        with tempfile.TemporaryDirectory() as temporary:
            submissions = Path(temporary, "submissions")
            submissions.mkdir()
            make_submissions(submissions, count)
            for jobs in options.jobs:
                measure(
                    submissions, Path(temporary, f"out{jobs}"), ["--tier", options.tier, "--jobs", str(jobs)]
                )


if __name__ == "__main__":
    main()
