"""Exercise 1: when a planar layer is invertible."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden


def true_constraint(w, u):
    """In double precision, by the component along the unit vector of w."""
    long_w, long_u = w.double(), u.double()
    length = long_w.norm(dim=-1, keepdim=True)
    unit = long_w / length
    product = (long_w * long_u).sum(-1, keepdim=True)
    along = (F.softplus(product) - 1) / length
    return (long_u - (unit * long_u).sum(-1, keepdim=True) * unit + along * unit).to(w.dtype)


@hidden.check(
    "planar_constraint",
    "нови w и u, с и без оси отпред, в единична и двойна точност",
    points=1,
    hint="Скаларното произведение е по последната ос, каквито и оси да има пред нея; keepdim пази формата.",
)
def constraint_on_fresh_inputs(student, generator):
    for shape, options in (((3,), {}), ((1, 2), {}), ((4, 5, 3), DOUBLE), ((6, 1), {})):
        w, u = normal(generator, *shape, **options), 2 * normal(generator, *shape, **options)
        w = w + 0.3 * w.sign()
        expect_close(student.planar_constraint(w, u), true_constraint(w, u), "", atol=1e-4)


@hidden.check(
    "planar_constraint",
    "много голямо и много малко w·u",
    points=1,
    hint="log(1 + exp(a)) прелива при a = 100; F.softplus не прелива.",
)
def constraint_extremes(student, generator):
    w = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    u = torch.tensor([[300.0, 1.0], [-300.0, 1.0], [4.0, 100.0], [-60.0, 10.0]])
    expect_close(student.planar_constraint(w, u), true_constraint(w, u), "", rtol=1e-4, atol=1e-3)


@hidden.check(
    "planar_constraint",
    "градиентите по w и u",
    points=1,
    hint="Всичко се смята с тензори: без .item(), .detach() и float(…).",
)
def constraint_gradients(student, generator):
    leaves = [normal(generator, 4, 3, **DOUBLE).requires_grad_() for _ in range(2)]
    expected = gradients_of(true_constraint, *leaves)
    expect_gradients(student.trace("planar_constraint", *leaves), expected, "", atol=1e-6)


@hidden.check(
    "planar_constraint",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Една формула за всички редове; операциите, които завършват на _, променят аргумента.",
)
def constraint_vectorised(student, generator):
    small, large = ((normal(generator, *shape), normal(generator, *shape)) for shape in ((2, 3), (40, 9)))
    expect_vectorised(student, "planar_constraint", true_constraint, small, large, "w", atol=1e-3)


SQUARE = "(w**2).sum(dim=-1, keepdim=True)"
hidden.mistakes(
    "planar_constraint",
    ("без ограничение", "return u + missing * w", "return u + 0 * missing * w"),
    ("няма −1", " - 1 - product", " - product"),
    ("не изважда w·u", " - 1 - product", " - 1"),
    ("дели на нормата, а не на квадрата ѝ", SQUARE, f"{SQUARE}.sqrt()"),
    ("не дели", f" / {SQUARE}", ""),
    ("мести по u", "missing * w", "missing * u"),
    ("нормата е на u", "(w**2)", "(u**2)"),
    ("сменен знак", "u + missing", "u - missing"),
    ("прелива", "F.softplus(product)", "torch.log(1 + torch.exp(product))"),
    ("само отрязва", "F.softplus(product) - 1", "product.clamp(min=-1)"),
    ("сума по всичко", "(w * u).sum(dim=-1, keepdim=True)", "(w * u).sum()"),
    ("прекъснат градиент", "u + missing", "u + missing.detach()"),
    ("променя аргумента", "return u + ", "return u.add_(0) if u.mul_(1.5) is None else u + "),
)


@hidden.alternative("planar_constraint", "чрез einsum и logaddexp")
def constraint_by_einsum(w, u):
    a = torch.einsum("...d,...d->...", w, u)[..., None]
    m = torch.logaddexp(a, torch.zeros_like(a)) - 1
    return u + (m - a) * w / torch.einsum("...d,...d->...", w, w)[..., None]


@hidden.alternative("planar_constraint", "чрез единичния вектор")
def constraint_by_unit_vector(w, u):
    unit = F.normalize(w, dim=-1, eps=0.0)
    length = torch.linalg.vector_norm(w, dim=-1, keepdim=True)
    inner = torch.sum(w * u, -1, True)
    across = u - unit * torch.sum(unit * u, -1, True)
    return across + unit * (torch.nn.Softplus()(inner) - 1) / length
