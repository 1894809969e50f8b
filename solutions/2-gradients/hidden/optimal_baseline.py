"""Exercise 4: the best baseline."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


@hidden.check(
    "optimal_baseline",
    "случайни стойности, в единична и двойна точност",
    points=2,
    hint="Сумите са по първата ос; за всеки обект и всяка координата е отделно число.",
)
def baseline_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (9, 4, DOUBLE), (60, 3, {})):
        values, s = 4 + normal(generator, k, n, **options), normal(generator, k, n, 5, **options)
        expected = (values[..., None] * s**2).mean(0) / (s**2).mean(0)
        expect_close(student.optimal_baseline(values, s), expected, "")


@hidden.check(
    "optimal_baseline",
    "скор-функция, която е нула навсякъде; без цикли и без промяна на аргументите",
    points=2,
    hint="0/0 е NaN: там, където всички тегла са нула, отговорът е нула. Прибавянето на ε мести другите.",
)
def baseline_edges(student, generator):
    values, s = normal(generator, 4, 2), normal(generator, 4, 2, 3)
    s[:, 0, 1] = 0
    s[:, 1] *= 1e-6
    outcome = student.trace("optimal_baseline", values, s)
    double = s.double()
    expected = (values.double()[..., None] * double**2).sum(0) / (double**2).sum(0)
    expect_close(outcome.value, expected.nan_to_num().float(), "", rtol=1e-3)
    expect_unchanged(outcome)
    small, large = ((normal(generator, k, k), normal(generator, k, k, 3)) for k in (2, 30))
    expect_no_loop(student, "optimal_baseline", small, large, "K и N")


hidden.mistakes(
    "optimal_baseline",
    ("просто средно", "score**2", "torch.ones_like(score)"),
    ("тегла без квадрат", "score**2", "score.abs()"),
    ("тегла със знак", "score**2", "score"),
    ("обща за координатите", "score**2", "(score**2).sum(-1, keepdim=True).expand_as(score)"),
    ("обща за обектите", "score**2", "(score**2).sum(1, keepdim=True).expand_as(score)"),
    ("0/0", "total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)", "total, total / total)"),
    ("с ε в знаменателя", "total.clamp(min=torch.finfo(total.dtype).tiny)", "(total + 1e-3)"),
)


@hidden.alternative("optimal_baseline", "с нормирани тегла")
def baseline_by_normalising(values, score):
    weight = F.normalize(score**2, p=1, dim=0, eps=1e-38)
    return torch.einsum("kn,knd->nd", values, weight)


@hidden.alternative("optimal_baseline", "с nan_to_num")
def baseline_by_nan_to_num(values, score):
    square = score.square()
    return ((values[:, :, None] * square).mean(0) / square.mean(0)).nan_to_num(0.0)
