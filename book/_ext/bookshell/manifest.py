"""lectures/slides.yml as Python objects, and where each slide's chapter lives."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Slide:
    n: int
    deck: str  # the slide's own wording
    title: str  # the chapter's title
    docname: str  # lectures/<part>/<nn>-<slug>
    fix: str | None  # what the chapter corrects

    @property
    def source(self) -> Path:
        return ROOT / f"{self.docname}.md"

    @property
    def complete(self) -> bool:
        return self.source.exists()


@dataclass(frozen=True)
class Part:
    number: int
    dir: str
    title: str
    slides: tuple[Slide, ...]


@lru_cache
def parts() -> tuple[Part, ...]:
    """All seven parts with their slides, in the deck's order."""
    manifest = yaml.safe_load((ROOT / "lectures/slides.yml").read_text(encoding="utf-8"))
    return tuple(_part(i, part, manifest["slides"]) for i, part in enumerate(manifest["parts"], start=1))


def _part(number: int, part: dict, slides: list[dict]) -> Part:
    first, last = map(int, part["slides"].split("-"))
    return Part(
        number,
        part["dir"],
        part["title"],
        tuple(_slide(part["dir"], slide) for slide in slides if first <= slide["n"] <= last),
    )


def _slide(folder: str, slide: dict) -> Slide:
    docname = f"lectures/{folder}/{slide['n']:02d}-{slide['slug']}"
    return Slide(slide["n"], slide["deck"], slide["title"], docname, slide.get("fix"))


def slides() -> tuple[Slide, ...]:
    return tuple(slide for part in parts() for slide in part.slides)


@lru_cache
def chapter_numbers() -> dict[str, int]:
    """Document name to slide number."""
    return {slide.docname: slide.n for slide in slides()}
