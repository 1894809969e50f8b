"""What students of lab 2 never see: hidden checks, typical mistakes that must cost points, other right
answers.

The titles and hints below are shown in the report; inputs, expected values and verdicts are not.
"""

import math
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Gumbel, Independent, Normal, RelaxedOneHotCategorical

from gmtools.data import digits
from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_mean,
    expect_no_loop,
    expect_tensor,
    expect_tensors,
    expect_unchanged,
)
from gmtools.grading.lab import load_module

hidden = Hidden()
public = load_module(Path(__file__).parents[3] / "labs" / "2-gradients" / "checks.py")
DOUBLE = {"dtype": torch.float64}


def normal(generator, *shape, **options):
    return torch.randn(*shape, generator=generator, **options)


def bits(generator, *shape, **options):
    return torch.randint(0, 2, shape, generator=generator).to(options.get("dtype", torch.float32))


# Exercise 1 ---------------------------------------------------------------


@hidden.check(
    "bernoulli_score",
    "случайни и много големи логити, в единична и двойна точност",
    points=2,
    hint="При ℓ = 200 и z = 1 скор-функцията е нула, а не NaN: не я смятайте през отношение на вероятности.",
)
def score_on_fresh_inputs(student, generator):
    for k, n, options in ((1, 1, {}), (5, 4, DOUBLE)):
        z, logits = bits(generator, k, n, 3, **options), 2 * normal(generator, n, 3, **options)
        expect_close(student.bernoulli_score(z, logits), z - logits.sigmoid(), "")
    extreme = torch.tensor([[200.0, -200.0, 90.0, -90.0]])
    z = torch.stack([torch.ones(1, 4), torch.zeros(1, 4)])
    expect_close(student.bernoulli_score(z, extreme), z - extreme.sigmoid(), "")


@hidden.check(
    "bernoulli_score",
    "без цикли и без промяна на аргументите",
    points=2,
    hint="Една формула за всички z; torch сам добавя оста K към логитите.",
)
def score_vectorised(student, generator):
    z, logits = bits(generator, 3, 2, 4), normal(generator, 2, 4)
    outcome = student.trace("bernoulli_score", z, logits)
    expect_close(outcome.value, z - logits.sigmoid(), "")
    expect_unchanged(outcome)
    small, large = ((bits(generator, k, k, 3), normal(generator, k, 3)) for k in (2, 30))
    expect_no_loop(student, "bernoulli_score", small, large, "K и N")


hidden.mutant("bernoulli_score", "обратен знак", "z - torch.sigmoid(logits)", "torch.sigmoid(logits) - z")
hidden.mutant("bernoulli_score", "логити вместо вероятности", "torch.sigmoid(logits)", "logits")
hidden.mutant(
    "bernoulli_score", "само за z = 1", "z - torch.sigmoid(logits)", "z * (1 - torch.sigmoid(logits))"
)
hidden.mutant(
    "bernoulli_score",
    "производна по вероятността",
    "z - torch.sigmoid(logits)",
    "(z - torch.sigmoid(logits)) / (torch.sigmoid(logits) * torch.sigmoid(-logits))",
)
hidden.mutant(
    "bernoulli_score", "log q вместо производната", "torch.sigmoid(logits)", "torch.log1p(logits.exp())"
)
hidden.mutant(
    "bernoulli_score", "променя аргумента", "z - torch.sigmoid(logits)", "z.sub_(torch.sigmoid(logits))"
)


@hidden.alternative("bernoulli_score", "по случаи")
def score_by_cases(z, logits):
    return torch.where(z > 0.5, torch.sigmoid(-logits), -torch.sigmoid(logits))


@hidden.alternative("bernoulli_score", "чрез autograd")
def score_by_autograd(z, logits):
    leaf = logits.detach().expand(z.shape).clone().requires_grad_()
    return torch.autograd.grad((z * leaf - F.softplus(leaf)).sum(), leaf)[0]


# Exercise 2 ---------------------------------------------------------------


