"""Exercise 7: the autoencoder's loss."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from gmtools.grading import expect_gradients, expect_no_loop, expect_tensor, expect_unchanged
from gmtools.grading.inputs import DOUBLE, bits, normal

from .common import hidden
from .elbo import problem
from .gaussian_kl import true_kl


def networks(generator, **options):
    """A linear encoder with a narrow q, and a linear decoder."""
    *_, decoder = problem(generator, **options)
    encoder = nn.Sequential(nn.Linear(5, 4, **options))
    weight = normal(generator, 4, 5, **options)
    encoder[0].weight = nn.Parameter(torch.cat([weight[:2], 0 * weight[2:]]))
    encoder[0].bias = nn.Parameter(torch.tensor([0.3, -0.2, -12.0, -12.0], **options))
    return {"encoder": encoder, "decoder": decoder}


@hidden.check(
    "vae_loss",
    "градиентът стига до енкодера през извадката",
    points=2,
    hint="z остава свързано с изхода на енкодера: без .detach(), .data, torch.no_grad() и .sample().",
)
def loss_gradients(student, generator):
    parts, x = networks(generator), bits(generator, 6, 5)
    x.requires_grad_()
    mu, logvar = parts["encoder"](x).chunk(2, -1)
    logits = parts["decoder"](mu)
    narrow = (x * logits - F.softplus(logits)).sum(-1) - true_kl(mu, logvar)
    expected = torch.autograd.grad(-narrow.mean(), x)[0]
    outcome = student.trace("vae_loss", parts, x.detach().requires_grad_())
    expect_gradients(outcome, [expected], "", rtol=0.02, atol=0.02 * expected.abs().max().item())


@hidden.check(
    "vae_loss",
    "един обект, двойна точност, без цикъл по обектите и без промяна на аргументите",
    points=2,
    hint="Резултатът е скалар във всички случаи; двете мрежи се викат по веднъж за целия пакет.",
)
def loss_edges(student, generator):
    parts, x = networks(generator, **DOUBLE), bits(generator, 30, 5, **DOUBLE)
    outcome = student.trace("vae_loss", parts, x[:1])
    expect_tensor(outcome.value, (), torch.float64)
    expect_unchanged(outcome)
    expect_no_loop(student, "vae_loss", (parts, x[:2]), (parts, x), "пакета")


HEADS = 'mu, logvar = vae["encoder"](x).chunk(2, dim=-1)'
hidden.mistakes(
    "vae_loss",
    ("сменен знак", "return -elbo", "return elbo"),
    ("сума вместо средно", ".mean()", ".sum()"),
    ("не е скалар", ".mean()", ""),
    ("средно и по пикселите", ".mean()", ".mean() / x.shape[1]"),
    ("размяна на mu и logvar", "mu, logvar =", "logvar, mu ="),
    ("през едно", HEADS, 'mu, logvar = vae["encoder"](x).unflatten(-1, (-1, 2)).unbind(-1)'),
    ("без KL", "K=1).mean()", "K=1).mean() - gaussian_kl(mu, logvar).mean()"),
    ("KL два пъти", "K=1).mean()", "K=1).mean() + gaussian_kl(mu, logvar).mean()"),
    ("прекъснат градиент към енкодера", "(x).chunk", "(x).detach().chunk"),
    ("прекъснат градиент през z", 'vae["decoder"], K', 'lambda z: vae["decoder"](z.detach()), K'),
    ("logvar е отклонение", "-elbo(x, mu, logvar,", "-elbo(x, mu, 2 * logvar.abs().log(),"),
)


@hidden.alternative("vae_loss", "IWAE с K = 8")
def loss_by_iwae(vae, x):
    mu, logvar = vae["encoder"](x).chunk(2, dim=-1)
    z = reparametrised_sample(mu, logvar, 8)  # noqa: F821
    return -iwae_bound(log_weights(x, z, mu, logvar, vae["decoder"])).mean()  # noqa: F821


@hidden.alternative("vae_loss", "с torch.distributions и K = 4")
def loss_by_distributions(vae, x):
    heads = vae["encoder"](x)
    d_z = heads.shape[-1] // 2
    q = Normal(heads[:, :d_z], heads[:, d_z:].div(2).exp())
    log_likelihood = Bernoulli(logits=vae["decoder"](q.rsample((4,)))).log_prob(x).sum(-1)
    return (kl_divergence(q, Normal(0.0, 1.0)).sum(-1) - log_likelihood.mean(0)).mean()
