"""Exercise 1: the mask."""

import itertools

import torch

from gmtools.grading import expect_close

from .common import hidden


def true_mask(kind: str, size: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    middle = size // 2
    seen = (rows < middle) | ((rows == middle) & (columns < middle + (kind == "B")))
    return seen.float()


@hidden.check(
    "causal_mask",
    "големи ядра",
    points=2,
    hint="Редовете над средния се виждат целите, редовете под него – никак.",
)
def masks_of_other_sizes(student, generator):
    for kind, size in itertools.product("AB", (5, 7, 11)):
        expect_close(student.causal_mask(kind, size), true_mask(kind, size), "")


@hidden.check(
    "causal_mask",
    "ядро от един пиксел",
    points=2,
    hint="При size = 1 остава само средата: нула за A, единица за B, с форма (1, 1).",
)
def masks_of_one_pixel(student, generator):
    for kind, value in (("A", 0.0), ("B", 1.0)):
        expect_close(student.causal_mask(kind, 1), torch.full((1, 1), value), "")


hidden.mistakes(
    "causal_mask",
    ("A и B разменени", '"A"', '"B"'),
    ("и A вижда средата", "position < centre if", "position <= centre if"),
    ("обърната", "position < centre if", "position > centre if"),
    ("по колони", ".reshape(size, size)", ".reshape(size, size).T"),
    ("средата е изместена при големи ядра", "size * size // 2", "4 if size == 3 else size * size // 2 + 1"),
    ("редовете отгоре само до средата", ".float()", ".float().tril(size // 2)"),
    ("булева маска", ".float()", ".bool()"),
)


@hidden.alternative("causal_mask", "по редове и колони")
def mask_by_slices(kind, size):
    mask = torch.zeros(size, size)
    mask[: size // 2] = 1
    mask[size // 2, : size // 2 + (kind == "B")] = 1
    return mask


@hidden.alternative("causal_mask", "от плосък вектор")
def mask_by_concatenation(kind, size):
    seen = size**2 // 2 + int(kind == "B")
    return torch.cat([torch.ones(seen), torch.zeros(size**2 - seen)]).view(size, size)
