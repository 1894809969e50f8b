"""The lecturer's overview: its figures are all of one population."""

import re

from gmtools.grading import report, settle
from gmtools.grading.intake import Submission


def result(name, earned):
    """As ``report.summary`` leaves it; unreadable without ``earned``."""
    exercise = {"name": "f", "title": "Задача", "points": 10.0, "earned": earned}
    exercise |= {"checks": [("дава точното", False, earned == 10.0)]}
    return {
        "id": name, "key": Submission(name, "").key, "title": "Лаборатория", "points": 10.0,
        "earned": earned or 0.0, "exercises": [] if earned is None else [exercise],
        "status": "unreadable" if earned is None else "graded", "reason": "", "tier": "root", "seed": 1,
        "memory": "1 GB",
    }  # fmt: skip


def test_all_figures_are_of_the_submissions_that_count_and_were_read():
    """Ana handed in three times, Bob once, and Vera's cannot be read: the figures are of two."""
    marks = {"a1": 10.0, "a2": 0.0, "a3": 0.0, "b": 5.0, "v": None}
    submissions = [Submission(name, "", student=name[0]) for name in marks]
    results = settle.settle([result(*pair) for pair in marks.items()], submissions)
    page = report.overview_page(results, [])
    assert "средно\n7,5 от 10 точки" in page and "прочетени: 2." in page
    assert "средно 7,5 / 10" in page and "С всички точки: 1; без точки: 0." in page
    bars = re.findall(r"<span class=\"soft\">(\d+–\d+ %)</span>.*?<span>(\d+)</span>", page)
    assert sorted(b for b in bars if b[1] != "0") == sorted(2 * [("50–60 %", "1"), ("90–100 %", "1")])
    assert re.findall(r"(\d+) от (\d+)</td>", page) == [("1", "2")]
    assert page.count("(не се брои)") == 2 and page.count("<tr><td><a") == 5
