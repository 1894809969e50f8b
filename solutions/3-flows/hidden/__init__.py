"""What students of lab 3 never see: hidden checks, typical mistakes that must cost points, other right
answers.

The titles and hints below are shown in the report; inputs, expected values and verdicts are not.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Normal
from torch.func import jacrev, vmap

from gmtools.data import TwoMoons
from gmtools.grading import (
    Hidden,
    expect,
    expect_close,
    expect_gradients,
    expect_no_loop,
    expect_tensor,
    expect_tensors,
    expect_unchanged,
)
from gmtools.grading.lab import load_module
from gmtools.training import seeded

hidden = Hidden()
public = load_module(Path(__file__).parents[3] / "labs" / "3-flows" / "checks.py")
DOUBLE, log_normal, masks_of, paths = public.DOUBLE, public.log_normal, public.masks_of, public.paths


def normal(generator, *shape, **options):
    return torch.randn(shape, generator=generator, **options)


def log_det(function, z):
    """log|det| of a function of one point at each row of z, by automatic differentiation."""
    return torch.linalg.slogdet(vmap(jacrev(function))(z)).logabsdet


def expect_pair(value, expected, **tolerance):
    """Fail unless the two tensors of ``value`` are those expected."""
    found = expect_tensors(value, *(e.shape for e in expected), dtype=expected[0].dtype)
    for one, wanted in zip(found, expected, strict=True):
        expect_close(one, wanted.detach(), "", **tolerance)


def gradients_of(function, *leaves):
    """The gradient of the sum of all that ``function`` returns."""
    value = function(*leaves)
    parts = value if isinstance(value, tuple) else (value,)
    return list(torch.autograd.grad(sum(part.sum() for part in parts), leaves))


# Exercise 1 ---------------------------------------------------------------


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
    w, u = normal(generator, 2, 3), normal(generator, 2, 3)
    outcome = student.trace("planar_constraint", w, u)
    expect_close(outcome.value, true_constraint(w, u), "", atol=1e-3)
    expect_unchanged(outcome)
    expect_no_loop(
        student, "planar_constraint", (w, u), (normal(generator, 40, 9), normal(generator, 40, 9)), "w"
    )


SQUARE = "(w**2).sum(dim=-1, keepdim=True)"
hidden.mutant("planar_constraint", "без ограничение", "return u + missing * w", "return u + 0 * missing * w")
hidden.mutant("planar_constraint", "няма −1", " - 1 - product", " - product")
hidden.mutant("planar_constraint", "не изважда w·u", " - 1 - product", " - 1")
hidden.mutant("planar_constraint", "дели на нормата, а не на квадрата ѝ", SQUARE, f"{SQUARE}.sqrt()")
hidden.mutant("planar_constraint", "не дели", f" / {SQUARE}", "")
hidden.mutant("planar_constraint", "мести по u", "missing * w", "missing * u")
hidden.mutant("planar_constraint", "нормата е на u", "(w**2)", "(u**2)")
hidden.mutant("planar_constraint", "сменен знак", "u + missing", "u - missing")
hidden.mutant("planar_constraint", "прелива", "F.softplus(product)", "torch.log(1 + torch.exp(product))")
hidden.mutant("planar_constraint", "само отрязва", "F.softplus(product) - 1", "product.clamp(min=-1)")
hidden.mutant("planar_constraint", "сума по всичко", "(w * u).sum(dim=-1, keepdim=True)", "(w * u).sum()")
hidden.mutant("planar_constraint", "прекъснат градиент", "u + missing", "u + missing.detach()")
hidden.mutant(
    "planar_constraint",
    "променя аргумента",
    "return u + ",
    "return u.add_(0) if u.mul_(1.5) is None else u + ",
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


# Exercise 2 ---------------------------------------------------------------


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
        expect_pair(student.planar(*problem), true_planar(*problem))


@hidden.check(
    "planar",
    "далечни точки и голямо w·u",
    points=1,
    hint="При tanh = ±1 производната е нула и ladj = 0. Не делете на 1 − tanh² и не логаритмувайте sech.",
)
def planar_extremes(student, generator):
    w, u, b = torch.tensor([3.0, -4.0]), torch.tensor([900.0, 2.0]), torch.tensor(0.5)
    z = torch.tensor([[1e4, 0.0], [-1e4, 1e4], [0.0, 0.0], [0.3, 0.2]])
    expect_pair(student.planar(z, w, u, b), true_planar(z, w, u, b), rtol=1e-4)


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
    outcome = student.trace("planar", *small)
    expect_pair(outcome.value, true_planar(*small), atol=1e-3)
    expect_unchanged(outcome)
    expect_no_loop(student, "planar", small, large, "броя на точките")


LADJ = "torch.log1p((1 - h**2) * (w @ u))"
hidden.mutant("planar", "детерминанта вместо логаритъм", LADJ, "1 + (1 - h**2) * (w @ u)")
hidden.mutant("planar", "знакът на ladj", LADJ, f"-{LADJ}")
hidden.mutant("planar", "няма единица", LADJ, "torch.log(((1 - h**2) * (w @ u)).abs())")
hidden.mutant("planar", "производната на tanh е 1 − tanh", "1 - h**2", "1 - h")
hidden.mutant("planar", "без производната на tanh", "(1 - h**2) * (w @ u)", "(w @ u).expand_as(h)")
hidden.mutant("planar", "мести по w", "h[:, None] * u", "h[:, None] * w")
hidden.mutant("planar", "без отместването b", "z @ w + b", "z @ w")
hidden.mutant("planar", "сигмоида вместо tanh", "torch.tanh(", "torch.sigmoid(")
hidden.mutant("planar", "норма вместо скаларно произведение", "(w @ u)", "(w @ w)")
hidden.mutant("planar", "ladj без градиент", LADJ, f"{LADJ}.detach()")
hidden.mutant("planar", "x без градиент", "return z + h", "return z.detach() + h")
hidden.mutant("planar", "сума вместо по едно число за точка", LADJ, f"{LADJ}.sum()")
hidden.mutant("planar", "средно за ladj", LADJ, f"{LADJ}.mean().expand(len(z))")


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


# Exercises 3 and 4 --------------------------------------------------------


def true_coupling(z, net):
    """The layer by columns; the log-determinant is checked against autograd in tests/labs."""
    half = z.shape[-1] // 2
    out = net(z[..., :half])
    log_scale = 2 * torch.tanh(out[..., half:] / 2)
    x = torch.cat([z[..., :half], (z[..., half:] - out[..., :half]) * torch.exp(log_scale)], -1)
    return x, log_scale.sum(-1)


def random_net(generator, d, scale=1.0, dtype=torch.float32):
    return public.random_net(generator, d, scale=scale, dtype=dtype)


@hidden.check(
    "coupling",
    "случайни мрежи, една точка, двойна точност",
    points=2,
    hint="Сравнете с формулата за D = 2, в която всичко е число.",
)
def coupling_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 2, {}), (20, 6, DOUBLE), (8, 4, {})):
        z, net = normal(generator, n, d, **options), random_net(generator, d, **options)
        expect_pair(student.coupling(z, net), true_coupling(z, net))


@hidden.check(
    "coupling",
    "мрежа с огромни изходи: разтягането остава ограничено",
    points=1,
    hint="s = 2·tanh(a/2) е между −2 и 2 дори при a = 1000. exp(a) прелива, exp(s) – не.",
)
def coupling_extremes(student, generator):
    z, net = normal(generator, 6, 4), random_net(generator, 4, scale=60.0)
    expect_pair(student.coupling(z, net), true_coupling(z, net), rtol=1e-4, atol=1e-3)


@hidden.check(
    "coupling",
    "градиентът по z – и през x, и през ladj",
    points=1,
    hint="Градиентът минава и през мрежата: не я викайте под torch.no_grad() и не откачайте z₁.",
)
def coupling_gradients(student, generator):
    z, net = normal(generator, 5, 4, **DOUBLE).requires_grad_(), random_net(generator, 4, **DOUBLE)
    expected = gradients_of(lambda z: true_coupling(z, net), z)
    expect_gradients(student.trace("coupling", z, net), expected, "", atol=1e-6)


@hidden.check(
    "coupling",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Новото x се сглобява с torch.cat; записването в z[:, …] променя аргумента.",
)
def coupling_vectorised(student, generator):
    small, large = normal(generator, 2, 2), normal(generator, 50, 10)
    net = random_net(generator, 2)
    outcome = student.trace("coupling", small, net)
    expect_pair(outcome.value, true_coupling(small, net), atol=1e-3)
    expect_unchanged(outcome)
    expect_no_loop(
        student,
        "coupling",
        (small, random_net(generator, 2)),
        (large, random_net(generator, 10)),
        "точките и координатите",
    )


SCALE, HALVES = "2 * torch.tanh(raw / 2)", "kept, moved = z.chunk(2, dim=-1)"
hidden.mutant("coupling", "s = a", SCALE, "raw")
hidden.mutant("coupling", "s = tanh(a)", SCALE, "torch.tanh(raw)")
hidden.mutant("coupling", "няма exp", "log_scale.exp()", "log_scale")
hidden.mutant(
    "coupling",
    "първо разтяга, после мести",
    "(moved - shift) * log_scale.exp()",
    "moved * log_scale.exp() - shift",
)
hidden.mutant("coupling", "размяна на t и a", "shift, raw = net", "raw, shift = net")
hidden.mutant("coupling", "мести първата половина", HALVES, "moved, kept = z.chunk(2, dim=-1)")
hidden.mutant("coupling", "мрежата гледа другата половина", "net(kept)", "net(moved)")
hidden.mutant("coupling", "знакът на ladj", "log_scale.sum", "-log_scale.sum")
hidden.mutant("coupling", "средно вместо сума", "log_scale.sum", "log_scale.mean")
hidden.mutant("coupling", "ladj за всички точки заедно", "log_scale.sum(dim=-1)", "log_scale.sum()")
hidden.mutant(
    "coupling", "детерминанта вместо логаритъм", "log_scale.sum(dim=-1)", "log_scale.exp().prod(dim=-1)"
)
hidden.mutant(
    "coupling",
    "разменя половините",
    "torch.cat([kept, (moved - shift) * log_scale.exp()]",
    "torch.cat([(moved - shift) * log_scale.exp(), kept]",
)
hidden.mutant("coupling", "прекъснат градиент към мрежата", "net(kept)", "net(kept.detach())")
hidden.mutant("coupling", "ladj без градиент", "log_scale.sum(dim=-1)", "log_scale.detach().sum(dim=-1)")
hidden.mutant("coupling", "променя аргумента", HALVES, f"{HALVES}\n    moved.mul_(1.5)")


@hidden.alternative("coupling", "със срезове и клонинг")
def coupling_by_slices(z, net):
    half = z.shape[1] // 2
    out = net(z[:, :half])
    t, s = out[:, :half], 2 * torch.tanh(0.5 * out[:, half:])
    x = z.clone()
    x[:, half:] = (z[:, half:] - t) * torch.exp(s)
    return x, s.sum(1)


@hidden.alternative("coupling", "чрез сигмоида: 2·tanh(a/2) = 4·σ(a) − 2")
def coupling_by_sigmoid(z, net):
    z1, z2 = torch.tensor_split(z, 2, dim=1)
    t, a = torch.tensor_split(net(z1), 2, dim=1)
    s = 4 * torch.sigmoid(a) - 2
    return torch.hstack((z1, torch.mul(z2 - t, s.exp()))), torch.einsum("nd->n", s)


@hidden.check(
    "coupling_inverse",
    "случайни мрежи, една точка, двойна точност",
    points=1,
    hint="Приложете coupling върху резултата: трябва да се получи x.",
)
def inverse_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 2, {}), (20, 6, DOUBLE), (8, 4, {})):
        z, net = normal(generator, n, d, **options), random_net(generator, d, **options)
        x, ladj = true_coupling(z, net)
        expect_pair(student.coupling_inverse(x.detach(), net), (z, -ladj), atol=1e-4)


@hidden.check(
    "coupling_inverse",
    "мрежа с огромни изходи",
    points=1,
    hint="exp(s) и exp(−s) не преливат, щом s е между −2 и 2.",
)
def inverse_extremes(student, generator):
    z, net = normal(generator, 6, 4, **DOUBLE), random_net(generator, 4, scale=60.0, **DOUBLE)
    x, ladj = true_coupling(z, net)
    expect_pair(student.coupling_inverse(x.detach(), net), (z, -ladj), atol=1e-6)


@hidden.check(
    "coupling_inverse",
    "градиентът по x – и през z, и през ladj",
    points=1,
    hint="Потокът се обучава през тази посока: градиентът минава и през мрежата.",
)
def inverse_gradients(student, generator):
    x, net = normal(generator, 5, 4, **DOUBLE).requires_grad_(), random_net(generator, 4, **DOUBLE)

    def true_inverse(x):
        out = net(x[:, :2])
        s = 2 * torch.tanh(out[:, 2:] / 2)
        return torch.cat([x[:, :2], x[:, 2:] / s.exp() + out[:, :2]], 1), -s.sum(1)

    expect_gradients(student.trace("coupling_inverse", x, net), gradients_of(true_inverse, x), "", atol=1e-6)


@hidden.check(
    "coupling_inverse",
    "без цикли, без числено решаване и без промяна на аргументите",
    points=1,
    hint="Обратният слой е една формула: никакви итерации не са нужни.",
)
def inverse_vectorised(student, generator):
    small, large = normal(generator, 2, 2), normal(generator, 50, 10)
    net = random_net(generator, 2)
    x, ladj = true_coupling(small, net)
    outcome = student.trace("coupling_inverse", x.detach(), net)
    expect_pair(outcome.value, (small, -ladj), atol=1e-3)
    expect_unchanged(outcome)
    expect_no_loop(
        student,
        "coupling_inverse",
        (small, random_net(generator, 2)),
        (large, random_net(generator, 10)),
        "точките и координатите",
    )


BACK = "moved * torch.exp(-log_scale) + shift"
hidden.mutant("coupling_inverse", "същото като напред", BACK, "(moved - shift) * torch.exp(log_scale)")
hidden.mutant(
    "coupling_inverse", "първо прибавя, после дели", BACK, "(moved + shift) * torch.exp(-log_scale)"
)
hidden.mutant("coupling_inverse", "умножава вместо да дели", "torch.exp(-log_scale)", "torch.exp(log_scale)")
hidden.mutant("coupling_inverse", "изважда t", "+ shift", "- shift")
hidden.mutant("coupling_inverse", "ladj на правата посока", "-log_scale.sum", "log_scale.sum")
hidden.mutant("coupling_inverse", "без ladj", "-log_scale.sum", "0 * log_scale.sum")
hidden.mutant("coupling_inverse", "s = a", SCALE, "raw")
hidden.mutant("coupling_inverse", "размяна на t и a", "shift, raw = net", "raw, shift = net")
hidden.mutant("coupling_inverse", "мрежата гледа другата половина", "net(kept)", "net(moved)")
hidden.mutant(
    "coupling_inverse", "дели на exp(s) + 1e-2", "* torch.exp(-log_scale)", "/ (torch.exp(log_scale) + 1e-2)"
)
hidden.mutant("coupling_inverse", "прекъснат градиент към мрежата", "net(kept)", "net(kept.detach())")


@hidden.alternative("coupling_inverse", "със срезове и деление")
def inverse_by_slices(x, net):
    half = x.size(1) // 2
    out = net(x[:, :half])
    s = 2 * torch.tanh(out[:, half:] / 2)
    z2 = x[:, half:] / s.exp() + out[:, :half]
    return torch.cat((x[:, :half], z2), 1), s.neg().sum(1)


@hidden.alternative("coupling_inverse", "чрез torch.distributions")
def inverse_by_transform(x, net):
    x1, x2 = x.chunk(2, -1)
    t, a = net(x1).chunk(2, -1)
    scale = torch.exp(2 * torch.tanh(a / 2))
    layer = torch.distributions.AffineTransform(-t * scale, scale)
    z2 = layer.inv(x2)
    return torch.cat([x1, z2], -1), -layer.log_abs_det_jacobian(z2, x2).sum(-1)


# Exercise 5 ---------------------------------------------------------------


@hidden.check(
    "made_masks",
    "други размери и дълбочини: път има точно от миналото",
    points=2,
    hint="Умножете маските: на място (i, j) има нула точно когато j ≥ i.",
)
def masks_on_fresh_sizes(student, generator):
    for dim, sizes in ((2, [1]), (6, [5, 5, 5]), (9, [31]), (4, [3, 16, 7])):
        found = masks_of(student, dim, sizes)
        expect(all(bool(((m == 0) | (m == 1)).all()) for m in found), "")
        expect(torch.equal(paths(found) > 0, torch.ones(dim, dim).tril(-1) > 0), "")


@hidden.check(
    "made_masks",
    "една променлива, и тесен скрит слой",
    points=1,
    hint="При D = 1 изходът не зависи от нищо. Ако скритите единици са по-малко от D − 1, част от "
    "зависимостите липсват, но бъдещето пак е скрито.",
)
def masks_edges(student, generator):
    expect(bool((paths(masks_of(student, 1, [3])) == 0).all()), "")
    narrow = paths(masks_of(student, 8, [3, 2]))
    expect(bool((narrow.triu() == 0).all() and (narrow > 0).any()), "")


@hidden.check(
    "made_masks",
    "няма мъртви единици: всяка скрита единица вижда вход и достига до изход",
    points=1,
    hint="Степен D е безполезна: такава единица не достига до никой изход. Степените са от 1 до D − 1.",
)
def masks_without_dead_units(student, generator):
    for dim, size in ((3, 10), (5, 12), (2, 4)):
        first, last = masks_of(student, dim, [size])
        expect(bool((first.sum(1) > 0).all() and (last.sum(0) > 0).all()), "")


@hidden.check(
    "made_masks",
    "без цикли по единиците",
    points=1,
    hint="Сравнете двата вектора от степени наведнъж: a[:, None] >= b.",
)
def masks_vectorised(student, generator):
    expect(bool((paths(masks_of(student, 30, [40, 40])) > 0).any()), "")
    expect_no_loop(student, "made_masks", (3, [4, 4]), (60, [90, 90]), "размерите")


OUTPUT = "degrees[0][:, None] > degrees[-1]"
hidden.mutant("made_masks", "изходът вижда себе си", OUTPUT, OUTPUT.replace(">", ">="))
hidden.mutant(
    "made_masks", "скритите слоеве са строги", "after[:, None] >= before", "after[:, None] > before"
)
hidden.mutant("made_masks", "обратен ред", OUTPUT, OUTPUT.replace(">", "<"))
hidden.mutant("made_masks", "транспонирани маски", "(after[:, None] >= before)", "(after >= before[:, None])")
hidden.mutant("made_masks", "липсва последната маска", "return masks + [", "return masks + 0 * [")
hidden.mutant("made_masks", "без маски", f"({OUTPUT})", f"({OUTPUT}) | True")
hidden.mutant("made_masks", "степени до D", "% max(dim - 1, 1)", "% dim")
hidden.mutant("made_masks", "всички степени са 1", "torch.arange(size) %", "0 * torch.arange(size) %")
hidden.mutant("made_masks", "степени от 0", "1 + torch.arange(size)", "torch.arange(size)")
hidden.mutant("made_masks", "грешка при D = 1", "max(dim - 1, 1)", "(dim - 1)")
hidden.mutant("made_masks", "нули", ".float() for", ".float() * 0 for")


@hidden.alternative("made_masks", "със степени на равни стъпки")
def masks_by_linspace(dim, hidden):
    degrees, masks = torch.arange(dim), []
    for size in hidden:
        new = torch.linspace(0, max(dim - 2, 0), size).round()
        masks.append(torch.ge(new.unsqueeze(1), degrees.unsqueeze(0)).float())
        degrees = new
    masks.append(torch.gt(torch.arange(dim).unsqueeze(1), degrees.unsqueeze(0)).to(torch.float32))
    return tuple(masks)


@hidden.alternative("made_masks", "един остатък за всички слоеве")
def masks_by_remainder(dim, hidden):
    def degree(size):
        return torch.arange(size) % (dim - 1 if dim > 1 else 1)

    sizes = [torch.arange(dim)] + [degree(size) for size in hidden]
    inner = [
        torch.where(b[:, None] >= a[None, :], 1.0, 0.0) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
    ]
    return [*inner, torch.where(sizes[-1][None, :] < sizes[0][:, None], 1.0, 0.0)]


# Exercises 6 and 7 --------------------------------------------------------


def true_flow(z, nets):
    """Points and log q of the flow, with the log-determinant of the whole by automatic differentiation."""

    def whole(point):
        for net in nets:
            point = true_coupling(point, net)[0].flip(-1)
        return point

    return vmap(whole)(z), log_normal(z) - log_det(whole, z)


def flow_problem(generator, n, d, layers, scale=0.6, **options):
    return normal(generator, n, d, **options), [
        random_net(generator, d, scale=scale, **options) for _ in range(layers)
    ]


@hidden.check(
    "flow_forward",
    "случайни потоци с различен брой слоеве, една точка, двойна точност",
    points=1,
    hint="Мрежите се прилагат в дадения ред; изходът на един слой, обърнат, е входът на следващия.",
)
def forward_on_fresh_flows(student, generator):
    for n, d, layers, options in ((1, 2, 1, {}), (10, 4, 5, DOUBLE), (6, 2, 4, {})):
        z, nets = flow_problem(generator, n, d, layers, **options)
        expect_pair(student.flow_forward(z, nets), true_flow(z, nets), rtol=1e-4, atol=1e-3)


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
    outcome = student.trace("flow_forward", z, nets)
    expect_pair(outcome.value, true_flow(z, nets), rtol=1e-4, atol=1e-3)
    expect_unchanged(outcome)
    expect_no_loop(student, "flow_forward", (z, nets), (normal(generator, 40, 2), nets), "броя на точките")


FLIP = "x.flip(-1), log_q - ladj"
hidden.mutant("flow_forward", "знакът на ladj", FLIP, FLIP.replace("- ladj", "+ ladj"))
hidden.mutant(
    "flow_forward",
    "само последният слой",
    FLIP,
    "x.flip(-1), Normal(0.0, 1.0).log_prob(z).sum(dim=-1) - ladj",
)
hidden.mutant("flow_forward", "без обръщане", FLIP, FLIP.replace("x.flip(-1)", "x"))
hidden.mutant("flow_forward", "обръща точките, а не координатите", FLIP, FLIP.replace("-1", "0"))
hidden.mutant("flow_forward", "обратен ред на мрежите", "for net in nets", "for net in reversed(nets)")
hidden.mutant("flow_forward", "без якобиани", FLIP, "x.flip(-1), log_q")
hidden.mutant(
    "flow_forward",
    "плътността е в края",
    "return z, log_q",
    "return z, log_q - log_q + Normal(0.0, 1.0).log_prob(z).sum(dim=-1)",
)
hidden.mutant(
    "flow_forward", "без сума по координатите", ".log_prob(z).sum(dim=-1)", ".log_prob(z).mean(dim=-1)"
)
hidden.mutant("flow_forward", "обръща преди слоя", "coupling(z, net)", "coupling(z.flip(-1), net)")
hidden.mutant("flow_forward", "само първата мрежа", "in nets", "in nets[:1]")
hidden.mutant("flow_forward", "прекъснат градиент", "coupling(z, net)", "coupling(z.detach(), net)")


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
    return x, -0.5 * (z**2 + math.log(2 * math.pi)).sum(1) - total  # noqa: F821


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
    back = x
    correction = 0.0
    for net in reversed(nets):
        back = back.flip(-1)
        out = net(back[:, :2])
        s = 2 * torch.tanh(out[:, 2:] / 2)
        back = torch.cat([back[:, :2], back[:, 2:] / s.exp() + out[:, :2]], 1)
        correction = correction - s.sum()
    expected = torch.autograd.grad(log_normal(back).sum() + correction, x)
    expect_gradients(student.trace("flow_log_prob", x, nets), list(expected), "", atol=1e-6)


@hidden.check(
    "flow_log_prob",
    "без цикъл по точките и без промяна на аргументите",
    points=1,
    hint="Цикълът е само по слоевете; x -= t върху самия аргумент го променя.",
)
def density_vectorised(student, generator):
    z, nets = flow_problem(generator, 2, 2, 3, scale=0.4)
    x, log_q = true_flow(z, nets)
    outcome = student.trace("flow_log_prob", x.detach(), nets)
    expect_close(outcome.value, log_q.detach(), "", atol=2e-3)
    expect_unchanged(outcome)
    expect_no_loop(student, "flow_log_prob", (z, nets), (normal(generator, 40, 2), nets), "броя на точките")


hidden.mutant("flow_log_prob", "знакът на ladj", "correction + ladj", "correction - ladj")
hidden.mutant("flow_log_prob", "без ladj", "correction + ladj", "correction + 0 * ladj")
hidden.mutant("flow_log_prob", "само последният слой", "correction = correction + ladj", "correction = ladj")
hidden.mutant("flow_log_prob", "слоевете отпред назад", "in reversed(nets)", "in nets")
hidden.mutant("flow_log_prob", "без обръщане", "x.flip(-1)", "x")
hidden.mutant("flow_log_prob", "права вместо обратна посока", "coupling_inverse(", "coupling(")
hidden.mutant(
    "flow_log_prob",
    "плътността е в x, а не в z",
    "correction = 0.0",
    "correction = Normal(0.0, 1.0).log_prob(x).sum(dim=-1)",
)
hidden.mutant("flow_log_prob", "средно по координатите", ".sum(dim=-1)", ".mean(dim=-1)")
hidden.mutant("flow_log_prob", "сума по всички точки", ".sum(dim=-1)", ".sum()")
hidden.mutant(
    "flow_log_prob",
    "плътност вместо логаритъм",
    "return Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction",
    "return torch.exp(Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction)",
)
hidden.mutant(
    "flow_log_prob",
    "логаритъм от плътност",
    "return Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction",
    "return torch.log(torch.exp(Normal(0.0, 1.0).log_prob(x).sum(dim=-1) + correction))",
)
hidden.mutant("flow_log_prob", "прекъснат градиент", "x.flip(-1), net", "x.flip(-1).detach(), net")


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
    return torch.stack(corrections).sum(0) - (x.square() / 2).sum(1) - x.shape[1] / 2 * math.log(2 * math.pi)  # noqa: F821


# Exercise 8 ---------------------------------------------------------------


def true_elbo(x, z, w, u, b, decoder, sigma):
    """With the log-determinant of all layers by automatic differentiation."""
    u = true_constraint(w, u)

    def whole(point):
        for w_l, u_l, b_l in zip(w, u, b, strict=True):
            point = point + u_l * torch.tanh((w_l * point).sum() + b_l)
        return point

    moved = vmap(whole)(z)
    log_p = log_normal(moved) + Normal(decoder(moved), sigma).log_prob(x).sum(-1)
    return (log_p - log_normal(z) + log_det(whole, z)).mean()


def elbo_problem(generator, count, d, layers, sigma, **options):
    w, u, b = (normal(generator, *shape, **options) for shape in ((layers, d), (layers, d), (layers,)))
    first, last = random_net(generator, 2 * d, **options)[:2], nn.Linear(8, 3, **options)
    last.weight = nn.Parameter(normal(generator, 3, 8, **options))
    last.bias = nn.Parameter(normal(generator, 3, **options))
    decoder = nn.Sequential(*first, last)
    x, z = normal(generator, 3, **options), normal(generator, count, d, **options)
    return x, z, w, u, b, decoder, sigma


@hidden.check(
    "planar_elbo",
    "случайни модели и потоци, една реализация, един слой, двойна точност",
    points=1,
    hint="Сметнете четирите логаритъма поотделно: N(z₀), ladj, N(z_L) и p(x|z_L).",
)
def planar_elbo_on_fresh_inputs(student, generator):
    for count, d, layers, sigma, options in (
        (1, 2, 1, 0.5, {}),
        (20, 3, 4, 2.0, DOUBLE),
        (9, 2, 3, 0.3, DOUBLE),
    ):
        problem = elbo_problem(generator, count, d, layers, sigma, **options)
        expect_close(student.planar_elbo(*problem), true_elbo(*problem).detach(), "", rtol=1e-4)


@hidden.check(
    "planar_elbo",
    "градиентите по w, u и b: през реализациите и през ladj",
    points=1,
    hint="Обучават се w, u и b: градиентът минава през ограничението, през x на всеки слой и през ladj.",
)
def planar_elbo_gradients(student, generator):
    x, z, *parameters, decoder, sigma = elbo_problem(generator, 6, 2, 3, 0.7, **DOUBLE)
    leaves = [p.requires_grad_() for p in parameters]
    expected = torch.autograd.grad(true_elbo(x, z, *leaves, decoder, sigma), leaves)
    outcome = student.trace("planar_elbo", x, z, *leaves, decoder, sigma)
    expect_gradients(outcome, list(expected), "", rtol=1e-4, atol=1e-6)


@hidden.check(
    "planar_elbo",
    "много малко σ и далечно x",
    points=1,
    hint="Логаритъмът на p(x|z) се смята направо; самата плътност се закръглява до нула.",
)
def planar_elbo_extremes(student, generator):
    x, z, w, u, b, decoder, _ = elbo_problem(generator, 5, 2, 2, 1.0, **DOUBLE)
    far = (100 + x, z, 5 * w, 5 * u, b, decoder, 1e-2)
    expect_close(student.planar_elbo(*far), true_elbo(*far).detach(), "", rtol=1e-5)


@hidden.check(
    "planar_elbo",
    "без цикъл по реализациите и без промяна на аргументите",
    points=1,
    hint="Цикълът е само по слоевете; u не се презаписва на място.",
)
def planar_elbo_vectorised(student, generator):
    x, z, *rest = elbo_problem(generator, 3, 2, 2, 1.0)
    outcome = student.trace("planar_elbo", x, z, *rest)
    expect_close(outcome.value, true_elbo(x, z, *rest).detach(), "", rtol=1e-4)
    expect_unchanged(outcome)
    expect_no_loop(student, "planar_elbo", (x, z, *rest), (x, normal(generator, 50, 2), *rest), "K")


hidden.mutant("planar_elbo", "без ограничението", "planar_constraint(w, u)", "u")
hidden.mutant("planar_elbo", "знакът на ladj", "log_q - ladj", "log_q + ladj")
hidden.mutant("planar_elbo", "без ladj", "log_q - ladj", "log_q - 0 * ladj")
hidden.mutant(
    "planar_elbo",
    "без априорното",
    "log_p = Normal(0.0, 1.0).log_prob(z).sum(dim=-1) + Normal",
    "log_p = Normal",
)
hidden.mutant(
    "planar_elbo", "без правдоподобието", " + Normal(decoder(z), sigma).log_prob(x).sum(dim=-1)", ""
)
hidden.mutant("planar_elbo", "дисперсия вместо отклонение", "decoder(z), sigma", "decoder(z), sigma**0.5")
hidden.mutant("planar_elbo", "сума вместо средно", ".mean()", ".sum()")
hidden.mutant("planar_elbo", "не е скалар", ".mean()", "")
hidden.mutant("planar_elbo", "загуба вместо граница", "(log_p - log_q)", "(log_q - log_p)")
hidden.mutant(
    "planar_elbo",
    "само последният слой",
    "z, ladj = planar(z, w_l, u_l, b_l)",
    "z, ladj = planar(z, w[-1], u_l, b_l)",
)
hidden.mutant(
    "planar_elbo", "декодира началното z", "Normal(decoder(z), sigma)", "Normal(decoder(z.detach()), sigma)"
)
hidden.mutant(
    "planar_elbo",
    "логаритъм от плътност",
    "log_p = Normal(0.0, 1.0)",
    "log_p = 0 * Normal(decoder(z), sigma).log_prob(x).sum(dim=-1).exp().log() + Normal(0.0, 1.0)",
)
hidden.mutant(
    "planar_elbo", "средно по пикселите на x", ".log_prob(x).sum(dim=-1)", ".log_prob(x).mean(dim=-1)"
)


@hidden.alternative("planar_elbo", "чрез torch.distributions, членовете поотделно")
def planar_elbo_by_distributions(x, z, w, u, b, decoder, sigma):
    base = torch.distributions.Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
    entropy, moved = -base.log_prob(z).mean(), z
    for k in range(len(b)):
        moved, ladj = planar(moved, w[k], planar_constraint(w[k], u[k]), b[k])  # noqa: F821
        entropy = entropy + ladj.mean()
    likelihood = torch.distributions.Independent(Normal(decoder(moved), sigma), 1)
    return base.log_prob(moved).mean() + likelihood.log_prob(x).mean() + entropy


@hidden.alternative("planar_elbo", "по формули: константите на двете нормални плътности се съкращават")
def planar_elbo_by_formulas(x, z, w, u, b, decoder, sigma):
    start, total = z, 0
    for w_k, u_k, b_k in zip(w, u, b, strict=True):
        z, ladj = planar(z, w_k, planar_constraint(w_k, u_k), b_k)  # noqa: F821
        total = total + ladj
    log_ratio = 0.5 * (start**2 - z**2).sum(1) + total
    residual = (x - decoder(z)) / sigma
    log_x = -0.5 * (residual**2).sum(1) - x.shape[0] * (math.log(sigma) + 0.5 * math.log(2 * math.pi))  # noqa: F821
    return torch.mean(log_ratio + log_x)


# What was trained ----------------------------------------------------------


@hidden.check(
    "moons",
    "същият праг, върху други точки: NLL най-много 1,35",
    points=3,
    hint="Потокът се обучава с много точки; ако прагът се достига само понякога, обучението е спряло рано.",
)
def moons_generalises(student, generator):
    public.expect_nll(student.weights("moons"), generator, 1.35)


@hidden.check(
    "moons",
    "плътността е над дъгите, а не между тях",
    points=3,
    hint="Начертайте плътността: двата полумесеца личат по цялата си дължина.",
)
def moons_cover_both(student, generator):
    """Few points may be scored far worse than by the truth: a missing piece of a moon costs many nats."""
    flow = public.rebuilt_flow(student.weights("moons"))
    with seeded(int(torch.randint(2**31, (1,), generator=generator))):
        x = TwoMoons().sample((5000,)).double()
    missed = (TwoMoons().log_prob(x) - flow.log_prob(x) > 3).double().mean().item()
    expect(missed < 0.01, "")


@hidden.metric("moons", threshold=-1.35, margin=0.05)
def moons_likelihood(weights):
    return -public.held_out_nll(public.rebuilt_flow(weights), torch.Generator().manual_seed(0))


@hidden.damage("moons", "преди обучението")
def moons_untrained(weights):
    torch.manual_seed(0)
    return {name: torch.randn_like(value) / value.shape[-1] ** 0.5 for name, value in weights.items()}


@hidden.damage("moons", "потокът не прави нищо")
def moons_identity(weights):
    return {name: 0 * value for name, value in weights.items()}


@hidden.damage("moons", "слоевете в обратен ред")
def moons_reversed(weights):
    last = max(int(name.partition(".")[0]) for name in weights)
    parts = {name: name.partition(".") for name in weights}
    return {f"{last - int(k)}.{rest}": weights[name] for name, (k, _, rest) in parts.items()}


@hidden.damage("moons", "последният слой липсва")
def moons_without_a_layer(weights):
    last = str(max(int(name.partition(".")[0]) for name in weights))
    return {name: value for name, value in weights.items() if name.partition(".")[0] != last}


@hidden.damage("moons", "NaN в теглата")
def moons_not_a_number(weights):
    return {name: value * float("nan") for name, value in weights.items()}


@hidden.damage("moons", "друга мрежа")
def moons_of_another_form(weights):
    return {"0.weight": torch.randn(2, 1)}


@hidden.alternative("moons", "в двойна точност")
def moons_in_double(weights):
    return {name: value.double() for name, value in weights.items()}


@hidden.alternative("moons", "с два слоя в повече, които само обръщат реда")
def moons_with_idle_layers(weights):
    last = max(int(name.partition(".")[0]) for name in weights)
    idle = {name: 0 * value for name, value in weights.items() if name.startswith("0.")}
    return weights | {f"{last + k}.{name[2:]}": value for name, value in idle.items() for k in (1, 2)}


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


@hidden.alternative("posterior", "в двойна точност")
def posterior_in_double(weights):
    return {name: value.double() for name, value in weights.items()}


@hidden.alternative("posterior", "огледално по z₁")
def posterior_reflected(weights):
    sign = torch.tensor([-1.0, 1.0])
    return weights | {"w": weights["w"] * sign, "u": weights["u"] * sign}
