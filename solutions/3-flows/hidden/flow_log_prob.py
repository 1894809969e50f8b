"""Exercise 7: the flow's density."""

import math

import torch

from gmtools.grading import expect_close, expect_gradients, expect_tensor, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden, log_normal
from .coupling_inverse import true_inverse
from .flow_forward import flow_problem, true_flow


def true_density(x, nets):
    """Back through the layers; the checks below also compare with the density that goes with a sample."""
    correction = 0.0
    for net in reversed(nets):
        x, ladj = true_inverse(x.flip(-1), net)
        correction = correction + ladj
    return log_normal(x) + correction


@hidden.check(
    "flow_log_prob",
    "съвпада с плътността, която върви с извадката",
    points=1,
    hint="За x, получено от flow_forward, двете функции трябва да дават едно и също число.",
)
def density_on_fresh_flows(student, generator):
    for n, d, layers, options in ((1, 2, 1, {}), (10, 4, 5, DOUBLE), (6, 2, 4, {}), (3, 6, 0, DOUBLE)):
        z, nets = flow_problem(generator, n, d, layers, scale=0.4, **options)
        x, log_q = true_flow(z, nets)
        value = expect_tensor(student.flow_log_prob(x.detach(), nets), (n,), z.dtype)
        expect_close(value, log_q.detach(), "", rtol=1e-4, atol=2e-3 if z.dtype == torch.float32 else 1e-6)


@hidden.check(
    "flow_log_prob",
    "далечни точки: плътността пада, но логаритъмът ѝ остава краен",
    points=1,
    hint="Останете при логаритмите: плътността в далечна точка се закръглява до нула.",
)
def density_extremes(student, generator):
    z, nets = flow_problem(generator, 5, 2, 3, scale=0.4, **DOUBLE)
    x, log_q = true_flow(100 * z, nets)
    expect_close(student.flow_log_prob(x.detach(), nets), log_q.detach(), "", rtol=1e-6, atol=1e-4)


@hidden.check(
    "flow_log_prob",
    "градиентът по x",
    points=1,
    hint="Градиентът минава и през плътността на N(0, I), и през всеки ladj.",
)
def density_gradients(student, generator):
    z, nets = flow_problem(generator, 4, 4, 3, scale=0.4, **DOUBLE)
    x = true_flow(z, nets)[0].detach().requires_grad_()
    expected = gradients_of(lambda x: true_density(x, nets), x)
    expect_gradients(student.trace("flow_log_prob", x, nets), expected, "", atol=1e-6)


@hidden.check(
    "flow_log_prob",
    "без цикъл по точките и без промяна на аргументите",
    points=1,
    hint="Цикълът е само по слоевете; x -= t върху самия аргумент го променя.",
)
def density_vectorised(student, generator):
    z, nets = flow_problem(generator, 2, 2, 3, scale=0.4)
    small, large = (true_flow(z, nets)[0].detach(), nets), (normal(generator, 40, 2), nets)
    expect_vectorised(student, "flow_log_prob", true_density, small, large, "броя на точките", atol=2e-3)


hidden.mistakes(
    "flow_log_prob",
    ("знакът на ladj", "correction + ladj", "correction - ladj"),
    ("без ladj", "correction + ladj", "correction + 0 * ladj"),
    ("само последният слой", "correction = correction + ladj", "correction = ladj"),
    ("слоевете отпред назад", "in reversed(nets)", "in nets"),
    ("без обръщане", "x.flip(-1)", "x"),
    ("права вместо обратна посока", "coupling_inverse(", "coupling("),
    (
        "плътността е в x, а не в z",
        "correction = 0.0",
        "correction = Normal(0.0, 1.0).log_prob(x).sum(dim=-1)",
    ),
    ("средно по координатите", ".sum(dim=-1)", ".mean(dim=-1)"),
    ("сума по всички точки", ".sum(dim=-1)", ".sum()"),
    (
        "плътност вместо логаритъм",
        "return Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction",
        "return torch.exp(Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction)",
    ),
    (
        "логаритъм от плътност",
        "return Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction",
        "return torch.log(torch.exp(Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction))",
    ),
    ("прекъснат градиент", "x.flip(-1), net", "x.flip(-1).detach(), net"),
)


@hidden.alternative("flow_log_prob", "по индекси, с torch.distributions")
def density_by_index(x, nets):
    z, total = x, x.new_zeros(len(x))
    for k in range(len(nets) - 1, -1, -1):
        z, ladj = coupling_inverse(torch.flip(z, (1,)), nets[k])  # noqa: F821
        total = total + ladj
    return total + torch.distributions.MultivariateNormal(
        torch.zeros_like(z[0]), torch.eye(z.shape[1], dtype=z.dtype)
    ).log_prob(z)


@hidden.alternative("flow_log_prob", "по формулата, с обърнат списък")
def density_by_formula(x, nets):
    corrections = [torch.zeros_like(x[:, 0])]
    for net in list(nets)[::-1]:
        x, ladj = coupling_inverse(x.fliplr(), net)  # noqa: F821
        corrections.append(ladj)
    return torch.stack(corrections).sum(0) - (x.square() / 2).sum(1) - x.shape[1] / 2 * math.log(2 * math.pi)