@hidden.check(
    "score_function_gradient",
    "случайни стойности и логити, в единична и двойна точност, и една реализация за един обект",
    points=2,
    hint="Средното е по първата ос. При K = 1 това е просто f(z)·(z − σ(ℓ)).",
)
def estimate_on_fresh_inputs(student, generator):
    for k, n, options in ((1, 1, {}), (7, 3, DOUBLE), (50, 4, {})):
        z, logits = bits(generator, k, n, 5, **options), normal(generator, n, 5, **options)
        values = 3 * normal(generator, k, n, **options)
        expected = torch.einsum("kn,knd->nd", values, z - logits.sigmoid()) / k
        expect_close(student.score_function_gradient(values, z, logits), expected, "")


@hidden.check(
    "score_function_gradient",
    "без цикли и без промяна на аргументите",
    points=2,
    hint="Умножение с разширяване и средно: нито една ос не се обхожда.",
)
def estimate_vectorised(student, generator):
    z, logits, values = bits(generator, 4, 2, 3), normal(generator, 2, 3), normal(generator, 4, 2)
    outcome = student.trace("score_function_gradient", values, z, logits)
    expect_tensor(outcome.value, (2, 3))
    expect_unchanged(outcome)
    small, large = (
        (normal(generator, k, k), bits(generator, k, k, 3), normal(generator, k, 3)) for k in (2, 30)
    )
    expect_no_loop(student, "score_function_gradient", small, large, "K и N")


VALUES = "values.unsqueeze(-1)"
hidden.mutant("score_function_gradient", "сума вместо средно", ".mean(dim=0)", ".sum(dim=0)")
hidden.mutant("score_function_gradient", "средно по обектите", ".mean(dim=0)", ".mean(dim=1)")
hidden.mutant("score_function_gradient", "без стойностите", f"{VALUES} * ", "")
hidden.mutant("score_function_gradient", "обратен знак", f"({VALUES}", f"(-{VALUES}")
hidden.mutant("score_function_gradient", "средна стойност", VALUES, f"{VALUES}.mean(dim=0)")
hidden.mutant("score_function_gradient", "стойностите на друг обект", VALUES, f"{VALUES}.roll(1, 1)")
hidden.mutant(
    "score_function_gradient", "с базова линия, която е отместена", VALUES, f"({VALUES} - {VALUES}.mean(0))"
)


@hidden.alternative("score_function_gradient", "чрез einsum")
def estimate_by_einsum(values, z, logits):
    return torch.einsum("kn,knd->nd", values, bernoulli_score(z, logits)) / len(values)  # noqa: F821


@hidden.alternative("score_function_gradient", "чрез autograd")
def estimate_by_autograd(values, z, logits):
    leaf = logits.detach().clone().requires_grad_()
    log_q = Bernoulli(logits=leaf).log_prob(z).sum(-1)
    return torch.autograd.grad((values * log_q).mean(0).sum(), leaf)[0]


# Exercise 3 ---------------------------------------------------------------


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
hidden.mutant("pathwise_gradient", "сума вместо средно", ".mean(dim=0)", ".sum(dim=0)")
hidden.mutant("pathwise_gradient", "log_sigma е log sigma²", SIGMA, "torch.exp(log_sigma / 2)")
hidden.mutant("pathwise_gradient", "log_sigma вместо sigma", SIGMA, "log_sigma")
hidden.mutant("pathwise_gradient", "равномерен шум", "torch.randn(", "torch.rand(")
hidden.mutant("pathwise_gradient", "без шум", "* eps", "* 0 * eps")
hidden.mutant(
    "pathwise_gradient", "един шум за всички обекти", NOISE, "torch.randn(K, 1, mu.shape[-1], dtype=mu.dtype)"
)
hidden.mutant("pathwise_gradient", "един шум за всички K", "* eps", "* eps[:1].expand(K, -1, -1)")
hidden.mutant(
    "pathwise_gradient", "производна по sigma", "(mu, log_sigma))", "(mu, log_sigma))[0], eps.mean(0)"
)
hidden.mutant("pathwise_gradient", "разменени", "(mu, log_sigma))", "(log_sigma, mu))")
hidden.mutant("pathwise_gradient", "средно по обектите", ".mean(dim=0).sum()", ".mean()")


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


# Exercise 4 ---------------------------------------------------------------


