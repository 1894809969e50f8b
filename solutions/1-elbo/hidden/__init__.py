"""What students of lab 1 never see: hidden checks, typical mistakes that must cost points, other right
answers.

The titles and hints below are shown in the report; inputs, expected values and verdicts are not.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from gmtools.data import digits
from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_no_loop,
    expect_tensor,
    expect_unchanged,
)
from gmtools.grading.lab import load_module

hidden = Hidden()
DOUBLE = {"dtype": torch.float64}


def normal(generator, *shape, **options):
    return torch.randn(*shape, generator=generator, **options)


def bits(generator, *shape, **options):
    return torch.randint(0, 2, shape, generator=generator).to(options.get("dtype", torch.float32))


# Exercise 1 ---------------------------------------------------------------


def true_kl(mu, logvar):
    """By torch.distributions, in double precision: independent of the reference answer."""
    q = Normal(mu.double(), (0.5 * logvar.double()).exp())
    return kl_divergence(q, Normal(0.0, 1.0)).sum(-1).to(mu.dtype)


@hidden.check(
    "gaussian_kl",
    "случайни параметри, в единична и двойна точност, и пакет от един обект",
    points=1,
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
    points=1,
    hint="Производната по mu е mu, а по logvar е (exp(logvar) − 1)/2. Пресмятате ли само с тензори?",
)
def kl_gradients(student, generator):
    mu, logvar = normal(generator, 5, 3).requires_grad_(), normal(generator, 5, 3).requires_grad_()
    expected = [mu.detach(), 0.5 * (logvar.detach().exp() - 1)]
    expect_gradients(student.trace("gaussian_kl", mu, logvar), expected, "")


@hidden.check(
    "gaussian_kl",
    "много малка и много голяма дисперсия",
    points=1,
    hint="logvar може да е −60 или 60. Не смятайте логаритъм от експонента и не прибавяйте малки числа.",
)
def kl_extremes(student, generator):
    logvar = torch.tensor([[-60.0], [-30.0], [0.0], [30.0], [60.0]])
    mu = normal(generator, 5, 1)
    expect_close(student.gaussian_kl(mu, logvar), true_kl(mu, logvar), "", rtol=1e-4)


@hidden.check(
    "gaussian_kl",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Една формула за всички обекти и координати; операциите, които завършват на _, променят аргумента.",
)
def kl_vectorised(student, generator):
    outcome = student.trace("gaussian_kl", normal(generator, 4, 3), normal(generator, 4, 3))
    expect_tensor(outcome.value, (4,))
    expect_unchanged(outcome)
    small, large = torch.ones(2, 2), torch.ones(50, 40)
    expect_no_loop(student, "gaussian_kl", (small, small), (large, large), "пакета")
    expect_close(student.gaussian_kl(large, large), true_kl(large, large), "")


hidden.mutant("gaussian_kl", "няма ½", "0.5 * (logvar.exp()", "(logvar.exp()")
hidden.mutant("gaussian_kl", "сменен знак", "return 0.5", "return -0.5")
hidden.mutant(
    "gaussian_kl",
    "logvar е стандартно отклонение",
    "logvar.exp() + mu**2 - 1 - logvar",
    "logvar**2 + mu**2 - 1 - 2 * logvar.abs().log()",
)
hidden.mutant(
    "gaussian_kl",
    "logvar е log σ",
    "logvar.exp() + mu**2 - 1 - logvar",
    "(2 * logvar).exp() + mu**2 - 1 - 2 * logvar",
)
hidden.mutant("gaussian_kl", "mean вместо sum", ".sum(dim=-1)", ".mean(dim=-1)")
hidden.mutant("gaussian_kl", "грешна ос", ".sum(dim=-1)", ".sum(dim=0)")
hidden.mutant("gaussian_kl", "сума по всичко", ".sum(dim=-1)", ".sum()")
hidden.mutant("gaussian_kl", "mu без квадрат", "mu**2", "mu.abs()")
hidden.mutant("gaussian_kl", "логаритъм от експонента", "- logvar)", "- (logvar.exp() + 1e-8).log())")
hidden.mutant("gaussian_kl", "прекъснат градиент", "logvar.exp()", "logvar.detach().exp()")
hidden.mutant("gaussian_kl", "променя аргумента", "logvar.exp() + mu**2", "logvar.exp() + mu.pow_(2)")


@hidden.alternative("gaussian_kl", "чрез torch.distributions")
def kl_by_distributions(mu, logvar):
    q = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    return kl_divergence(q, Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1))


@hidden.alternative("gaussian_kl", "чрез експонента и einsum")
def kl_by_einsum(mu, logvar):
    ones = torch.ones(mu.shape[-1], dtype=mu.dtype)
    return torch.einsum("nd,d->n", (torch.expm1(logvar) - logvar + mu.square()) / 2, ones)


# Exercise 2 ---------------------------------------------------------------


def true_log_likelihood(x, logits):
    """Through log-sigmoids, in double precision."""
    x, logits = x.double(), logits.double()
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(-1)


@hidden.check(
    "bernoulli_log_likelihood",
    "случайни логити, в единична и двойна точност, и пакет от един обект",
    points=1,
    hint="Сравнете с x·log σ(ℓ) + (1 − x)·log(1 − σ(ℓ)) за малки логити.",
)
def likelihood_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 4, {}), (30, 9, DOUBLE), (8, 1, {})):
        x, logits = bits(generator, n, d, **options), 2 * normal(generator, n, d, **options)
        expect_close(
            student.bernoulli_log_likelihood(x, logits), true_log_likelihood(x, logits).to(x.dtype), ""
        )


@hidden.check(
    "bernoulli_log_likelihood",
    "логити, при които вероятността е нула или единица",
    points=1,
    hint="При ℓ = 1000 и x = 0 стойността е −1000. Не отрязвайте вероятностите и не прибавяйте ε.",
)
def likelihood_extremes(student, generator):
    logits = torch.tensor([[1000.0], [1000.0], [-1000.0], [-1000.0], [25.0], [-25.0]])
    x = torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0]])
    expect_close(
        student.bernoulli_log_likelihood(x, logits), true_log_likelihood(x, logits).float(), "", rtol=1e-5
    )


@hidden.check(
    "bernoulli_log_likelihood",
    "градиентът по логитите, и при големи стойности",
    points=1,
    hint="Производната по логита е x − σ(ℓ). Отрязването с clamp я прави нула при големи логити.",
)
def likelihood_gradients(student, generator):
    x, logits = bits(generator, 6, 5), 2 * normal(generator, 6, 5)
    logits[0] = torch.tensor([200.0, -200.0, 90.0, -90.0, 40.0])
    outcome = student.trace("bernoulli_log_likelihood", x, logits.clone().requires_grad_())
    expect_gradients(outcome, [x - logits.sigmoid()], "")


@hidden.check(
    "bernoulli_log_likelihood",
    "K слоя логити, без цикли и без промяна на аргументите",
    points=1,
    hint="При логити (K, N, D) и x (N, D) резултатът е (K, N): сумирайте по последната ос, а не по dim=1.",
)
def likelihood_broadcasts(student, generator):
    x, logits = bits(generator, 4, 3), normal(generator, 5, 4, 3)
    outcome = student.trace("bernoulli_log_likelihood", x, logits)
    expect_close(outcome.value, true_log_likelihood(x, logits).float(), "")
    expect_unchanged(outcome)
    small, large = (x[:2], logits[:1, :2]), (bits(generator, 40, 30), normal(generator, 20, 40, 30))
    expect_no_loop(student, "bernoulli_log_likelihood", small, large, "пакета")


NAIVE = "(x * torch.sigmoid(logits).log() + (1 - x) * (1 - torch.sigmoid(logits)).log())"
CLAMPED = NAIVE.replace("torch.sigmoid(logits)", "torch.sigmoid(logits).clamp(1e-6, 1 - 1e-6)")
STABLE = "(x * logits - F.softplus(logits))"
hidden.mutant("bernoulli_log_likelihood", "наивна формула", STABLE, NAIVE)
hidden.mutant("bernoulli_log_likelihood", "отрязани вероятности", STABLE, CLAMPED)
hidden.mutant(
    "bernoulli_log_likelihood",
    "вероятности вместо логаритми",
    STABLE,
    "(x * torch.sigmoid(logits) + (1 - x) * torch.sigmoid(-logits))",
)
hidden.mutant("bernoulli_log_likelihood", "сменен знак (загуба)", "return (x", "return -(x")
hidden.mutant("bernoulli_log_likelihood", "няма член за x = 0", STABLE, "(x * F.logsigmoid(logits))")
hidden.mutant("bernoulli_log_likelihood", "mean вместо sum", ".sum(dim=-1)", ".mean(dim=-1)")
hidden.mutant("bernoulli_log_likelihood", "сума по dim=1", ".sum(dim=-1)", ".sum(dim=1)")
hidden.mutant("bernoulli_log_likelihood", "сума по всичко", ".sum(dim=-1)", ".sum()")
hidden.mutant("bernoulli_log_likelihood", "размяна на x и 1 − x", "x * logits", "(1 - x) * logits")
hidden.mutant(
    "bernoulli_log_likelihood", "прекъснат градиент", "softplus(logits)", "softplus(logits.detach())"
)


@hidden.alternative("bernoulli_log_likelihood", "чрез binary_cross_entropy_with_logits")
def likelihood_by_cross_entropy(x, logits):
    return -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none").sum(-1)


@hidden.alternative("bernoulli_log_likelihood", "чрез torch.distributions")
def likelihood_by_distributions(x, logits):
    return Independent(Bernoulli(logits=logits), 1).log_prob(x)


@hidden.alternative("bernoulli_log_likelihood", "чрез два логаритъма на сигмоида")
def likelihood_by_logsigmoids(x, logits):
    return torch.where(x > 0.5, F.logsigmoid(logits), F.logsigmoid(-logits)).sum(dim=-1)


# Exercise 3 ---------------------------------------------------------------


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
hidden.mutant("reparametrised_sample", "дисперсия вместо отклонение", STD, "torch.exp(logvar)")
hidden.mutant("reparametrised_sample", "logvar вместо отклонение", STD, "logvar")
hidden.mutant("reparametrised_sample", "прекъснат градиент", "return mu +", "return mu.detach() +")
hidden.mutant("reparametrised_sample", "прекъснат градиент по logvar", STD, STD + ".detach()")
hidden.mutant("reparametrised_sample", "равномерен шум", "torch.randn(", "torch.rand(")
hidden.mutant(
    "reparametrised_sample", "центриран равномерен шум", "* eps", "* (2 * torch.rand_like(eps) - 1) * 3**0.5"
)
hidden.mutant("reparametrised_sample", "един шум за всички обекти", NOISE, "torch.randn(K, 1, mu.shape[-1],")
hidden.mutant("reparametrised_sample", "един шум за всички координати", NOISE, "torch.randn(K, len(mu), 1,")
hidden.mutant("reparametrised_sample", "един шум за всички K", "* eps", "* eps[:1].expand(K, -1, -1)")
hidden.mutant("reparametrised_sample", "без шум", "* eps", "* 0 * eps")
hidden.mutant(
    "reparametrised_sample", "извадката е втора ос", STD + " * eps", "(" + STD + " * eps).transpose(0, 1)"
)
hidden.mutant(
    "reparametrised_sample", "фиксирано семе", "eps = torch", "torch.manual_seed(0)\n    eps = torch"
)
hidden.mutant("reparametrised_sample", "променя аргумента", STD, "logvar.mul_(0.5).exp()")


@hidden.alternative("reparametrised_sample", "чрез rsample")
def sample_by_rsample(mu, logvar, K):
    return Normal(mu, (logvar / 2).exp()).rsample((K,))


@hidden.alternative("reparametrised_sample", "чрез addcmul и разширени аргументи")
def sample_by_addcmul(mu, logvar, K):
    mu, std = mu.expand(K, *mu.shape), logvar.div(2).exp().expand(K, *mu.shape)
    return torch.addcmul(mu, std, torch.randn_like(std))


# Exercise 4 ---------------------------------------------------------------

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
    decoder = nn.Sequential(nn.Linear(d_z, d_x, **options))
    decoder[0].weight = nn.Parameter(normal(generator, d_x, d_z, **options))
    decoder[0].bias = nn.Parameter(normal(generator, d_x, **options))
    q = normal(generator, d_z, **options), normal(generator, d_z, **options)
    return bits(generator, d_x, **options), *q, decoder


def copies(n, *rows):
    return [row.expand(n, -1) for row in rows]


@hidden.check(
    "elbo",
    "средна стойност при случайни q и декодер, за K = 1 и K = 7, в единична и двойна точност",
    points=2,
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
    points=2,
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
    points=1,
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
    points=1,
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


MEAN, SAMPLE = ".mean(dim=0)", "reparametrised_sample(mu, logvar, K)"
hidden.mutant("elbo", "прибавя KL", "- gaussian_kl(mu, logvar)", "+ gaussian_kl(mu, logvar)")
hidden.mutant("elbo", "без KL", " - gaussian_kl(mu, logvar)", "")
hidden.mutant("elbo", "σ на q е 1", "(mu, logvar, K)", "(mu, 0 * logvar, K)")
hidden.mutant("elbo", "сума вместо средно по K", MEAN, ".sum(dim=0)")
hidden.mutant("elbo", "средно по обектите", MEAN, ".mean(dim=1)")
hidden.mutant("elbo", "скаларна загуба", MEAN, ".mean()")
hidden.mutant("elbo", "IWAE вместо ELBO", MEAN, ".logsumexp(dim=0).sub(math.log(K))")
hidden.mutant("elbo", "прекъснат градиент", "decoder(z)", "decoder(z.detach())")
hidden.mutant("elbo", "една реализация вместо K", SAMPLE, "reparametrised_sample(mu, logvar, 1)")
hidden.mutant("elbo", "един шум за всички K", SAMPLE, SAMPLE.replace("K", "1") + ".expand(K, -1, -1)")
hidden.mutant("elbo", "средната на q вместо реализация", SAMPLE, "mu.expand(K, -1, -1)")
hidden.mutant("elbo", "декодира средното z", "decoder(z)", "decoder(z.mean(0, keepdim=True))")
hidden.mutant(
    "elbo", "отрицателна ELBO (загуба)", "return bernoulli", "return gaussian_kl(mu, logvar) - bernoulli"
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


# Exercise 5 ---------------------------------------------------------------


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


hidden.mutant("log_weights", "знакът на логаритъма", "+ log_ratio", "- log_ratio")
hidden.mutant("log_weights", "няма log p(z)", " - z**2", "")
hidden.mutant("log_weights", "няма log q(z|x)", "squared_distance + logvar - z**2", "-(z**2)")
hidden.mutant("log_weights", "q без нормировка", "squared_distance + logvar", "squared_distance")
hidden.mutant("log_weights", "logvar е log σ", "torch.exp(-logvar)", "torch.exp(-2 * logvar)")
hidden.mutant("log_weights", "умножава с дисперсията", "torch.exp(-logvar)", "torch.exp(logvar)")
hidden.mutant("log_weights", "няма ½", "0.5 * (", "(")
hidden.mutant("log_weights", "средно по координатите", ".sum(dim=-1)", ".mean(dim=-1)")
hidden.mutant("log_weights", "сума по грешна ос", ".sum(dim=-1)", ".sum(dim=0)")
hidden.mutant("log_weights", "прекъснат градиент", "(z - mu)", "(z - mu.detach())")
hidden.mutant(
    "log_weights",
    "логаритъм от плътност",
    "+ log_ratio",
    "+ log_ratio + 0.5 * z**2 @ z.new_ones(z.shape[-1]) + torch.exp(-0.5 * (z**2).sum(-1)).log()",
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


# Exercise 6 ---------------------------------------------------------------


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
hidden.mutant("iwae_bound", "наивно", SUM, "log_w.exp().sum(dim=0).log()")
hidden.mutant("iwae_bound", "наивно, с ε", SUM, "(log_w.exp().sum(dim=0) + 1e-30).log()")
hidden.mutant("iwae_bound", "средно на логаритмите", SUM + " - math.log(len(log_w))", "log_w.mean(dim=0)")
hidden.mutant("iwae_bound", "най-доброто тегло", SUM + " - math.log(len(log_w))", "log_w.amax(dim=0)")
hidden.mutant("iwae_bound", "няма ln K", " - math.log(len(log_w))", "")
hidden.mutant("iwae_bound", "ln N вместо ln K", "len(log_w)", "log_w.shape[1]")
hidden.mutant("iwae_bound", "дели на K след логаритъма", "- math.log(len(log_w))", "/ len(log_w)")
hidden.mutant("iwae_bound", "по грешна ос", "dim=0", "dim=1")
hidden.mutant("iwae_bound", "едно число за всички", "dim=0)", "dim=(0, 1))")
hidden.mutant(
    "iwae_bound", "прекъснат градиент", SUM, SUM.replace("log_w", "log_w.detach()") + " + 0 * log_w[0]"
)


@hidden.alternative("iwae_bound", "с изнесен максимум")
def bound_by_maximum(log_w):
    largest = log_w.max(dim=0).values
    return largest + torch.log(torch.mean(torch.exp(log_w - largest), dim=0))


@hidden.alternative("iwae_bound", "логаритъмът на K влиза в теглата")
def bound_by_weights(log_w):
    return torch.logsumexp(log_w - torch.log(torch.tensor(float(log_w.shape[0]))), 0)


# Exercise 7 ---------------------------------------------------------------


def networks(generator, **options):
    """A linear encoder with a narrow q, and a linear decoder."""
    *_, decoder = problem(generator, **options)
    encoder = nn.Sequential(nn.Linear(5, 4, **options))
    weight = normal(generator, 4, 5, **options)
    encoder[0].weight = nn.Parameter(torch.cat([weight[:2], 0 * weight[2:]]))
    encoder[0].bias = nn.Parameter(torch.tensor([0.3, -0.2, -12.0, -12.0], **options))
    return {"encoder": encoder, "decoder": decoder}


@hidden.check(
    "vae_loss",
    "градиентът стига до енкодера през извадката",
    points=2,
    hint="z остава свързано с изхода на енкодера: без .detach(), .data, torch.no_grad() и .sample().",
)
def loss_gradients(student, generator):
    parts, x = networks(generator), bits(generator, 6, 5)
    x.requires_grad_()
    mu, logvar = parts["encoder"](x).chunk(2, -1)
    logits = parts["decoder"](mu)
    narrow = (x * logits - F.softplus(logits)).sum(-1) - true_kl(mu, logvar)
    expected = torch.autograd.grad(-narrow.mean(), x)[0]
    outcome = student.trace("vae_loss", parts, x.detach().requires_grad_())
    expect_gradients(outcome, [expected], "", rtol=0.02, atol=0.02 * expected.abs().max().item())


@hidden.check(
    "vae_loss",
    "един обект, двойна точност, без цикъл по обектите и без промяна на аргументите",
    points=2,
    hint="Резултатът е скалар във всички случаи; двете мрежи се викат по веднъж за целия пакет.",
)
def loss_edges(student, generator):
    parts, x = networks(generator, **DOUBLE), bits(generator, 30, 5, **DOUBLE)
    outcome = student.trace("vae_loss", parts, x[:1])
    expect_tensor(outcome.value, (), torch.float64)
    expect_unchanged(outcome)
    expect_no_loop(student, "vae_loss", (parts, x[:2]), (parts, x), "пакета")


HEADS = 'mu, logvar = vae["encoder"](x).chunk(2, dim=-1)'
hidden.mutant("vae_loss", "сменен знак", "return -elbo", "return elbo")
hidden.mutant("vae_loss", "сума вместо средно", ".mean()", ".sum()")
hidden.mutant("vae_loss", "не е скалар", ".mean()", "")
hidden.mutant("vae_loss", "средно и по пикселите", ".mean()", ".mean() / x.shape[1]")
hidden.mutant("vae_loss", "размяна на mu и logvar", "mu, logvar =", "logvar, mu =")
hidden.mutant(
    "vae_loss", "през едно", HEADS, 'mu, logvar = vae["encoder"](x).unflatten(-1, (-1, 2)).unbind(-1)'
)
hidden.mutant("vae_loss", "без KL", "K=1).mean()", "K=1).mean() - gaussian_kl(mu, logvar).mean()")
hidden.mutant("vae_loss", "KL два пъти", "K=1).mean()", "K=1).mean() + gaussian_kl(mu, logvar).mean()")
hidden.mutant("vae_loss", "прекъснат градиент към енкодера", "(x).chunk", "(x).detach().chunk")
hidden.mutant(
    "vae_loss", "прекъснат градиент през z", 'vae["decoder"], K', 'lambda z: vae["decoder"](z.detach()), K'
)
hidden.mutant(
    "vae_loss", "logvar е отклонение", "-elbo(x, mu, logvar,", "-elbo(x, mu, 2 * logvar.abs().log(),"
)


@hidden.alternative("vae_loss", "IWAE с K = 8")
def loss_by_iwae(vae, x):
    mu, logvar = vae["encoder"](x).chunk(2, dim=-1)
    z = reparametrised_sample(mu, logvar, 8)  # noqa: F821
    return -iwae_bound(log_weights(x, z, mu, logvar, vae["decoder"])).mean()  # noqa: F821


@hidden.alternative("vae_loss", "с torch.distributions и K = 4")
def loss_by_distributions(vae, x):
    heads = vae["encoder"](x)
    d_z = heads.shape[-1] // 2
    q = Normal(heads[:, :d_z], heads[:, d_z:].div(2).exp())
    log_likelihood = Bernoulli(logits=vae["decoder"](q.rsample((4,)))).log_prob(x).sum(-1)
    return (kl_divergence(q, Normal(0.0, 1.0)).sum(-1) - log_likelihood.mean(0)).mean()


# Exercise 8 ---------------------------------------------------------------

public = load_module(Path(__file__).parents[3] / "labs" / "1-elbo" / "checks.py")


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −21 ната",
    points=4,
    hint="Моделът се учи, но не стига: повече стъпки, по-големи мрежи или по-голямо D_Z.",
)
def vae_learns(student, generator):
    public.expect_bound(student.weights("vae"), public.images(digits().test), generator, -21.0)


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −18 ната",
    points=8,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата или изборът ѝ се преобучава.",
)
def vae_generalises(student, generator):
    public.expect_bound(student.weights("vae"), public.images(digits().test), generator, -18.0)


@hidden.metric("vae", threshold=-18.0, margin=0.6)
def test_bound(weights):
    return public.held_out_bound(weights, public.images(digits().test), torch.Generator().manual_seed(0))


FIRST, LAST = "layers.0.weight", "layers.4.weight"


@hidden.damage("vae", "преди обучението")
def untrained(weights):
    torch.manual_seed(0)
    return {name: torch.randn_like(value) / value.shape[-1] ** 0.5 for name, value in weights.items()}


@hidden.damage("vae", "само декодерът е обучен")
def untrained_encoder(weights):
    return untrained(weights) | {k: v for k, v in weights.items() if k.startswith("decoder")}


@hidden.damage("vae", "декодерът не гледа z")
def blind_decoder(weights):
    return weights | {f"decoder.{FIRST}": 0 * weights[f"decoder.{FIRST}"]}


@hidden.damage("vae", "размяна на mu и logvar")
def swapped_heads(weights):
    names = [f"encoder.layers.4.{kind}" for kind in ("weight", "bias")]
    return weights | {name: weights[name].roll(len(weights[name]) // 2, 0) for name in names}


@hidden.damage("vae", "всички скрити числа са сигурни: много малко σ")
def overconfident(weights):
    bias = weights["encoder.layers.4.bias"].clone()
    bias[len(bias) // 2 :] -= 8
    return weights | {"encoder.layers.4.bias": bias}


@hidden.damage("vae", "увеличени логити, за да изглежда по-сигурен")
def exaggerated(weights):
    return weights | {f"decoder.{LAST}": 4 * weights[f"decoder.{LAST}"]}


@hidden.damage("vae", "NaN в теглата")
def not_numbers(weights):
    return weights | {f"decoder.{LAST}": weights[f"decoder.{LAST}"] * torch.nan}


@hidden.damage("vae", "без декодер")
def half_a_model(weights):
    return {k: v for k, v in weights.items() if k.startswith("encoder")}


@hidden.damage("vae", "чужда архитектура")
def other_shapes(weights):
    return weights | {f"decoder.{LAST}": weights[f"decoder.{LAST}"][:-1]}


@hidden.damage("vae", "числа вместо тегла")
def reported_numbers(weights):
    return {"bound": torch.tensor([-1.0]), "log_likelihood": torch.zeros(250)}


@hidden.alternative("vae", "скритите неврони в друг ред")
def permuted_neurons(weights):
    torch.manual_seed(0)
    order = torch.randperm(len(weights[f"decoder.{FIRST}"]))
    changes = {name: weights[name][order] for name in (f"decoder.{FIRST}", "decoder.layers.0.bias")}
    second = "decoder.layers.2.weight"
    return weights | changes | {second: weights[second][:, order]}


@hidden.alternative("vae", "огледално пространство на скритите числа")
def mirrored_latents(weights):
    half = len(weights["encoder.layers.4.bias"]) // 2
    sign = torch.cat([-torch.ones(half), torch.ones(half)])
    return weights | {
        f"encoder.{LAST}": sign[:, None] * weights[f"encoder.{LAST}"],
        "encoder.layers.4.bias": sign * weights["encoder.layers.4.bias"],
        f"decoder.{FIRST}": -weights[f"decoder.{FIRST}"],
    }


@hidden.alternative("vae", "в двойна точност")
def in_double(weights):
    return {name: value.double() for name, value in weights.items()}
