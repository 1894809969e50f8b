"""A small lab that the tests and the benchmark of the grader stand on: it changes only with them."""

import math

import torch
from torch import nn

from gmtools.grading import Lab, expect, expect_close, expect_mean, expect_tensor
from gmtools.grading.inputs import random_linear

lab = Lab("bound", title="Пробна лаборатория: части на ELBO")

kl = lab.exercise(
    "gaussian_kl",
    title="Упражнение 1. KL дивергенция между гаусови разпределения",
    points=30,
    chapter="3-inference/33-variational-bound",
)
likelihood = lab.exercise(
    "bernoulli_log_likelihood",
    title="Упражнение 2. Логаритмично правдоподобие от логити",
    points=30,
    chapter="3-inference/33-variational-bound",
)
bound = lab.exercise(
    "elbo",
    title="Упражнение 3. ELBO по метода Монте Карло",
    points=40,
    chapter="3-inference/33-variational-bound",
)


def integrate(function, mean: float, std: float) -> torch.Tensor:
    """Expectation of ``function`` under N(mean, std²) on a fine grid over ±10 standard deviations."""
    grid = torch.linspace(-10, 10, 4001, dtype=torch.float64)
    values = function(mean + std * grid)
    return (values * torch.exp(-0.5 * grid**2)).sum() * (grid[1] - grid[0]) / math.sqrt(2 * math.pi)


@kl.check(
    "нула, когато q съвпада с априорното, и положителна във всеки друг случай",
    points=4,
    hint="KL мери разликата от N(0, I): при mu = 0 и logvar = 0 тя е точно нула.",
)
def zero_only_at_the_prior(student, generator):
    zeros = torch.zeros(3, 4)
    at_prior = expect_tensor(student.gaussian_kl(zeros, zeros), (3,))
    expect(bool((at_prior.abs() < 1e-6).all()), "При mu = 0 и logvar = 0 резултатът не е нула.")
    mu, logvar = torch.randn(2, 50, 4, generator=generator)
    elsewhere = expect_tensor(student.gaussian_kl(mu, logvar), (50,))
    expect(
        bool((elsewhere > 0).all()),
        "При q, различно от априорното, се получава нула или отрицателно число. Проверете знаците.",
    )


@kl.check(
    "стойност, която се смята на ръка",
    points=4,
    hint="Пресметнете формулата на лист за D = 1. Помнете, че logvar е логаритъм от дисперсията, а не от "
    "отклонението.",
)
def value_by_hand(student, generator):
    shift = student.gaussian_kl(torch.tensor([[1.0]]), torch.zeros(1, 1))
    expect_close(
        shift,
        torch.tensor([0.5]),
        "При D = 1, mu = 1 и logvar = 0 стойността е ½, а вашата е друга. Проверете знака и множителя ½.",
    )
    wide = student.gaussian_kl(torch.zeros(1, 1), torch.full((1, 1), math.log(4.0)))
    expect_close(
        wide,
        torch.tensor([1.5 - math.log(2.0)]),
        "При D = 1, mu = 0 и дисперсия 4 стойността е 1,5 − ln 2 ≈ 0,8069, а вашата е друга. "
        "Проверете събираемите с logvar.",
    )


@kl.check(
    "независимите координати се събират",
    points=4,
    hint="Сумира се по последната ос (координатите) и нищо не се усреднява: по едно число за всеки ред.",
)
def coordinates_add(student, generator):
    mu, logvar = torch.randn(2, 6, 5, generator=generator)
    whole = expect_tensor(student.gaussian_kl(mu, logvar), (6,))
    expect(bool((whole != 0).all()), "При q, различно от априорното, се получава нула.")
    parts = student.gaussian_kl(mu[:, :2], logvar[:, :2]) + student.gaussian_kl(mu[:, 2:], logvar[:, 2:])
    expect_close(parts, whole, "KL за пет координати не е сбор от KL за първите две и за останалите три.")


@likelihood.check(
    "при логит нула всеки пиксел има вероятност ½",
    points=4,
    hint="σ(0) = ½, така че всеки пиксел добавя −ln 2. Сумирайте по последната ос.",
)
def fair_coin(student, generator):
    x = torch.randint(0, 2, (5, 8), generator=generator).float()
    value = student.bernoulli_log_likelihood(x, torch.zeros(5, 8))
    expected = torch.full((5,), -8 * math.log(2.0))
    expect_close(
        value, expected, "При нулеви логити и D = 8 стойността е −8 ln 2 ≈ −5,545, а вашата е друга."
    )


