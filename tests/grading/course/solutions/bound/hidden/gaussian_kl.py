"""Exercise 1: the divergence between Gaussian distributions."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def true_kl(mu, logvar):
    """By torch.distributions, in double precision: independent of the reference answer."""
    q = Normal(mu.double(), (0.5 * logvar.double()).exp())
    return kl_divergence(q, Normal(0.0, 1.0)).sum(-1).to(mu.dtype)


@hidden.check(
    "gaussian_kl",
    "случайни параметри, в единична и двойна точност, и пакет от един обект",
    points=6,
    hint="Сравнете на лист с формулата за две координати с различни дисперсии.",
)
def kl_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 3, {}), (40, 7, DOUBLE), (9, 1, {})):
        mu, logvar = normal(generator, n, d, **options), normal(generator, n, d, **options)
        expect_close(student.gaussian_kl(mu, logvar), true_kl(mu, logvar), "")
    transposed = normal(generator, 6, 4).T
    expect_close(student.gaussian_kl(transposed, transposed * 0.5), true_kl(transposed, transposed * 0.5), "")


@hidden.check(
    "gaussian_kl",
    "градиентите по mu и logvar",
    points=4,
    hint="Производната по mu е mu, а по logvar е (exp(logvar) − 1)/2. Пресмятате ли само с тензори?",
)
def kl_gradients(student, generator):
    mu, logvar = normal(generator, 5, 3).requires_grad_(), normal(generator, 5, 3).requires_grad_()
    expected = [mu.detach(), 0.5 * (logvar.detach().exp() - 1)]
    expect_gradients(student.trace("gaussian_kl", mu, logvar), expected, "")


@hidden.check(
    "gaussian_kl",
    "много малка и много голяма дисперсия",
    points=4,
    hint="logvar може да е −60 или 60. Не смятайте логаритъм от експонента и не прибавяйте малки числа.",
)
def kl_extremes(student, generator):
    logvar = torch.tensor([[-60.0], [-30.0], [0.0], [30.0], [60.0]])
    mu = normal(generator, 5, 1)
    expect_close(student.gaussian_kl(mu, logvar), true_kl(mu, logvar), "", rtol=1e-4)


@hidden.check(
    "gaussian_kl",
    "без цикли и без промяна на аргументите",
    points=4,
    hint="Една формула за всички обекти и координати; операциите, които завършват на _, променят аргумента.",
)
def kl_vectorised(student, generator):
    outcome = student.trace("gaussian_kl", normal(generator, 4, 3), normal(generator, 4, 3))
    expect_tensor(outcome.value, (4,))
    expect_unchanged(outcome)
    small, large = torch.ones(2, 2), torch.ones(50, 40)
    expect_no_loop(student, "gaussian_kl", (small, small), (large, large), "пакета")
    expect_close(student.gaussian_kl(large, large), true_kl(large, large), "")


hidden.mistakes(
    "gaussian_kl",
    ("няма ½", "0.5 * (logvar.exp()", "(logvar.exp()"),
    ("сменен знак", "return 0.5", "return -0.5"),
    (
        "logvar е стандартно отклонение",
        "logvar.exp() + mu**2 - 1 - logvar",
        "logvar**2 + mu**2 - 1 - 2 * logvar.abs().log()",
    ),
    ("logvar е log σ", "logvar.exp() + mu**2 - 1 - logvar", "(2 * logvar).exp() + mu**2 - 1 - 2 * logvar"),
    ("mean вместо sum", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("грешна ос", ".sum(dim=-1)", ".sum(dim=0)"),
    ("сума по всичко", ".sum(dim=-1)", ".sum()"),
    ("mu без квадрат", "mu**2", "mu.abs()"),
    ("логаритъм от експонента", "- logvar)", "- (logvar.exp() + 1e-8).log())"),
    ("прекъснат градиент", "logvar.exp()", "logvar.detach().exp()"),
    ("променя аргумента", "logvar.exp() + mu**2", "logvar.exp() + mu.pow_(2)"),
)


@hidden.alternative("gaussian_kl", "чрез torch.distributions")
def kl_by_distributions(mu, logvar):
    q = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    return kl_divergence(q, Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1))


@hidden.alternative("gaussian_kl", "чрез експонента и einsum")
def kl_by_einsum(mu, logvar):
    ones = torch.ones(mu.shape[-1], dtype=mu.dtype)
    return torch.einsum("nd,d->n", (torch.expm1(logvar) - logvar + mu.square()) / 2, ones)
