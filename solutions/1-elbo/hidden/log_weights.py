"""Exercise 5: logarithms of importance weights."""

import math

import torch
from torch.distributions import Bernoulli, Independent, Normal

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE, bits, normal

from .bernoulli_log_likelihood import true_log_likelihood
from .common import hidden
from .elbo import problem


def true_log_weights(x, z, mu, logvar, decoder):
    """By torch.distributions, in double precision."""
    z, mu, logvar = z.double(), mu.double(), logvar.double()
    logits = decoder.double()(z)
    q, p = Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)
    return true_log_likelihood(x, logits) + (p.log_prob(z) - q.log_prob(z)).sum(-1)


def weighted(generator, count, n, **options):
    """x, z, mu, logvar for n data points with count draws from q each, and a linear decoder."""
    *_, decoder = problem(generator, **options)
    mu, logvar = normal(generator, n, 2, **options), normal(generator, n, 2, **options)
    z = mu + (logvar / 2).exp() * normal(generator, count, n, 2, **options)
    return bits(generator, n, 5, **options), z, mu, logvar, decoder


@hidden.check(
    "log_weights",
    "случайни q, z и декодер, в единична и двойна точност, и една реализация за един обект",
    points=2,
    hint="Сметнете трите логаритъма поотделно с torch.distributions и сравнете кой се различава.",
)
def weights_on_fresh_inputs(student, generator):
    for count, n, options in ((1, 1, {}), (6, 4, DOUBLE), (3, 20, {})):
        problem = weighted(generator, count, n, **options)
        value = student.log_weights(*problem)
        expect_close(value, true_log_weights(*problem).to(problem[0].dtype).detach(), "")


@hidden.check(
    "log_weights",
    "градиентите по z, mu и logvar",
    points=1,
    hint="Нищо от пресмятането не минава през .detach(), .item() или torch.no_grad().",
)
def weights_gradients(student, generator):
    x, z, mu, logvar, decoder = weighted(generator, 4, 3, **DOUBLE)
    leaves = [t.requires_grad_() for t in (z, mu, logvar)]
    expected = torch.autograd.grad(true_log_weights(x, *leaves, decoder).sum(), leaves)
    expect_gradients(student.trace("log_weights", x, *leaves, decoder), list(expected), "")


@hidden.check(
    "log_weights",
    "тясно и широко q, далечно z, без цикли и без промяна на аргументите",
    points=1,
    hint="Не смятайте плътностите, за да ги логаритмувате: exp(−z²/2) е нула още при z = 15.",
)
def weights_edges(student, generator):
    *_, decoder = problem(generator)
    x = bits(generator, 2, 5)
    mu, logvar = torch.zeros(2, 2), torch.tensor([[-40.0, 0.0], [30.0, 0.0]])
    z = torch.tensor([[[1e-9, 20.0], [1e5, 0.0]], [[0.0, -30.0], [-2e6, 1.0]]])
    outcome = student.trace("log_weights", x, z, mu, logvar, decoder)
    expected = true_log_weights(x, z, mu, logvar, decoder).float().detach()
    expect_close(outcome.value, expected, "", rtol=1e-4, atol=1e-2)
    expect_unchanged(outcome)
    small, large = (weighted(generator, count, 3 * count) for count in (2, 20))
    expect_no_loop(student, "log_weights", small, large, "K и N")


hidden.mistakes(
    "log_weights",
    ("знакът на логаритъма", "+ log_ratio", "- log_ratio"),
    ("няма log p(z)", " - z**2", ""),
    ("няма log q(z|x)", "squared_distance + logvar - z**2", "-(z**2)"),
    ("q без нормировка", "squared_distance + logvar", "squared_distance"),
    ("logvar е log σ", "torch.exp(-logvar)", "torch.exp(-2 * logvar)"),
    ("умножава с дисперсията", "torch.exp(-logvar)", "torch.exp(logvar)"),
    ("няма ½", "0.5 * (", "("),
    ("средно по координатите", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("сума по грешна ос", ".sum(dim=-1)", ".sum(dim=0)"),
    ("прекъснат градиент", "(z - mu)", "(z - mu.detach())"),
    (
        "логаритъм от плътност",
        "+ log_ratio",
        "+ log_ratio + 0.5 * z**2 @ z.new_ones(z.shape[-1]) + torch.exp(-0.5 * (z**2).sum(-1)).log()",
    ),
)


@hidden.alternative("log_weights", "чрез torch.distributions")
def weights_by_distributions(x, z, mu, logvar, decoder):
    q = Independent(Normal(mu, (logvar / 2).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    return Independent(Bernoulli(logits=decoder(z)), 1).log_prob(x) + p.log_prob(z) - q.log_prob(z)


@hidden.alternative("log_weights", "по формули, с константите")
def weights_by_formulas(x, z, mu, logvar, decoder):
    def log_normal(z, mean, logvar):
        return -0.5 * (math.log(2 * math.pi) + logvar + ((z - mean) / torch.exp(logvar / 2)).square()).sum(-1)

    log_likelihood = bernoulli_log_likelihood(x, decoder(z))  # noqa: F821
    return log_likelihood + log_normal(z, 0.0, torch.zeros_like(logvar)) - log_normal(z, mu, logvar)
