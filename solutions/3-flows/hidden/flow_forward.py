"""Exercise 6: layer after layer, from noise to data."""

import math

import torch
from torch.distributions import Normal
from torch.func import vmap

from gmtools.grading import expect_close, expect_gradients, expect_tensors, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden, log_det, log_normal, random_net
from .coupling import true_coupling


def true_flow(z, nets):
    """Points and log q of the flow, with the log-determinant of the whole by automatic differentiation."""

    def whole(point):
        for net in nets:
            point = true_coupling(point, net)[0].flip(-1)
        return point

    return vmap(whole)(z), log_normal(z) - log_det(whole, z)


def flow_problem(generator, n, d, layers, scale=0.6, **options):
    z = normal(generator, n, d, **options)
    return z, [random_net(generator, d, scale=scale, **options) for _ in range(layers)]


@hidden.check(
    "flow_forward",
    "случайни потоци с различен брой слоеве, една точка, двойна точност",
    points=1,
    hint="Мрежите се прилагат в дадения ред; изходът на един слой, обърнат, е входът на следващия.",
)
def forward_on_fresh_flows(student, generator):
    for n, d, layers, options in ((1, 2, 1, {}), (10, 4, 5, DOUBLE), (6, 2, 4, {})):
        z, nets = flow_problem(generator, n, d, layers, **options)
        expect_close(student.flow_forward(z, nets), true_flow(z, nets), "", rtol=1e-4, atol=1e-3)


@hidden.check(
    "flow_forward",
    "двадесет слоя с огромни изходи остават крайни",
    points=1,
    hint="Събирайте логаритмите; не умножавайте детерминанти и не минавайте през exp и log.",
)
def forward_extremes(student, generator):
    z, nets = flow_problem(generator, 6, 2, 20, scale=4.0, **DOUBLE)
    x, log_q = expect_tensors(student.flow_forward(z, nets), (6, 2), (6,))
    total = log_normal(z)
    point = z
    for net in nets:
        point, ladj = true_coupling(point, net)
        point, total = point.flip(-1), total - ladj
    expect_close(x, point.detach(), "", rtol=1e-4, atol=1e-4)
    expect_close(log_q, total.detach(), "", atol=1e-5)


@hidden.check(
    "flow_forward",
    "градиентът по z – и през x, и през log q",
    points=1,
    hint="Нищо от веригата не минава през .detach() или torch.no_grad().",
)
def forward_gradients(student, generator):
    z, nets = flow_problem(generator, 4, 4, 3, **DOUBLE)
    z.requires_grad_()
    expected = gradients_of(lambda z: true_flow(z, nets), z)
    expect_gradients(student.trace("flow_forward", z, nets), expected, "", atol=1e-5)


@hidden.check(
    "flow_forward",
    "без цикъл по точките и без промяна на аргументите",
    points=1,
    hint="Цикълът е само по слоевете. log_q -= ladj върху тензор, който делите с друг, го променя.",
)
def forward_vectorised(student, generator):
    z, nets = flow_problem(generator, 2, 2, 3)
    small, large = (z, nets), (normal(generator, 40, 2), nets)
    what, tolerance = "броя на точките", {"rtol": 1e-4, "atol": 1e-3}
    expect_vectorised(student, "flow_forward", true_flow, small, large, what, **tolerance)


FLIP = "x.flip(-1), log_q - ladj"
hidden.mistakes(
    "flow_forward",
    ("знакът на ladj", FLIP, FLIP.replace("- ladj", "+ ladj")),
    ("само последният слой", FLIP, "x.flip(-1), Normal(0.0, 1.0).log_prob(z).sum(dim=-1) - ladj"),
    ("без обръщане", FLIP, FLIP.replace("x.flip(-1)", "x")),
    ("обръща точките, а не координатите", FLIP, FLIP.replace("-1", "0")),
    ("обратен ред на мрежите", "for net in nets", "for net in reversed(nets)"),
    ("без якобиани", FLIP, "x.flip(-1), log_q"),
    (
        "плътността е в края",
        "return z, log_q",
        "return z, log_q - log_q + Normal(0.0, 1.0).log_prob(z).sum(dim=-1)",
    ),
    ("без сума по координатите", ".log_prob(z).sum(dim=-1)", ".log_prob(z).mean(dim=-1)"),
    ("обръща преди слоя", "coupling(z, net)", "coupling(z.flip(-1), net)"),
    ("само първата мрежа", "in nets", "in nets[:1]"),
    ("прекъснат градиент", "coupling(z, net)", "coupling(z.detach(), net)"),
)


@hidden.alternative("flow_forward", "с натрупана поправка и с torch.distributions")
def forward_by_distributions(z, nets):
    base = torch.distributions.Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
    x, corrections = z, []
    for k in range(len(nets)):
        x, ladj = coupling(x, nets[k])  # noqa: F821
        x = torch.flip(x, dims=[1])
        corrections.append(ladj)
    return x, base.log_prob(z) - sum(corrections)


@hidden.alternative("flow_forward", "рекурсивно, с формулата на нормалната плътност")
def forward_by_recursion(z, nets):
    def run(z, k):
        if k == len(nets):
            return z, torch.zeros_like(z[:, 0])
        x, ladj = coupling(z, nets[k])  # noqa: F821
        x, rest = run(x[:, torch.arange(x.shape[1] - 1, -1, -1)], k + 1)
        return x, rest + ladj

    x, total = run(z, 0)
    return x, -0.5 * (z**2 + math.log(2 * math.pi)).sum(1) - total
