"""Exercise 6: the unbiased MMD."""

import torch

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden, public


@hidden.check(
    "mmd2",
    "нови извадки с различен обем, една координата, три ширини, двойна точност",
    points=1,
    hint="Делителят вътре в x е N(N − 1), вътре в y – M(M − 1), между двете – N·M.",
)
def mmd_on_fresh_inputs(student, generator):
    sizes = ((2, 5, 1, (0.7,), DOUBLE), (30, 8, 4, (0.5, 1.0, 3.0), DOUBLE), (9, 2, 2, (1.0, 2.0), {}))
    for n, m, d, widths, options in sizes:
        x, y = normal(generator, n, d, **options), 0.5 + normal(generator, m, d, **options)
        expect_close(student.mmd2(x, y, widths), public.true_mmd2(x, y, widths), "")


@hidden.check(
    "mmd2",
    "далеч от началото: отместването на двете извадки не променя нищо",
    points=2,
    hint="Първо се изважда, после се повдига на квадрат: (a[:, None] − b). При ‖a‖² + ‖b‖² − 2a·b знаците "
    "се губят.",
)
def mmd_far_away(student, generator):
    x, y = normal(generator, 40, 2).round(decimals=1), 0.8 + normal(generator, 30, 2).round(decimals=1)
    shift = 2.0**14
    near, far = (x + shift) - shift, (y + shift) - shift  # what is left of the points after rounding
    expect_close(student.mmd2(x + shift, y + shift, (0.5, 1.0)), public.true_mmd2(near, far, (0.5, 1.0)), "")


@hidden.check(
    "mmd2",
    "градиентите по двете извадки, и при съвпадащи точки",
    points=2,
    hint="Корен от разстояние нула дава NaN в градиента; на ядрото му трябва само квадратът.",
)
def mmd_gradients(student, generator):
    x, y = normal(generator, 6, 2, **DOUBLE), normal(generator, 4, 2, **DOUBLE)
    x[1], y[0] = x[0], x[2]
    leaves = [x.requires_grad_(), y.requires_grad_()]
    expected = torch.autograd.grad(public.true_mmd2(x, y, (0.6, 1.2)), leaves)
    expect_gradients(student.trace("mmd2", *leaves, (0.6, 1.2)), list(expected), "")


@hidden.check(
    "mmd2",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Всички двойки наведнъж: (N, 1, D) минус (M, D) е (N, M, D). Цикъл може да има само по ширините.",
)
def mmd_vectorised(student, generator):
    few, many = ((normal(generator, n, 2), normal(generator, n + 1, 2), (1.0,)) for n in (3, 60))
    expect_vectorised(student, "mmd2", public.true_mmd2, few, many, "точките")


WITHIN = "(kernel(a, a).sum() - len(a)) / (len(a) * (len(a) - 1))"
SQUARED = "(a[:, None] - b).square().sum(dim=-1)"
TOTAL = "within(x) + within(y) - 2 * kernel(x, y).mean()"
hidden.mistakes(
    "mmd2",
    ("отместена: с диагонала", WITHIN, "kernel(a, a).mean()"),
    ("диагоналът е махнат, делителят – не", WITHIN, "(kernel(a, a).sum() - len(a)) / len(a) ** 2"),
    ("делителят е друг, диагоналът е останал", WITHIN, "kernel(a, a).sum() / (len(a) * (len(a) - 1))"),
    ("само половината двойки", WITHIN, f"({WITHIN}) / 2"),
    ("кръстосаният член веднъж", "- 2 * kernel", "- kernel"),
    ("без кръстосан член", " - 2 * kernel(x, y).mean()", ""),
    ("кръстосаният член с плюс", "- 2 * kernel", "+ 2 * kernel"),
    ("два пъти x", "within(y)", "within(x)"),
    ("без половинка в ядрото", "2 * h**2", "h**2"),
    ("ширината не е на квадрат", "2 * h**2", "2 * h"),
    ("ядро на Лаплас", "-squared / (2 * h**2)", "-squared.sqrt() / h"),
    ("сбор на ядрата", " / len(bandwidths)", ""),
    ("само първата ширина", "for h in bandwidths)", "for h in bandwidths[:1] * len(bandwidths))"),
    ("средно по координатите", SQUARED, "(a[:, None] - b).square().mean(dim=-1)"),
    ("квадрати поотделно", SQUARED, "(a.square().sum(-1)[:, None] + b.square().sum(-1) - 2 * a @ b.T)"),
    ("NaN в градиента", SQUARED, "(a[:, None] - b).square().sum(dim=-1).sqrt().square()"),
    ("корен", TOTAL, f"({TOTAL}).clamp(min=1e-9).sqrt()"),
    ("никога отрицателна", TOTAL, f"({TOTAL}).clamp(min=0)"),
    ("само средните", "kernel(x, y).mean()", "kernel(x.mean(0)[None], y.mean(0)[None]).mean()"),
)


@hidden.alternative("mmd2", "с маска и точните разстояния на cdist")
def mmd_by_cdist(x, y, bandwidths):
    def kernel(a, b):
        distance = torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.stack([torch.exp(-0.5 * (distance / h) ** 2) for h in bandwidths]).mean(0)

    def off_diagonal(a):
        gram = kernel(a, a)
        return gram[~torch.eye(len(a), dtype=torch.bool)].mean()

    return off_diagonal(x) + off_diagonal(y) - 2 * kernel(x, y).mean()


@hidden.alternative("mmd2", "обединени точки и една матрица")
def mmd_pooled(x, y, bandwidths):
    n, m = x.shape[0], y.shape[0]
    z = torch.cat([x, y])
    squared = torch.pow(z.unsqueeze(1) - z.unsqueeze(0), 2).sum(2)
    widths = torch.tensor(bandwidths, dtype=z.dtype)
    gram = torch.exp(-squared[..., None] / (2 * widths**2)).mean(-1)
    gram = gram - torch.diag(torch.diagonal(gram))
    inside = gram[:n, :n].sum() / (n * (n - 1)) + gram[n:, n:].sum() / (m * (m - 1))
    return inside - gram[:n, n:].mean() - gram[n:, :n].mean()
