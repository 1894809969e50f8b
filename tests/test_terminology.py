"""The book's prose uses the established Bulgarian terms, not the deck's (book/terminology.yml)."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
TERMS = yaml.safe_load((ROOT / "book/terminology.yml").read_text("utf8"))
PROSE = sorted(
    [*(ROOT / "lectures").rglob("*.md"), *(ROOT / "labs").rglob("*.md"), *(ROOT / "book").rglob("*.md")]
)
QUOTED = re.compile(r"<!-- deck -->.*?<!-- /deck -->", re.DOTALL)
CODE = re.compile(r"^```\{code-cell\}.*?^```", re.DOTALL | re.MULTILINE)
WRONG = [(wrong, term["bg"]) for term in TERMS for wrong in term.get("wrong", [])]


def blank(match: re.Match) -> str:
    """Nothing but the line breaks, so that line numbers stay."""
    return "\n" * match[0].count("\n")


def mistakes(text: str) -> list[str]:
    """Wrong terms in `text`, with their line and what to write; code and quotes of the deck may hold them."""
    text = CODE.sub(blank, QUOTED.sub(blank, text))
    found = []
    for wrong, right in WRONG:
        flags = 0 if wrong != wrong.lower() else re.IGNORECASE
        pattern = r"(?<!\w)" + re.escape(wrong).replace(r"\ ", r"\s+")
        for match in re.finditer(pattern, text, flags):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"line {line}: „{' '.join(match[0].split())}…“, write „{right}“")
    return found


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_prose_uses_the_right_terms(path):
    assert not mistakes(path.read_text("utf8"))


@pytest.mark.parametrize("wrong", [wrong for wrong, _ in WRONG])
def test_lint_sees_every_wrong_term(wrong):
    assert mistakes(f"Тук пише: {wrong}.")
    assert not mistakes(f"<!-- deck -->{wrong}<!-- /deck -->")


def test_the_right_terms_are_not_called_wrong():
    assert not mistakes("\n".join(term["bg"] for term in TERMS))


def test_lint_names_the_line():
    found = mistakes("Ред.\n```{code-cell}\nx = 1\n```\nМаксимално\nсходство.")
    assert "line 5: „Максимално сходств…“, write „максимално правдоподобие“" in found
