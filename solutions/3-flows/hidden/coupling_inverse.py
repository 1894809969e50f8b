"""Exercise 4: the coupling layer, from data to noise."""

import torch

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import gradients_of, hidden, random_net
from .coupling import SCALE, true_coupling


def true_inverse(x, net):
    """The layer solved for its input; the checks below also go there and back."""
    half = x.shape[-1] // 2
    out = net(x[..., :half])
    log_scale = 2 * torch.tanh(out[..., half:] / 2)
    z = torch.cat([x[..., :half], x[..., half:] / log_scale.exp() + out[..., :half]], -1)
    return z, -log_scale.sum(-1)


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
        expect_close(student.coupling_inverse(x.detach(), net), (z, -ladj), "", atol=1e-4)


@hidden.check(
    "coupling_inverse",
    "мрежа с огромни изходи",
    points=1,
    hint="exp(s) и exp(−s) не преливат, щом s е между −2 и 2.",
)
def inverse_extremes(student, generator):
    z, net = normal(generator, 6, 4, **DOUBLE), random_net(generator, 4, scale=60.0, **DOUBLE)
    x, ladj = true_coupling(z, net)
    expect_close(student.coupling_inverse(x.detach(), net), (z, -ladj), "", atol=1e-6)


@hidden.check(
    "coupling_inverse",
    "градиентът по x – и през z, и през ladj",
    points=1,
    hint="Потокът се обучава през тази посока: градиентът минава и през мрежата.",
)
def inverse_gradients(student, generator):
    x, net = normal(generator, 5, 4, **DOUBLE).requires_grad_(), random_net(generator, 4, **DOUBLE)
    expected = gradients_of(lambda x: true_inverse(x, net), x)
    expect_gradients(student.trace("coupling_inverse", x, net), expected, "", atol=1e-6)


@hidden.check(
    "coupling_inverse",
    "без цикли, без числено решаване и без промяна на аргументите",
    points=1,
    hint="Обратният слой е една формула: никакви итерации не са нужни.",
)
def inverse_vectorised(student, generator):
    few, many = normal(generator, 2, 2), normal(generator, 50, 10)
    net, wide = random_net(generator, 2), random_net(generator, 10)
    small, large = (true_coupling(few, net)[0].detach(), net), (many, wide)
    what = "точките и координатите"
    expect_vectorised(student, "coupling_inverse", true_inverse, small, large, what, atol=1e-3)


BACK = "moved * torch.exp(-log_scale) + shift"
hidden.mistakes(
    "coupling_inverse",
    ("същото като напред", BACK, "(moved - shift) * torch.exp(log_scale)"),
    ("първо прибавя, после дели", BACK, "(moved + shift) * torch.exp(-log_scale)"),
    ("умножава вместо да дели", "torch.exp(-log_scale)", "torch.exp(log_scale)"),
    ("изважда t", "+ shift", "- shift"),
    ("ladj на правата посока", "-log_scale.sum", "log_scale.sum"),
    ("без ladj", "-log_scale.sum", "0 * log_scale.sum"),
    ("s = a", SCALE, "raw"),
    ("размяна на t и a", "shift, raw = net", "raw, shift = net"),
    ("мрежата гледа другата половина", "net(kept)", "net(moved)"),
    ("дели на exp(s) + 1e-2", "* torch.exp(-log_scale)", "/ (torch.exp(log_scale) + 1e-2)"),
    ("прекъснат градиент към мрежата", "net(kept)", "net(kept.detach())"),
)


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
