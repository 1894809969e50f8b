"""Exercise 8: the binary autoencoder's loss."""

import math

import torch
import torch.nn.functional as F
from torch.distributions import Bernoulli, Independent

from gmtools.grading import expect, expect_mean, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, bits, random_linear

from .common import hidden, public


def networks(generator, **options):
    """A linear encoder to two bits and a linear decoder."""
    encoder, decoder = random_linear(generator, 5, 2, **options), random_linear(generator, 2, 5, **options)
    return {"encoder": encoder, "decoder": decoder}


@hidden.check(
    "discrete_vae_loss",
    "градиентът към енкодера е неотместен",
    points=2,
    hint="През двоично z няма път: енкодерът се учи чрез скор-функцията. Сравнете с изброяване на кодовете.",
)
def loss_gradients(student, generator):
    parts, row, n = networks(generator), bits(generator, 1, 5), 3000
    leaf = row.double().requires_grad_()
    exact = public.exact_bound(parts["encoder"], parts["decoder"], leaf)[0].sum()
    wanted = torch.autograd.grad(-exact, leaf)[0][0]
    parts = {name: part.float() for name, part in parts.items()}
    outcome = student.trace("discrete_vae_loss", parts, row.expand(n, 5).clone().requires_grad_())
    expect(outcome.gradients is not None and outcome.gradients[0] is not None, "Прекъснат градиент.")
    gradients = n * expect_tensor(outcome.gradients[0], (n, 5))
    for column in range(5):
        expect_mean(gradients[:, column], wanted[column].item(), "")


@hidden.check(
    "discrete_vae_loss",
    "един обект, двойна точност, без цикъл по обектите и без промяна на аргументите",
    points=2,
    hint="Резултатът е скалар във всички случаи; двете мрежи се викат по веднъж за целия пакет.",
)
def loss_edges(student, generator):
    parts, x = networks(generator, **DOUBLE), bits(generator, 30, 5, **DOUBLE)
    outcome = student.trace("discrete_vae_loss", parts, x[:1])
    expect_tensor(outcome.value, (), torch.float64)
    expect_unchanged(outcome)
    expect_no_loop(student, "discrete_vae_loss", (parts, x[:2]), (parts, x), "пакета")


JOINT = "log_likelihood + log_prior - log_q, log_q"


PRIOR = "torch.bernoulli(0.5 * torch.ones(4, *q.probs.shape)).to(x.dtype)"
hidden.mistakes(
    "discrete_vae_loss",
    ("сменен знак", "return -surrogate", "return surrogate"),
    ("сума вместо средно", ").mean()", ").sum()"),
    ("без априорно", JOINT, "log_likelihood - log_q, log_q"),
    ("без ентропията на q", JOINT, "log_likelihood + log_prior, log_q"),
    ("само пътят, без скор-функцията", JOINT, JOINT + ".detach()"),
    ("log_prior за един бит", "-z.shape[-1] * math.log(2)", "-math.log(2)"),
    ("меки битове", "z = q.sample((4,))", "z = q.probs.expand(4, *q.probs.shape)"),
    ("z от априорното", "q.sample((4,))", PRIOR),
    ("обърнати битове", "q.sample((4,))", "(1 - q.sample((4,)))"),
)


@hidden.alternative("discrete_vae_loss", "скор-функция без базова линия, K = 16")
def loss_without_baseline(vae, x):
    logits = vae["encoder"](x)
    z = torch.bernoulli(logits.sigmoid().expand(16, *logits.shape))
    log_q = -F.binary_cross_entropy_with_logits(logits.expand(z.shape), z, reduction="none").sum(-1)
    heads = vae["decoder"](z)
    log_p = -F.binary_cross_entropy_with_logits(heads, x.expand(heads.shape), reduction="none").sum(-1)
    weight = log_p - log_q - z.shape[-1] * math.log(2)
    return -(weight + weight.detach() * (log_q - log_q.detach())).mean()


@hidden.alternative("discrete_vae_loss", "ентропията в затворен вид")
def loss_with_entropy(vae, x):
    q = Independent(Bernoulli(logits=vae["encoder"](x)), 1)
    z = q.sample((8,))
    fit = Independent(Bernoulli(logits=vae["decoder"](z)), 1).log_prob(x)
    divergence = z.shape[-1] * math.log(2) - q.entropy()
    return -(surrogate(fit, q.log_prob(z)) - divergence).mean()  # noqa: F821
