r"""Importance sampling and the diagnostics that tell when it has failed.

Log-weights have shape ``(K, ...)``: K samples first, then any batch dimensions (often N data points, or
none).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count, check_not_nan


@dataclass(frozen=True)
class ImportanceSample:
    """Weighted draws from :func:`importance_sampling`; B and E are the proposal's batch and event shapes.

    Attributes:
        z: draws, shape ``(K, *B, *E)``.
        log_w: log-weights, shape ``(K, *B)``.
    """

    z: Tensor
    log_w: Tensor

    @property
    def log_evidence(self) -> Tensor:
        r"""Estimate :math:`\log \frac1K \sum_k w_k` of :math:`\log p(x)`, shape ``B``; biased downwards."""
        return torch.logsumexp(self.log_w, 0) - math.log(len(self.log_w))

    @property
    def standard_error(self) -> Tensor:
        """Standard error of ``log_evidence`` by the delta method, shape ``B``; worthless where k > 0.7."""
        return (1 / self.ess - 1 / len(self.log_w)).clamp(min=0).sqrt()

    @property
    def weights(self) -> Tensor:
        """Self-normalised weights, shape ``(K, *B)``; they sum to one over K."""
        return torch.softmax(self.log_w, 0)

    @property
    def ess(self) -> Tensor:
        """:func:`effective_sample_size` of the weights, shape ``B``."""
        return effective_sample_size(self.log_w)

    @property
    def pareto_k(self) -> Tensor:
        """:func:`pareto_k` of the weights, shape ``B``."""
        return pareto_k(self.log_w)

    def expectation(self, f: Callable[[Tensor], Tensor] = lambda z: z) -> Tensor:
        r"""Self-normalised estimate :math:`\sum_k \bar w_k f(z_k)` of :math:`\mathbb E_{p(z \mid x)}[f(z)]`.

        Args:
            f: maps ``z`` to values of shape ``(K, *B, ...)``. Default: the identity, for the posterior mean.

        Returns:
            Shape ``(*B, ...)``.
        """
        values = f(self.z)
        weights = self.weights.reshape(self.weights.shape + (1,) * (values.ndim - self.weights.ndim))
        return (weights * values).sum(0)


def importance_sampling(
    log_joint: Callable[[Tensor], Tensor], proposal: Distribution, K: int
) -> ImportanceSample:
    r"""Draw K samples from a proposal and weigh them by the joint density.

    .. math:: z_k \sim q, \qquad \log w_k = \log p(x, z_k) - \log q(z_k), \qquad
        p(x) = \mathbb E_q[w] \approx \frac1K \sum_k w_k

    Args:
        log_joint: maps ``z`` of shape ``(K, *B, *E)`` to :math:`\log p(x, z)` of shape ``(K, *B)``.
        proposal: distribution with batch shape B and event shape E, whose tails must not be lighter than the
            posterior's. It is sampled without gradients.
        K: number of samples.

    Returns:
        Draws and log-weights, with ``log_evidence``, ``standard_error``, ``weights``, ``ess``, ``pareto_k``
        and ``expectation(f)``.

    Raises:
        ValueError: K < 1; ``log_joint`` returns another shape, or NaN.

    Reference: Owen (2013), Monte Carlo theory, methods and examples, chapter 9.
    Chapter: 3-inference/31-importance-sampling.

    >>> seed = torch.manual_seed(0)
    >>> joint = torch.distributions.Normal(1.0, 1.0)  # already normalised: its evidence is one
    >>> sample = importance_sampling(joint.log_prob, torch.distributions.Normal(0.0, 2.0), 10_000)
    >>> abs(sample.log_evidence.item()) < 5 * sample.standard_error.item()
    True
    """
    check_count("K", K)
    z = proposal.sample((K,))
    log_q = proposal.log_prob(z)
    log_p = log_joint(z)
    if log_p.shape != log_q.shape:
        raise ValueError(
            f"log_joint(z) has shape {tuple(log_p.shape)}, expected {tuple(log_q.shape)}, K and then the "
            "proposal's batch shape (wrap a factorised proposal in torch.distributions.Independent)"
        )
    check_not_nan("log_joint(z)", log_p)
    return ImportanceSample(z, log_p - log_q)


def _check_log_w(log_w: Tensor) -> None:
    if log_w.ndim == 0 or log_w.shape[0] == 0:
        raise ValueError(f"log_w has shape {tuple(log_w.shape)}, expected (K, ...) with K >= 1")
    check_not_nan("log_w", log_w)


def _finite_maximum(log_w: Tensor) -> Tensor:
    """The largest of each column, to be subtracted before exponentiating; 0 where it is infinite."""
    largest = log_w.amax(0)
    return torch.where(largest.isfinite(), largest, 0.0)


def effective_sample_size(log_w: Tensor) -> Tensor:
    r"""Effective sample size of importance weights (Kish).

    .. math:: \mathrm{ESS} = \frac{(\sum_k w_k)^2}{\sum_k w_k^2} \in [1, K]

    It only sees weights that were drawn: a proposal that misses a mode reports a large one. See
        :func:`pareto_k`.

    Args:
        log_w: log-weights, shape ``(K, ...)``.

    Returns:
        Shape ``(...)``. NaN where all weights are zero.

    Raises:
        ValueError: no samples, or NaN entries.

    Reference: Kong (1992), A note on importance sampling using standardized weights.
    Chapter: 3-inference/31-importance-sampling.

    >>> effective_sample_size(torch.tensor([[0.0, 0.0], [0.0, -50.0]]))
    tensor([2., 1.])
    """
    _check_log_w(log_w)
    w = (log_w - _finite_maximum(log_w)).exp()
    return w.sum(0).square() / w.square().sum(0)


def pareto_k(log_w: Tensor) -> Tensor:
    r"""Shape k of the generalised Pareto distribution fitted to the largest weights.

    The weights have :math:`1 / k` finite moments. Below :math:`\min(1 - 1/\log_{10} K, 0.7)` the importance
    sampling estimate can be trusted; above 0.7 it needs impractically many samples, above 1 the mean does not
    even exist.

    Args:
        log_w: log-weights, shape ``(K, ...)``, K >= 25.

    Returns:
        Shape ``(...)``. ``-inf`` where the tail weights are all equal (up to the square root of the machine
        epsilon), as with a perfect proposal; ``+inf`` where no shape can be fitted because a quarter of
        them or more do not exceed the weight below the tail, as where nearly all weights vanish.

    Raises:
        ValueError: fewer than 25 samples, or NaN entries.

    Reference: Vehtari, Simpson, Gelman, Yao, Gabry (2024), Pareto smoothed importance sampling; the fit is
    that of Zhang, Stephens (2009), A new and efficient estimation method for the generalized Pareto
    distribution.
    Chapter: 3-inference/31-importance-sampling.

    >>> seed = torch.manual_seed(0)
    >>> log_w = -0.8 * torch.rand(20_000).log()  # Pareto weights with k = 0.8
    >>> abs(pareto_k(log_w).item() - 0.8) < 0.2
    True
    """
    return pareto_smooth(log_w)[1]


def pareto_smooth(log_w: Tensor) -> tuple[Tensor, Tensor]:
    r"""Pareto smoothed importance sampling: replace the largest weights by quantiles of their fitted tail.

    The :math:`M = \min(K / 5, 3 \sqrt K)` largest weights become the expected order statistics
    :math:`F^{-1}\big((m - \tfrac12) / M\big)` of the generalised Pareto distribution, none above the largest
    raw weight. Where k is infinite nothing was fitted, and they stay as they are.

    Args:
        log_w: log-weights, shape ``(K, ...)``, K >= 25.

    Returns:
        log_w: smoothed log-weights on the scale of the given ones, shape ``(K, ...)``.
        k: Pareto shape, shape ``(...)``, see :func:`pareto_k`.

    Raises:
        ValueError: fewer than 25 samples, or NaN entries.

    Reference: Vehtari, Simpson, Gelman, Yao, Gabry (2024), Pareto smoothed importance sampling.
    Chapter: 3-inference/31-importance-sampling.

    >>> smoothed, k = pareto_smooth(torch.randn(1000, 3))
    >>> smoothed.shape, k.shape
    (torch.Size([1000, 3]), torch.Size([3]))
    """
    _check_log_w(log_w)
    K = log_w.shape[0]
    if K < 25:
        raise ValueError(f"log_w has shape {tuple(log_w.shape)}, expected (K, ...) with K >= 25")
    M = math.ceil(min(0.2 * K, 3 * math.sqrt(K)))
    largest = _finite_maximum(log_w)
    ordered, order = (log_w.double() - largest).sort(dim=0)  # float32 would lose most of a long tail
    cutoff = ordered[K - M - 1].exp()
    excess = ordered[K - M :].exp() - cutoff
    k, sigma = _fit_generalised_pareto(excess)
    equal = excess[-1] <= math.sqrt(torch.finfo(log_w.dtype).eps)
    fitted = k.isfinite() & sigma.isfinite() & ~equal

    probability = (torch.arange(M, dtype=excess.dtype, device=log_w.device) + 0.5) / M
    probability = probability.reshape((M,) + (1,) * (log_w.ndim - 1))
    quantile = sigma * torch.expm1(-k * torch.log1p(-probability)) / k
    smoothed = (cutoff + quantile).log().clamp(max=0.0).to(log_w) + largest
    tail = torch.where(fitted, smoothed, log_w.gather(0, order[K - M :]))
    k = torch.where(fitted, k, torch.where(equal, -math.inf, math.inf))
    return log_w.scatter(0, order[K - M :], tail), k.to(log_w)


def _fit_generalised_pareto(excess: Tensor) -> tuple[Tensor, Tensor]:
    r"""Zhang and Stephens' estimate of (k, sigma) from sorted exceedances of shape ``(M, ...)``.

    The profile likelihood of :math:`\theta = -k / \sigma` is averaged over a fixed grid. As in Vehtari et al.
    (2024), k is shrunk towards 0.5 as if ten more exceedances had said so. NaN where the lower quartile of
    the exceedances is zero, for the grid spans multiples of its inverse.
    """
    M = excess.shape[0]
    largest, quartile = excess[-1], excess[int(M / 4 + 0.5) - 1]
    size = 30 + int(math.sqrt(M))
    grid = torch.arange(1, size + 1, dtype=excess.dtype, device=excess.device)
    grid = (1 - (size / (grid - 0.5)).sqrt()).reshape((size,) + (1,) * (excess.ndim - 1))
    theta = 1 / largest + grid / (3 * quartile)  # (size, ...)
    k = torch.log1p(-theta[:, None] * excess).mean(1)  # (size, ...)
    log_likelihood = M * (torch.log(-theta / k) - k - 1)
    theta = (torch.softmax(log_likelihood, 0) * theta).sum(0)
    k = torch.log1p(-theta * excess).mean(0)
    sigma = -k / theta
    return (M * k + 10 * 0.5) / (M + 10), sigma
