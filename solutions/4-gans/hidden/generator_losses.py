"""Exercise 4: the generator's two losses."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def true_generator_losses(fake):
    return F.logsigmoid(-fake).sum() / len(fake), -F.logsigmoid(fake).sum() / len(fake)


@hidden.check(
    "generator_losses",
    "нови логити, една точка, двойна точност",
    points=2,
    hint="Двете са средни по извадката. Насищащата се е отрицателна, ненасищащата се – положителна.",
)
def generator_on_fresh_inputs(student, generator):
    for m, options in ((1, {}), (13, DOUBLE), (40, {})):
        fake = 3 * normal(generator, m, **options)
        expect_close(student.generator_losses(fake), true_generator_losses(fake), "")


@hidden.check(
    "generator_losses",
    "логити ±500: стойностите и градиентите остават верни",
    points=3,
    hint="Разкритата точка има логит −500: точно там ненасищащата се загуба трябва да дърпа. Не минавайте "
    "през D.",
)
def generator_extremes(student, generator):
    fake = torch.tensor([-500.0, 500.0, 0.0, -30.0, 30.0]).requires_grad_()
    outcome = student.trace("generator_losses", fake)
    expect_close(outcome.value, true_generator_losses(fake), "")
    expect_gradients(outcome, [torch.full((5,), -0.2)], "")


@hidden.check(
    "generator_losses",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Една операция за всички логити наведнъж.",
)
def generator_vectorised(student, generator):
    few, many = ((normal(generator, n),) for n in (3, 60))
    expect_vectorised(student, "generator_losses", true_generator_losses, few, many, "извадката")


PAIR = "-F.softplus(fake).mean(), F.softplus(-fake).mean()"
hidden.mistakes(
    "generator_losses",
    ("разменени", PAIR, "F.softplus(-fake).mean(), -F.softplus(fake).mean()"),
    ("два пъти една и съща", PAIR, "F.softplus(-fake).mean(), F.softplus(-fake).mean()"),
    ("максимизира се насищащата се", "-F.softplus(fake)", "F.softplus(fake)"),
    ("обратен знак на ненасищащата се", "F.softplus(-fake)", "-F.softplus(-fake)"),
    ("като за данни", PAIR, "-F.softplus(-fake).mean(), F.softplus(fake).mean()"),
    ("суми", ".mean()", ".sum()"),
    ("по точки", ".mean()", ""),
    ("през вероятностите", "-F.softplus(fake)", "torch.log(1 - torch.sigmoid(fake))"),
    ("прибавено малко число", "F.softplus(-fake)", "-torch.log(torch.sigmoid(fake) + 1e-8)"),
    ("на Васерщайн", "F.softplus(-fake)", "(-fake)"),
    ("средно от D, после логаритъм", "F.softplus(-fake).mean()", "-torch.log(torch.sigmoid(fake).mean())"),
    ("прекъснат градиент", "-F.softplus(fake)", "-F.softplus(fake.detach())"),
    ("най-малки квадрати", "F.softplus(-fake)", "0.5 * (fake - 1).square()"),
)


@hidden.alternative("generator_losses", "чрез logsigmoid")
def generator_by_log_sigmoid(fake):
    return F.logsigmoid(-fake).mean(), -F.logsigmoid(fake).mean()


@hidden.alternative("generator_losses", "чрез кръстосаната ентропия, в списък")
def generator_by_cross_entropy(fake):
    bce = torch.nn.BCEWithLogitsLoss()
    return [-bce(fake, torch.zeros_like(fake)), bce(fake, torch.ones_like(fake))]
