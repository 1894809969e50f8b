"""Exercise 5: the penalty of the slope."""

import torch
from torch import nn

from gmtools.grading import expect, expect_close, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden, public


def true_penalty(critic, x, slope):
    """Point by point, through the Jacobian; keeps the graph of the critic's parameters."""
    rows = [
        torch.autograd.functional.jacobian(lambda v: critic(v[None]).sum(), v, create_graph=True) for v in x
    ]
    norms = torch.stack([torch.linalg.vector_norm(row) for row in rows])
    return (norms - slope).square().mean()


@hidden.check(
    "gradient_penalty",
    "нови критици и точки: една точка, една координата, много координати",
    points=2,
    hint="Нормата е по dim=1: по координатите на точката.",
)
def penalty_on_fresh_inputs(student, generator):
    for n, d, slope in ((1, 2, 1.0), (20, 1, 0.0), (6, 12, 3.0)):
        critic, x = public.random_critic(generator, d, **DOUBLE), normal(generator, n, d, **DOUBLE)
        expect_close(student.gradient_penalty(critic, x, slope), true_penalty(critic, x, slope).detach(), "")
    critic, x = public.random_critic(generator, 3), normal(generator, 5, 3)
    expect_close(
        student.gradient_penalty(critic, x, 1.0), true_penalty(critic, x, 1.0).detach(), "", rtol=1e-4
    )
    x = normal(generator, 7, 3, **DOUBLE)
    wanted = (2 * x.norm(dim=1) - 1).square().mean()
    expect_close(student.gradient_penalty(lambda x: x.square().sum(-1), x, 1.0), wanted, "")


@hidden.check(
    "gradient_penalty",
    "градиентът по всички тегла на критика",
    points=3,
    hint="Втората производна минава през целия критик: create_graph=True, и нищо откачено между градиента и "
    "резултата.",
)
def penalty_parameters(student, generator):
    for slope in (0.0, 1.0):
        critic, x = public.random_critic(generator, 3, **DOUBLE), normal(generator, 6, 3, **DOUBLE)
        named = {name: value for name, value in critic.named_parameters() if name != "2.bias"}
        wanted = torch.autograd.grad(true_penalty(critic, x, slope), list(named.values()))
        outcome = student.trace("gradient_penalty", critic, x, slope, parameters=True)
        found = outcome.parameters or {}
        for name, gradient in zip(named, wanted, strict=True):
            expect(found.get(name) is not None, "")
            expect_close(found[name], gradient, "", rtol=1e-5)


@hidden.check(
    "gradient_penalty",
    "напълно равен критик: крайна стойност и крайни градиенти",
    points=2,
    hint="Производната на √s при s = 0 е безкрайна, а по нула става NaN. x.norm(dim=1) има производна нула "
    "там; друг изход е √(s + 1e-12).",
)
def penalty_of_a_flat_critic(student, generator):
    for slope in (0.0, 1.0):
        critic = public.random_critic(generator, 2, **DOUBLE)
        critic[2].weight = nn.Parameter(torch.zeros_like(critic[2].weight))
        outcome = student.trace(
            "gradient_penalty", critic, normal(generator, 4, 2, **DOUBLE), slope, parameters=True
        )
        expect_close(outcome.value, torch.tensor(slope, **DOUBLE), "", atol=1e-4)
        found = outcome.parameters or {}
        for name in ("0.weight", "2.weight"):
            expect(found.get(name) is not None and bool(torch.isfinite(found[name]).all()), "")


@hidden.check(
    "gradient_penalty",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="critic(x).sum() има за градиент по x градиентите на всички точки: те не си влияят.",
)
def penalty_vectorised(student, generator):
    few, many = ((public.random_critic(generator, 2), normal(generator, n, 2), 1.0) for n in (3, 60))
    expect_vectorised(student, "gradient_penalty", true_penalty, few, many, "точките")


NORM = "gradient.norm(dim=1)"
hidden.mistakes(
    "gradient_penalty",
    ("без втора производна", "create_graph=True", "retain_graph=True"),
    ("откачен градиент", NORM, "gradient.detach().norm(dim=1)"),
    ("норма на всичко", NORM, "gradient.norm()"),
    ("норма по точките", NORM, "gradient.norm(dim=0)"),
    ("квадрат на нормата", NORM, "gradient.square().sum(dim=1)"),
    ("без норма", NORM, "gradient"),
    ("най-голямата координата", NORM, "gradient.abs().amax(dim=1)"),
    ("норма L1", NORM, "gradient.abs().sum(dim=1)"),
    ("корен, който дава NaN", NORM, "gradient.square().sum(dim=1).sqrt()"),
    ("средно на наклоните", NORM, "gradient.norm(dim=1).mean()"),
    ("без slope", " - slope", ""),
    ("винаги единица", " - slope", " - 1"),
    ("без квадрат", ".square().mean()", ".abs().mean()"),
    ("сума", ".square().mean()", ".square().sum()"),
    ("само над slope", f"({NORM} - slope)", f"F.relu({NORM} - slope)"),
    ("градиент на средното", "critic(x).sum()", "critic(x).mean()"),
    ("наказва изхода", NORM, "critic(x).reshape(len(x), -1).norm(dim=1)"),
    ("променя точките", "x = x.detach()", "x = x.mul_(0.5).detach()"),
)


@hidden.alternative("gradient_penalty", "с grad_outputs и малко число под корена")
def penalty_with_epsilon(critic, x, slope):
    x = x.detach().clone().requires_grad_(True)
    out = critic(x)
    gradient = torch.autograd.grad(out, x, grad_outputs=torch.ones_like(out), create_graph=True)[0]
    return torch.mean((torch.sqrt((gradient**2).sum(1) + 1e-12) - slope) ** 2)


@hidden.alternative("gradient_penalty", "развит квадрат")
def penalty_expanded(critic, x, slope):
    with torch.enable_grad():
        points = x.clone().requires_grad_() if not x.requires_grad else x
        gradient = torch.autograd.grad(critic(points).sum(), points, create_graph=True)[0]
    squared = torch.einsum("nd,nd->n", gradient, gradient)
    length = torch.linalg.vector_norm(gradient, dim=-1)
    return squared.mean() - 2 * slope * length.mean() + slope**2
