"""``gmtools grade`` and ``gmtools lab verify``: what the terminal shows."""

import argparse
import json
import secrets
import sys
import time
from array import array
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from gmtools.grading import batch, gradescope, handed_in, handout, intake, report, settle, similar
from gmtools.grading import verify as verification
from gmtools.grading.lab import Lab, load_graded
from gmtools.grading.sandbox import TIERS, Zygote, choose_tier


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console)


def _seed(options: argparse.Namespace) -> int:
    return secrets.randbelow(2**31) if options.seed is None else options.seed


def _recorded_seed(options: argparse.Namespace) -> int:
    """The seed of the run that ``--resume`` or ``--only`` continues; recorded in ``run.json``."""
    record = options.out / "run.json"
    if (options.resume or options.only) and record.is_file():
        seed = json.loads(record.read_text(encoding="utf-8"))["seed"]
        if options.seed not in (None, seed):
            raise ValueError(f"--seed is {options.seed}, but {options.out} is of {seed}: leave it out")
        return seed
    seed = _seed(options)
    options.out.mkdir(parents=True, exist_ok=True)
    batch.write_atomically(record, json.dumps({"seed": seed}) + "\n")
    return seed


def _chosen(options: argparse.Namespace, every: list[intake.Submission]) -> list[intake.Submission]:
    if not options.only:
        return every
    chosen = [s for s in every if s.id in options.only]
    missing = set(options.only) - {s.id for s in chosen}
    if missing:
        raise ValueError(f"no submission {', '.join(sorted(missing))} in {options.submissions}")
    return chosen


