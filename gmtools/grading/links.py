"""Where the project is published: computed from GITHUB_REPOSITORY or the package's own metadata, so that a
fork's notebooks and reports point to the fork."""

import os
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


@cache
def _of_the_package() -> str:
    try:
        urls = metadata("gmtools").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    source = next((u.split(",", 1)[1].strip() for u in urls if u.lower().startswith("source")), "")
    return "/".join(source.rstrip("/").split("/")[-2:]) if source else ""


def repository() -> str:
    """The repository as ``owner/name``."""
    return os.environ.get("GITHUB_REPOSITORY") or _of_the_package()


def page_url(page: str) -> str:
    """The published page of a source file without its ending, as
    ``lectures/3-inference/33-variational-bound``."""
    owner, _, name = repository().partition("/")
    return f"https://{owner}.github.io/{name}/{page}.html"


def chapter_url(chapter: str) -> str:
    """The published chapter, as ``3-inference/33-variational-bound``."""
    return page_url(f"lectures/{chapter}")


def chapter_number(chapter: str) -> str:
    """The number in a chapter's name: 33 of ``3-inference/33-variational-bound``."""
    return chapter.rpartition("/")[2].partition("-")[0]


def raw_url(path: str) -> str:
    """A file of the repository's main branch, as text."""
    return f"https://raw.githubusercontent.com/{repository()}/HEAD/{path}"
