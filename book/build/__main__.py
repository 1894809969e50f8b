"""Execute the notebooks, run Sphinx, publish the book into _build/html.

Then, each with its own --help, `python -m book.build ...`
  nbval   runs the published notebooks again and compares
  colab   runs them in an environment that has only what Colab has
  slides  makes reveal.js decks of the chapters
  pdf     prints the whole book into one file
  report  weighs the pages and times how soon one can read them
"""

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from . import colab, nbval, pdf, report, slides
from .binder import write_environment
from .execute import Result, execute
from .kernels import use_forked_kernels
from .site import build_html, build_wheel, prune
from .sources import Book
from .store import Store

SLOW, TOO_SLOW = 20, 60  # processor seconds a notebook may take: a warning, a failure
COMMANDS = {module.__name__.rpartition(".")[2]: module.main for module in (nbval, colab, slides, pdf, report)}
SHOWN = 8  # of the slowest notebooks, and of the failures: one screen


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]](arguments[1:])
    options = _parser().parse_args(arguments)
    book = Book(options.root.resolve())
    store = Store(book.build / ".jupyter_cache")
    if options.fresh:
        for folder in (store.path, book.doctrees, book.html):
            shutil.rmtree(folder, ignore_errors=True)
    if not options.ordinary_kernels:
        use_forked_kernels()
    results = _execute(book, store, options.jobs)
    if any(result.failure for result in results) or _over_budget(results):
        return 1
    start = time.monotonic()
    stale = [result.page for result in results if not result.cached]
    if (book.root / "pyproject.toml").exists():
        build_wheel(book)
        write_environment(book)
    if not build_html(book, store, stale, options.all):
        print("\nSphinx warned (above); warnings are errors.", file=sys.stderr)
        return 1
    prune(book)
    print(f"Pages written in {time.monotonic() - start:.0f} s: {book.html / 'index.html'}")
    print(f"Serve them: {sys.executable} -m http.server --directory {book.html}")
    return 0


def _execute(book: Book, store: Store, jobs: int) -> list[Result]:
    start, done = time.monotonic(), 0

    def report(result: Result) -> None:
        nonlocal done
        done += 1
        mark = "FAILED" if result.failure else f"{result.seconds:5.1f} s"
        print(f"  [{done}] {mark}  {result.page.name}", flush=True)

    print(f"Executing what changed among {len(book.pages)} notebooks, {jobs} at a time", flush=True)
    results = execute(book, store, jobs, report)
    print(f"{done} executed in {time.monotonic() - start:.0f} s, {len(results) - done} unchanged")
    _show_failures([result for result in results if result.failure])
    return results


def _show_failures(failed: list[Result]) -> None:
    for result in failed[:SHOWN]:
        print(f"\n{result.failure}", file=sys.stderr)
    if failed:
        more = f" (the first {SHOWN} above)" if len(failed) > SHOWN else ""
        print(f"\n{len(failed)} notebooks failed{more}; no page was written.", file=sys.stderr)


def _over_budget(results: list[Result]) -> bool:
    """Report the slowest notebooks; True if one takes more than a page may."""
    slowest = sorted(results, key=lambda result: -result.seconds)
    print("Slowest, in processor seconds:")
    for result in slowest[:SHOWN]:
        print(f"  {result.seconds:5.1f} s  {result.page.name} (most of it in cell {result.slowest_cell})")
    for result in slowest:
        for word, limit in (("ERROR", TOO_SLOW), ("WARNING", SLOW)):
            if result.seconds > limit:
                message = f"{word}: {result.page.name} takes {result.seconds:.0f} s, more than {limit} s"
                print(message, file=sys.stderr)
                break
    return any(result.seconds > TOO_SLOW for result in results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m book.build", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path(), help="the folder with _config.yml")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)), help="notebooks at a time")
    parser.add_argument("--all", action="store_true", help="write every page again")
    parser.add_argument("--fresh", action="store_true", help="forget all outputs and pages first")
    parser.add_argument(
        "--ordinary-kernels", action="store_true", help="start each kernel as a new Python, not as a fork"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
