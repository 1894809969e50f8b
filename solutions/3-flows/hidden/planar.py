"""Exercise 2: the planar layer and its Jacobian."""

import torch
from torch.func import vmap

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden, log_det


def true_planar(z, w, u, b):
    """The layer, with the log-determinant by automatic differentiation."""

    def layer(point):
        return point + u * torch.tanh((w * point).sum() + b)

    return vmap(layer)(z), log_det(layer, z)


def planar_problem(generator, n, d, **options):
    """Points, w, an admissible u, and b."""
    w, u = normal(generator, d, **options), normal(generator, d, **options)
    u = u - (w @ u).clamp(max=-0.7).add(0.7) * w / (w @ w)
    return normal(generator, n, d, **options), w, u, normal(generator, **options)


@hidden.check(
    "planar",
    "нови точки и параметри, една точка, една координата, двойна точност",
    points=2,
    hint="Сравнете ladj с torch.autograd.functional.jacobian за една точка.",
)
def planar_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 2, {}), (20, 5, DOUBLE), (7, 1, DOUBLE), (9, 3, {})):
        problem = planar_problem(generator, n, d, **options)
        expect_close(student.planar(*problem), true_planar(*problem), "")


@hidden.check(
    "planar",
    "далечни точки и голямо w·u",
    points=1,
    hint="При tanh = ±1 производната е нула и ladj = 0. Не делете на 1 − tanh² и не логаритмувайте sech.",
)
def planar_extremes(student, generator):
    w, u, b = torch.tensor([3.0, -4.0]), torch.tensor([900.0, 2.0]), torch.tensor(0.5)
    z = torch.tensor([[1e4, 0.0], [-1e4, 1e4], [0.0, 0.0], [0.3, 0.2]])
    expect_close(student.planar(z, w, u, b), true_planar(z, w, u, b), "", rtol=1e-4)


@hidden.check(
    "planar",
    "градиентите по z, w, u и b – и през x, и през ladj",
    points=1,
    hint="Нито x, нито ladj минават през .detach(), .item() или torch.no_grad().",
)
def planar_gradients(student, generator):
    leaves = [t.requires_grad_() for t in planar_problem(generator, 5, 3, **DOUBLE)]
    expected = gradients_of(true_planar, *leaves)
    expect_gradients(student.trace("planar", *leaves), expected, "", atol=1e-6)


@hidden.check(
    "planar",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="z @ w е (N,); за да се умножи по u, му трябва още една ос: h[:, None].",
)
def planar_vectorised(student, generator):
    small, large = planar_problem(generator, 2, 2), planar_problem(generator, 60, 12)
    expect_vectorised(student, "planar", true_planar, small, large, "броя на точките", atol=1e-3)


LADJ = "torch.log1p((1 - h**2) * (w @ u))"
hidden.mistakes(
    "planar",
    ("детерминанта вместо логаритъм", LADJ, "1 + (1 - h**2) * (w @ u)"),
    ("знакът на ladj", LADJ, f"-{LADJ}"),
    ("няма единица", LADJ, "torch.log(((1 - h**2) * (w @ u)).abs())"),
    ("производната на tanh е 1 − tanh", "1 - h**2", "1 - h"),
    ("без производната на tanh", "(1 - h**2) * (w @ u)", "(w @ u).expand_as(h)"),
    ("мести по w", "h[:, None] * u", "h[:, None] * w"),
    ("без отместването b", "z @ w + b", "z @ w"),
    ("сигмоида вместо tanh", "torch.tanh(", "torch.sigmoid("),
    ("норма вместо скаларно произведение", "(w @ u)", "(w @ w)"),
    ("ladj без градиент", LADJ, f"{LADJ}.detach()"),
    ("x без градиент", "return z + h", "return z.detach() + h"),
    ("сума вместо по едно число за точка", LADJ, f"{LADJ}.sum()"),
    ("средно за ladj", LADJ, f"{LADJ}.mean().expand(len(z))"),
)


@hidden.alternative("planar", "по автоматично диференциране")
def planar_by_autograd(z, w, u, b):
    def layer(point):
        return point + u * torch.tanh(torch.dot(w, point) + b)

    jacobian = torch.func.vmap(torch.func.jacrev(layer))(z)
    return torch.func.vmap(layer)(z), torch.linalg.slogdet(jacobian).logabsdet


@hidden.alternative("planar", "с модул и с cosh⁻² чрез производната на tanh")
def planar_by_definition(z, w, u, b):
    inner = (z * w).sum(-1, keepdim=True) + b
    slope = 1 - inner.tanh().square()
    psi = slope * w
    return z + u * inner.tanh(), torch.log((1 + (psi * u).sum(-1)).abs())
