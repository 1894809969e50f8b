"""Exercise 3: the pathwise estimator."""

import torch
from torch.distributions import Normal

from gmtools.grading import expect_close, expect_mean, expect_no_loop, expect_tensors, expect_unchanged
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def sine(z):
    return torch.sin(z).sum(-1)


@hidden.check(
    "pathwise_gradient",
    "средни стойности за нелинейна функция, за K = 1 и K = 5, в единична и двойна точност",
    points=2,
    hint="За f = sin очакването е sin(mu)·exp(−sigma²/2): диференцирайте го по двата параметъра и сравнете.",
)
def path_expectation(student, generator):
    for count, n, options in ((1, 4000, {}), (5, 1500, DOUBLE)):
        mu, log_sigma = normal(generator, 2, **options), 0.3 * normal(generator, 2, **options)
        found = student.pathwise_gradient(sine, mu.expand(n, 2), log_sigma.expand(n, 2), count)
        by_mu, by_log_sigma = expect_tensors(found, (n, 2), (n, 2), dtype=mu.dtype)
        damping = (-(2 * log_sigma).exp() / 2).exp()
        for column in range(2):
            expect_mean(by_mu[:, column], (mu.cos() * damping)[column].item(), "")
            wanted = -(2 * log_sigma).exp() * mu.sin() * damping
            expect_mean(by_log_sigma[:, column], wanted[column].item(), "")


@hidden.check(
    "pathwise_gradient",
    "функцията може да смесва координатите",
    points=2,
    hint="Диференцирайте f(mu + exp(log_sigma)·ε) с torch.autograd.grad, а не координата по координата.",
)
def path_mixes_coordinates(student, generator):
    mu, log_sigma = normal(generator, 3), 0.2 * normal(generator, 3)
    n = 4000
    found = student.pathwise_gradient(lambda z: z.prod(-1), mu.expand(n, 3), log_sigma.expand(n, 3), 1)
    by_mu = expect_tensors(found, (n, 3), (n, 3))[0]
    for column in range(3):
        expect_mean(by_mu[:, column], (mu.prod() / mu[column]).item(), "")


@hidden.check(
    "pathwise_gradient",
    "един обект, тясно разпределение, без цикъл по K и без промяна на аргументите",
    points=2,
    hint="f се вика веднъж за цялата извадка (K, N, D). Резултатът е двойка тензори и при N = K = 1.",
)
def path_edges(student, generator):
    mu, log_sigma = normal(generator, 1, 2), torch.full((1, 2), -30.0)
    outcome = student.trace("pathwise_gradient", sine, mu, log_sigma, 1)
    by_mu, by_log_sigma = expect_tensors(outcome.value, (1, 2), (1, 2))
    expect_unchanged(outcome)
    expect_close(by_mu, mu.cos(), "")
    expect_close(by_log_sigma, torch.zeros(1, 2), "")
    small, large = ((sine, *normal(generator, 2, k, 2), k) for k in (2, 30))
    expect_no_loop(student, "pathwise_gradient", small, large, "K")


SIGMA, NOISE = "torch.exp(log_sigma)", "torch.randn(K, *mu.shape, dtype=mu.dtype)"
hidden.mistakes(
    "pathwise_gradient",
    ("сума вместо средно", ".mean(dim=0)", ".sum(dim=0)"),
    ("log_sigma е log sigma²", SIGMA, "torch.exp(log_sigma / 2)"),
    ("log_sigma вместо sigma", SIGMA, "log_sigma"),
    ("равномерен шум", "torch.randn(", "torch.rand("),
    ("без шум", "* eps", "* 0 * eps"),
    ("един шум за всички обекти", NOISE, "torch.randn(K, 1, mu.shape[-1], dtype=mu.dtype)"),
    ("един шум за всички K", "* eps", "* eps[:1].expand(K, -1, -1)"),
    ("производна по sigma", "(mu, log_sigma))", "(mu, log_sigma))[0], eps.mean(0)"),
    ("разменени", "(mu, log_sigma))", "(log_sigma, mu))"),
    ("средно по обектите", ".mean(dim=0).sum()", ".mean()"),
)


@hidden.alternative("pathwise_gradient", "с правилото на веригата на ръка")
def path_by_hand(f, mu, log_sigma, K):
    sigma = log_sigma.exp()
    eps = torch.randn((K, *mu.shape), dtype=mu.dtype)
    z = (mu + sigma * eps).detach().requires_grad_()
    slope = torch.autograd.grad(f(z).sum(), z)[0]
    return slope.mean(0), (slope * sigma * eps).mean(0)


@hidden.alternative("pathwise_gradient", "чрез rsample и backward")
def path_by_rsample(f, mu, log_sigma, K):
    mu, log_sigma = mu.detach().clone().requires_grad_(), log_sigma.detach().clone().requires_grad_()
    (f(Normal(mu, log_sigma.exp()).rsample((K,))).sum() / K).backward()
    return mu.grad, log_sigma.grad
