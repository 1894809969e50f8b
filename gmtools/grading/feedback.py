"""What the checks of one exercise found, as it is shown under the cell that ran them."""

import html
from typing import Any

from gmtools.grading import links
from gmtools.grading.lab import Exercise

SIGNS = {"passed": "✔", "unwritten": "…", "missing": "…"}
REPEATED = "Същото, както по-горе."


class Feedback:
    """What the checks of one exercise found; shows itself in a notebook."""

    def __init__(self, exercise: Exercise, result: dict[str, Any]):
        self._exercise, self._result = exercise, result
        self.passed = result["status"] == "passed"

    def _headline(self) -> str:
        done = sum(c["status"] == "passed" for c in self._result["checks"])
        count = len(self._result["checks"])
        if self._result["status"] in ("unwritten", "missing"):
            return f"{self._exercise.title}: {self._result['checks'][0]['message']}"
        if self.passed:
            return f"{self._exercise.title}: всички открити проверки минават ({count} от {count})."
        return f"{self._exercise.title}: минали открити проверки – {done} от {count}."

    def _lines(self) -> list[tuple[str, str, str]]:
        if self._result["status"] in ("unwritten", "missing"):
            return []
        lines: list[tuple[str, str, str]] = []
        for c in self._result["checks"]:
            text = "" if c["status"] == "passed" else f"{c['message']} {c['hint']}".strip()
            said = any(text and text == before for _, _, before in lines)
            lines.append((SIGNS.get(c["status"], "✘"), c["title"], REPEATED if said else text))
        return lines

    def _see(self) -> str:
        return "" if self.passed else f"Вижте глава {links.chapter_number(self._exercise.chapter)}"

    def __repr__(self) -> str:
        lines = [self._headline()]
        for sign, title, text in self._lines():
            lines += [f"  {sign} {title}"] + ([f"      {text}"] if text else [])
        return "\n".join(
            lines + ([f"  {self._see()}: {links.chapter_url(self._exercise.chapter)}"] if self._see() else [])
        )

    def _repr_html_(self) -> str:
        colour = "#2e7d32" if self.passed else "#b26a00"
        rows = "".join(
            f"<li style='margin:.2em 0'>{sign} {html.escape(title)}"
            + (f"<br><span style='opacity:.85'>{html.escape(text)}</span>" if text else "")
            + "</li>"
            for sign, title, text in self._lines()
        )
        see = f"<p><a href='{html.escape(links.chapter_url(self._exercise.chapter))}'>{self._see()}</a></p>"
        return (
            f"<div style='border-left:4px solid {colour};padding:.2em "
            f"1em'><b>{html.escape(self._headline())}</b>"
            f"<ul style='list-style:none;padding-left:0'>{rows}</ul>{see if self._see() else ''}</div>"
        )


def show(thing: object) -> None:
    try:
        from IPython.display import display

        display(thing)
    except ImportError:
        print(thing)