@hidden.check(
    "optimal_baseline",
    "случайни стойности, в единична и двойна точност",
    points=2,
    hint="Сумите са по първата ос; за всеки обект и всяка координата е отделно число.",
)
def baseline_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (9, 4, DOUBLE), (60, 3, {})):
        values, s = 4 + normal(generator, k, n, **options), normal(generator, k, n, 5, **options)
        expected = (values[..., None] * s**2).mean(0) / (s**2).mean(0)
        expect_close(student.optimal_baseline(values, s), expected, "")


@hidden.check(
    "optimal_baseline",
    "скор-функция, която е нула навсякъде; без цикли и без промяна на аргументите",
    points=2,
    hint="0/0 е NaN: там, където всички тегла са нула, отговорът е нула. Прибавянето на ε мести другите.",
)
def baseline_edges(student, generator):
    values, s = normal(generator, 4, 2), normal(generator, 4, 2, 3)
    s[:, 0, 1] = 0
    s[:, 1] *= 1e-6
    outcome = student.trace("optimal_baseline", values, s)
    double = s.double()
    expected = (values.double()[..., None] * double**2).sum(0) / (double**2).sum(0)
    expect_close(outcome.value, expected.nan_to_num().float(), "", rtol=1e-3)
    expect_unchanged(outcome)
    small, large = ((normal(generator, k, k), normal(generator, k, k, 3)) for k in (2, 30))
    expect_no_loop(student, "optimal_baseline", small, large, "K и N")


hidden.mutant("optimal_baseline", "просто средно", "score**2", "torch.ones_like(score)")
hidden.mutant("optimal_baseline", "тегла без квадрат", "score**2", "score.abs()")
hidden.mutant("optimal_baseline", "тегла със знак", "score**2", "score")
hidden.mutant(
    "optimal_baseline",
    "обща за координатите",
    "score**2",
    "(score**2).sum(-1, keepdim=True).expand_as(score)",
)
hidden.mutant(
    "optimal_baseline", "обща за обектите", "score**2", "(score**2).sum(1, keepdim=True).expand_as(score)"
)
hidden.mutant(
    "optimal_baseline", "0/0", "total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)", "total, total / total)"
)
hidden.mutant(
    "optimal_baseline",
    "с ε в знаменателя",
    "total.clamp(min=torch.finfo(total.dtype).tiny)",
    "(total + 1e-3)",
)


@hidden.alternative("optimal_baseline", "с нормирани тегла")
def baseline_by_normalising(values, score):
    weight = F.normalize(score**2, p=1, dim=0, eps=1e-38)
    return torch.einsum("kn,knd->nd", values, weight)


@hidden.alternative("optimal_baseline", "с nan_to_num")
def baseline_by_nan_to_num(values, score):
    square = score.square()
    return ((values[:, :, None] * square).mean(0) / square.mean(0)).nan_to_num(0.0)


# Exercise 5 ---------------------------------------------------------------


@hidden.check(
    "leave_one_out",
    "случайни стойности, две реализации, в единична и двойна точност",
    points=2,
    hint="При K = 2 резултатът е ±(f₁ − f₂).",
)
def left_out_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (2, 5, DOUBLE), (8, 3, {}), (3, 9, {})):
        values = 4 * normal(generator, k, n, **options)
        expect_close(student.leave_one_out(values), (values - values.mean(0)) * k / (k - 1), "")


@hidden.check(
    "leave_one_out",
    "без цикъл по K и без промяна на аргумента",
    points=2,
    hint="Средното на останалите е (сборът − f_k)/(K − 1): сборът се смята веднъж.",
)
def left_out_vectorised(student, generator):
    values = normal(generator, 4, 3)
    outcome = student.trace("leave_one_out", values)
    expect_close(outcome.value, (values - values.mean(0)) * 4 / 3, "")
    expect_unchanged(outcome)
    expect_no_loop(student, "leave_one_out", (normal(generator, 3, 2),), (normal(generator, 40, 30),), "K")


