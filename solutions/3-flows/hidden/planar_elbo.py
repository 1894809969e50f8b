"""Exercise 8: the flow as a posterior."""

import math

import torch
from torch import nn
from torch.distributions import Normal
from torch.func import vmap

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal, random_linear

from .common import hidden, log_det, log_normal
from .coupling import random_net
from .planar_constraint import true_constraint


def true_elbo(x, z, w, u, b, decoder, sigma):
    """With the log-determinant of all layers by automatic differentiation."""
    u = true_constraint(w, u)

    def whole(point):
        for w_l, u_l, b_l in zip(w, u, b, strict=True):
            point = point + u_l * torch.tanh((w_l * point).sum() + b_l)
        return point

    moved = vmap(whole)(z)
    log_p = log_normal(moved) + Normal(decoder(moved), sigma).log_prob(x).sum(-1)
    return (log_p - log_normal(z) + log_det(whole, z)).mean()


def elbo_problem(generator, count, d, layers, sigma, **options):
    w, u, b = (normal(generator, *shape, **options) for shape in ((layers, d), (layers, d), (layers,)))
    first, last = random_net(generator, 2 * d, **options)[:2], random_linear(generator, 8, 3, **options)
    decoder = nn.Sequential(*first, *last)
    x, z = normal(generator, 3, **options), normal(generator, count, d, **options)
    return x, z, w, u, b, decoder, sigma


@hidden.check(
    "planar_elbo",
    "случайни модели и потоци, една реализация, един слой, двойна точност",
    points=1,
    hint="Сметнете четирите логаритъма поотделно: N(z₀), ladj, N(z_L) и p(x|z_L).",
)
def planar_elbo_on_fresh_inputs(student, generator):
    for count, d, layers, sigma, options in (
        (1, 2, 1, 0.5, {}),
        (20, 3, 4, 2.0, DOUBLE),
        (9, 2, 3, 0.3, DOUBLE),
    ):
        problem = elbo_problem(generator, count, d, layers, sigma, **options)
        expect_close(student.planar_elbo(*problem), true_elbo(*problem).detach(), "", rtol=1e-4)


@hidden.check(
    "planar_elbo",
    "градиентите по w, u и b: през реализациите и през ladj",
    points=1,
    hint="Обучават се w, u и b: градиентът минава през ограничението, през x на всеки слой и през ladj.",
)
def planar_elbo_gradients(student, generator):
    x, z, *parameters, decoder, sigma = elbo_problem(generator, 6, 2, 3, 0.7, **DOUBLE)
    leaves = [p.requires_grad_() for p in parameters]
    expected = torch.autograd.grad(true_elbo(x, z, *leaves, decoder, sigma), leaves)
    outcome = student.trace("planar_elbo", x, z, *leaves, decoder, sigma)
    expect_gradients(outcome, list(expected), "", rtol=1e-4, atol=1e-6)


@hidden.check(
    "planar_elbo",
    "много малко σ и далечно x",
    points=1,
    hint="Логаритъмът на p(x|z) се смята направо; самата плътност се закръглява до нула.",
)
def planar_elbo_extremes(student, generator):
    x, z, w, u, b, decoder, _ = elbo_problem(generator, 5, 2, 2, 1.0, **DOUBLE)
    far = (100 + x, z, 5 * w, 5 * u, b, decoder, 1e-2)
    expect_close(student.planar_elbo(*far), true_elbo(*far).detach(), "", rtol=1e-5)


@hidden.check(
    "planar_elbo",
    "без цикъл по реализациите и без промяна на аргументите",
    points=1,
    hint="Цикълът е само по слоевете; u не се презаписва на място.",
)
def planar_elbo_vectorised(student, generator):
    x, z, *rest = elbo_problem(generator, 3, 2, 2, 1.0)
    small, large = (x, z, *rest), (x, normal(generator, 50, 2), *rest)
    expect_vectorised(student, "planar_elbo", true_elbo, small, large, "K", rtol=1e-4)


hidden.mistakes(
    "planar_elbo",
    ("без ограничението", "planar_constraint(w, u)", "u"),
    ("знакът на ladj", "log_q - ladj", "log_q + ladj"),
    ("без ladj", "log_q - ladj", "log_q - 0 * ladj"),
    ("без априорното", "log_p = Normal(0.0, 1.0).log_prob(z).sum(dim=-1) + Normal", "log_p = Normal"),
    ("без правдоподобието", " + Normal(decoder(z), sigma).log_prob(x).sum(dim=-1)", ""),
    ("дисперсия вместо отклонение", "decoder(z), sigma", "decoder(z), sigma**0.5"),
    ("сума вместо средно", ".mean()", ".sum()"),
    ("не е скалар", ".mean()", ""),
    ("загуба вместо граница", "(log_p - log_q)", "(log_q - log_p)"),
    ("само последният слой", "z, ladj = planar(z, w_l, u_l, b_l)", "z, ladj = planar(z, w[-1], u_l, b_l)"),
    ("декодира началното z", "Normal(decoder(z), sigma)", "Normal(decoder(z.detach()), sigma)"),
    (
        "логаритъм от плътност",
        "log_p = Normal(0.0, 1.0)",
        "log_p = 0 * Normal(decoder(z), sigma).log_prob(x).sum(dim=-1).exp().log() + Normal(0.0, 1.0)",
    ),
    ("средно по пикселите на x", ".log_prob(x).sum(dim=-1)", ".log_prob(x).mean(dim=-1)"),
)


@hidden.alternative("planar_elbo", "чрез torch.distributions, членовете поотделно")
def planar_elbo_by_distributions(x, z, w, u, b, decoder, sigma):
    base = torch.distributions.Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
    entropy, moved = -base.log_prob(z).mean(), z
    for k in range(len(b)):
        moved, ladj = planar(moved, w[k], planar_constraint(w[k], u[k]), b[k])  # noqa: F821
        entropy = entropy + ladj.mean()
    likelihood = torch.distributions.Independent(Normal(decoder(moved), sigma), 1)
    return base.log_prob(moved).mean() + likelihood.log_prob(x).mean() + entropy


@hidden.alternative("planar_elbo", "по формули: константите на двете нормални плътности се съкращават")
def planar_elbo_by_formulas(x, z, w, u, b, decoder, sigma):
    start, total = z, 0
    for w_k, u_k, b_k in zip(w, u, b, strict=True):
        z, ladj = planar(z, w_k, planar_constraint(w_k, u_k), b_k)  # noqa: F821
        total = total + ladj
    log_ratio = 0.5 * (start**2 - z**2).sum(1) + total
    residual = (x - decoder(z)) / sigma
    log_x = -0.5 * (residual**2).sum(1) - x.shape[0] * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
    return torch.mean(log_ratio + log_x)
