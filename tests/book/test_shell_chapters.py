"""Every chapter has the parts of the standard, in order, under labels that other pages can rely on."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHAPTERS = sorted(path for path in (ROOT / "lectures").rglob("*.md") if re.match(r"\d\d-", path.name))
SECTIONS = [
    "goals",
    "slide",
    "idea",
    "derivation",
    "computation",
    "experiment",
    "exercises",
    "quiz",
    "further",
]
LABELLED = re.compile(r"^\(([a-z0-9-]+)\)=\n+(#+) ", re.MULTILINE)
CELL = re.compile(r"^```\{code-cell\}.*?^```", re.MULTILINE | re.DOTALL)
LONGEST_CELL = 30  # lines; the standard says about 25
CITED = re.compile(r"\{cite[:a-z]*\}`([^`]+)`")

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def headings(text: str) -> list[str]:
    return re.findall(r"^#{1,6} .+$", CELL.sub("", text), re.MULTILINE)


@chapters
def test_sections_stand_in_the_order_of_the_standard(path):
    slug = path.stem[3:]
    labels = [label for label, marks in LABELLED.findall(path.read_text("utf8")) if len(marks) <= 2]
    assert labels[0] == slug, f"the title's label is ({slug})="
    assert labels[1:] == [f"{slug}-{section}" for section in SECTIONS]


@chapters
def test_every_heading_has_a_label(path):
    text = CELL.sub("", path.read_text("utf8"))
    assert len(LABELLED.findall(text)) == len(headings(text)), "put (ascii-label)= before each heading"


@chapters
def test_no_backslash_was_lost_to_a_control_character(path):
    assert not re.findall(r"[^\n\x20-\U0010ffff]", path.read_text("utf8"))


def lines(cell: str) -> int:
    return len([line for line in cell.splitlines()[1:-1] if line and not line.startswith(":")])


@chapters
def test_cells_are_short_and_none_may_fail(path):
    cells = CELL.findall(path.read_text("utf8"))
    shown = [cell for cell in cells if "hide-input" not in cell]  # what draws a figure is folded away
    assert shown and max(map(lines, shown)) <= LONGEST_CELL
    assert not any("allow_errors" in cell for cell in cells)


@chapters
def test_chapter_has_exercises_with_solutions_checks_and_sources(path):
    text = path.read_text("utf8")
    exercises = re.findall(r"\{exercise(?:-start)?\}", text)
    solutions = re.findall(r"\{solution(?:-start)?\}", text)
    assert 2 <= len(exercises) == len(solutions)
    assert "assert " in text, "a cell checks the key equation against a value known independently"
    assert "gmtools" in text
    assert CITED.search(text.split("-further)=")[1]), "the last section names the primary sources"


def keys(pages: list[Path]) -> set[str]:
    found = [match for page in pages for match in CITED.findall(page.read_text("utf8"))]
    return {key.strip() for match in found for key in match.split(",")}


def test_every_source_is_cited_and_every_citation_has_a_source():
    known = re.findall(r"^@\w+\{([^,]+),", (ROOT / "book/references.bib").read_text("utf8"), re.MULTILINE)
    cited = keys([*CHAPTERS, *(ROOT / "book").glob("*.md")])
    assert len(known) == len(set(known)), "a key stands twice"
    assert set(known) - cited == set(), "sources that nothing cites"
    assert cited - set(known) == set(), "citations without a source"


def test_labels_stand_once_in_the_book():
    pages = [
        path.read_text("utf8")
        for folder in ("lectures", "labs", "book")
        for path in (ROOT / folder).rglob("*.md")
    ]
    labels = [
        label
        for text in pages
        for label in re.findall(r"^ *(?:\$\$ )?\(([a-z0-9-]+)\)=?$", text, re.MULTILINE)
    ]
    assert len(labels) > 500
    assert sorted({label for label in labels if labels.count(label) > 1}) == []
