"""Exercise 6: pixel after pixel."""

import torch
from torch.distributions import Categorical

from gmtools.grading import expect, expect_tensor

from .common import hidden, public


@hidden.check(
    "sample",
    "честотите на изображения 2 × 3, 1 × 4 и 3 × 1",
    points=2,
    hint="Височината и ширината може да са различни; първо се върви по реда, после към следващия.",
)
def other_shapes(student, generator):
    for height, width, levels in ((2, 3, 2), (1, 4, 3), (3, 1, 3)):
        net = public.small_net(generator, levels)
        x = expect_tensor(student.sample(net, 6000, height, width), (6000, 1, height, width))
        public.expect_levels(x, levels)
        public.expect_distribution(x, net, levels, "")


@hidden.check(
    "sample",
    "изображенията в извадката са независими и всяко извикване дава нови",
    points=2,
    hint="Шумът е отделен за всяко изображение. Не задавайте семе (manual_seed) вътре във функцията.",
)
def independent_images(student, generator):
    net = public.small_net(generator, 4)
    first, second = (
        expect_tensor(student.trace("sample", net, 50, 4, 4, seed=seed).value, (50, 1, 4, 4))
        for seed in (1, 2)
    )
    public.expect_levels(first, 4)
    expect(len(first.unique(dim=0)) > 45, "")
    expect(bool((first != second).flatten(1).any(1).float().mean() > 0.9), "")


hidden.mistakes(
    "sample",
    ("най-вероятната степен", "torch.multinomial(p, 1)[:, 0]", "p.argmax(1)"),
    ("колона по колона", "x[:, 0, row, column] =", "x[:, 0, column % height, row % width] ="),
    ("без обратна връзка", "net(x)", "net(torch.zeros_like(x))"),
    ("едно изображение, повторено", "torch.multinomial(p, 1)[:, 0]", "torch.multinomial(p[:1], 1)[0]"),
    ("равномерно", "torch.multinomial(p, 1)", "torch.multinomial(torch.ones_like(p), 1)"),
    ("температура", "net(x)[:, :, row, column]", "2 * net(x)[:, :, row, column]"),
    ("степени от едно", ".to(x.dtype)", ".to(x.dtype) + 1"),
    ("отзад напред", "in range(height)", "in reversed(range(height))"),
    ("изображение по изображение", "net(x)", "torch.cat([net(one[None]) for one in x])"),
    ("постоянно семе", "x = torch.zeros", "torch.manual_seed(0); x = torch.zeros"),
)


@hidden.alternative("sample", "чрез Categorical, само с редовете дотук")
def sample_rows_so_far(net, n, height, width):
    x = torch.zeros((n, 1, height, width))
    for i in range(height * width):
        r, c = i // width, i % width
        logits = net(x[:, :, : r + 1])[:, :, r, c].detach()
        x[:, 0, r, c] = Categorical(logits=logits).sample().float()
    return x


@hidden.alternative("sample", "с шум на Гумбел")
@torch.no_grad()
def sample_by_gumbel(net, n, height, width):
    flat = torch.zeros(n, height * width)
    for i in range(height * width):
        logits = net(flat.reshape(n, 1, height, width)).flatten(2)[:, :, i]
        flat[:, i] = (logits - torch.empty_like(logits).exponential_().log()).argmax(1).float()
    return flat.reshape(n, 1, height, width)