@likelihood.check(
    "вероятностите на всички възможни x се събират до единица",
    points=4,
    hint="Изброени са всички 2⁴ двоични вектора. Ако сборът не е 1, липсва събираемото за x = 0 или "
    "знакът е сменен.",
)
def sums_to_one(student, generator):
    every = torch.tensor([[i >> k & 1 for k in range(4)] for i in range(16)]).float()
    logits = 2 * torch.randn(4, generator=generator)
    value = expect_tensor(student.bernoulli_log_likelihood(every, logits.expand(16, 4)), (16,))
    expect_close(
        value.exp().sum(),
        torch.tensor(1.0),
        "Сборът на вероятностите по всички x е различен от 1: това не е разпределение.",
    )


@likelihood.check(
    "големите логити не дават безкрайност",
    points=4,
    hint="Не минавайте през σ(logits): в float32 σ(100) е точно 1 и ln(1 − σ) е −∞. Изразете отговора "
    "чрез softplus.",
)
def large_logits(student, generator):
    x, logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[100.0, -100.0], [100.0, -100.0]])
    value = student.bernoulli_log_likelihood(x, logits)
    expect_close(
        value, torch.tensor([0.0, -200.0]), "При логити ±100 стойностите са 0 и −200, а вашите са други."
    )


def log_likelihood_of(x, logits):
    """log p(x|z) on the checking side: x (D,), logits (..., D)."""
    return torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)


def scalar_problem(generator):
    """A model with one-dimensional z: x, q's mean and log-variance, the decoder and its function of a grid
    of z."""
    decoder = random_linear(generator, 1, 6)
    x = torch.randint(0, 2, (6,), generator=generator).float()
    mu, logvar = torch.randn(2, generator=generator)
    weight, bias = decoder[0].weight.detach().double(), decoder[0].bias.detach().double()
    return x, mu, logvar, decoder, lambda z: log_likelihood_of(x.double(), z[:, None] * weight[:, 0] + bias)


@bound.check(
    "равна е на log p(x), когато z не носи информация и q е априорното",
    points=5,
    hint="Тук границата е плътна за всяко K: KL е нула и остава само правдоподобието. Връща се по едно "
    "число за обект.",
)
def tight_when_nothing_to_infer(student, generator):
    decoder = random_linear(generator, 2, 5)
    decoder[0].weight = nn.Parameter(torch.zeros(5, 2))
    x = torch.randint(0, 2, (7, 5), generator=generator).float()
    value = student.elbo(x, torch.zeros(7, 2), torch.zeros(7, 2), decoder, 3)
    expected = log_likelihood_of(x, decoder[0].bias.detach())
    expect_close(
        value, expected, "Стойността е различна от log p(x). Усреднявате ли по K (първата ос), а не по друга?"
    )


@bound.check(
    "средната стойност съвпада с точния интеграл",
    points=6,
    hint="Оценката е неотместена: log p(x|z) се усреднява по z ~ q, а KL се изважда. Отклонението е "
    "exp(logvar / 2).",
)
def unbiased(student, generator):
    x, mu, logvar, decoder, log_likelihood = scalar_problem(generator)
    std = math.exp(0.5 * logvar.item())
    divergence = 0.5 * (logvar.exp() + mu**2 - 1 - logvar).item()
    exact = integrate(log_likelihood, mu.item(), std).item() - divergence
    n = 4000
    values = student.elbo(x.expand(n, 6), mu.expand(n, 1), logvar.expand(n, 1), decoder, 2)
    expect_tensor(values, (n,))
    expect_mean(
        values,
        exact,
        "Средното от 4000 оценки се отличава от точната стойност с повече от пет стандартни грешки.",
    )


@bound.check(
    "не надминава логаритмичното маргинално правдоподобие",
    points=5,
    hint="ELBO = log p(x) − KL(q ‖ p(z|x)), така че средно е под log p(x). Изваждате ли KL, или я прибавяте?",
)
def is_a_bound(student, generator):
    x, mu, logvar, decoder, log_likelihood = scalar_problem(generator)
    log_evidence = integrate(lambda z: log_likelihood(z).exp(), 0.0, 1.0).log().item()
    n = 1000
    values = expect_tensor(
        student.elbo(x.expand(n, 6), mu.expand(n, 1) + 2, logvar.expand(n, 1), decoder, 8), (n,)
    )
    margin = 5 * values.std().item() / math.sqrt(n)
    expect(
        values.mean().item() < log_evidence + margin,
        "Средната стойност е над log p(x): това не е долна граница.",
    )
    expect(
        len(values.unique()) > n // 2,
        "Различни обекти получават един и същ шум: за всеки обект са нужни негови z.",
    )
