"""Exercise 2: the score-function estimator."""

import torch
from torch.distributions import Bernoulli

from gmtools.grading import expect_close, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, bits, normal

from .common import hidden


@hidden.check(
    "score_function_gradient",
    "случайни стойности и логити, в единична и двойна точност, и една реализация за един обект",
    points=2,
    hint="Средното е по първата ос. При K = 1 това е просто f(z)·(z − σ(ℓ)).",
)
def estimate_on_fresh_inputs(student, generator):
    for k, n, options in ((1, 1, {}), (7, 3, DOUBLE), (50, 4, {})):
        z, logits = bits(generator, k, n, 5, **options), normal(generator, n, 5, **options)
        values = 3 * normal(generator, k, n, **options)
        expected = torch.einsum("kn,knd->nd", values, z - logits.sigmoid()) / k
        expect_close(student.score_function_gradient(values, z, logits), expected, "")


@hidden.check(
    "score_function_gradient",
    "без цикли и без промяна на аргументите",
    points=2,
    hint="Умножение с разширяване и средно: нито една ос не се обхожда.",
)
def estimate_vectorised(student, generator):
    z, logits, values = bits(generator, 4, 2, 3), normal(generator, 2, 3), normal(generator, 4, 2)
    outcome = student.trace("score_function_gradient", values, z, logits)
    expect_tensor(outcome.value, (2, 3))
    expect_unchanged(outcome)
    small, large = (
        (normal(generator, k, k), bits(generator, k, k, 3), normal(generator, k, 3)) for k in (2, 30)
    )
    expect_no_loop(student, "score_function_gradient", small, large, "K и N")


VALUES = "values.unsqueeze(-1)"
hidden.mistakes(
    "score_function_gradient",
    ("сума вместо средно", ".mean(dim=0)", ".sum(dim=0)"),
    ("средно по обектите", ".mean(dim=0)", ".mean(dim=1)"),
    ("без стойностите", f"{VALUES} * ", ""),
    ("обратен знак", f"({VALUES}", f"(-{VALUES}"),
    ("средна стойност", VALUES, f"{VALUES}.mean(dim=0)"),
    ("стойностите на друг обект", VALUES, f"{VALUES}.roll(1, 1)"),
    ("с базова линия, която е отместена", VALUES, f"({VALUES} - {VALUES}.mean(0))"),
)


@hidden.alternative("score_function_gradient", "чрез einsum")
def estimate_by_einsum(values, z, logits):
    return torch.einsum("kn,knd->nd", values, bernoulli_score(z, logits)) / len(values)  # noqa: F821


@hidden.alternative("score_function_gradient", "чрез autograd")
def estimate_by_autograd(values, z, logits):
    leaf = logits.detach().clone().requires_grad_()
    log_q = Bernoulli(logits=leaf).log_prob(z).sum(-1)
    return torch.autograd.grad((values * log_q).mean(0).sum(), leaf)[0]
