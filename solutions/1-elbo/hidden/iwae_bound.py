"""Exercise 6: the IWAE bound."""

import numpy as np
import torch

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


@hidden.check(
    "iwae_bound",
    "случайни тегла, в единична и двойна точност, с различни K и N",
    points=1,
    hint="log(средното на exp(log_w) по първата ос): сума, разделена на K, а не на N.",
)
def bound_on_fresh_inputs(student, generator):
    for count, n, options in ((1, 1, {}), (7, 3, DOUBLE), (64, 20, {}), (2, 9, {})):
        log_w = 3 * normal(generator, count, n, **options)
        expected = log_w.double().exp().mean(0).log().to(log_w.dtype)
        expect_close(student.iwae_bound(log_w), expected, "")


@hidden.check(
    "iwae_bound",
    "много големи, много малки и нулеви тегла",
    points=2,
    hint="log w може да е −∞ (тегло нула) и ±2000. Прибавянето на ε под логаритъма променя отговора.",
)
def bound_extremes(student, generator):
    log_w = torch.tensor([[2000.0, -2000.0, 0.0, -50.0], [1999.0, -2001.0, -torch.inf, -50.0]])
    best = torch.tensor([2000.0, -2000.0, 0.0, -50.0])
    mean = torch.tensor([0.5 + 0.5 * np.exp(-1.0)] * 2 + [0.5, 1.0])
    expect_close(student.iwae_bound(log_w), (best + mean.log()).float(), "", atol=1e-3)


@hidden.check(
    "iwae_bound",
    "градиентът е нормираните тегла; без цикли и без промяна на аргумента",
    points=1,
    hint="Производната по log w_k е w_k / Σ w. Изнесеният максимум не бива да я променя.",
)
def bound_gradients(student, generator):
    log_w = 3 * normal(generator, 6, 4)
    outcome = student.trace("iwae_bound", log_w.clone().requires_grad_())
    expect_gradients(outcome, [log_w.softmax(0)], "")
    expect_unchanged(outcome)
    expect_no_loop(student, "iwae_bound", (log_w[:2, :2],), (normal(generator, 50, 40),), "K и N")


SUM = "torch.logsumexp(log_w, dim=0)"
hidden.mistakes(
    "iwae_bound",
    ("наивно", SUM, "log_w.exp().sum(dim=0).log()"),
    ("наивно, с ε", SUM, "(log_w.exp().sum(dim=0) + 1e-30).log()"),
    ("средно на логаритмите", SUM + " - math.log(len(log_w))", "log_w.mean(dim=0)"),
    ("най-доброто тегло", SUM + " - math.log(len(log_w))", "log_w.amax(dim=0)"),
    ("няма ln K", " - math.log(len(log_w))", ""),
    ("ln N вместо ln K", "len(log_w)", "log_w.shape[1]"),
    ("дели на K след логаритъма", "- math.log(len(log_w))", "/ len(log_w)"),
    ("по грешна ос", "dim=0", "dim=1"),
    ("едно число за всички", "dim=0)", "dim=(0, 1))"),
    ("прекъснат градиент", SUM, SUM.replace("log_w", "log_w.detach()") + " + 0 * log_w[0]"),
)


@hidden.alternative("iwae_bound", "с изнесен максимум")
def bound_by_maximum(log_w):
    largest = log_w.max(dim=0).values
    return largest + torch.log(torch.mean(torch.exp(log_w - largest), dim=0))


@hidden.alternative("iwae_bound", "логаритъмът на K влиза в теглата")
def bound_by_weights(log_w):
    return torch.logsumexp(log_w - torch.log(torch.tensor(float(log_w.shape[0]))), 0)
