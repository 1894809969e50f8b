"""What importing the library costs over torch: ``python -m benchmarks.imports``. Target 0.05 s a room.

Each import runs in an interpreter of its own that has imported torch; its figure is the median CPU time.
Python compiles a file at its first import and keeps the bytecode, here in a folder of ours: every import but
that one is timed. The last column names what no room may load at import.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import gmtools

TARGET = 0.05
PROBE = """
import json, sys, time, torch
sys.dont_write_bytecode, sys.pycache_prefix = False, {bytecode!r}
start = time.process_time()
import {name}
seconds = time.process_time() - start
heavy = [n for n in ("matplotlib", "scipy", "sklearn", "IPython") if n in sys.modules]
print(json.dumps([seconds, heavy]))
"""


def names() -> list[str]:
    """gmtools, its modules and its rooms; the grader and the commands aside, which are programs."""
    root = Path(gmtools.__file__).parent
    rooms = {path.parent.name for path in root.glob("*/__init__.py")} | {
        p.stem for p in root.glob("[a-z]*.py")
    }
    return ["gmtools", *(f"gmtools.{name}" for name in sorted(rooms - {"grading", "cli"}))]


def import_once(name: str, bytecode: str) -> tuple[float, list[str]]:
    """CPU seconds of one import over torch, and what it loaded that it should not."""
    program = [sys.executable, "-c", PROBE.format(name=name, bytecode=bytecode)]
    seconds, heavy = json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)
    return seconds, heavy


def table(rounds: int = 5) -> str:
    """A Markdown table of the imports, in interleaved rounds."""
    with tempfile.TemporaryDirectory() as bytecode:
        import_once(", ".join(names()), bytecode)
        taken = [[import_once(name, bytecode) for name in names()] for _ in range(rounds)]
    lines = [
        "### Import over torch, CPU time",
        "",
        f"| | ms (target {1e3 * TARGET:g}) | loaded |",
        "|---|---:|---|",
    ]
    for name, runs in zip(names(), zip(*taken, strict=True), strict=True):
        seconds = median(seconds for seconds, _ in runs)
        lines.append(f"| {name} | {1e3 * seconds:.0f} | {', '.join(runs[0][1]) or '—'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    print(table(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
