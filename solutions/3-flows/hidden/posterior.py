"""The trained flow as the posterior of a small model."""

import torch
from torch.distributions import Normal

from gmtools.grading import damage, expect
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden, log_normal, public


@hidden.check(
    "posterior",
    "същият праг, с други реализации: ELBO поне −1,45",
    points=2,
    hint="Границата се оценява с 10 000 нови реализации; шумът ѝ е под 0,01.",
)
def posterior_on_fresh_draws(student, generator):
    public.expect_elbo(student.weights("posterior"), generator, -1.45)


@hidden.check(
    "posterior",
    "средните на z₁² и z₂ са тези на точното апостериорно разпределение",
    points=2,
    hint="Сравнете извадка от потока с плътността върху решетката: дължината на банана и височината му.",
)
def posterior_moments(student, generator):
    weights = student.weights("posterior")
    public.held_out_elbo(weights, generator, 10)  # refuses what is no flow
    z = normal(generator, 10_000, 2, **DOUBLE)
    for w, u, b in zip(*(weights[name].double() for name in "wub"), strict=True):
        z = z + u * torch.tanh(z @ w + b)[:, None]
    side = torch.linspace(-6, 6, 601, **DOUBLE)
    grid = torch.cartesian_prod(side, side)
    likelihood = Normal(public.OBSERVED, public.NOISE).log_prob(public.parabola(grid)).sum(-1)
    exact = torch.softmax(log_normal(grid) + likelihood, 0)
    for moment in (lambda z: z[:, 0] ** 2, lambda z: z[:, 1]):
        expect(abs((moment(z).mean() - exact @ moment(grid)).item()) < 0.1, "")


@hidden.metric("posterior", threshold=-1.45, margin=0.04)
def posterior_elbo(weights):
    return public.held_out_elbo(weights, torch.Generator().manual_seed(0))


@hidden.damage("posterior", "преди обучението")
def posterior_untrained(weights):
    torch.manual_seed(0)
    return weights | {"u": 0.1 * torch.randn_like(weights["u"])}


@hidden.damage("posterior", "без слоеве: априорното")
def posterior_prior(weights):
    return weights | {"u": 0 * weights["u"]}


@hidden.damage("posterior", "u преди ограничението")
def posterior_unconstrained(weights):
    w = weights["w"]
    return weights | {"u": weights["u"] - 3 * w / (w**2).sum(-1, keepdim=True)}


@hidden.damage("posterior", "слоевете в обратен ред")
def posterior_reversed(weights):
    return {name: value.flip(0) for name, value in weights.items()}


@hidden.damage("posterior", "огледален образ: банан нагоре вместо надолу")
def posterior_mirrored(weights):
    sign = torch.tensor([1.0, -1.0])
    return weights | {"w": weights["w"] * sign, "u": weights["u"] * sign}


@hidden.damage("posterior", "едната страна на банана")
def posterior_of_one_side(weights):
    """A narrow Gaussian on one side, 0.35·z₀ + (0.5, 0.35): planar layers where tanh is straight."""
    w = 1e-3 * torch.eye(2)
    return {"w": w, "u": -650.0 * torch.eye(2), "b": torch.tensor([-0.00077, -0.00054])}


hidden.alternative("posterior", "в двойна точност")(damage.in_double)


@hidden.alternative("posterior", "огледално по z₁")
def posterior_reflected(weights):
    sign = torch.tensor([-1.0, 1.0])
    return weights | {"w": weights["w"] * sign, "u": weights["u"] * sign}
