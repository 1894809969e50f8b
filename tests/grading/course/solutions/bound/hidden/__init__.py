"""Hidden checks, mutants and alternatives of the small lab."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_tensor,
    expect_unchanged,
)

hidden = Hidden()
DOUBLE = {"dtype": torch.float64}


def normal(generator, *shape, **options):
    return torch.randn(*shape, generator=generator, **options)


def bits(generator, *shape, **options):
    return torch.randint(0, 2, shape, generator=generator).to(options.get("dtype", torch.float32))


def expect_no_loop(student, name, small, large, what):
    """Fail if the number of tensor operations grows with the input."""
    counts = [student.trace(name, *args, count=True).operations for args in (small, large)]
    expect(
        None not in counts and counts[1] <= counts[0] + 2, f"Броят на операциите расте с {what}: има цикъл."
    )


# Exercise 1 ---------------------------------------------------------------


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


# Exercise 2 ---------------------------------------------------------------


def true_log_likelihood(x, logits):
    """Through log-sigmoids, in double precision."""
    x, logits = x.double(), logits.double()
    return (x * F.logsigmoid(logits) + (1 - x) * F.logsigmoid(-logits)).sum(-1)


@hidden.check(
    "bernoulli_log_likelihood",
    "случайни логити, в единична и двойна точност, и пакет от един обект",
    points=5,
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
    points=4,
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
    points=4,
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
    points=5,
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
hidden.mistakes(
    "bernoulli_log_likelihood",
    ("наивна формула", STABLE, NAIVE),
    ("отрязани вероятности", STABLE, CLAMPED),
    (
        "вероятности вместо логаритми",
        STABLE,
        "(x * torch.sigmoid(logits) + (1 - x) * torch.sigmoid(-logits))",
    ),
    ("сменен знак (загуба)", "return (x", "return -(x"),
    ("няма член за x = 0", STABLE, "(x * F.logsigmoid(logits))"),
    ("mean вместо sum", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("сума по dim=1", ".sum(dim=-1)", ".sum(dim=1)"),
    ("сума по всичко", ".sum(dim=-1)", ".sum()"),
    ("размяна на x и 1 − x", "x * logits", "(1 - x) * logits"),
    ("прекъснат градиент", "softplus(logits)", "softplus(logits.detach())"),
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
