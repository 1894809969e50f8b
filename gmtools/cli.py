"""The command ``gmtools``: grade submissions, verify a lab's checks, make a lab's notebooks."""

import argparse
import json
import os
import secrets
import sys
from pathlib import Path


def _grade(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.grade(options)


def _verify(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.verify(options)


def _notebook(options: argparse.Namespace) -> int:
    from gmtools.grading import solve

    notebook = solve.solved_notebook(options.lab) if options.solved else solve.student_notebook(options.lab)
    text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
    if options.out is None:
        sys.stdout.write(text)
    else:
        options.out.write_text(text, encoding="utf-8")
    return 0


def _add_sandbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tier",
        choices=("root", "user", "plain"),
        help="isolation: the strongest that works here by default; plain is NOT isolated and must be "
        "asked for",
    )
    parser.add_argument("--seed", type=int, help="of the checks' random inputs (default: random, recorded)")


def parser() -> argparse.ArgumentParser:
    """The command line of ``gmtools``."""
    main_parser = argparse.ArgumentParser(prog="gmtools", description=__doc__)
    commands = main_parser.add_subparsers(required=True, metavar="COMMAND")

    grade = commands.add_parser("grade", help="mark a folder of notebooks")
    grade.add_argument("lab", type=Path, help="the lab's folder, for example labs/1-elbo")
    grade.add_argument("submissions", type=Path, help="a folder of .ipynb files, or one of them")
    grade.add_argument("--out", type=Path, default=Path("grades"), help="where results go (default: grades)")
    grade.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    grade.add_argument("--resume", action="store_true", help="keep the results that --out already holds")
    grade.add_argument("--only", action="append", metavar="ID", help="grade these alone (may be repeated)")
    _add_sandbox(grade)
    grade.set_defaults(run=_grade)

    lab = commands.add_parser("lab", help="verify a lab, make its notebooks").add_subparsers(
        required=True, metavar="WHAT"
    )
    verify = lab.add_parser("verify", help="grade the reference, the stubs, alternatives and mutants")
    verify.add_argument("lab", type=Path)
    _add_sandbox(verify)
    verify.set_defaults(run=_verify)

    notebook = lab.add_parser("notebook", help="write the student's notebook, or the solved one")
    notebook.add_argument("lab", type=Path)
    notebook.add_argument("--solved", action="store_true")
    notebook.add_argument("--out", type=Path, help="file to write (default: standard output)")
    notebook.set_defaults(run=_notebook)
    return main_parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 something is wrong with the work, 2 it could not
    start."""
    options = parser().parse_args(arguments)
    if getattr(options, "seed", 0) is None:
        options.seed = secrets.randbelow(2**31)
    try:
        return options.run(options)
    except Exception as error:
        from gmtools.grading.sandbox import NoSandbox

        if not isinstance(error, NoSandbox | OSError | ValueError):
            raise
        print(f"gmtools: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