hidden.mutant(
    "leave_one_out", "средно на всички", "return values - others", "return values - values.mean(dim=0)"
)
hidden.mutant("leave_one_out", "делител K", "(len(values) - 1)", "len(values)")
hidden.mutant("leave_one_out", "обратен знак", "values - others", "others - values")
hidden.mutant("leave_one_out", "само базовата линия", "return values - others", "return others")
hidden.mutant("leave_one_out", "по обектите", "dim=0", "dim=1, keepdim=True")
hidden.mutant(
    "leave_one_out", "съседната стойност", "return values - others", "return values - values.roll(1, 0)"
)
hidden.mutant("leave_one_out", "променя аргумента", "return values - others", "return values.sub_(others)")


@hidden.alternative("leave_one_out", "отклонение от средното, разтегнато")
def left_out_by_stretching(values):
    K = values.shape[0]
    return (values - values.mean(0, keepdim=True)) * (K / (K - 1))


@hidden.alternative("leave_one_out", "с матрица")
def left_out_by_matrix(values):
    K = values.shape[0]
    others = (torch.ones(K, K) - torch.eye(K)).to(values.dtype) / (K - 1)
    return values - others @ values


# Exercise 6 ---------------------------------------------------------------


@hidden.check(
    "surrogate",
    "стойност и двата градиента наведнъж, в единична и двойна точност",
    points=2,
    hint="Проверете поотделно: стойността не зависи от log_q, а теглата пред log_q не се диференцират.",
)
def surrogate_on_fresh_inputs(student, generator):
    for k, n, options in ((2, 1, {}), (6, 4, DOUBLE), (30, 2, {})):
        values, log_q = 3 * normal(generator, k, n, **options), normal(generator, k, n, **options) - 2
        outcome = student.trace("surrogate", values.requires_grad_(), log_q.requires_grad_())
        expect_close(outcome.value, values.mean(0), "")
        by_log_q = (values - values.mean(0)).detach() / (k - 1)
        expect_gradients(outcome, [torch.full_like(values, 1 / k), by_log_q], "")


@hidden.check(
    "surrogate",
    "много малки вероятности, без цикли и без промяна на аргументите",
    points=2,
    hint="log q може да е −2000: не го експоненцирайте.",
)
def surrogate_edges(student, generator):
    values, log_q = normal(generator, 4, 3), normal(generator, 4, 3) - 2000
    outcome = student.trace("surrogate", values, log_q.requires_grad_())
    expect_close(outcome.value, values.mean(0), "", atol=2e-3)
    expect_gradients(outcome, [(values - values.mean(0)) / 3], "")
    expect_unchanged(outcome)
    small, large = ((normal(generator, k, k), normal(generator, k, k)) for k in (2, 30))
    expect_no_loop(student, "surrogate", small, large, "K и N")


TERM = "leave_one_out(values).detach() * log_q"
hidden.mutant("surrogate", "стойността съдържа log q", " - score_term.detach()", "")
hidden.mutant("surrogate", "теглата се диференцират", ".detach() * log_q", " * log_q")
hidden.mutant("surrogate", "без базова линия", TERM, "values.detach() * log_q")
hidden.mutant("surrogate", "f без градиент", "(values + ", "(values.detach() + ")
hidden.mutant(
    "surrogate", "без скор-функцията", "values + score_term - score_term.detach()", "values + 0 * log_q"
)
hidden.mutant("surrogate", "сума вместо средно", ".mean(dim=0)", ".sum(dim=0)")
hidden.mutant("surrogate", "едно число", ".mean(dim=0)", ".mean()")
hidden.mutant(
    "surrogate",
    "обратен знак",
    "values + score_term - score_term.detach()",
    "values - score_term + score_term.detach()",
)
hidden.mutant("surrogate", "вероятност вместо логаритъм", "* log_q", "* log_q.exp()")


@hidden.alternative("surrogate", "с MagicBox")
def surrogate_by_magic_box(values, log_q):
    box = torch.exp(log_q - log_q.detach())
    baseline = (values - leave_one_out(values)).detach()  # noqa: F821
    return ((values - baseline) * box + baseline).mean(dim=0)


@hidden.alternative("surrogate", "с разликата на логаритмите")
def surrogate_by_difference(values, log_q):
    K = values.shape[0]
    centred = (values - values.mean(0)).detach() / (K - 1)
    return values.mean(0) + (centred * (log_q - log_q.detach())).sum(0)


