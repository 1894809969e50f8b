r"""Integral probability metrics that need no optimisation: MMD, energy, Cramér, total variation, moments.

.. math:: M_{\mathcal F}(p, q) = \sup_{f \in \mathcal F} \big| \mathbb{E}_p[f] - \mathbb{E}_q[f] \big|

For the unit ball of an RKHS the supremum is the MMD and the maximiser its witness function; with
:math:`|f| \le 1` it is twice the total variation; with :math:`\int f'^2 \le 1` in one dimension it is the
square root of the Cramér distance. Lipschitz functions give Wasserstein's distance (``transport.py``).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gmtools.checks import check_choice, check_positive, check_shape
from gmtools.comparison.kernels import Kernel
from gmtools.comparison.samples import check_samples

ESTIMATORS = ("unbiased", "biased", "linear")


def mmd2(x_p: Tensor, x_q: Tensor, kernel: Kernel, estimator: str = "unbiased") -> Tensor:
    r"""Squared maximum mean discrepancy from two samples.

    .. math:: \mathrm{MMD}^2 = \mathbb{E}_{x, x' \sim p} k(x, x') + \mathbb{E}_{y, y' \sim q} k(y, y')
              - 2\, \mathbb{E}_{x \sim p, y \sim q} k(x, y)

    "unbiased" leaves out the pairs of a point with itself and can be negative; "biased" keeps them and is a
    squared norm; "linear" averages over disjoint pairs only: unbiased, noisier, O(N) instead of O(N^2).

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``; for "linear" ``M = N``.
        kernel: a :class:`~gmtools.comparison.kernels.Kernel`.
        estimator: "unbiased", "biased" or "linear".

    Returns:
        A scalar, differentiable in both samples.

    Raises:
        ValueError: shapes that do not fit, integers, NaNs, an unknown estimator, or fewer than two points.

    Reference: Gretton et al. (2012), A kernel two-sample test.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> mmd2(torch.zeros(2, 1), torch.zeros(3, 1), Kernel("gaussian"))
    tensor(0.)
    """
    check_samples(x_p, x_q, 2)
    check_choice("estimator", estimator, ESTIMATORS)
    n, m = len(x_p), len(x_q)
    if estimator == "linear":
        return _mmd2_linear(x_p, x_q, kernel)
    k_pp, k_qq, k_pq = kernel(x_p, x_p), kernel(x_q, x_q), kernel(x_p, x_q)
    if estimator == "biased":
        return k_pp.mean() + k_qq.mean() - 2 * k_pq.mean()
    within_p = (k_pp.sum() - k_pp.diagonal().sum()) / (n * (n - 1))
    within_q = (k_qq.sum() - k_qq.diagonal().sum()) / (m * (m - 1))
    return within_p + within_q - 2 * k_pq.mean()


def _mmd2_linear(x_p: Tensor, x_q: Tensor, kernel: Kernel) -> Tensor:
    if len(x_p) != len(x_q):
        raise ValueError(f"x_p and x_q have {len(x_p)} and {len(x_q)} points, expected as many of each")
    half = len(x_p) // 2
    a, b, c, d = x_p[:half], x_p[half : 2 * half], x_q[:half], x_q[half : 2 * half]
    k = kernel.paired
    return (k(a, b) + k(c, d) - k(a, d) - k(b, c)).mean()


def witness(x_p: Tensor, x_q: Tensor, kernel: Kernel) -> Callable[[Tensor], Tensor]:
    r"""The function on which p and q differ most in the RKHS, up to its norm.

    .. math:: f(x) \propto \tfrac1N \sum_n k(x, x^p_n) - \tfrac1M \sum_m k(x, x^q_m)

    Positive where p has more mass, negative where q has.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        kernel: a :class:`~gmtools.comparison.kernels.Kernel`.

    Returns:
        A function from points ``(L, D)`` to values ``(L,)``.

    Raises:
        ValueError: shapes that do not fit, no points, integers, or NaNs.

    Reference: Gretton et al. (2012), A kernel two-sample test.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> f = witness(torch.ones(5, 1), -torch.ones(5, 1), Kernel("gaussian"))
    >>> f(torch.tensor([[1.0], [0.0], [-1.0]])).sign()
    tensor([ 1.,  0., -1.])
    """
    check_samples(x_p, x_q)
    return lambda x: kernel(x, x_p).mean(1) - kernel(x, x_q).mean(1)


def energy_distance(x_p: Tensor, x_q: Tensor, estimator: str = "unbiased") -> Tensor:
    r"""Energy distance, the squared MMD of the "energy" kernel.

    .. math:: \mathcal{E}(p, q) = 2\, \mathbb{E}\|X - Y\| - \mathbb{E}\|X - X'\| - \mathbb{E}\|Y - Y'\|

    In one dimension :math:`\mathcal E = 2 \int (F_p - F_q)^2`.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        estimator: as for :func:`mmd2`.

    Returns:
        A scalar, in the unit of the data.

    Raises:
        ValueError: as :func:`mmd2`.

    Reference: Székely & Rizzo (2013), Energy statistics: a class of statistics based on distances.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> energy_distance(torch.zeros(2, 1), torch.ones(2, 1))
    tensor(2.)
    """
    check_samples(x_p, x_q, 2)
    centre = torch.cat([x_p, x_q]).mean(0)  # a shift changes nothing but the rounding of the norms
    return mmd2(x_p - centre, x_q - centre, Kernel("energy"), estimator)


def cramer_distance(x_p: Tensor, x_q: Tensor) -> Tensor:
    r"""Cramér distance of two empirical distributions on the line, :math:`\int (F_p - F_q)^2\, dx`, exactly.

    Args:
        x_p: shape ``(N,)``.
        x_q: shape ``(M,)``.

    Returns:
        A scalar, in the unit of the data.

    Raises:
        ValueError: the samples are not one-dimensional, empty, or have integers or NaNs.

    Reference: Bellemare et al. (2017), The Cramer distance as a solution to biased Wasserstein gradients.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> cramer_distance(torch.zeros(2), torch.tensor([3.0]))
    tensor(3.)
    """
    check_shape("x_p", x_p, "N")
    check_shape("x_q", x_q, "M")
    check_samples(x_p[:, None], x_q[:, None])
    pooled, order = torch.cat([x_p, x_q]).sort()
    jump = torch.cat([torch.full_like(x_p, 1 / len(x_p)), torch.full_like(x_q, -1 / len(x_q))])
    gap = jump[order].cumsum(0)
    return (gap[:-1].square() * pooled.diff()).sum()


def total_variation(p: Tensor, q: Tensor, cell: float = 1.0) -> Tensor:
    r"""Total variation distance between two distributions on the same points or grid.

    .. math:: \mathrm{TV}(p, q) = \tfrac12 \int |p - q|\, dx = \sup_A |P(A) - Q(A)|

    The metric of :math:`|f| \le 1` is twice this.

    Args:
        p: probabilities, or densities at grid points, shape ``(...)``.
        q: the same for q, same shape.
        cell: length, area or volume of a grid cell (1 for probabilities).

    Returns:
        A scalar between 0 and 1 if p and q are normalised.

    Raises:
        ValueError: shapes that differ, negative values, or a cell that is not positive.

    Reference: Sriperumbudur et al. (2012), On the empirical estimation of integral probability metrics.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> total_variation(torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.0, 0.5, 0.5]))
    tensor(0.5000)
    """
    check_shape("q", q, *p.shape)
    check_positive("cell", cell)
    for name, values in (("p", p), ("q", q)):
        if not (values >= 0).all():
            raise ValueError(
                f"{name} has minimum {values.min().item():g}, expected no negative or NaN values"
            )
    return cell * (p - q).abs().sum() / 2


def moment_distance(x_p: Tensor, x_q: Tensor) -> Tensor:
    r"""Squared distance of means and covariances: what moment matching makes small.

    .. math:: \|\mu_p - \mu_q\|^2 + \|\Sigma_p - \Sigma_q\|_F^2

    Zero for different distributions that agree in these moments.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.

    Returns:
        A scalar, differentiable in both samples.

    Raises:
        ValueError: shapes that do not fit, integers, NaNs, or fewer than two points.

    Reference: Hansen (1982), Large sample properties of generalized method of moments estimators.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> moment_distance(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [3.0]]))
    tensor(1.)
    """
    check_samples(x_p, x_q, 2)
    mean = (x_p.mean(0) - x_q.mean(0)).square().sum()
    return mean + (covariance(x_p) - covariance(x_q)).square().sum()


def covariance(x: Tensor) -> Tensor:
    """Unbiased covariance ``(D, D)`` of points ``(N, D)``; unlike ``torch.cov`` it compiles whole.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> covariance(torch.tensor([[0.0], [2.0]]))
    tensor([[2.]])
    """
    centred = x - x.mean(0)
    return centred.T @ centred / (len(x) - 1)
