"""What the marks look like: a gradebook (CSV), a page for each student, and an overview for the lecturer."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any

import jinja2

from gmtools.grading import handed_in, links
from gmtools.grading.batch import result_path, write_atomically
from gmtools.grading.intake import Submission
from gmtools.grading.sandbox import TIERS

STATUS = {"graded": "оценено", "unreadable": "не може да се прочете", "look": "нужен е преглед"}


@dataclass(frozen=True)
class Spent:
    """What the last run took: how many submissions it graded, and the seconds from first to last."""

    count: int
    seconds: float


def number(value: float) -> str:
    """A mark as people write it: 4, 12.5."""
    return f"{value:g}"


def decimal_comma(value: float) -> str:
    return number(value).replace(".", ",")


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gmtools.grading"), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    environment.filters.update(capitalize_first=lambda t: t[:1].upper() + t[1:])
    environment.filters.update(
        number=decimal_comma, chapter=links.chapter_number, chapter_url=links.chapter_url
    )
    environment.globals.update(tiers=TIERS, status_text=STATUS)
    return environment


def overview_page(results: list[dict[str, Any]], alike: list[list[str]], spent: Spent | None = None) -> str:
    """The lecturer's page: marks of all, checks by how many failed them, what needs a person."""
    counted = population(results)
    failed: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    hidden = {}
    for result in counted:
        for exercise in result["exercises"]:
            for title, is_hidden, passed in exercise["checks"]:
                place = (exercise["title"], title)
                seen[place] += 1
                failed[place] += not passed
                hidden[place] = is_hidden
    hardest = [
        {
            "exercise": place[0],
            "check": place[1],
            "failed": failed[place],
            "seen": seen[place],
            "hidden": hidden[place],
        }
        for place in sorted(seen, key=lambda p: (-failed[p] / seen[p], p))
    ]
    by_key = {r["key"]: r for r in results}
    alike = [[by_key[key] for key in group] for group in alike]
    attention = [r for r in results if r["status"] != "graded"]
    template = _environment().get_template("overview.html")
    histogram = _tenths(r["final"] / r["possible"] for r in counted)
    return template.render(
        results=results, hardest=hardest, attention=attention, alike=alike, histogram=histogram,
        exercises=_exercises(counted), spent=spent, counted=counted, columns=exercises_of(results),
        conditions=sorted({(r["tier"], r["memory"]) for r in results}),
        seeds=sorted({r["seed"] for r in results}),
    )  # fmt: skip


def _tenths(shares: Iterable[float]) -> list[dict[str, Any]]:
    """How many of the shares lie in each tenth."""
    counts = [0] * 10
    for share in shares:
        counts[min(int(10 * max(share, 0)), 9)] += 1
    top = max(counts) or 1
    return [
        {"label": f"{10 * i}–{10 * i + 10} %", "count": c, "width": 100 * c / top}
        for i, c in enumerate(counts)
    ]


def population(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What every figure is taken over: one submission a student, the one that counts, if it could be read."""
    return [r for r in results if r["counts"] and r["exercises"]]


def exercises_of(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return next((r["exercises"] for r in results if r["exercises"]), [])


def _exercises(counted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each exercise its mean, how many got all and nothing, and the distribution."""
    found = []
    for column in zip(*(r["exercises"] for r in counted), strict=True):
        points, earned = column[0]["points"], [e["earned"] for e in column]
        found.append(
            {
                "title": column[0]["title"],
                "points": points,
                "mean": round(sum(earned) / len(earned), 1),
                "full": sum(e == points for e in earned),
                "none": sum(e == 0 for e in earned),
                "tenths": _tenths(e / points for e in earned),
            }
        )
    return found


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows([handed_in.escaped(v) if isinstance(v, str) else v for v in row] for row in rows)
    return file.getvalue()


def gradebook(results: list[dict[str, Any]]) -> str:
    """The marks as CSV, one line a submission; ``counts`` says which one is the student's."""
    names = [e["name"] for e in exercises_of(results)]
    questions = list(results[0]["manual"]) if results else []
    header = [
        "id",
        "student",
        *names,
        *map(handed_in.escaped, questions),
        "penalty_percent",
        "total",
        "possible",
    ]
    header += ["counts", "status", "reason", "tier", "seed", "page"]
    rows = []
    for result in results:
        earned = {e["name"]: number(e["earned"]) for e in result["exercises"]}
        points = [*(earned.get(n, "0") for n in names), *(number(result["manual"][q]) for q in questions)]
        total = [number(result["penalty"]), number(result["final"]), number(result["possible"])]
        verdict = ["yes" if result["counts"] else "no", result["status"], result["reason"]]
        page = f"students/{result['key']}.html"
        rows.append(
            [result["id"], result["student"], *points, *total, *verdict, result["tier"], result["seed"], page]
        )
    return _csv(header, rows)


def moodle_worksheet(results: list[dict[str, Any]]) -> str:
    """The marks as Moodle's offline grading worksheet takes them in: percent, one line a participant."""
    rows = [
        [f"Participant {r['participant']}", r["student"].rpartition("_")[0],
         number(round(100 * r["final"] / r["possible"], 2)), "100.00"]
        for r in results if r["participant"] and r["counts"]
    ]  # fmt: skip
    return _csv(["Identifier", "Full name", "Grade", "Maximum Grade"], rows)


def load_results(out: Path, submissions: Iterable[Submission]) -> Iterator[dict[str, Any]]:
    """The results that ``out`` holds for these submissions, one at a time."""
    for path in (result_path(out, s) for s in submissions):
        if path.is_file():
            yield json.loads(path.read_text(encoding="utf-8"))


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """What the gradebook and the overview need of a result: a few kilobytes, so that thousands fit."""
    exercises = [
        {intern(k): intern(v) if isinstance(v, str) else v for k, v in exercise.items()}
        | {"checks": [(intern(c["title"]), c["hidden"], c["status"] == "passed") for c in exercise["checks"]]}
        for exercise in result["exercises"]
    ]
    return {intern(k): v for k, v in result.items() if k != "fingerprint"} | {"exercises": exercises}


def write_reports(
    out: Path, results: list[dict[str, Any]], alike: list[list[str]], spent: Spent | None = None
) -> None:
    """``gradebook.csv`` (with a byte-order mark: spreadsheets then read Cyrillic), ``students/``,
    ``index.html``, for open questions ``answers.csv`` (fill in the points, give it to ``--manual``), and for
    a download from Moodle ``moodle.csv``; ``alike``: keys of near-identical work."""
    (out / "students").mkdir(parents=True, exist_ok=True)
    template = _environment().get_template("student.html")
    for result in results:
        path = out / "results" / f"{result['key']}.json"
        whole = result | {"exercises": json.loads(path.read_text(encoding="utf-8"))["exercises"]}
        write_atomically(out / "students" / f"{result['key']}.html", template.render(result=whole))
    write_atomically(out / "gradebook.csv", gradebook(results), encoding="utf-8-sig")
    if any(r["participant"] for r in results):
        write_atomically(out / "moodle.csv", moodle_worksheet(results), encoding="utf-8-sig")
    write_atomically(out / "index.html", overview_page(results, alike, spent))
    if any(r.get("questions") for r in results):
        sheet = out / "answers.csv"
        text = handed_in.sheet_to_mark(results, handed_in.answers_sheet(sheet))
        write_atomically(sheet, text, encoding="utf-8-sig")
