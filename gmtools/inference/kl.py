"""Kullback-Leibler divergences that ``torch.distributions.kl_divergence`` does not know."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
)

from gmtools.checks import check_count
from gmtools.distributions import rsample_and_log_prob


class Estimate(NamedTuple):
    """A Monte Carlo estimate and its standard error, of one shape."""

    value: Tensor
    standard_error: Tensor


def gaussian_kl(q: Distribution, p: Distribution) -> Tensor:
    r"""Kullback-Leibler divergence of two Gaussians, diagonal against full covariance included.

    .. math:: \mathrm{KL}(q \| p) = \tfrac12 \Big[ \mathrm{tr}(\Sigma_p^{-1} \Sigma_q)
        + (\mu_p - \mu_q)^\top \Sigma_p^{-1} (\mu_p - \mu_q) - D + \log \frac{\det \Sigma_p}{\det \Sigma_q}
        \Big]

    ``torch.distributions.kl_divergence`` has the diagonal-diagonal and full-full cases, not the mixed ones.

    Args:
        q: ``MultivariateNormal``, ``LowRankMultivariateNormal`` or ``Independent(Normal, 1)`` with event
            shape ``(D,)``.
        p: the same, of the same D; batch shapes broadcast.

    Returns:
        Shape: the broadcast batch shape; in nats, differentiable.

    Raises:
        ValueError: an argument is none of these, or the event shapes differ.

    Reference: Bishop (2006), Pattern recognition and machine learning, exercise 2.13.
    Chapter: 3-inference/34-reconstruction-and-regularisation.

    >>> q = Independent(Normal(torch.zeros(2), torch.ones(2)), 1)
    >>> p = MultivariateNormal(torch.ones(2), torch.eye(2))
    >>> gaussian_kl(q, p)
    tensor(1.)
    """
    q_factor, p_factor = _scale_factor("q", q), _scale_factor("p", p)
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"p has event shape {tuple(p.event_shape)}, expected that of q, {tuple(q.event_shape)}"
        )
    batch = torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    D = q.event_shape[0]
    p_factor = p_factor.expand(batch + (D, D))
    columns = torch.cat(
        [q_factor.expand(batch + (D, D)), (p.mean - q.mean).expand(batch + (D,))[..., None]], -1
    )
    whitened = torch.linalg.solve_triangular(p_factor, columns, upper=False)
    log_det_ratio = p_factor.diagonal(dim1=-2, dim2=-1).log().sum(-1) - q_factor.diagonal(
        dim1=-2, dim2=-1
    ).log().sum(-1)
    return 0.5 * (whitened.square().sum((-2, -1)) - D) + log_det_ratio


def _scale_factor(name: str, gaussian: Distribution) -> Tensor:
    """Lower-triangular L with covariance L Lᵀ, shape ``batch + (D, D)``."""
    if isinstance(gaussian, MultivariateNormal):
        return gaussian.scale_tril
    if isinstance(gaussian, LowRankMultivariateNormal):
        return gaussian.scale_tril
    is_diagonal = isinstance(gaussian, Independent) and isinstance(gaussian.base_dist, Normal)
    if is_diagonal and gaussian.reinterpreted_batch_ndims == 1:
        return torch.diag_embed(gaussian.base_dist.scale)
    raise ValueError(
        f"{name} is {gaussian!r}, expected MultivariateNormal, LowRankMultivariateNormal or "
        "Independent(Normal, 1)"
    )


def monte_carlo_kl(q: Distribution, p: Distribution, K: int) -> Estimate:
    r"""Monte Carlo estimate of a Kullback-Leibler divergence, with its standard error.

    .. math:: \mathrm{KL}(q \| p) \approx \frac1K \sum_k \big[ \log q(z_k) - \log p(z_k) \big], \quad z_k \sim
        q

    Unbiased; single estimates may be negative. The gradient is pathwise where q can be reparametrised;
    otherwise only the parameters of p have one.

    Args:
        q: any distribution.
        p: a distribution that gives densities for draws of q; its batch shape must broadcast to q's.
        K: number of samples, at least 2.

    Returns:
        The value and its standard error, each of q's batch shape, in nats.

    Raises:
        ValueError: K < 2; the event shapes differ; a log-density is NaN.

    Chapter: 3-inference/34-reconstruction-and-regularisation.

    >>> seed = torch.manual_seed(0)
    >>> q, p = Normal(torch.zeros(3), 1.0), Normal(torch.ones(3), 1.0)  # KL = 1/2
    >>> value, standard_error = monte_carlo_kl(q, p, 10_000)
    >>> bool(((value - 0.5).abs() < 5 * standard_error).all())
    True
    """
    check_count("K", K, minimum=2)
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"p has event shape {tuple(p.event_shape)}, expected that of q, {tuple(q.event_shape)}"
        )
    broadcasts = len(p.batch_shape) <= len(q.batch_shape) and all(
        mine in (1, theirs)
        for mine, theirs in zip(reversed(p.batch_shape), reversed(q.batch_shape), strict=False)
    )
    if not broadcasts:
        raise ValueError(
            f"p has batch shape {tuple(p.batch_shape)}, expected one that broadcasts to q's, "
            f"{tuple(q.batch_shape)}"
        )
    if q.has_rsample:
        z, log_q = rsample_and_log_prob(q, (K,))
    else:
        z = q.sample((K,))
        log_q = q.log_prob(z).detach()  # along fixed draws its gradient is a score, whose mean is zero
    difference = log_q - p.log_prob(z)
    if bool(difference.isnan().any()):
        raise ValueError("log q - log p has NaN entries, expected none")
    return Estimate(difference.mean(0), difference.std(0) / math.sqrt(K))
