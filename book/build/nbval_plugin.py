"""pytest plugin for nbval: kernels that start in a moment, pictures compared, differences in a few lines."""

import os

import pytest

from . import stills
from .kernels import use_forked_kernels


def pytest_configure(config) -> None:
    if os.environ.get("BOOK_FORKED_KERNELS"):
        use_forked_kernels()


def pytest_collection_modifyitems(items) -> None:
    """nbval leaves pictures out; ours come from the same code on the same machine and must agree.

    The build put the stills beside what a cell shows; a cell that is run again shows none.
    """
    for item in items:
        item.cell.outputs = stills.remove(item.cell.outputs)
        item.parent.skip_compare = tuple(set(item.parent.skip_compare) - {"image/png", "image/jpeg"})


@pytest.hookimpl(tryfirst=True)
def pytest_assertrepr_compare(op: str, left, right) -> list[str] | None:
    """Where two long outputs begin to differ; pytest's own diff of one line of 100 kB takes minutes."""
    if op != "==" or not isinstance(left, str) or not isinstance(right, str):
        return None
    pairs = zip(left, right, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    around = slice(max(0, at - 60), at + 60)
    return [
        f"outputs differ from character {at}",
        f"published: {left[around]!r}",
        f"now:       {right[around]!r}",
    ]
