"""Exercise 5: a baseline from the other draws."""

import torch

from gmtools.grading import expect_close, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def true_left_out(values):
    return (values - values.mean(0)) * len(values) / (len(values) - 1)


@hidden.check(
    "leave_one_out",
    "случайни стойности, две реализации, в единична и двойна точност",
    points=2,
    hint="При K = 2 резултатът е ±(f₁ − f₂).",
)
def left_out_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (2, 5, DOUBLE), (8, 3, {}), (3, 9, {})):
        values = 4 * normal(generator, k, n, **options)
        expect_close(student.leave_one_out(values), true_left_out(values), "")


@hidden.check(
    "leave_one_out",
    "без цикъл по K и без промяна на аргумента",
    points=2,
    hint="Средното на останалите е (сборът − f_k)/(K − 1): сборът се смята веднъж.",
)
def left_out_vectorised(student, generator):
    small, large = (normal(generator, 4, 3),), (normal(generator, 40, 30),)
    expect_vectorised(student, "leave_one_out", true_left_out, small, large, "K")


hidden.mistakes(
    "leave_one_out",
    ("средно на всички", "return values - others", "return values - values.mean(dim=0)"),
    ("делител K", "(len(values) - 1)", "len(values)"),
    ("обратен знак", "values - others", "others - values"),
    ("само базовата линия", "return values - others", "return others"),
    ("по обектите", "dim=0", "dim=1, keepdim=True"),
    ("съседната стойност", "return values - others", "return values - values.roll(1, 0)"),
    ("променя аргумента", "return values - others", "return values.sub_(others)"),
)


@hidden.alternative("leave_one_out", "отклонение от средното, разтегнато")
def left_out_by_stretching(values):
    K = values.shape[0]
    return (values - values.mean(0, keepdim=True)) * (K / (K - 1))


@hidden.alternative("leave_one_out", "с матрица")
def left_out_by_matrix(values):
    K = values.shape[0]
    others = (torch.ones(K, K) - torch.eye(K)).to(values.dtype) / (K - 1)
    return values - others @ values
