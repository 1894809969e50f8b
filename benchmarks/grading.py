"""CPU and wall time the grader takes per submission: ``python benchmarks/grading.py [--count 200] [--jobs
2]``.

Grades a folder of made submissions (a third right, a third with a typical mistake, a third empty) and reads
the CPU time of every process involved from a control group of its own, so it needs root (or a writable
cgroup).
"""

import argparse
import json
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

from gmtools.grading import batch, intake, solve
from gmtools.grading.lab import load_graded
from gmtools.grading.reader import notebook_of
from gmtools.grading.sandbox import choose_tier

LAB = Path(__file__).parents[1] / "tests" / "grading" / "course" / "labs" / "bound"


class CpuMeter:
    """CPU seconds of this process and all its descendants from now on, by a cgroup (version 2 or 1)."""

    def __init__(self) -> None:
        for root, usage, scale in (("", "cpu.stat", 1e-6), ("cpuacct", "cpuacct.usage", 1e-9)):
            group = Path("/sys/fs/cgroup", root, f"gmtools-bench-{os.getpid()}")
            try:
                group.mkdir()
                if not (group / usage).exists():
                    group.rmdir()
                    continue
                (group / "cgroup.procs").write_text(str(os.getpid()))
            except OSError:
                continue
            self._usage, self._scale = group / usage, scale
            return
        raise SystemExit("no writable cgroup to measure CPU time with; run as root")

    def seconds(self) -> float:
        """CPU seconds used since the meter was made."""
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


def main() -> None:
    """Grade and print one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--tier", choices=("root", "user", "plain"))
    options = parser.parse_args()
    run = batch.Run(str(LAB), seed=0, tier=choose_tier(options.tier))
    with tempfile.TemporaryDirectory() as temporary:
        submissions, out = Path(temporary, "submissions"), Path(temporary, "out")
        submissions.mkdir()
        make_submissions(submissions, options.count)
        found = intake.find(submissions)
        meter = CpuMeter()
        with batch.executor(options.jobs) as pool:
            warm = [pool.submit(batch.grade_one, run, found[0]) for _ in range(4 * options.jobs)]
            [future.result() for future in warm]
            start, cpu = time.perf_counter(), meter.seconds()
            failures = batch.grade_all(run, found, out, pool, lambda _: None)
            wall, cpu = time.perf_counter() - start, meter.seconds() - cpu
            start_up = meter.seconds() - cpu
        print(f"tier {run.tier}, {options.count} submissions, {options.jobs} jobs, {len(failures)} failures")
        print(f"CPU per submission: {1000 * cpu / options.count:.0f} ms (start-up, once: {start_up:.1f} s)")
        print(f"wall: {wall:.1f} s, {options.count / wall:.1f} submissions a second")


if __name__ == "__main__":
    multiprocessing.freeze_support()
    main()
