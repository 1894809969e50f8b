"""What the marks look like: a gradebook (CSV), a page for each student, and an overview for the lecturer."""

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jinja2

from gmtools.grading import links
from gmtools.grading.batch import Submission, result_path, write_atomically
from gmtools.grading.sandbox import TIERS

STATUS = {"graded": "оценено", "unreadable": "не може да се прочете", "look": "нужен е преглед"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")


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


def student_page(result: dict[str, Any]) -> str:
    """One student's page."""
    return _environment().get_template("student.html").render(result=result)


def overview_page(results: list[dict[str, Any]]) -> str:
    """The lecturer's page: marks of all, checks by how many failed them, what needs a person."""
    failed: Counter[tuple[str, str]] = Counter()
    seen: Counter[tuple[str, str]] = Counter()
    hidden = {}
    for result in results:
        for exercise in result["exercises"]:
            for check in exercise["checks"]:
                place = (exercise["title"], check["title"])
                seen[place] += 1
                failed[place] += check["status"] != "passed"
                hidden[place] = check["hidden"]
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
    attention = [r for r in results if r["status"] != "graded"]
    return (
        _environment()
        .get_template("overview.html")
        .render(results=results, hardest=hardest, attention=attention, histogram=_histogram(results))
    )


def _histogram(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many submissions in each tenth of the possible points."""
    counts = [0] * 10
    for result in results:
        counts[min(int(10 * result["earned"] / result["points"]), 9)] += 1
    top = max(counts, default=0) or 1
    return [
        {"label": f"{10 * i}–{10 * i + 10} %", "count": c, "width": 100 * c / top}
        for i, c in enumerate(counts)
    ]


def _cell(text: str) -> str:
    """Text that a spreadsheet shows and does not compute."""
    return f"'{text}" if text.startswith(FORMULA) else text


def gradebook(results: list[dict[str, Any]]) -> str:
    """The marks as CSV, one line a submission."""
    names = [e["name"] for e in next((r["exercises"] for r in results if r["exercises"]), [])]
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["id", *names, "total", "possible", "status", "reason", "tier", "seed", "page"])
    for result in results:
        earned = {e["name"]: number(e["earned"]) for e in result["exercises"]}
        writer.writerow(
            [_cell(result["id"]), *(earned.get(n, "0") for n in names), number(result["earned"]),
             number(result["points"]), result["status"], result["reason"], result["tier"], result["seed"],
             f"students/{result['key']}.html"]
        )  # fmt: skip
    return file.getvalue()


def load_results(out: Path, submissions: list[Submission]) -> list[dict[str, Any]]:
    """The results that ``out`` holds for these submissions."""
    paths = [result_path(out, s) for s in submissions]
    return [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]


def write_reports(out: Path, results: list[dict[str, Any]]) -> None:
    """``gradebook.csv`` (with a byte-order mark: spreadsheets then read Cyrillic), ``students/``,
    ``index.html``."""
    (out / "students").mkdir(parents=True, exist_ok=True)
    template = _environment().get_template("student.html")
    for result in results:
        write_atomically(out / "students" / f"{result['key']}.html", template.render(result=result))
    write_atomically(out / "gradebook.csv", gradebook(results), encoding="utf-8-sig")
    write_atomically(out / "index.html", overview_page(results))
