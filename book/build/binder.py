"""What Binder needs to open the published notebooks: an environment file beside them."""

from pathlib import Path

from .notebooks import requirement
from .sources import Book

# torch is conda-forge's CPU build: the one on PyPI brings the GPU libraries along, and Binder has no GPU.
ENVIRONMENT = """\
channels: [conda-forge, nodefaults]
dependencies:
  - python=3.11
  - pip
  - pytorch-cpu
  - pip:
      - ipywidgets
      - {requirement}
"""


def write_environment(book: Book) -> Path:
    """Write _build/html/binder/environment.yml, which leads to the wheel that this site publishes."""
    target = book.html / "binder" / "environment.yml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(ENVIRONMENT.format(requirement=requirement(book)), "utf8")
    return target
