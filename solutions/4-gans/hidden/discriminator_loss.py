"""Exercise 2: the discriminator's loss."""

import torch
import torch.nn.functional as F

from gmtools.grading import expect_close, expect_gradients, expect_vectorised
from gmtools.grading.inputs import DOUBLE, normal

from .common import hidden


def true_discriminator_loss(real, fake):
    return -(F.logsigmoid(real).sum() / len(real) + F.logsigmoid(-fake).sum() / len(fake))


@hidden.check(
    "discriminator_loss",
    "нови логити, извадки с различен обем, по една точка, двойна точност",
    points=1,
    hint="Две средни, събрани: не тяхното средно и не сумата по точките.",
)
def discriminator_on_fresh_inputs(student, generator):
    for n, m, options in ((1, 1, {}), (3, 11, DOUBLE), (20, 4, {})):
        logits = 3 * normal(generator, n, **options), 3 * normal(generator, m, **options)
        expect_close(student.discriminator_loss(*logits), true_discriminator_loss(*logits), "")


@hidden.check(
    "discriminator_loss",
    "логити ±500: стойността и градиентите остават верни",
    points=3,
    hint="log(sigmoid(−500)) е −∞, а torch.log(D + 1e-8) е грешно число. F.softplus и F.logsigmoid са верни "
    "навсякъде.",
)
def discriminator_extremes(student, generator):
    real = torch.tensor([-500.0, 500.0, 40.0, 0.0]).requires_grad_()
    fake = torch.tensor([500.0, -500.0, -40.0]).requires_grad_()
    outcome = student.trace("discriminator_loss", real, fake)
    loss = true_discriminator_loss(real, fake)
    expect_close(outcome.value, loss.detach(), "")
    expect_gradients(outcome, list(torch.autograd.grad(loss, (real, fake))), "")


@hidden.check(
    "discriminator_loss",
    "без цикли и без промяна на аргументите",
    points=1,
    hint="Една операция за всички логити наведнъж.",
)
def discriminator_vectorised(student, generator):
    few, many = ((normal(generator, n), normal(generator, n + 2)) for n in (3, 60))
    expect_vectorised(student, "discriminator_loss", true_discriminator_loss, few, many, "броя на точките")


REAL, FAKE = "F.softplus(-real)", "F.softplus(fake)"
BOTH = f"{REAL}.mean() + {FAKE}.mean()"
hidden.mistakes(
    "discriminator_loss",
    ("разменени знаци", BOTH, "F.softplus(real).mean() + F.softplus(-fake).mean()"),
    ("максимизира се", BOTH, f"-({BOTH})"),
    ("средно на двете", BOTH, f"({BOTH}) / 2"),
    ("общо средно", BOTH, f"2 * torch.cat([{REAL}, {FAKE}]).mean()"),
    ("сума", ".mean()", ".sum()"),
    ("само данните", FAKE, "0 * fake"),
    ("само извадката", REAL, "0 * real"),
    ("един и същ етикет", FAKE, "F.softplus(-fake)"),
    ("през вероятностите", FAKE, "-torch.log(1 - torch.sigmoid(fake))"),
    ("прибавено малко число", REAL, "-torch.log(torch.sigmoid(real) + 1e-8)"),
    ("прелива", FAKE, "torch.log(1 + torch.exp(fake))"),
    ("отрязани логити", FAKE, "F.softplus(fake.clamp(-10, 10))"),
    ("загубата на Васерщайн", BOTH, "fake.mean() - real.mean()"),
    ("панта", BOTH, "F.relu(1 - real).mean() + F.relu(1 + fake).mean()"),
    ("прекъснат градиент към извадката", FAKE, "F.softplus(fake.detach())"),
)


@hidden.alternative("discriminator_loss", "чрез кръстосаната ентропия")
def discriminator_by_cross_entropy(real, fake):
    bce = F.binary_cross_entropy_with_logits
    return bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))


@hidden.alternative("discriminator_loss", "с logaddexp")
def discriminator_by_logaddexp(real, fake):
    zero = torch.zeros((), dtype=real.dtype)
    return torch.logaddexp(zero, -real).mean() + torch.mean(torch.logaddexp(zero, fake))