@contextmanager
def _pool(options: argparse.Namespace, todo: list[intake.Submission]) -> Iterator[Executor]:
    """As many processes as asked, but not more than pay for their start (torch is imported twice in each);
    or the workers of a dask cluster, which must see the same files."""
    if options.executor is None:
        with batch.executor(max(1, min(options.jobs, len(todo) // 8))) as pool:
            yield pool
        return
    address = options.executor.removeprefix("dask://")
    if address == options.executor:
        raise ValueError(f"--executor is {options.executor!r}, expected dask://host:port")
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ValueError(f"--executor needs {error.name}: pip install 'gmtools[cluster]'") from None

    with Client(address) as client:
        yield client.get_executor()


@dataclass(frozen=True)
class _Terms:
    """What the reports need beside the results, all of it read and found right before anything starts."""

    submissions: list[intake.Submission]
    version: str
    given: set[int]
    late: settle.Late | None
    by_hand: settle.Marks


def _terms(options: argparse.Namespace, lab: Lab) -> _Terms:
    every = intake.find(options.submissions)
    late = settle.Late.parse(options.late_policy) if options.late_policy is not None else None
    by_hand = settle.read_marks(options.manual, lab.questions) if options.manual else {}
    settle.check_names(by_hand, every)
    handed_in.answers_sheet(options.out / "answers.csv")
    return _Terms(every, batch.lab_hash(options.lab), similar.given(options.lab), late, by_hand)


def grade(options: argparse.Namespace) -> int:
    """Grade, report, and return 0 if every submission got a mark or a named reason."""
    console = Console()
    tier = choose_tier(options.tier)
    lab, _ = load_graded(options.lab)  # say what is wrong with the lab before anything starts
    terms = _terms(options, lab)
    chosen = _chosen(options, terms.submissions)
    run = batch.Run(str(options.lab.resolve()), _recorded_seed(options), tier)
    if tier == "plain":
        console.print("[bold red]NOT ISOLATED:[/] students' code can read what you can read.")
    todo = [s for s in chosen if not (options.resume and batch.finished(run, options.out, s))]
    with _progress(console) as progress, _pool(options, todo) as pool:
        task = progress.add_task("grading", total=len(chosen), completed=len(chosen) - len(todo))
        begin = time.monotonic()
        failures = batch.grade_all(run, todo, options.out, pool, lambda _: progress.advance(task))
        spent = report.Spent(len(todo), time.monotonic() - begin) if todo else None
    results, stale = _report(options.out, terms, spent)
    console.print(_summary(results))
    console.print(
        f"{TIERS[tier]}; seed {run.seed}; {options.out / 'gradebook.csv'}, {options.out / 'index.html'}"
    )
    for failure in failures:
        print(f"the grader failed on {failure}", file=sys.stderr)
    if stale:
        print(f"not in the reports, because the lab has changed since: {', '.join(stale)}", file=sys.stderr)
        print("grade them again: gmtools grade ... --resume", file=sys.stderr)
    return 1 if failures or stale or any(r["status"] == "look" for r in results) else 0


def _report(out: Path, terms: _Terms, spent: report.Spent | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Settle and report all that ``out`` holds; what is kept of each result in memory is small.

    Results of the lab as it was before an edit are left out: they cannot be compared. Their ids are returned.
    """
    summaries, prints, stale = [], {}, []
    for result in report.load_results(out, terms.submissions):
        if result["lab_hash"] != terms.version:
            stale.append(result["id"])
            continue
        if "fingerprint" in result:
            prints[result["key"]] = array("I", result["fingerprint"])
        summaries.append(report.summary(result))
    results = settle.settle(summaries, terms.submissions, terms.late, terms.by_hand)
    counted = {r["key"]: prints[r["key"]] for r in results if r["counts"] and r["key"] in prints}
    report.write_reports(out, results, similar.groups(counted, terms.given), spent)
    return results, stale


def _summary(results: list[dict[str, Any]]) -> Table:
    counted, unread = report.population(results), sum(not r["exercises"] for r in results)
    table = Table(
        title=f"{len(results)} submissions, {unread} could not be read, {len(counted)} in the figures"
    )
    for name in ("exercise", "mean", "full marks", "no marks", "possible"):
        table.add_column(name, justify="left" if name == "exercise" else "right")
    rows = zip(*(r["exercises"] for r in counted), strict=True)
    for exercises in rows:
        earned = [e["earned"] for e in exercises]
        points = exercises[0]["points"]
        full, none = sum(e == points for e in earned), sum(e == 0 for e in earned)
        table.add_row(
            exercises[0]["name"], f"{sum(earned) / len(earned):.1f}", str(full), str(none), f"{points:g}"
        )
    totals = [r["final"] for r in counted]
    if totals:
        table.add_row("total", f"{sum(totals) / len(totals):.1f}", "", "", f"{counted[0]['possible']:g}")
    return table


def verify(options: argparse.Namespace) -> int:
    """Print the table of variants and return 0 if each got what it deserves."""
    console, seed = Console(), _seed(options)
    lab, hidden = load_graded(options.lab)
    with Zygote(choose_tier(options.tier)) as zygote:
        rows = verification.verify(options.lab, zygote, seed)
    table = Table(title=f"{lab.key}, seed {seed}")
    for name in ("", "kind", "exercise", "variant", "mark", "checks failed"):
        table.add_column(name, justify="right" if name in ("mark", "checks failed") else "left")
    for row in rows:
        sign = "[green]✔[/]" if row.right else "[bold red]✘[/]"
        mark = f"{row.earned:g} / {row.points:g}"
        table.add_row(sign, row.kind, row.exercise or "all", row.title, mark, str(len(row.failed)))
    console.print(table)
    problems = verification.too_few(hidden, lab) + [
        f"{r.kind} {r.title}: {r.earned:g}" for r in rows if not r.right
    ]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


def release(options: argparse.Namespace) -> int:
    """Write what students get of a lab into ``--out``."""
    for path in handout.release(options.lab, options.out):
        print(path)
    return 0


def export_gradescope(options: argparse.Namespace) -> int:
    """Write the uploader zip."""
    load_graded(options.lab)  # say what is wrong with the lab here, not there
    print(gradescope.export(options.lab, options.out, options.tier))
    return 0
