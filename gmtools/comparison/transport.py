r"""Optimal transport: Wasserstein distances exactly, with entropy (Sinkhorn), and between Gaussians.

.. math:: W_\rho(p, q)^\rho = \min_{\pi \in \Pi(p, q)} \mathbb{E}_{(x, y) \sim \pi} \|x - y\|^\rho

For :math:`\rho = 1` it is also the integral probability metric of the 1-Lipschitz functions.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_positive, check_shape
from gmtools.comparison.kernels import distances
from gmtools.comparison.samples import check_samples


def wasserstein_1d(x_p: Tensor, x_q: Tensor, order: float = 1.0) -> Tensor:
    r"""Wasserstein distance on the line, exactly: the plan is monotone.

    .. math:: W_\rho^\rho = \int_0^1 |F_p^{-1}(u) - F_q^{-1}(u)|^\rho\, du

    Args:
        x_p: shape ``(N,)``.
        x_q: shape ``(M,)``; the sizes may differ.
        order: :math:`\rho \ge 1`, finite.

    Returns:
        :math:`W_\rho`, a scalar in the unit of the data, differentiable (with slope zero where it vanishes).

    Raises:
        ValueError: samples of another rank, no points, integers, NaNs, or an order out of range.

    Reference: Peyré & Cuturi (2019), Computational optimal transport, section 2.6.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> wasserstein_1d(torch.tensor([0.0, 1.0]), torch.tensor([5.0, 6.0, 5.0, 6.0]))
    tensor(5.)
    """
    check_shape("x_p", x_p, "N")
    check_shape("x_q", x_q, "M")
    check_samples(x_p[:, None], x_q[:, None])
    _check_order(order)
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
        order: :math:`\rho \ge 1`, finite.

    Returns:
        :math:`W_\rho`, a scalar in the unit of the data, differentiable (the plan being held fixed).

    Raises:
        ValueError: shapes that differ, no points, integers, NaNs, or an order out of range.

    Reference: Peyré & Cuturi (2019), Computational optimal transport, section 2.4.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> wasserstein(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.tensor([[1.0, 2.0], [0.0, 2.0]]))
    tensor(2.)
    """
    from scipy.optimize import linear_sum_assignment

    check_samples(x_p, x_q)
    check_shape("x_q", x_q, *x_p.shape)
    _check_order(order)
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
    :math:`1/\epsilon`. What the rows or columns still lack after the last one is spread over the plan, so it
    is in :math:`\Pi(p, q)` always and never cheaper than the best; with too few iterations it is dearer.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        epsilon: positive, in the unit of the cost.
        order: :math:`\rho \ge 1`, finite.
        iterations: number of updates of both potentials.

    Returns:
        A :class:`Sinkhorn`; the cost is differentiable through the iterations.

    Raises:
        ValueError: shapes that do not fit, no points, integers, NaNs, or a parameter out of range.

    Reference: Cuturi (2013), Sinkhorn distances: lightspeed computation of optimal transport; Altschuler,
    Weed & Rigollet (2017), Near-linear time approximation algorithms for optimal transport via Sinkhorn
    iteration.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> sinkhorn(torch.zeros(3, 1), torch.ones(4, 1), epsilon=0.1).cost
    tensor(1.0000)
    """
    check_samples(x_p, x_q)
    check_positive("epsilon", epsilon)
    check_count("iterations", iterations)
    _check_order(order)
    cost = distances(x_p, x_q) ** order
    log_n, log_m = math.log(len(x_p)), math.log(len(x_q))
    scaled = -cost / epsilon
    g = cost.new_zeros(len(x_q))
    for _ in range(iterations):
        f = log_m - (scaled + g).logsumexp(1)
        g = log_n - (scaled + f[:, None]).logsumexp(0)
    plan = _round((scaled + f[:, None] + g - log_n - log_m).exp())
    return Sinkhorn((plan * cost).sum(), plan)


def _round(plan: Tensor) -> Tensor:
    """The plan with uniform marginals: cut the rows and columns that exceed, then spread what is missing."""
    n, m = plan.shape
    plan = plan / (n * plan.sum(1, keepdim=True)).clamp(min=1)
    plan = plan / (m * plan.sum(0)).clamp(min=1)
    missing_p, missing_q = (1 / n - plan.sum(1)).clamp(min=0), (1 / m - plan.sum(0)).clamp(min=0)
    total = missing_p.sum().clamp(min=torch.finfo(plan.dtype).eps)  # nothing but rounding may be missing
    return plan + missing_p[:, None] * missing_q / total


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

    With :math:`\Sigma = A^\top A` the last trace is the sum of the singular values of :math:`A_p A_q^\top`,
    which takes no root of a rounding error where there are fewer points than dimensions.

    On features of a classifier this is the Fréchet distance that is reported for images (with Inception's
    features, FID).

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.

    Returns:
        A scalar, in the squared unit of the data, not negative.

    Raises:
        ValueError: shapes that do not fit, integers, NaNs, or fewer than two points.

    Reference: Dowson & Landau (1982), The Fréchet distance between multivariate normal distributions;
    Heusel et al. (2017), GANs trained by a two time-scale update rule.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> x = torch.tensor([[0.0], [2.0]])
    >>> frechet_distance(x, x + 3)
    tensor(9.)
    """
    check_samples(x_p, x_q, 2)
    a_p, a_q = _covariance_factor(x_p), _covariance_factor(x_q)
    cross = torch.linalg.svdvals(a_p @ a_q.T).sum()
    gap = (x_p.mean(0) - x_q.mean(0)).square().sum()
    return (gap + a_p.square().sum() + a_q.square().sum() - 2 * cross).clamp(min=0)


def _covariance_factor(x: Tensor) -> Tensor:
    """A matrix A with A^T A the covariance of the points: triangular, or the points if they are fewer."""
    centred = (x - x.mean(0)) / math.sqrt(len(x) - 1)
    return torch.linalg.qr(centred).R if len(x) > x.shape[1] else centred


def _check_order(order: float) -> None:
    if not 1 <= order < math.inf:
        raise ValueError(f"order is {order}, expected a finite number >= 1")


def _root(value: Tensor, order: float) -> Tensor:
    if order == 1:
        return value
    positive = value > 0  # the root has no slope at zero
    return torch.where(positive, torch.where(positive, value, 1) ** (1 / order), 0)
