r"""Density ratios :math:`r(x) = p(x) / q(x)` from samples: by classification, KLIEP and uLSIF."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from gmtools.checks import check_count, check_positive
from gmtools.comparison.kernels import Kernel, median_heuristic
from gmtools.comparison.samples import check_samples
from gmtools.training import History, fit

FACTORS = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5)  # bandwidths tried, times the median distance
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)


def class_log_ratio(logits: Tensor, n_p: int, n_q: int) -> Tensor:
    r"""Turn a classifier's logits into log-ratios by Bayes' rule.

    .. math:: \log \frac{p(x)}{q(x)} = \log \frac{P(y = 1 \mid x)}{P(y = 0 \mid x)} - \log \frac{N_p}{N_q}

    Only with as many samples of p as of q does the last term vanish.

    Args:
        logits: log-odds of label 1 ("from p"), shape ``(...)``.
        n_p: number of samples of p the classifier was trained on.
        n_q: number of samples of q.

    Returns:
        Log-ratios of the same shape, in nats.

    Raises:
        ValueError: a count below 1.

    Reference: Qin (1998), Inferences for case-control and semiparametric two-sample density ratio models.

    Chapter: 6-comparison/65-density-ratio-by-bayes

    >>> class_log_ratio(torch.tensor([0.0]), 100, 300)
    tensor([1.0986])
    """
    check_count("n_p", n_p)
    check_count("n_q", n_q)
    return logits - math.log(n_p / n_q)


def ratio_by_classification(
    network: nn.Module, x_p: Tensor, x_q: Tensor, **fit_options
) -> tuple[Callable[[Tensor], Tensor], History]:
    """Train a classifier to tell samples of p (label 1) from samples of q (label 0); return the log-ratio.

    Args:
        network: maps ``(N, D)`` to logits ``(N, 1)`` or ``(N,)``; trained in place.
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``; the sizes may differ.
        **fit_options: passed on to :func:`gmtools.training.fit`.

    Returns:
        A function from points ``(..., D)`` to log-ratios ``(...)`` in nats, and the history of the training.

    Raises:
        ValueError: samples not of shapes ``(N, D)`` and ``(M, D)``, no points, integers, or NaNs.

    Reference: Bickel, Brückner & Scheffer (2007), Discriminative learning for differing training and test
    distributions; Sugiyama, Suzuki & Kanamori (2012), Density ratio estimation in machine learning.

    Chapter: 6-comparison/64-density-ratio-and-classification

    >>> x_p, x_q = torch.randn(200, 1) + 1, torch.randn(200, 1)
    >>> log_ratio, _ = ratio_by_classification(nn.Linear(1, 1), x_p, x_q, steps=50)
    >>> log_ratio(torch.zeros(7, 1)).shape
    torch.Size([7])
    """
    check_samples(x_p, x_q)
    x = torch.cat([x_p, x_q])
    label = torch.cat([x_p.new_ones(len(x_p)), x_q.new_zeros(len(x_q))])

    def loss(x: Tensor, label: Tensor) -> Tensor:
        return binary_cross_entropy_with_logits(network(x).reshape(-1), label)

    history = fit(network, loss, (x, label), **fit_options)

    def log_ratio(x: Tensor) -> Tensor:
        return class_log_ratio(network(x).reshape(x.shape[:-1]), len(x_p), len(x_q))

    return log_ratio, history


@dataclass(frozen=True)
class KernelRatio:
    r"""A ratio as a sum of kernels, :math:`r(x) = \sum_l \alpha_l k(x, c_l)` with :math:`\alpha_l \ge 0`.

    Attributes:
        kernel: the Gaussian kernel, with the bandwidth that was chosen.
        centres: :math:`c_l`, shape ``(L, D)``, taken from the samples of p.
        weights: :math:`\alpha_l`, shape ``(L,)``.
        ridge: the regularisation that was chosen (uLSIF only).
    """

    kernel: Kernel
    centres: Tensor
    weights: Tensor
    ridge: float | None = None

    def __call__(self, x: Tensor) -> Tensor:
        """Ratio at points ``(N, D)``, shape ``(N,)``."""
        return self.kernel(x, self.centres) @ self.weights


def kliep(
    x_p: Tensor, x_q: Tensor, *, bandwidth: float | None = None, centres: int = 100, iterations: int = 200
) -> KernelRatio:
    r"""Kullback-Leibler importance estimation: make :math:`r\,q` closest to p in KL.

    .. math:: \max_{\alpha \ge 0} \tfrac1N \sum_n \log r_\alpha(x^p_n) \quad \text{subject to} \quad
              \tfrac1M \sum_m r_\alpha(x^q_m) = 1

    With :math:`\beta_l = \alpha_l \cdot \text{mean}_q\, k(\cdot, c_l)` the constraint is the simplex and the
    problem that of mixture weights, so EM solves it: every iteration raises the objective, no step size.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        bandwidth: of the Gaussian kernel; by default the best in 5-fold cross-validation.
        centres: at most this many of ``x_p``, chosen at random, become kernel centres.
        iterations: of EM.

    Returns:
        A :class:`KernelRatio`.

    Raises:
        ValueError: wrong shapes, integers, NaNs, a bandwidth that is not positive, or none given and samples
            that are too few or too far apart to choose it.

    Reference: Sugiyama et al. (2008), Direct importance estimation for covariate shift adaptation.

    Chapter: 6-comparison/65-density-ratio-by-bayes

    >>> ratio = kliep(torch.randn(50, 2) + 1, torch.randn(80, 2), bandwidth=1.0)
    >>> ratio(torch.randn(7, 2)).shape
    torch.Size([7])
    """
    check_samples(x_p, x_q)
    check_count("iterations", iterations)
    centre = _choose(x_p, centres)

    def solve(x_p: Tensor, x_q: Tensor, width: float) -> KernelRatio:
        kernel = Kernel("gaussian", width)
        mean_q = kernel(x_q, centre).mean(0).clamp(min=torch.finfo(x_q.dtype).tiny)
        components = kernel(x_p, centre) / mean_q
        beta = torch.full_like(mean_q, 1 / len(mean_q))
        for _ in range(iterations):
            responsibility = components * beta
            total = responsibility.sum(1, keepdim=True)
            beta = (responsibility / total.clamp(min=torch.finfo(total.dtype).tiny)).mean(0)
        return KernelRatio(kernel, centre, beta / beta.sum() / mean_q)

    def loss(ratio: KernelRatio, x_p: Tensor, x_q: Tensor) -> float:
        return (ratio(x_q).mean().log() - ratio(x_p).log().mean()).item()

    width = _best(solve, loss, x_p, x_q, [(w,) for w in _widths(x_p, x_q, bandwidth)])
    return solve(x_p, x_q, *width)


def ulsif(
    x_p: Tensor,
    x_q: Tensor,
    *,
    bandwidth: float | None = None,
    ridge: float | None = None,
    centres: int = 100,
) -> KernelRatio:
    r"""Unconstrained least-squares importance fitting: the ratio in closed form.

    .. math:: \min_\alpha \tfrac12 \mathbb{E}_q[r_\alpha^2] - \mathbb{E}_p[r_\alpha]
              + \tfrac{\lambda}{2} \|\alpha\|^2
              \quad\Rightarrow\quad \alpha = \big((\hat H + \lambda I)^{-1} \hat h\big)_+

    where :math:`\hat H` is the mean of :math:`k(x^q, c) k(x^q, c)^\top` and :math:`\hat h` that of
    :math:`k(x^p, c)`.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.
        bandwidth: of the Gaussian kernel; by default the best in 5-fold cross-validation.
        ridge: :math:`\lambda`; by default chosen with the bandwidth.
        centres: at most this many of ``x_p``, chosen at random, become kernel centres.

    Returns:
        A :class:`KernelRatio`.

    Raises:
        ValueError: wrong shapes, integers, NaNs, a bandwidth or ridge that is not positive, or one not given
            and samples too few to choose it.

    Reference: Kanamori, Hido & Sugiyama (2009), A least-squares approach to direct importance estimation.

    Chapter: 6-comparison/65-density-ratio-by-bayes

    >>> ratio = ulsif(torch.randn(50, 2) + 1, torch.randn(80, 2))
    >>> ratio(torch.randn(7, 2)).shape
    torch.Size([7])
    """
    check_samples(x_p, x_q)
    if ridge is not None:
        check_positive("ridge", ridge)
    centre = _choose(x_p, centres)

    def solve(x_p: Tensor, x_q: Tensor, width: float, ridge: float) -> KernelRatio:
        kernel = Kernel("gaussian", width)
        phi_q = kernel(x_q, centre)
        gram = phi_q.T @ phi_q / len(x_q) + ridge * torch.eye(len(centre)).to(phi_q)
        weights = torch.linalg.solve(gram, kernel(x_p, centre).mean(0)).clamp(min=0)
        return KernelRatio(kernel, centre, weights, ridge)

    def loss(ratio: KernelRatio, x_p: Tensor, x_q: Tensor) -> float:
        return (ratio(x_q).square().mean() / 2 - ratio(x_p).mean()).item()

    ridges = RIDGES if ridge is None else (ridge,)
    grid = [(w, r) for w in _widths(x_p, x_q, bandwidth) for r in ridges]
    return solve(x_p, x_q, *_best(solve, loss, x_p, x_q, grid))


def _choose(x: Tensor, count: int) -> Tensor:
    check_count("centres", count)
    return x[torch.randperm(len(x))[:count].to(x.device)]


def _widths(x_p: Tensor, x_q: Tensor, bandwidth: float | None) -> list[float]:
    if bandwidth is not None:
        check_positive("bandwidth", bandwidth)
        return [bandwidth]
    median = median_heuristic(x_p[:1000], x_q[:1000])
    return [median * f for f in FACTORS]


def _best(solve, loss, x_p: Tensor, x_q: Tensor, grid: list[tuple]) -> tuple:
    """The grid point of least loss in cross-validation. The samples are taken to be in random order."""
    if len(grid) == 1:
        return grid[0]
    check_samples(x_p, x_q, 2)
    folds = min(5, len(x_p), len(x_q))  # no fold is empty

    def risk(point: tuple) -> float:
        total = 0.0
        for k in range(folds):
            out_p, out_q = (torch.arange(len(x), device=x.device) % folds == k for x in (x_p, x_q))
            total += loss(solve(x_p[~out_p], x_q[~out_q], *point), x_p[out_p], x_q[out_q])
        return total if math.isfinite(total) else math.inf

    risks = [risk(point) for point in grid]
    if min(risks) == math.inf:
        raise ValueError("x_p and x_q give no bandwidth a finite risk in cross-validation: pass a bandwidth")
    return grid[risks.index(min(risks))]
