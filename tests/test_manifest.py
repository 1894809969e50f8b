"""Each slide of the deck has at most one chapter: in its place, under its name, in order, with its title."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
MANIFEST = yaml.safe_load((ROOT / "lectures/slides.yml").read_text("utf8"))
SLIDES = MANIFEST["slides"]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text("utf8"))


def folder(slide: dict) -> str:
    for part in MANIFEST["parts"]:
        first, last = map(int, part["slides"].split("-"))
        if first <= slide["n"] <= last:
            return part["dir"]
    raise AssertionError(f"slide {slide['n']} is in no part")


def name(slide: dict) -> str:
    return f"lectures/{folder(slide)}/{slide['n']:02d}-{slide['slug']}"


PRESENT = [slide for slide in SLIDES if (ROOT / f"{name(slide)}.md").exists()]


def listed(entries: list[dict]) -> list[str]:
    """Every page of the table of contents, in reading order."""
    pages = []
    for entry in entries:
        pages += [entry["file"]] if "file" in entry else []
        pages += listed(entry.get("sections", [])) + listed(entry.get("chapters", []))
    return pages


def test_manifest_is_the_whole_deck():
    assert [slide["n"] for slide in SLIDES] == list(range(1, 72))
    assert len({slide["slug"] for slide in SLIDES}) == len(SLIDES)
    assert all({"deck", "title", "slug", "states", "runs"} <= slide.keys() for slide in SLIDES)


def test_every_lecture_page_belongs_to_the_manifest():
    known = {name(slide) for slide in SLIDES} | {
        f"lectures/{part['dir']}/index" for part in MANIFEST["parts"]
    }
    found = {p.relative_to(ROOT).with_suffix("").as_posix() for p in (ROOT / "lectures").rglob("*.md")}
    assert found <= known, "rename these after the manifest: <part>/<nn>-<slug>.md"


def test_table_of_contents_lists_the_chapters_in_the_deck_order():
    pages = listed(TOC["parts"])
    chapters = [page for page in pages if re.match(r"lectures/.*/\d\d-", page)]
    assert chapters == [name(slide) for slide in PRESENT]
    parts = [page for page in pages if page.endswith("/index") and page.startswith("lectures/")]
    assert parts == [f"lectures/{part['dir']}/index" for part in MANIFEST["parts"]]
    print(f"complete chapters: {len(PRESENT)} of {len(SLIDES)}")


@pytest.mark.parametrize("slide", PRESENT, ids=name)
def test_chapter_has_the_title_of_the_manifest(slide):
    text = (ROOT / f"{name(slide)}.md").read_text("utf8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    assert title and title[1].strip() == slide["title"]


@pytest.mark.parametrize("slide", [slide for slide in PRESENT if "fix" in slide], ids=name)
def test_errata_list_what_the_chapter_corrects(slide):
    errata = (ROOT / "book/errata.md").read_text("utf8")
    assert f"</{name(slide)}>" in errata, "add the correction, with a link {doc}`... </lectures/...>`"
    assert "Поправка" in (ROOT / f"{name(slide)}.md").read_text("utf8")