# Exercise 7 ---------------------------------------------------------------


@hidden.check(
    "gumbel_softmax",
    "разпределението при две категории, в единична и двойна точност",
    points=2,
    hint="При C = 2 разликата на два шума на Гумбел е логистична: log(z₁/z₂) има средно (ℓ₁ − ℓ₂)/τ и "
    "дисперсия π²/(3τ²).",
)
def relaxed_distribution(student, generator):
    for count, n, options in ((1, 4000, {}), (4000, 1, DOUBLE)):
        logits = normal(generator, 1, 2, **options)
        z = student.gumbel_softmax(logits.expand(n, 2), 2.0, count)
        z = expect_tensor(z, (count, n, 2), logits.dtype).double().reshape(-1, 2)
        centred = 2.0 * z.log().diff(dim=-1)[:, 0] - logits.double().diff(dim=-1).item()
        expect_mean(centred, 0.0, "")
        expect_mean(centred**2, math.pi**2 / 3, "")


@hidden.check(
    "gumbel_softmax",
    "градиентът минава по пътя: при същия шум логитите местят точката",
    points=2,
    hint="log z се мести точно с промяната на логитите, делена на τ. Без .sample(), argmax и .detach().",
)
def relaxed_path(student, generator):
    logits, step = normal(generator, 5, 3), normal(generator, 5, 3)
    outcome = student.trace("gumbel_softmax", logits.clone().requires_grad_(), 1.5, 4, seed=7)
    expect(outcome.gradients is not None and outcome.gradients[0] is not None, "Прекъснат градиент.")
    here = expect_tensor(outcome.value, (4, 5, 3)).log()
    there = expect_tensor(
        student.trace("gumbel_softmax", logits + step, 1.5, 4, seed=7).value, (4, 5, 3)
    ).log()
    expect_close((there - here).diff(dim=-1), (step / 1.5).diff(dim=-1).expand(4, 5, 2), "", atol=1e-3)


@hidden.check(
    "gumbel_softmax",
    "големи логити, ниска температура, един обект, без цикли и без промяна на аргументите",
    points=2,
    hint="Експонента от ℓ/τ прелива: използвайте softmax. Шумът не бива да е безкраен: u = 0 е възможно.",
)
def relaxed_edges(student, generator):
    logits = torch.tensor([[200.0, -200.0, 199.0]])
    outcome = student.trace("gumbel_softmax", logits, 0.05, 2000)
    value = expect_tensor(outcome.value, (2000, 1, 3))
    expect_unchanged(outcome)
    expect_mean((value[:, 0].argmax(-1) == 0).double(), 1 / (1 + math.exp(-1.0)), "")
    many = expect_tensor(student.gumbel_softmax(torch.zeros(1000, 1000), 1.0, 2), (2, 1000, 1000))
    expect_mean(many[..., 0].double(), 1e-3, "")
    small, large = ((normal(generator, k, 3), 0.5, k) for k in (2, 30))
    expect_no_loop(student, "gumbel_softmax", small, large, "K и N")


GUMBEL = "logits - exponential.log()"
hidden.mutant("gumbel_softmax", "обратен знак на шума", GUMBEL, "logits + exponential.log()")
hidden.mutant("gumbel_softmax", "без шум", GUMBEL, "logits - 0 * exponential")
hidden.mutant("gumbel_softmax", "нормален шум", "exponential.log()", "torch.randn_like(exponential)")
hidden.mutant("gumbel_softmax", "умножава по температурата", "/ temperature", "* temperature")
hidden.mutant(
    "gumbel_softmax",
    "температура само за логитите",
    f"({GUMBEL}) / temperature",
    "logits / temperature - exponential.log()",
)
hidden.mutant("gumbel_softmax", "softmax по грешна ос", "dim=-1", "dim=1")
hidden.mutant(
    "gumbel_softmax",
    "сигмоида вместо softmax",
    f"torch.softmax(({GUMBEL}) / temperature, dim=-1)",
    f"torch.sigmoid(({GUMBEL}) / temperature)",
)
hidden.mutant("gumbel_softmax", "прекъснат градиент", f"({GUMBEL})", "(logits.detach() - exponential.log())")
hidden.mutant("gumbel_softmax", "един шум за всички обекти", "(K, *logits.shape,", "(K, 1, logits.shape[-1],")
hidden.mutant("gumbel_softmax", "твърда извадка", "/ temperature", "/ 1e-6")


