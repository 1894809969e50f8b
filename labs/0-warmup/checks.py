"""Public checks of the warm-up, which is not graded: there are no hidden ones."""

import math

import torch
from torch.distributions import Normal

from gmtools.grading import Lab, expect, expect_close, expect_tensor, expect_unchanged

lab = Lab("0-warmup", title="Загрявка. Тензори, логаритми на вероятности, autograd")
tensors = lab.exercise(
    "standardise", title="Упражнение 1. Тензори", points=0, chapter="3-inference/31-importance-sampling"
)
density = lab.exercise(
    "normal_log_prob",
    title="Упражнение 2. Логаритъм от плътност",
    points=0,
    chapter="3-inference/30-laplace-approximation",
)
derivative = lab.exercise(
    "slope", title="Упражнение 3. Autograd", points=0, chapter="4-gradients/46-reparameterisation"
)


@tensors.check(
    "всяка колона има средно 0 и отклонение 1",
    points=0,
    hint="x.mean(dim=0) усреднява по редовете и дава по едно число за всяка колона; torch сам го разширява.",
)
def columns_are_standard(student, generator):
    x = 3 + torch.tensor([1.0, 10.0, 0.1]) * torch.randn(50, 3, generator=generator)
    value = expect_tensor(student.standardise(x), (50, 3))
    expect_close(value.mean(0), torch.zeros(3), "Средното на някоя колона не е 0. По коя ос усреднявате?")
    expect_close(value.std(0), torch.ones(3), "Отклонението на някоя колона не е 1.", atol=0.02)


@tensors.check(
    "редът на числата се запазва, а аргументът не се променя",
    points=0,
    hint="Операциите, които завършват на _, и += променят тензора на този, който ви е извикал.",
)
def order_is_kept(student, generator):
    x = torch.randn(20, 2, generator=generator)
    outcome = student.trace("standardise", x)
    value = expect_tensor(outcome.value, (20, 2))
    expect(bool((value.argsort(0) == x.argsort(0)).all()), "Най-голямото число вече не е най-голямо.")
    expect_unchanged(outcome)


@density.check(
    "стойност, която се смята на ръка",
    points=0,
    hint="Формулата за една координата: −½ (x − μ)²/σ² − ln σ − ½ ln 2π.",
)
def density_by_hand(student, generator):
    value = student.normal_log_prob(torch.tensor([[1.0]]), torch.zeros(1), torch.ones(1))
    expected = torch.tensor([-0.5 - 0.5 * math.log(2 * math.pi)])
    expect_close(
        value, expected, "При x = 1, μ = 0 и σ = 1 стойността е −½ − ½ ln 2π ≈ −1,419, а вашата е друга."
    )


@density.check(
    "плътността се интегрира до единица",
    points=0,
    hint="Ако интегралът зависи от σ, липсва събираемото −ln σ.",
)
def density_is_normalised(student, generator):
    grid = torch.linspace(-30, 30, 6001)[:, None]
    value = expect_tensor(student.normal_log_prob(grid, torch.tensor([1.5]), torch.tensor([2.5])), (6001,))
    expect_close(value.exp().sum() * 0.01, torch.tensor(1.0), "Интегралът от плътността не е 1.", atol=1e-3)


@density.check(
    "независимите координати се събират, и далеч от средното няма −∞",
    points=0,
    hint="Логаритъмът от произведение е сбор: сумирайте по последната ос. Не логаритмувайте експонента.",
)
def coordinates_add(student, generator):
    mu, sigma = torch.randn(4, generator=generator), torch.rand(4, generator=generator) + 0.5
    x = torch.cat([torch.randn(5, 4, generator=generator), torch.full((1, 4), 100.0)])
    expected = Normal(mu, sigma).log_prob(x).sum(-1)
    expect_close(student.normal_log_prob(x, mu, sigma), expected, "За D = 4 стойностите са други.")


@derivative.check(
    "производните на няколко познати функции",
    points=0,
    hint="x.requires_grad_(), после torch.autograd.grad(f(x).sum(), x)[0]: сборът отделя точките.",
)
def known_derivatives(student, generator):
    x = torch.randn(9, generator=generator)
    for name, f, wanted in (
        ("x²", torch.square, 2 * x),
        ("sin x", torch.sin, x.cos()),
        ("eˣ", torch.exp, x.exp()),
    ):
        expect_close(student.slope(f, x), wanted, f"Производната на {name} е друга.")
