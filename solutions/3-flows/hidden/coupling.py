"""Exercise 3: the coupling layer, from noise to data."""

import torch

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden, random_net


def true_coupling(z, net):
    """The layer by columns; the log-determinant is checked against autograd in tests/labs."""
    half = z.shape[-1] // 2
    out = net(z[..., :half])
    log_scale = 2 * torch.tanh(out[..., half:] / 2)
    x = torch.cat([z[..., :half], (z[..., half:] - out[..., :half]) * torch.exp(log_scale)], -1)
    return x, log_scale.sum(-1)


@hidden.check(
    "coupling",
    "случайни мрежи, една точка, двойна точност",
    points=2,
    hint="Сравнете с формулата за D = 2, в която всичко е число.",
)
def coupling_on_fresh_inputs(student, generator):
    for n, d, options in ((1, 2, {}), (20, 6, DOUBLE), (8, 4, {})):
        z, net = normal(generator, n, d, **options), random_net(generator, d, **options)
        expect_close(student.coupling(z, net), true_coupling(z, net), "")


@hidden.check(
    "coupling",
    "мрежа с огромни изходи: разтягането остава ограничено",
    points=1,
    hint="s = 2·tanh(a/2) е между −2 и 2 дори при a = 1000. exp(a) прелива, exp(s) – не.",
)
def coupling_extremes(student, generator):
    z, net = normal(generator, 6, 4), random_net(generator, 4, scale=60.0)
    expect_close(student.coupling(z, net), true_coupling(z, net), "", rtol=1e-4, atol=1e-3)


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
    few, many = normal(generator, 2, 2), normal(generator, 50, 10)
    small, large = ((z, random_net(generator, z.shape[1])) for z in (few, many))
    expect_vectorised(student, "coupling", true_coupling, small, large, "точките и координатите", atol=1e-3)


SCALE, HALVES = "2 * torch.tanh(raw / 2)", "kept, moved = z.chunk(2, dim=-1)"
hidden.mistakes(
    "coupling",
    ("s = a", SCALE, "raw"),
    ("s = tanh(a)", SCALE, "torch.tanh(raw)"),
    ("няма exp", "log_scale.exp()", "log_scale"),
    ("първо разтяга, после мести", "(moved - shift) * log_scale.exp()", "moved * log_scale.exp() - shift"),
    ("размяна на t и a", "shift, raw = net", "raw, shift = net"),
    ("мести първата половина", HALVES, "moved, kept = z.chunk(2, dim=-1)"),
    ("мрежата гледа другата половина", "net(kept)", "net(moved)"),
    ("знакът на ladj", "log_scale.sum", "-log_scale.sum"),
    ("средно вместо сума", "log_scale.sum", "log_scale.mean"),
    ("ladj за всички точки заедно", "log_scale.sum(dim=-1)", "log_scale.sum()"),
    ("детерминанта вместо логаритъм", "log_scale.sum(dim=-1)", "log_scale.exp().prod(dim=-1)"),
    (
        "разменя половините",
        "torch.cat([kept, (moved - shift) * log_scale.exp()]",
        "torch.cat([(moved - shift) * log_scale.exp(), kept]",
    ),
    ("прекъснат градиент към мрежата", "net(kept)", "net(kept.detach())"),
    ("ladj без градиент", "log_scale.sum(dim=-1)", "log_scale.detach().sum(dim=-1)"),
    ("променя аргумента", HALVES, f"{HALVES}\n    moved.mul_(1.5)"),
)


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
