"""Exercise 2: the log-likelihood from logits."""

import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, bits, normal

from .common import hidden


def true_log_likelihood(x, logits):
    """Through log-sigmoids, in double precision."""
    x, long = x.double(), logits.double()
    return (x * F.logsigmoid(long) + (1 - x) * F.logsigmoid(-long)).sum(-1).to(logits.dtype)


@hidden.check(
    "bernoulli_log_likelihood",
    "случайни логити, в единична и двойна точност, и пакет от един обект",
    points=5,
    hint="Сравнете с x·log σ(ℓ) + (1 − x)·log(1 − σ(ℓ)) за малки логити.",
)
def likelihood_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 4, {}), (30, 9, DOUBLE), (8, 1, {})):
        x, logits = bits(generator, n, d, **options), 2 * normal(generator, n, d, **options)
        expect_close(student.bernoulli_log_likelihood(x, logits), true_log_likelihood(x, logits), "")


@hidden.check(
    "bernoulli_log_likelihood",
    "логити, при които вероятността е нула или единица",
    points=4,
    hint="При ℓ = 1000 и x = 0 стойността е −1000. Не отрязвайте вероятностите и не прибавяйте ε.",
)
def likelihood_extremes(student, generator):
    logits = torch.tensor([[1000.0], [1000.0], [-1000.0], [-1000.0], [25.0], [-25.0]])
    x = torch.tensor([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0]])
    value = student.bernoulli_log_likelihood(x, logits)
    expect_close(value, true_log_likelihood(x, logits), "", rtol=1e-5)


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
    small = bits(generator, 4, 3), normal(generator, 5, 4, 3)
    large = bits(generator, 40, 30), normal(generator, 20, 40, 30)
    expect_vectorised(student, "bernoulli_log_likelihood", true_log_likelihood, small, large, "пакета")


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