@hidden.alternative("gumbel_softmax", "чрез Gumbel")
def relaxed_by_gumbel(logits, temperature, K):
    noise = Gumbel(torch.zeros_like(logits), torch.ones_like(logits)).sample((K,))
    return F.softmax((logits + noise) / temperature, -1)


@hidden.alternative("gumbel_softmax", "чрез RelaxedOneHotCategorical")
def relaxed_by_distribution(logits, temperature, K):
    return RelaxedOneHotCategorical(torch.tensor(temperature), logits=logits).rsample((K,))


@hidden.alternative("gumbel_softmax", "чрез F.gumbel_softmax")
def relaxed_by_functional(logits, temperature, K):
    return F.gumbel_softmax(logits.expand(K, *logits.shape), tau=temperature)


# Exercise 8 ---------------------------------------------------------------


def networks(generator, **options):
    """A linear encoder to two bits and a linear decoder."""
    encoder, decoder = nn.Sequential(nn.Linear(5, 2, **options)), nn.Sequential(nn.Linear(2, 5, **options))
    for layer in (encoder[0], decoder[0]):
        layer.weight = nn.Parameter(normal(generator, *layer.weight.shape, **options))
        layer.bias = nn.Parameter(normal(generator, *layer.bias.shape, **options))
    return {"encoder": encoder, "decoder": decoder}


@hidden.check(
    "discrete_vae_loss",
    "градиентът към енкодера е неотместен",
    points=2,
    hint="През двоично z няма път: енкодерът се учи чрез скор-функцията. Сравнете с изброяване на кодовете.",
)
def loss_gradients(student, generator):
    parts, row, n = networks(generator), bits(generator, 1, 5), 3000
    leaf = row.double().requires_grad_()
    exact = public.exact_bound(parts["encoder"], parts["decoder"], leaf)[0].sum()
    wanted = torch.autograd.grad(-exact, leaf)[0][0]
    parts = {name: part.float() for name, part in parts.items()}
    outcome = student.trace("discrete_vae_loss", parts, row.expand(n, 5).clone().requires_grad_())
    expect(outcome.gradients is not None and outcome.gradients[0] is not None, "Прекъснат градиент.")
    gradients = n * expect_tensor(outcome.gradients[0], (n, 5))
    for column in range(5):
        expect_mean(gradients[:, column], wanted[column].item(), "")


@hidden.check(
    "discrete_vae_loss",
    "един обект, двойна точност, без цикъл по обектите и без промяна на аргументите",
    points=2,
    hint="Резултатът е скалар във всички случаи; двете мрежи се викат по веднъж за целия пакет.",
)
def loss_edges(student, generator):
    parts, x = networks(generator, **DOUBLE), bits(generator, 30, 5, **DOUBLE)
    outcome = student.trace("discrete_vae_loss", parts, x[:1])
    expect_tensor(outcome.value, (), torch.float64)
    expect_unchanged(outcome)
    expect_no_loop(student, "discrete_vae_loss", (parts, x[:2]), (parts, x), "пакета")


JOINT = "log_likelihood + log_prior - log_q, log_q"
hidden.mutant("discrete_vae_loss", "сменен знак", "return -surrogate", "return surrogate")
hidden.mutant("discrete_vae_loss", "сума вместо средно", ").mean()", ").sum()")
hidden.mutant("discrete_vae_loss", "без априорно", JOINT, "log_likelihood - log_q, log_q")
hidden.mutant("discrete_vae_loss", "без ентропията на q", JOINT, "log_likelihood + log_prior, log_q")
hidden.mutant("discrete_vae_loss", "само пътят, без скор-функцията", JOINT, JOINT + ".detach()")
hidden.mutant("discrete_vae_loss", "log_prior за един бит", "-z.shape[-1] * math.log(2)", "-math.log(2)")
hidden.mutant(
    "discrete_vae_loss", "меки битове", "z = q.sample((4,))", "z = q.probs.expand(4, *q.probs.shape)"
)
PRIOR = "torch.bernoulli(0.5 * torch.ones(4, *q.probs.shape)).to(x.dtype)"
hidden.mutant("discrete_vae_loss", "z от априорното", "q.sample((4,))", PRIOR)
hidden.mutant("discrete_vae_loss", "обърнати битове", "q.sample((4,))", "(1 - q.sample((4,)))")


