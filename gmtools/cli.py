"""The command ``gmtools``: grade submissions, verify a lab's checks, make a lab's notebooks."""

import argparse
import json
import os
import sys
from pathlib import Path


def _grade(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.grade(options)


def _verify(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.verify(options)


def _release(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.release(options)


def _gradescope(options: argparse.Namespace) -> int:
    from gmtools.grading import command

    return command.export_gradescope(options)


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
    grade.add_argument(
        "submissions", type=Path, help="a notebook, a folder or zip of them, or what Moodle downloads"
    )
    grade.add_argument("--out", type=Path, default=Path("grades"), help="where results go (default: grades)")
    grade.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)"
    )
    grade.add_argument("--resume", action="store_true", help="keep the results that --out already holds")
    grade.add_argument("--only", action="append", metavar="ID", help="grade these alone (may be repeated)")
    grade.add_argument("--executor", metavar="dask://HOST:PORT", help="grade on a cluster instead")
    grade.add_argument(
        "--manual", type=Path, metavar="CSV", help="marks by hand: id,question,points,possible"
    )
    grade.add_argument(
        "--late-policy", metavar="POLICY", help="deadline=2026-05-01T23:59+03:00,per-day=10,max=50 (percent)"
    )
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

    release = lab.add_parser("release", help="write what students get: the notebook and the public checks")
    release.add_argument("lab", type=Path)
    release.add_argument("--out", type=Path, required=True, help="folder to write into")
    release.set_defaults(run=_release)

    export = lab.add_parser("export", help="make the lab's autograder for another system").add_subparsers(
        required=True, metavar="SYSTEM"
    )
    zipped = export.add_parser("gradescope", help="the zip to upload as an autograder")
    zipped.add_argument("lab", type=Path)
    zipped.add_argument("--out", type=Path, help="file to write (default: gradescope-<lab>.zip)")
    zipped.add_argument("--tier", choices=("root", "user", "plain"), help="isolation there; plain is NONE")
    zipped.set_defaults(run=_gradescope)
    return main_parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit status: 0 done, 1 something is wrong with the work, 2 it could not
    start."""
    options = parser().parse_args(arguments)
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
