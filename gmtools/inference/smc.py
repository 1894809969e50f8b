"""Sequential Monte Carlo: resampling and the bootstrap particle filter."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count, check_not_nan, check_shape
from gmtools.inference.importance import effective_sample_size


def systematic_resampling(log_w: Tensor) -> Tensor:
    r"""Draw K ancestors in proportion to their weights, with one uniform number for all.

    .. math:: a_k = \min\Big\{ j : \sum_{i \le j} \bar w_i > \frac{k - 1 + u}{K} \Big\}, \qquad u \sim U(0, 1)

    Each index is drawn :math:`\lfloor K \bar w_j \rfloor` or :math:`\lceil K \bar w_j \rceil` times, :math:`K
    \bar w_j` on average: unbiased, with little more noise than rounding.

    Args:
        log_w: log-weights, shape ``(K, ...)``; every column is resampled on its own.

    Returns:
        Indices into the first dimension, shape ``(K, ...)``, in increasing order.

    Raises:
        ValueError: no particles, NaN, or a column whose weights are all zero.

    Reference: Kitagawa (1996), Monte Carlo filter and smoother for non-Gaussian nonlinear state space models.
    Chapter: 2-models/25-choosing-a-learning-principle.

    >>> systematic_resampling(torch.tensor([0.5, 0.0, 0.25, 0.25]).log()).tolist()
    [0, 0, 2, 3]
    """
    if log_w.ndim == 0 or log_w.shape[0] == 0:
        raise ValueError(f"log_w has shape {tuple(log_w.shape)}, expected (K, ...) with K >= 1")
    check_not_nan("log_w", log_w)
    if not bool(log_w.amax(0).isfinite().all()):
        raise ValueError(f"log_w has shape {tuple(log_w.shape)} and a column of zero weights, expected none")
    K = log_w.shape[0]
    columns = log_w.reshape(K, -1).T.double()
    cumulative = columns.softmax(1).cumsum(1)
    cumulative = cumulative / cumulative[:, -1:]
    offset = torch.rand(len(columns), 1, dtype=cumulative.dtype, device=log_w.device)
    position = (torch.arange(K, dtype=cumulative.dtype, device=log_w.device) + offset) / K
    ancestors = torch.searchsorted(cumulative, position.clamp(max=1 - 1e-15), right=True)
    return ancestors.T.reshape(log_w.shape)


@dataclass(frozen=True)
class ParticleFilter:
    r"""Weighted particles of :func:`particle_filter`.

    Attributes:
        particles: shape ``(T, K, d)``; those of time t stand for :math:`p(z_t | x_{1..t})`.
        log_w: their normalised log-weights, shape ``(T, K)``.
        ancestors: of which particle of time t - 1 each is the child, shape ``(T, K)``.
        log_evidence: estimate of :math:`\log p(x_{1..T})`, a scalar in nats; its exponential is unbiased.
    """

    particles: Tensor
    log_w: Tensor
    ancestors: Tensor
    log_evidence: Tensor

    @property
    def mean(self) -> Tensor:
        """Filtering means, shape ``(T, d)``."""
        return (self.log_w.exp()[..., None] * self.particles).sum(1)

    @property
    def ess(self) -> Tensor:
        """Effective number of particles at each time, shape ``(T,)``."""
        return effective_sample_size(self.log_w.T)


def particle_filter(
    initial: Distribution,
    transition: Callable[[Tensor], Distribution],
    log_likelihood: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    K: int,
    *,
    resample_below: float = 0.5,
) -> ParticleFilter:
    r"""Bootstrap particle filter of a state-space model.

    .. math:: z_t^k \sim p(z_t \mid z_{t-1}^{a_k}), \qquad w_t^k \propto \tilde w_t^k \, p(x_t \mid z_t^k),
        \qquad p(x_t \mid x_{1..t-1}) \approx \sum_k \tilde w_t^k \, p(x_t \mid z_t^k)

    Particles are resampled, systematically, whenever their effective number has fallen below a fraction of K;
    then :math:`\tilde w_t^k = 1 / K`. Otherwise :math:`a_k = k` and :math:`\tilde w_t^k = w_{t-1}^k`.

    Args:
        initial: :math:`p(z_1)`, event shape ``(d,)``.
        transition: maps states ``(K, d)`` to :math:`p(z_t \mid z_{t-1})` with batch shape ``(K,)``.
        log_likelihood: maps ``x_t`` (one row of ``x``) and states ``(K, d)`` to :math:`\log p(x_t \mid z_t)`,
            shape ``(K,)``.
        x: observations, shape ``(T, ...)``.
        K: number of particles.
        resample_below: fraction of K, between 0 (never resample) and 1 (always).

    Returns:
        Particles, weights, ancestors and the estimated log-evidence.

    Raises:
        ValueError: K < 1, no observations, wrong shapes, or an observation that no particle can explain.

    Reference: Gordon, Salmond, Smith (1993), Novel approach to nonlinear/non-Gaussian Bayesian state
    estimation; Doucet, Johansen (2011), A tutorial on particle filtering and smoothing.
    Chapter: 2-models/25-choosing-a-learning-principle.

    >>> seed = torch.manual_seed(0)
    >>> from torch.distributions import Independent, Normal
    >>> walk = particle_filter(
    ...     initial=Independent(Normal(torch.zeros(1), 1.0), 1),
    ...     transition=lambda z: Independent(Normal(z, 0.1), 1),
    ...     log_likelihood=lambda x_t, z: Normal(z[:, 0], 0.5).log_prob(x_t),
    ...     x=torch.ones(20),
    ...     K=1000,
    ... )
    >>> walk.particles.shape, bool(abs(walk.mean[-1] - 1) < 0.2)
    (torch.Size([20, 1000, 1]), True)
    """
    check_count("K", K)
    if x.ndim == 0 or len(x) == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}, expected (T, ...) with T >= 1")
    if not 0 <= resample_below <= 1:
        raise ValueError(f"resample_below is {resample_below!r}, expected a number from 0 to 1")
    z = initial.sample((K,))
    check_shape("initial.sample((K,))", z, K, "d")
    uniform = z.new_full((K,), -math.log(K))
    log_w, log_evidence, history = uniform, z.new_zeros(()), []
    ancestors = torch.arange(K, device=z.device)
    for t, x_t in enumerate(x):
        if t:
            ancestors = torch.arange(K, device=z.device)
            if effective_sample_size(log_w) <= resample_below * K * (1 + 1e-6):
                ancestors, log_w = systematic_resampling(log_w), uniform
            z = transition(z[ancestors]).sample()
        step = log_likelihood(x_t, z)
        check_shape("log_likelihood(x_t, z)", step, K)
        check_not_nan("log_likelihood(x_t, z)", step)
        log_w = log_w + step
        increment = torch.logsumexp(log_w, 0)
        if not bool(increment.isfinite()):
            raise ValueError(f"x has at time {t} an observation of likelihood zero under all {K} particles")
        log_w, log_evidence = log_w - increment, log_evidence + increment
        history.append((z, log_w, ancestors))
    particles, weights, parents = (torch.stack(column) for column in zip(*history, strict=True))
    return ParticleFilter(particles, weights, parents, log_evidence)
