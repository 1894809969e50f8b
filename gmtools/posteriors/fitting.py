"""Fitting a family to one posterior, and how far from it the fit remains."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.distributions import rsample_and_log_prob
from gmtools.inference.kl import Estimate
from gmtools.training import History, fit


def fit_posterior(
    family: nn.Module,
    log_joint: Callable[[Tensor], Tensor],
    *,
    steps: int = 500,
    samples: int = 128,
    lr: float = 0.05,
    seed: int = 0,
) -> History:
    r"""Maximise the bound over the parameters of a family, by pathwise gradients.

    .. math:: \max_\varphi\ \mathbb E_{q_\varphi(z)}[\log p(x, z) - \log q_\varphi(z)]

    Adam with a learning rate that falls to zero along a cosine, so that the last iterate needs no averaging.

    Args:
        family: a module whose ``forward()`` gives a reparametrised Distribution; trained in place.
        log_joint: maps draws ``(samples, D)`` to :math:`\log p(x, z)`, shape ``(samples,)``.
        steps: gradient steps.
        samples: draws a step.
        lr: the initial learning rate.
        seed: of the draws.

    Returns:
        The history of minus the bound, in nats.

    Raises:
        ValueError: samples < 1, the family cannot be reparametrised, or ``log_joint`` returns a wrong shape.

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> from gmtools.models.plane import total
    >>> from gmtools.posteriors import FullCovariance
    >>> model, q = total(), FullCovariance(2)
    >>> _ = fit_posterior(q, model.log_joint, steps=300)
    >>> bool(gap(q(), model.log_joint, model.posterior().log_evidence).value < 0.01)
    True
    """
    check_count("samples", samples)
    optimizer = torch.optim.Adam(family.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    optimizer.register_step_post_hook(lambda *_: schedule.step())

    def loss() -> Tensor:
        z, log_q = rsample_and_log_prob(family(), (samples,))
        log_p = log_joint(z)
        check_shape("log_joint(z)", log_p, samples)
        return (log_q - log_p).mean()

    return fit(family, loss, steps=steps, optimizer=optimizer, seed=seed)


@torch.no_grad()
def gap(
    q: torch.distributions.Distribution,
    log_joint: Callable[[Tensor], Tensor],
    log_evidence: float | Tensor,
    K: int = 20_000,
) -> Estimate:
    r"""How far the bound stays below the evidence, with its standard error.

    .. math:: \log p(x) - \mathbb E_q[\log p(x, z) - \log q(z)] = \mathrm{KL}(q \,\|\, p(\cdot \mid x))

    For an auxiliary-variable family, whose ``rsample_and_log_prob`` bounds :math:`\log q`, the gap of its own
    bound, which is no smaller than the divergence.

    Args:
        q: a distribution with draws and their log-density.
        log_joint: maps draws ``(K, D)`` to shape ``(K,)``.
        log_evidence: :math:`\log p(x)` in nats.
        K: number of draws, at least 2.

    Returns:
        The value and its standard error, each of shape ``()``, in nats.

    Raises:
        ValueError: K < 2, or ``log_joint`` returns a wrong shape.

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> from torch.distributions import Normal
    >>> seed = torch.manual_seed(0)
    >>> half = gap(Normal(1.0, 1.0), Normal(0.0, 1.0).log_prob, 0.0)  # KL = 1/2
    >>> bool((half.value - 0.5).abs() < 5 * half.standard_error)
    True
    """
    check_count("K", K, minimum=2)
    z, log_q = rsample_and_log_prob(q, (K,))
    log_p = log_joint(z)
    check_shape("log_joint(z)", log_p, K)
    difference = log_q - log_p + log_evidence
    return Estimate(difference.mean(), difference.std() / math.sqrt(K))
