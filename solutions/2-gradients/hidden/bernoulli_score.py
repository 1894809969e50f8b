"""Exercise 1: the score function."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_vectorised
from gmtools.grading.inputs import DOUBLE, bits, normal

from .common import hidden


def true_score(z, logits):
    return z - logits.sigmoid()


@hidden.check(
    "bernoulli_score",
    "случайни и много големи логити, в единична и двойна точност",
    points=2,
    hint="При ℓ = 200 и z = 1 скор-функцията е нула, а не NaN: не я смятайте през отношение на вероятности.",
)
def score_on_fresh_inputs(student, generator):
    for k, n, options in ((1, 1, {}), (5, 4, DOUBLE)):
        z, logits = bits(generator, k, n, 3, **options), 2 * normal(generator, n, 3, **options)
        expect_close(student.bernoulli_score(z, logits), true_score(z, logits), "")
    extreme = torch.tensor([[200.0, -200.0, 90.0, -90.0]])
    z = torch.stack([torch.ones(1, 4), torch.zeros(1, 4)])
    expect_close(student.bernoulli_score(z, extreme), true_score(z, extreme), "")


@hidden.check(
    "bernoulli_score",
    "без цикли и без промяна на аргументите",
    points=2,
    hint="Една формула за всички z; torch сам добавя оста K към логитите.",
)
def score_vectorised(student, generator):
    few = bits(generator, 3, 2, 4), normal(generator, 2, 4)
    many = bits(generator, 30, 30, 4), normal(generator, 30, 4)
    expect_vectorised(student, "bernoulli_score", true_score, few, many, "K и N")


hidden.mistakes(
    "bernoulli_score",
    ("обратен знак", "z - torch.sigmoid(logits)", "torch.sigmoid(logits) - z"),
    ("логити вместо вероятности", "torch.sigmoid(logits)", "logits"),
    ("само за z = 1", "z - torch.sigmoid(logits)", "z * (1 - torch.sigmoid(logits))"),
    (
        "производна по вероятността",
        "z - torch.sigmoid(logits)",
        "(z - torch.sigmoid(logits)) / (torch.sigmoid(logits) * torch.sigmoid(-logits))",
    ),
    ("log q вместо производната", "torch.sigmoid(logits)", "torch.log1p(logits.exp())"),
    ("променя аргумента", "z - torch.sigmoid(logits)", "z.sub_(torch.sigmoid(logits))"),
)


@hidden.alternative("bernoulli_score", "по случаи")
def score_by_cases(z, logits):
    return torch.where(z > 0.5, torch.sigmoid(-logits), -torch.sigmoid(logits))


@hidden.alternative("bernoulli_score", "чрез autograd")
def score_by_autograd(z, logits):
    leaf = logits.detach().expand(z.shape).clone().requires_grad_()
    return torch.autograd.grad((z * leaf - F.softplus(leaf)).sum(), leaf)[0]
