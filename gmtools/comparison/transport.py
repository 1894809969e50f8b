r"""Optimal transport: Wasserstein distances exactly, with entropy (Sinkhorn), and between Gaussians.

.. math:: W_\rho(p, q)^\rho = \min_{\pi \in \Pi(p, q)} \mathbb{E}_{(x, y) \sim \pi} \|x - y\|^\rho

For :math:`\rho = 1` it is also the integral probability metric of the 1-Lipschitz functions.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_not_nan, check_positive, check_shape
from gmtools.comparison.ipm import covariance
from gmtools.comparison.kernels import distances


def wasserstein_1d(x_p: Tensor, x_q: Tensor, order: float = 1.0) -> Tensor:
    r"""Wasserstein distance on the line, exactly: the plan is monotone.

    .. math:: W_\rho^\rho = \int_0^1 |F_p^{-1}(u) - F_q^{-1}(u)|^\rho\, du

    Args:
        x_p: shape ``(N,)``.
        x_q: shape ``(M,)``; the sizes may differ.
        order: :math:`\rho \ge 1`.

    Returns:
        :math:`W_\rho`, a scalar in the unit of the data, differentiable.

    Raises:
        ValueError: samples of another rank, NaNs, or an order below 1.

    Reference: Peyré & Cuturi (2019), Computational optimal transport, section 2.6.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0, 5.0, 6.0]))
    tensor(5.)
    """
    check_shape("x_p", x_p, "N")
    check_shape("x_q", x_q, "M")
    _check(x_p, x_q, order)
    n, m = len(x_p), len(x_q)
    levels = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).sort().values  # times 1/nm
    width = torch.cat([levels[:1], levels.diff()]).to(x_p) / (n * m)
    i, j = (levels - 1) // m, (levels - 1) // n
    gap = (x_p.sort().values[i.to(x_p.device)] - x_q.sort().values[j.to(x_q.device)]).abs()
    return _root((width * gap**order).sum(), order)


def wasserstein(x_p: Tensor, x_q: Tensor, order: float = 1.0) -> Tensor:
    r"""Wasserstein distance of two samples of the same size, exactly.

    The best plan between equally many points of equal mass is a permutation, found in :math:`O(N^3)`.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(N, D)``.
        order: :math:`\rho \ge 1`.

    Returns:
        :math:`W_\rho`, a scalar in the unit of the data, differentiable (the plan being held fixed).

    Raises:
        ValueError: shapes that differ, NaNs, or an order below 1.

    Reference: Peyré & Cuturi (2019), Computational optimal transport, section 2.4.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> wasserstein(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 2.0]]))
    tensor(2.)
    """
    from scipy.optimize import linear_sum_assignment

    check_shape("x_p", x_p, "N", "D")
    check_shape("x_q", x_q, *x_p.shape)
    _check(x_p, x_q, order)
    cost = distances(x_p.detach(), x_q.detach()) ** order
    _, match = linear_sum_assignment(cost.cpu().numpy())
    pairs = x_p - x_q[torch.from_numpy(match).to(x_q.device)]
    return _root((pairs.norm(dim=1) ** order).mean(), order)


class Sinkhorn(NamedTuple):
    """Entropic transport: ``cost`` is E ||x - y||^order under ``plan``, whose shape is ``(N, M)``."""

    cost: Tensor
    plan: Tensor


def sinkhorn(
    x_p: Tensor, x_q: Tensor, epsilon: float, *, order: float = 2.0, iterations: int = 500
) -> Sinkhorn:
    r"""Optimal transport with an entropy term, by Sinkhorn's iterations on logarithms.

    .. math:: \min_{\pi \in \Pi(p, q)} \mathbb{E}_\pi \|x - y\|^\rho
              + \epsilon\, \mathrm{KL}(\pi \,\|\, p \otimes q)

    As :math:`\epsilon \to 0` the cost tends to :math:`W_\rho^\rho`, while the iterations needed grow like
    :math:`1/\epsilon`.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        epsilon: positive, in the unit of the cost.
        order: :math:`\rho \ge 1`.
        iterations: number of updates of both potentials.

    Returns:
        A :class:`Sinkhorn`; the cost is differentiable through the iterations.

    Raises:
        ValueError: shapes that do not fit, NaNs, or a parameter out of range.

    Reference: Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> sinkhorn(torch.zeros(3, 1), torch.ones(4, 1), epsilon=0.1).cost
    tensor(1.0000)
    """
    check_shape("x_p", x_p, "N", "D")
    check_shape("x_q", x_q, "M", x_p.shape[1])
    check_positive("epsilon", epsilon)
    check_count("iterations", iterations)
    _check(x_p, x_q, order)
    cost = distances(x_p, x_q) ** order
    log_n, log_m = math.log(len(x_p)), math.log(len(x_q))
    scaled = -cost / epsilon
    g = cost.new_zeros(len(x_q))
    for _ in range(iterations):
        f = log_m - (scaled + g).logsumexp(1)
        g = log_n - (scaled + f[:, None]).logsumexp(0)
    plan = (scaled + f[:, None] + g - log_n - log_m).exp()
    return Sinkhorn((plan * cost).sum(), plan)


def sinkhorn_divergence(
    x_p: Tensor, x_q: Tensor, epsilon: float, *, order: float = 2.0, iterations: int = 500
) -> Tensor:
    r"""Entropic transport cost less what each sample costs against itself, so that equal samples give zero.

    .. math:: C_\epsilon(p, q) - \tfrac12 C_\epsilon(p, p) - \tfrac12 C_\epsilon(q, q)

    Between Wasserstein (:math:`\epsilon \to 0`) and an MMD (:math:`\epsilon \to \infty`).

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        epsilon: positive, in the unit of the cost.
        order: :math:`\rho \ge 1`.
        iterations: of Sinkhorn.

    Returns:
        A scalar.

    Raises:
        ValueError: as :func:`sinkhorn`.

    Reference: Genevay, Peyré & Cuturi (2018), Learning generative models with Sinkhorn divergences.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> abs(sinkhorn_divergence(torch.eye(2), torch.eye(2), epsilon=0.1)) < 1e-6
    tensor(True)
    """
    options = dict(order=order, iterations=iterations)
    across = sinkhorn(x_p, x_q, epsilon, **options).cost
    within = sinkhorn(x_p, x_p, epsilon, **options).cost + sinkhorn(x_q, x_q, epsilon, **options).cost
    return across - within / 2


def frechet_distance(x_p: Tensor, x_q: Tensor) -> Tensor:
    r"""Squared 2-Wasserstein distance of the Gaussians with the samples' means and covariances.

    .. math:: \|\mu_p - \mu_q\|^2 + \operatorname{tr}\big(\Sigma_p + \Sigma_q
              - 2 (\Sigma_p^{1/2} \Sigma_q \Sigma_p^{1/2})^{1/2}\big)

    On features of a classifier this is the Fréchet distance that is reported for images (with Inception's
    features, FID).

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.

    Returns:
        A scalar, in the squared unit of the data.

    Raises:
        ValueError: shapes that do not fit, NaNs, or fewer than two points.

    Reference: Dowson & Landau (1982), The Fréchet distance between multivariate normal distributions;
    Heusel et al. (2017), GANs trained by a two time-scale update rule.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> frechet_distance(x, x + 3)
    tensor(9.)
    """
    check_shape("x_p", x_p, "N", "D")
    check_shape("x_q", x_q, "M", x_p.shape[1])
    _check(x_p, x_q, 2)
    if min(len(x_p), len(x_q)) < 2:
        raise ValueError(f"x_p and x_q have {len(x_p)} and {len(x_q)} points, expected at least two each")
    cov_p, cov_q = covariance(x_p), covariance(x_q)
    values, vectors = torch.linalg.eigh(cov_p)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_q @ root).clamp(min=0).sqrt().sum()
    return (x_p.mean(0) - x_q.mean(0)).square().sum() + cov_p.trace() + cov_q.trace() - 2 * cross


def _check(x_p: Tensor, x_q: Tensor, order: float) -> None:
    check_not_nan("x_p", x_p)
    check_not_nan("x_q", x_q)
    if not order >= 1:
        raise ValueError(f"order is {order}, expected a number >= 1")


def _root(value: Tensor, order: float) -> Tensor:
    return value if order == 1 else value ** (1 / order)
