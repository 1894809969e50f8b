"""Exercise 7: modes counted."""

import torch

from gmtools.grading import expect_close, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def true_shares(x, means, radius):
    """Point by point."""
    counts = torch.zeros(len(means), dtype=x.dtype)
    for point in x:
        distances = (means - point).norm(dim=1)
        k = int(distances.argmin())
        counts[k] += bool(distances[k] <= radius)
    return counts / len(x)


@hidden.check(
    "mode_shares",
    "нови точки и моди, други размерности, двойна точност",
    points=2,
    hint="Дяловете са K на брой, дори когато при последните моди няма точки.",
)
def shares_on_fresh_inputs(student, generator):
    for m, k, d, options in ((50, 3, 2, {}), (7, 20, 1, DOUBLE), (40, 5, 6, DOUBLE), (1, 2, 2, {})):
        x, means = normal(generator, m, d, **options), 1.5 * normal(generator, k, d, **options)
        expect_close(student.mode_shares(x, means, 1.3), true_shares(x, means, 1.3), "")


@hidden.check(
    "mode_shares",
    "далечни точки, NaN и безкрайност не са при никоя мода",
    points=2,
    hint="Точка без разстояние не се брои, но остава в делителя M. Сравнението NaN <= radius е False.",
)
def shares_of_what_is_nowhere(student, generator):
    means = torch.tensor([[0.0, 0.0], [3.0, 3.0], [-5.0, 1.0]])
    x = torch.tensor([[0.1, 0.1], [torch.nan, 0.0], [torch.inf, 0.0], [1e6, -1e6], [3.0, 2.9]])
    expect_close(student.mode_shares(x, means, 0.5), torch.tensor([0.2, 0.2, 0.0]), "")
    far = torch.full((30, 2), 100.0) + normal(generator, 30, 2)
    far[0] = 0.0
    expect_close(student.mode_shares(far, means, 0.5), torch.tensor([1 / 30, 0.0, 0.0]), "")


@hidden.check(
    "mode_shares",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Разстоянията са (M, K), после min по последната ос; F.one_hot или torch.bincount броят наведнъж.",
)
def shares_vectorised(student, generator):
    few, many = ((normal(generator, n + 1, 2), normal(generator, n, 2), 1.0) for n in (3, 60))
    expect_vectorised(student, "mode_shares", true_shares, few, many, "точките и модите")


DISTANCE = "(x[:, None] - means).norm(dim=-1)"
hidden.mistakes(
    "mode_shares",
    ("без радиус", "(distance <= radius)", "(distance <= math.inf)"),
    ("строго по-малко", "distance <= radius", "distance < radius"),
    ("квадрат на разстоянието", DISTANCE, "(x[:, None] - means).square().sum(-1)"),
    ("норма L1", DISTANCE, "(x[:, None] - means).abs().sum(-1)"),
    ("най-далечната", ".min(dim=1)", ".max(dim=1)"),
    ("по модите, не по точките", "mean(dim=0)", "mean(dim=1)"),
    ("брой вместо дял", ".mean(dim=0)", ".sum(dim=0)"),
    ("дял от близките", "belongs.to(x.dtype).mean(dim=0)", "belongs.to(x.dtype).sum(0) / belongs.sum()"),
    ("цели числа", "belongs.to(x.dtype).mean(dim=0)", "belongs.sum(dim=0) // len(x)"),
    ("да или не", ".mean(dim=0)", ".amax(dim=0)"),
    ("всеки кръг поотделно", "return belongs", f"belongs = {DISTANCE} <= radius\n    return belongs"),
    ("без последната мода", "F.one_hot(nearest, len(means))", "F.one_hot(nearest)"),
    ("винаги единична точност", "x.dtype", "torch.float32"),
)


@hidden.alternative("mode_shares", "чрез bincount")
def shares_by_bincount(x, means, radius):
    squared = (x.unsqueeze(1) - means.unsqueeze(0)).pow(2).sum(2)
    nearest = squared.argmin(1)
    close = squared.gather(1, nearest[:, None])[:, 0].sqrt() <= radius
    return torch.bincount(nearest, weights=close.to(x.dtype), minlength=means.shape[0]) / x.shape[0]


@hidden.alternative("mode_shares", "чрез сравнение с номерата на модите")
def shares_by_comparison(x, means, radius):
    distance = torch.linalg.vector_norm(x[:, None] - means, dim=2)
    mine = distance.argmin(dim=1, keepdim=True) == torch.arange(len(means))
    return torch.where(mine & (distance <= radius), 1.0, 0.0).to(x.dtype).mean(0)
