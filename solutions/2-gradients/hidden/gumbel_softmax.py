"""Exercise 7: Gumbel-softmax."""

import math

import torch
import torch.nn.functional as F
from torch.distributions import Gumbel, RelaxedOneHotCategorical

from gmtools.grading import expect, expect_close, expect_mean, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


@hidden.check(
    "gumbel_softmax",
    "разпределението при две категории, в единична и двойна точност",
    points=2,
    hint="При C = 2 разликата на два шума на Гумбел е логистична: log(z₁/z₂) има средно (ℓ₁ − ℓ₂)/τ и "
    "дисперсия π²/(3τ²).",
)
def relaxed_distribution(student, generator):
    for count, n, options in ((1, 4000, {}), (4000, 1, DOUBLE)):
        logits = normal(generator, 1, 2, **options)
        z = student.gumbel_softmax(logits.expand(n, 2), 2.0, count)
        z = expect_tensor(z, (count, n, 2), logits.dtype).double().reshape(-1, 2)
        centred = 2.0 * z.log().diff(dim=-1)[:, 0] - logits.double().diff(dim=-1).item()
        expect_mean(centred, 0.0, "")
        expect_mean(centred**2, math.pi**2 / 3, "")


@hidden.check(
    "gumbel_softmax",
    "градиентът минава по пътя: при същия шум логитите местят точката",
    points=2,
    hint="log z се мести точно с промяната на логитите, делена на τ. Без .sample(), argmax и .detach().",
)
def relaxed_path(student, generator):
    logits, step = normal(generator, 5, 3), normal(generator, 5, 3)
    outcome = student.trace("gumbel_softmax", logits.clone().requires_grad_(), 1.5, 4, seed=7)
    expect(outcome.gradients is not None and outcome.gradients[0] is not None, "Прекъснат градиент.")
    here = expect_tensor(outcome.value, (4, 5, 3)).log()
    there = expect_tensor(
        student.trace("gumbel_softmax", logits + step, 1.5, 4, seed=7).value, (4, 5, 3)
    ).log()
    expect_close((there - here).diff(dim=-1), (step / 1.5).diff(dim=-1).expand(4, 5, 2), "", atol=1e-3)


@hidden.check(
    "gumbel_softmax",
    "големи логити, ниска температура, един обект, без цикли и без промяна на аргументите",
    points=2,
    hint="Експонента от ℓ/τ прелива: използвайте softmax. Шумът не бива да е безкраен: u = 0 е възможно.",
)
def relaxed_edges(student, generator):
    logits = torch.tensor([[200.0, -200.0, 199.0]])
    outcome = student.trace("gumbel_softmax", logits, 0.05, 2000)
    value = expect_tensor(outcome.value, (2000, 1, 3))
    expect_unchanged(outcome)
    expect_mean((value[:, 0].argmax(-1) == 0).double(), 1 / (1 + math.exp(-1.0)), "")
    many = expect_tensor(student.gumbel_softmax(torch.zeros(1000, 1000), 1.0, 2), (2, 1000, 1000))
    expect_mean(many[..., 0].double(), 1e-3, "")
    small, large = ((normal(generator, k, 3), 0.5, k) for k in (2, 30))
    expect_no_loop(student, "gumbel_softmax", small, large, "K и N")


GUMBEL = "logits - exponential.log()"
hidden.mistakes(
    "gumbel_softmax",
    ("обратен знак на шума", GUMBEL, "logits + exponential.log()"),
    ("без шум", GUMBEL, "logits - 0 * exponential"),
    ("нормален шум", "exponential.log()", "torch.randn_like(exponential)"),
    ("умножава по температурата", "/ temperature", "* temperature"),
    ("температура само за логитите", f"({GUMBEL}) / temperature", "logits / temperature - exponential.log()"),
    ("softmax по грешна ос", "dim=-1", "dim=1"),
    (
        "сигмоида вместо softmax",
        f"torch.softmax(({GUMBEL}) / temperature, dim=-1)",
        f"torch.sigmoid(({GUMBEL}) / temperature)",
    ),
    ("прекъснат градиент", f"({GUMBEL})", "(logits.detach() - exponential.log())"),
    ("един шум за всички обекти", "(K, *logits.shape,", "(K, 1, logits.shape[-1],"),
    ("твърда извадка", "/ temperature", "/ 1e-6"),
)


@hidden.alternative("gumbel_softmax", "чрез Gumbel")
def relaxed_by_gumbel(logits, temperature, K):
    noise = Gumbel(torch.zeros_like(logits), torch.ones_like(logits)).sample((K,))
    return F.softmax((logits + noise) / temperature, -1)


@hidden.alternative("gumbel_softmax", "чрез RelaxedOneHotCategorical")
def relaxed_by_distribution(logits, temperature, K):
    return RelaxedOneHotCategorical(torch.tensor(temperature), logits=logits).rsample((K,))


@hidden.alternative("gumbel_softmax", "чрез F.gumbel_softmax")
def relaxed_by_functional(logits, temperature, K):
    return F.gumbel_softmax(logits.expand(K, *logits.shape), tau=temperature)
