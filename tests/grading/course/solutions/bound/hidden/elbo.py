"""Exercise 3: the ELBO by Monte Carlo."""

import numpy as np
import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from gmtools.grading import expect, expect_mean, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, bits, normal, random_linear

from .common import hidden
from .gaussian_kl import true_kl

NODES, WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.hermite_e.hermegauss(64))
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def true_elbo(x, mu, logvar, decoder):
    """Exact ELBO of one data point under a linear decoder: each logit is Gaussian, so 1-D quadrature
    suffices."""
    weight, bias = decoder[0].weight.detach().double(), decoder[0].bias.detach().double()
    mu, logvar = mu.double(), logvar.double()
    mean, std = weight @ mu + bias, (weight**2 @ logvar.exp()).sqrt()
    logits = mean[:, None] + std[:, None] * NODES
    expected = ((x.double()[:, None] * logits - F.softplus(logits)) @ WEIGHTS).sum()
    return expected - true_kl(mu[None], logvar[None])[0]


def problem(generator, d_z=2, d_x=5, **options):
    """One data point, its q, and a linear decoder."""
    decoder = random_linear(generator, d_z, d_x, **options)
    q = normal(generator, d_z, **options), normal(generator, d_z, **options)
    return bits(generator, d_x, **options), *q, decoder


def copies(n, *rows):
    return [row.expand(n, -1) for row in rows]


@hidden.check(
    "elbo",
    "средна стойност при случайни q и декодер, за K = 1 и K = 7, в единична и двойна точност",
    points=7,
    hint="Средното не зависи от K: усреднява се log p(x|z), а не p(x|z), и не се сумира.",
)
def elbo_expectation(student, generator):
    for count, n, options in ((1, 3000, {}), (7, 1500, DOUBLE)):
        x, mu, logvar, decoder = problem(generator, **options)
        values = expect_tensor(student.elbo(*copies(n, x, mu, logvar), decoder, count), (n,), x.dtype)
        expect_mean(values, true_elbo(x, mu, logvar, decoder).item(), "")


@hidden.check(
    "elbo",
    "градиентите по mu и logvar минават през извадката",
    points=7,
    hint="z = mu + exp(logvar/2)·ε трябва да остане свързано с mu и logvar: rsample, не sample.",
)
def elbo_gradients(student, generator):
    n = 3000
    x, mu, logvar, decoder = problem(generator)
    parameters = [t.double().requires_grad_() for t in (mu, logvar)]
    expected = torch.autograd.grad(true_elbo(x, *parameters, decoder), parameters)
    leaves = [t.expand(n, -1).clone().requires_grad_() for t in (mu, logvar)]
    outcome = student.trace("elbo", x.expand(n, -1), *leaves, decoder, 2)
    expect(outcome.gradients is not None and None not in outcome.gradients, "Прекъснат градиент.")
    for found, wanted in zip(outcome.gradients, expected, strict=True):
        expect_tensor(found, (n, 2))
        for column in range(2):
            expect_mean(found[:, column], wanted[column].item(), "")


@hidden.check(
    "elbo",
    "шумът намалява с K: реализациите са независими",
    points=5,
    hint="За всеки обект са нужни K различни ε: формата на шума е (K, N, Dz).",
)
def elbo_noise(student, generator):
    n = 2000
    x, mu, logvar, decoder = problem(generator)
    few, many = (student.elbo(*copies(n, x, mu, logvar), decoder, count) for count in (1, 16))
    ratio = expect_tensor(few, (n,)).var() / expect_tensor(many, (n,)).var()
    expect(8 < ratio.item() < 32, "Дисперсията не намалява като 1/K.")
    neighbours = torch.corrcoef(torch.stack([few[0::2], few[1::2]]))[0, 1]
    expect(neighbours.abs().item() < 5 / np.sqrt(n / 2), "Шумът на различните обекти е общ.")


@hidden.check(
    "elbo",
    "един обект, тясно q, без цикли по K и без промяна на аргументите",
    points=5,
    hint="Декодерът приема (K, N, Dz) наведнъж. При K = 1 и N = 1 осите остават.",
)
def elbo_edges(student, generator):
    x, mu, logvar, decoder = problem(generator)
    outcome = student.trace("elbo", *copies(1, x, mu, logvar), decoder, 1)
    expect_tensor(outcome.value, (1,))
    expect_unchanged(outcome)
    narrow = torch.full_like(logvar, -30.0)
    values = expect_tensor(student.elbo(*copies(400, x, mu, narrow), decoder, 4), (400,))
    expect_mean(values, true_elbo(x, mu, narrow, decoder).item(), "")
    small, large = (copies(n, x, mu, logvar) for n in (2, 30))
    expect_no_loop(student, "elbo", (*small, decoder, 2), (*large, decoder, 25), "K")


STD, MEAN, NOISE = "torch.exp(0.5 * logvar)", ".mean(dim=0)", "eps = torch.randn(K, *mu.shape,"
hidden.mistakes(
    "elbo",
    ("прибавя KL", "- gaussian_kl(mu, logvar)", "+ gaussian_kl(mu, logvar)"),
    ("без KL", " - gaussian_kl(mu, logvar)", ""),
    ("дисперсия вместо отклонение", STD, "torch.exp(logvar)"),
    ("сума вместо средно по K", MEAN, ".sum(dim=0)"),
    ("средно по обектите", MEAN, ".mean(dim=1)"),
    ("скаларна загуба", MEAN, ".mean()"),
    ("IWAE вместо ELBO", MEAN, ".logsumexp(dim=0).sub(math.log(K))"),
    ("sample вместо rsample", "decoder(z)", "decoder(z.detach())"),
    ("един шум за всички обекти", NOISE, "eps = torch.randn(K, 1, mu.shape[-1],"),
    ("един шум за всички K", NOISE, "eps = torch.zeros(K, 1, 1) + torch.randn(*mu.shape,"),
    ("без шум", "* eps", "* 0 * eps"),
    ("равномерен шум", "torch.randn(K", "torch.rand(K"),
    ("отрицателна ELBO (загуба)", "return bernoulli", "return gaussian_kl(mu, logvar) - bernoulli"),
)


@hidden.alternative("elbo", "чрез torch.distributions")
def elbo_by_distributions(x, mu, logvar, decoder, K):
    q = Independent(Normal(mu, (logvar / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    likelihood = Independent(Bernoulli(logits=decoder(q.rsample((K,)))), 1)
    return likelihood.log_prob(x).mean(0) - kl_divergence(q, p)


@hidden.alternative("elbo", "изцяло по Монте Карло, без затворена KL")
def elbo_by_log_weights(x, mu, logvar, decoder, K):
    q = Normal(mu, torch.exp(logvar / 2))
    z = q.rsample((K,))
    log_prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_weights = bernoulli_log_likelihood(x, decoder(z)) + log_prior - q.log_prob(z).sum(-1)  # noqa: F821
    return log_weights.mean(dim=0)


@hidden.alternative("elbo", "на един ред по (K·N, D)")
def elbo_flattened(x, mu, logvar, decoder, K):
    n, d_z = mu.shape
    z = mu.repeat(K, 1) + logvar.repeat(K, 1).mul(0.5).exp() * torch.randn(K * n, d_z, dtype=mu.dtype)
    log_likelihood = bernoulli_log_likelihood(x.repeat(K, 1), decoder(z))  # noqa: F821
    return log_likelihood.view(K, n).mean(0) - gaussian_kl(mu, logvar)  # noqa: F821
