"""Exercise 4: the exact likelihood."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect, expect_close, expect_gradients, expect_no_loop, expect_unchanged
from gmtools.grading.inputs import DOUBLE

from .common import hidden, public


@hidden.check(
    "log_prob",
    "случайни мрежи и изображения; много уверени логити",
    points=2,
    hint="F.log_softmax издържа логити ±1000; log(softmax) дава безкрайност. Резултатът е (N,) и при N = 1.",
)
def log_prob_on_fresh_inputs(student, generator):
    for n, levels, options in ((1, 2, {}), (6, 17, DOUBLE), (4, 4, {})):
        net = public.small_net(generator, levels, **options)
        x = torch.randint(0, levels, (n, 1, 4, 5), generator=generator).to(
            **options or {"dtype": torch.float32}
        )
        expect_close(student.log_prob(x, net), public.true_log_prob(x, net).detach(), "")
    sure = torch.tensor([1000.0, -1000.0]).reshape(1, 2, 1, 1)
    x = torch.tensor([[[[0.0, 0.0]]], [[[1.0, 0.0]]]])
    value = student.log_prob(x, lambda x: sure.expand(len(x), 2, 1, 2))
    expect_close(value, torch.tensor([0.0, -2000.0]), "")


@hidden.check(
    "log_prob",
    "градиентът минава през логитите",
    points=1,
    hint="Обучението минимизира −log_prob: никакви .detach(), no_grad и .item().",
)
def log_prob_gradient(student, generator):
    x = torch.randint(0, 3, (4, 1, 3, 3), generator=generator).double()
    slope = torch.randn(3, 3, 3, generator=generator, **DOUBLE)
    leaf = x.clone().requires_grad_()
    wanted = torch.autograd.grad(public.true_log_prob(x, lambda _: leaf * slope).sum(), leaf)
    outcome = student.trace("log_prob", x.requires_grad_(), lambda y: y * slope)
    expect_unchanged(outcome)
    expect_gradients(outcome, list(wanted), "")


@hidden.check(
    "log_prob",
    "net се вика веднъж и няма цикъл по пикселите или изображенията",
    points=1,
    hint="Маските са именно за това: едно минаване дава логитите на всички пиксели.",
)
def log_prob_in_one_pass(student, generator):
    net = public.Counted(public.small_net(generator, 3))
    x = torch.randint(0, 3, (5, 1, 4, 4), generator=generator).float()
    expect_close(student.log_prob(x, net), public.true_log_prob(x, net.function).detach(), "")
    expect(net.sizes == [5], "")

    def flat(x):
        return x.expand(-1, 3, -1, -1)

    small, large = ((torch.ones(n, 1, n, n), flat) for n in (2, 12))
    expect_no_loop(student, "log_prob", small, large, "изображенията")


hidden.mistakes(
    "log_prob",
    ("средно вместо сбор", ".sum(dim=1)", ".mean(dim=1)"),
    ("softmax по пакета", "net(x), dim=1", "net(x), dim=0"),
    ("softmax по редовете", "net(x), dim=1", "net(x), dim=2"),
    ("вероятности вместо логаритми", "F.log_softmax", "F.softmax"),
    ("логити вместо вероятности", "F.log_softmax(net(x), dim=1)", "net(x)"),
    ("обратен знак", "return chosen", "return -chosen"),
    ("неустойчиво", "F.log_softmax(net(x), dim=1)", "net(x).softmax(1).log()"),
    ("най-вероятната степен вместо наблюдаваната", "log_p.gather(1, x.long())", "log_p.amax(1)"),
    ("в битове", ".sum(dim=1)", ".sum(dim=1) / math.log(2)"),
    ("за целия пакет", ".flatten(1).sum(dim=1)", ".sum()"),
    ("прекъснат градиент", "net(x), dim=1", "net(x).detach(), dim=1"),
    ("изображение по изображение", "net(x)", "torch.cat([net(one[None]) for one in x])"),
)


@hidden.alternative("log_prob", "чрез cross_entropy")
def log_prob_by_cross_entropy(x, net):
    return -F.cross_entropy(net(x), x.squeeze(1).long(), reduction="none").sum(dim=(1, 2))


@hidden.alternative("log_prob", "чрез Categorical и logsumexp")
def log_prob_by_one_hot(x, net):
    logits = net(x)
    picked = torch.einsum("nlhw,nhwl->n", logits, F.one_hot(x[:, 0].long(), logits.shape[1]).to(logits))
    return picked - logits.logsumexp(1).sum((1, 2))
