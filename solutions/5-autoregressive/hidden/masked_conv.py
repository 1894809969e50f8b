"""Exercise 2: the masked convolution."""

import itertools

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE

from .causal_mask import true_mask
from .common import hidden, public


@hidden.check(
    "masked_conv",
    "случайни изображения и ядра, в единична и двойна точност",
    points=2,
    hint="Размерът на ядрото е weight.shape[-1]; изображението може да не е квадратно.",
)
def conv_on_fresh_inputs(student, generator):
    cases = ((1, 1, 1, 3, {}), (3, 2, 4, 5, DOUBLE), (2, 4, 1, 1, {}), (2, 1, 2, 7, DOUBLE))
    for (n, inputs, outputs, size, options), kind in itertools.product(cases, "AB"):
        weight, bias = public.random_conv(generator, inputs, outputs, size, **options)
        x = torch.randn(n, inputs, 5, 4, generator=generator, **options)
        seen = weight * true_mask(kind, size).to(weight)
        expect_close(student.masked_conv(x, weight, bias, kind), F.conv2d(x, seen, bias, padding="same"), "")


@hidden.check(
    "masked_conv",
    "градиентите по x, weight и bias; аргументите не се променят; без цикли",
    points=2,
    hint="Ново тегло weight * mask вместо weight.data *= mask, и едно извикване на F.conv2d.",
)
def conv_gradients(student, generator):
    weight, bias = public.random_conv(generator, 2, 3, 3, **DOUBLE)
    leaves = torch.randn(2, 2, 4, 5, generator=generator, **DOUBLE), weight, bias
    for kind in "AB":
        inputs = [leaf.clone().requires_grad_() for leaf in leaves]
        value = F.conv2d(inputs[0], inputs[1] * true_mask(kind, 3).double(), inputs[2], padding=1)
        wanted = torch.autograd.grad(value.sum(), inputs)
        outcome = student.trace("masked_conv", *(leaf.clone().requires_grad_() for leaf in leaves), kind)
        expect_unchanged(outcome)
        expect_gradients(outcome, list(wanted), "")
    small, large = ((torch.ones(n, 2, n, n), weight.float(), bias.float(), "A") for n in (2, 12))
    expect_no_loop(student, "masked_conv", small, large, "изображението")


hidden.mistakes(
    "masked_conv",
    ("без маска", "weight * mask", "weight"),
    ("винаги маска A", "causal_mask(kind, size)", 'causal_mask("A", size)'),
    ("винаги маска B", "causal_mask(kind, size)", 'causal_mask("B", size)'),
    ("без допълване", "padding=size // 2", "padding=0"),
    ("допълване за ядро 3", "padding=size // 2", "padding=1"),
    (
        "маска върху изображението",
        "x, weight * mask",
        "x * F.interpolate(mask[None, None], x.shape[2:]), weight",
    ),
    ("без bias", "bias, padding", "None, padding"),
    ("обърнато ядро", "weight * mask", "(weight * mask).flip(-1)"),
    ("маска само за първия канал", "weight * mask", "torch.cat([weight[:, :1] * mask, weight[:, 1:]], 1)"),
    ("променя weight", "weight * mask", "weight.data.mul_(mask)"),
    ("прекъснат градиент", "weight * mask", "weight.detach() * mask"),
)


@hidden.alternative("masked_conv", "с изместване вместо маска")
def conv_by_parts(x, weight, bias, kind):
    half = weight.shape[-1] // 2
    here = half + (kind == "B")
    above = F.conv2d(F.pad(x, (half, half, half, 0)), weight[:, :, :half])[:, :, : x.shape[2]] if half else 0
    beside = (
        F.conv2d(F.pad(x, (half, 0)), weight[:, :, half : half + 1, :here])[..., : x.shape[3]] if here else 0
    )
    return above + beside + bias.reshape(1, -1, 1, 1).expand(len(x), -1, *x.shape[2:])


@hidden.alternative("masked_conv", "чрез unfold")
def conv_by_unfold(x, weight, bias, kind):
    n, _, height, width = x.shape
    size = weight.shape[-1]
    hidden_ones = 1 - causal_mask(kind, size).to(weight)  # noqa: F821
    seen = weight.masked_fill(hidden_ones.bool(), 0.0)
    patches = F.unfold(x, size, padding=size // 2)
    return (seen.flatten(1) @ patches + bias[:, None]).reshape(n, -1, height, width)
