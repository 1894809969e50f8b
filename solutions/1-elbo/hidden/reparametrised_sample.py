"""Exercise 3: the reparametrised sample."""

import torch
from torch.distributions import Normal

from gmtools.grading import (
    expect,
    expect_gradients,
    expect_mean,
    expect_no_loop,
    expect_tensor,
    expect_unchanged,
)
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


@hidden.check(
    "reparametrised_sample",
    "разпределението е нормално, с независими координати, в единична и двойна точност",
    points=2,
    hint="ε ~ N(0, I): torch.randn, а не torch.rand. Всяко от K·N·Dz числа е отделно.",
)
def sample_distribution(student, generator):
    for count, n, options in ((3000, 1, {}), (1, 3000, DOUBLE)):
        mu, logvar = normal(generator, 1, 2, **options), normal(generator, 1, 2, **options)
        z = student.reparametrised_sample(mu.expand(n, 2), logvar.expand(n, 2), count)
        eps = (expect_tensor(z, (count, n, 2), mu.dtype) - mu) / (logvar / 2).exp()
        eps = eps.reshape(-1, 2)
        for statistic, expected in ((eps, 0.0), (eps**2, 1.0), (eps**4, 3.0), (eps.prod(-1), 0.0)):
            expect_mean(statistic, expected, "")


@hidden.check(
    "reparametrised_sample",
    "градиентите по mu и logvar, пресметнати от самата извадка",
    points=1,
    hint="∂z/∂mu = 1, а ∂z/∂logvar = (z − mu)/2.",
)
def sample_gradients(student, generator):
    mu, logvar = normal(generator, 5, 3).requires_grad_(), normal(generator, 5, 3).requires_grad_()
    outcome = student.trace("reparametrised_sample", mu, logvar, 4)
    z = expect_tensor(outcome.value, (4, 5, 3))
    expect_gradients(outcome, [torch.full((5, 3), 4.0), (z - mu).detach().sum(0) / 2], "")


@hidden.check(
    "reparametrised_sample",
    "един обект, тясно и широко q, без цикли и без промяна на аргументите; всяко извикване е нова извадка",
    points=1,
    hint="Шумът се тегли наведнъж с форма (K, N, Dz), при всяко извикване наново и без torch.manual_seed.",
)
def sample_edges(student, generator):
    mu, logvar = normal(generator, 1, 3), torch.tensor([[-80.0, 0.0, 40.0]])
    outcome = student.trace("reparametrised_sample", mu, logvar, 1)
    z = expect_tensor(outcome.value, (1, 1, 3))
    expect_unchanged(outcome)
    expect(bool((z[0] - mu)[0, 0].abs() < 1e-5 and (z[0] - mu)[0, 2].abs() > 1), "")
    again = expect_tensor(student.trace("reparametrised_sample", mu, logvar, 1, seed=1).value, (1, 1, 3))
    expect(not torch.equal(z[..., 1:], again[..., 1:]), "")
    small, large = (torch.ones(2, 2), torch.ones(2, 2), 2), (torch.ones(30, 9), torch.ones(30, 9), 40)
    expect_no_loop(student, "reparametrised_sample", small, large, "K и N")


STD, NOISE = "torch.exp(0.5 * logvar)", "torch.randn(K, *mu.shape,"
hidden.mistakes(
    "reparametrised_sample",
    ("дисперсия вместо отклонение", STD, "torch.exp(logvar)"),
    ("logvar вместо отклонение", STD, "logvar"),
    ("прекъснат градиент", "return mu +", "return mu.detach() +"),
    ("прекъснат градиент по logvar", STD, STD + ".detach()"),
    ("равномерен шум", "torch.randn(", "torch.rand("),
    ("центриран равномерен шум", "* eps", "* (2 * torch.rand_like(eps) - 1) * 3**0.5"),
    ("един шум за всички обекти", NOISE, "torch.randn(K, 1, mu.shape[-1],"),
    ("един шум за всички координати", NOISE, "torch.randn(K, len(mu), 1,"),
    ("един шум за всички K", "* eps", "* eps[:1].expand(K, -1, -1)"),
    ("без шум", "* eps", "* 0 * eps"),
    ("извадката е втора ос", STD + " * eps", "(" + STD + " * eps).transpose(0, 1)"),
    ("фиксирано семе", "eps = torch", "torch.manual_seed(0)\n    eps = torch"),
    ("променя аргумента", STD, "logvar.mul_(0.5).exp()"),
)


@hidden.alternative("reparametrised_sample", "чрез rsample")
def sample_by_rsample(mu, logvar, K):
    return Normal(mu, (logvar / 2).exp()).rsample((K,))


@hidden.alternative("reparametrised_sample", "чрез addcmul и разширени аргументи")
def sample_by_addcmul(mu, logvar, K):
    mu, std = mu.expand(K, *mu.shape), logvar.div(2).exp().expand(K, *mu.shape)
    return torch.addcmul(mu, std, torch.randn_like(std))