@hidden.alternative("discrete_vae_loss", "скор-функция без базова линия, K = 16")
def loss_without_baseline(vae, x):
    logits = vae["encoder"](x)
    z = torch.bernoulli(logits.sigmoid().expand(16, *logits.shape))
    log_q = -F.binary_cross_entropy_with_logits(logits.expand(z.shape), z, reduction="none").sum(-1)
    heads = vae["decoder"](z)
    log_p = -F.binary_cross_entropy_with_logits(heads, x.expand(heads.shape), reduction="none").sum(-1)
    weight = log_p - log_q - z.shape[-1] * math.log(2)
    return -(weight + weight.detach() * (log_q - log_q.detach())).mean()


@hidden.alternative("discrete_vae_loss", "ентропията в затворен вид")
def loss_with_entropy(vae, x):
    q = Independent(Bernoulli(logits=vae["encoder"](x)), 1)
    z = q.sample((8,))
    fit = Independent(Bernoulli(logits=vae["decoder"](z)), 1).log_prob(x)
    divergence = z.shape[-1] * math.log(2) - q.entropy()
    return -(surrogate(fit, q.log_prob(z)) - divergence).mean()  # noqa: F821


# Exercise 9 ---------------------------------------------------------------


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −22 ната",
    points=2,
    hint="Моделът се учи, но не стига: повече стъпки, повече реализации или по-големи мрежи.",
)
def vae_learns(student, generator):
    public.expect_bound(student.weights("vae"), public.images(digits().test), generator, -22.0)


@hidden.check(
    "vae",
    "границата върху тестовите цифри е поне −19,5 ната",
    points=4,
    hint="Ако отделените цифри достигат прага, а тестовите – не, мрежата или изборът ѝ се преобучава.",
)
def vae_generalises(student, generator):
    public.expect_bound(student.weights("vae"), public.images(digits().test), generator, -19.5)


@hidden.metric("vae", threshold=-19.5, margin=0.5)
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


@hidden.damage("vae", "обърнати битове")
def flipped_bits(weights):
    return weights | {f"decoder.{FIRST}": -weights[f"decoder.{FIRST}"]}


@hidden.damage("vae", "увеличени логити, за да изглежда по-сигурен")
def exaggerated(weights):
    return weights | {f"decoder.{LAST}": 4 * weights[f"decoder.{LAST}"]}


@hidden.damage("vae", "NaN в теглата")
def not_numbers(weights):
    return weights | {f"decoder.{LAST}": weights[f"decoder.{LAST}"] * torch.nan}


@hidden.damage("vae", "числа вместо тегла")
def reported_numbers(weights):
    return {"bound": torch.tensor([-1.0]), "log_likelihood": torch.zeros(250)}


@hidden.alternative("vae", "битовете в друг ред")
def permuted_bits(weights):
    torch.manual_seed(0)
    order = torch.randperm(len(weights["encoder.layers.4.bias"]))
    heads = {name: weights[name][order] for name in (f"encoder.{LAST}", "encoder.layers.4.bias")}
    return weights | heads | {f"decoder.{FIRST}": weights[f"decoder.{FIRST}"][:, order]}


@hidden.alternative("vae", "обратен смисъл на битовете, навсякъде")
def negated_bits(weights):
    first = weights[f"decoder.{FIRST}"]
    return weights | {
        f"encoder.{LAST}": -weights[f"encoder.{LAST}"],
        "encoder.layers.4.bias": -weights["encoder.layers.4.bias"],
        f"decoder.{FIRST}": -first,
        "decoder.layers.0.bias": weights["decoder.layers.0.bias"] + first.sum(1),
    }
