"""Pieces of Markdown text put into lists, quotations, folds and table cells."""

import re
from collections.abc import Iterator


def list_item(marker: str, text: str) -> str:
    return marker + one_line_math(text).replace("\n", "\n" + " " * len(marker))


def quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in one_line_math(text).split("\n"))


def folded(summary: str, text: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n\n{text}\n\n</details>"


def one_line_math(text: str) -> str:
    """Jupyter takes formulas out before it sees quotation marks and indents: keep those out of formulas."""
    return re.sub(r"\$\$\n.*?\n\$\$", lambda m: " ".join(m[0].split()), text, flags=re.DOTALL)


def no_pipes(cell: str) -> Iterator[str]:
    """In a table a bar ends the cell, even inside a formula."""
    for i, piece in enumerate(re.split(r"(?<!\\)\$", cell)):
        yield piece if i % 2 == 0 else "$" + piece.replace("\\|", "\\Vert ").replace("|", "\\vert ") + "$"
