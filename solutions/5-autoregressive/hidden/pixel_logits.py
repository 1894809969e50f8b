"""Exercise 3: the PixelCNN."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE

from .causal_mask import true_mask
from .common import hidden, public


def true_logits(x, layers):
    (weight, bias), *middle, (last, last_bias) = layers

    def conv(h, w, b, kind):
        return F.conv2d(h, w * true_mask(kind, w.shape[-1]).to(w), b, padding="same")

    h = conv(2 * x / (len(last_bias) - 1) - 1, weight, bias, "A")
    for w, b in middle:
        h = h + conv(h.relu(), w, b, "B")
    return conv(h.relu(), last, last_bias, "B")


@hidden.check(
    "pixel_logits",
    "случайни мрежи с два до пет слоя, две и седемнайсет степени, в единична и двойна точност",
    points=2,
    hint="Броят на степените е дължината на последния bias. При два слоя средни няма.",
)
def logits_on_fresh_inputs(student, generator):
    for depth, levels, options in ((2, 2, {}), (3, 17, DOUBLE), (5, 4, {}), (4, 3, DOUBLE)):
        layers = public.random_layers(generator, depth, 4, levels, **options)
        x = torch.randint(0, levels, (3, 1, 5, 4), generator=generator).to(layers[0][0])
        scale = max(1.0, true_logits(x, layers).abs().max().item())
        expect_close(student.pixel_logits(x, layers), true_logits(x, layers), "", atol=2e-5 * scale)


@hidden.check(
    "pixel_logits",
    "градиент до изображението, без цикъл по пикселите и без промяна на аргументите",
    points=2,
    hint="Всичко се смята с едно минаване: никакъв цикъл освен по слоевете, никакви .detach() и .item().",
)
def logits_gradient(student, generator):
    layers = public.random_layers(generator, 4, **DOUBLE)
    x = 3 * torch.rand(2, 1, 5, 5, generator=generator, **DOUBLE)
    leaf = x.clone().requires_grad_()
    wanted = torch.autograd.grad(true_logits(leaf, layers).sum(), leaf)
    outcome = student.trace("pixel_logits", x.requires_grad_(), layers)
    expect_unchanged(outcome)
    expect_gradients(outcome, list(wanted), "")
    small, large = ((torch.ones(n, 1, n, n, **DOUBLE), layers) for n in (2, 12))
    expect_no_loop(student, "pixel_logits", small, large, "изображението")


hidden.mistakes(
    "pixel_logits",
    ("маска B в първия слой", '*first, "A")', '*first, "B")'),
    ("маска A навсякъде", '"B"', '"A"'),
    ("маска A в последния слой", '*last, "B"', '*last, "A"'),
    ("без пренасяне в [−1, 1]", "2 * x / (levels - 1) - 1", "x"),
    ("в [0, 1]", "2 * x / (levels - 1) - 1", "x / (levels - 1)"),
    ("L вместо L − 1", "/ (levels - 1)", "/ levels"),
    ("без събиране", "h = h + masked_conv", "h = masked_conv"),
    ("без последното ReLU", "masked_conv(F.relu(h), *last", "masked_conv(h, *last"),
    ("без средните ReLU", "masked_conv(F.relu(h), weight", "masked_conv(h, weight"),
    ("softmax накрая", '*last, "B")', '*last, "B").softmax(1)'),
    ("средните слоеве са прескочени", "in middle:", "in middle[:0]:"),
    ("четири степени завинаги", "levels = last[1].shape[0]", "levels = 4"),
)


@hidden.alternative("pixel_logits", "с индекси")
def logits_by_index(x, layers):
    top = len(layers) - 1
    h = masked_conv(x.div(layers[top][1].numel() - 1).mul(2).sub(1), *layers[0], kind="A")  # noqa: F821
    for i in range(1, top):
        h = masked_conv(h.clamp(min=0), layers[i][0], layers[i][1], "B").add(h)  # noqa: F821
    return masked_conv(h.clamp(min=0), *layers[top], kind="B")  # noqa: F821


@hidden.alternative("pixel_logits", "рекурсивно")
def logits_by_recursion(x, layers):
    def through(h, rest):
        if not rest:
            return h
        step = masked_conv(torch.relu(h), *rest[0], "B")  # noqa: F821
        return step if len(rest) == 1 else through(h + step, rest[1:])

    half = (len(layers[-1][1]) - 1) / 2
    return through(masked_conv((x - half) / half, *layers[0], "A"), layers[1:])  # noqa: F821
