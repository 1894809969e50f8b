"""Expectation propagation for a Gaussian prior and factors that each see one projection."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from gmtools.checks import check_count, check_not_nan, check_positive, check_shape


@dataclass(frozen=True)
class EPFit:
    """What :func:`expectation_propagation` found.

    Attributes:
        posterior: the Gaussian approximation, event shape ``(D,)``.
        log_evidence: scalar tensor, in nats.
        site_precision: of the Gaussian that stands for each factor, shape ``(N,)``.
        site_shift: precision times mean of each such Gaussian, shape ``(N,)``.
        iterations: sweeps over all factors.
    """

    posterior: MultivariateNormal
    log_evidence: Tensor
    site_precision: Tensor
    site_shift: Tensor
    iterations: int


def expectation_propagation(
    log_factor: Callable[[Tensor], Tensor],
    features: Tensor,
    prior: MultivariateNormal,
    *,
    iterations: int = 200,
    damping: float = 0.5,
    tolerance: float | None = None,
    nodes: int = 401,
) -> EPFit:
    r"""Approximate a posterior by a Gaussian that matches every factor in its first two moments.

    .. math:: p(z \mid x) \propto p(z) \prod_n t_n(a_n^\top z) \approx p(z) \prod_n
        \exp\big(\nu_n s_n - \tfrac12 \tau_n s_n^2\big), \qquad s_n = a_n^\top z

    Every sweep takes each site out of the marginal of :math:`s_n`, puts the true factor in (the cavity times
    :math:`t_n`, integrated by the trapezoidal rule) and chooses the site anew so that mean and variance
    agree. Bayesian probit and logistic regression have rows :math:`a_n` of inputs; Gaussian process models
    have ``features`` = I. Exact for one factor, and for Gaussian factors.

    Args:
        log_factor: maps projections ``s`` of shape ``(Q, N)``, column n for factor n, to :math:`\log t_n(s)`
            of the same shape.
        features: the rows :math:`a_n`, shape ``(N, D)``, none of them zero. float64 is worth having here.
        prior: Gaussian prior, event shape ``(D,)``.
        iterations: most sweeps.
        damping: fraction of the way that a sweep moves the sites, in (0, 1]. All sites move at once, so some
            damping is needed; lower it if the sweeps do not converge.
        tolerance: largest change of a mean or standard deviation, in units of the standard deviation, that
            ends the sweeps. Default: square root of the machine epsilon.
        nodes: of the trapezoidal rule, over ten standard deviations of the cavity to each side. Its error
            vanishes exponentially once the nodes are closer than the factor is wide.

    Returns:
        Gaussian posterior, log-evidence and sites.

    Raises:
        ValueError: wrong shapes, NaN, a row of zeros, a factor that vanishes under its cavity, or no
            convergence.

    Reference: Minka (2001), Expectation propagation for approximate Bayesian inference; Rasmussen, Williams
    (2006), Gaussian processes for machine learning, section 3.6. Chapter:
    2-models/25-choosing-a-learning-principle.

    >>> prior = MultivariateNormal(torch.zeros(1, dtype=torch.float64), torch.eye(1, dtype=torch.float64))
    >>> fit = expectation_propagation(torch.special.log_ndtr, torch.ones(1, 1, dtype=torch.float64), prior)
    >>> round(fit.log_evidence.exp().item(), 6), round(fit.posterior.mean.item(), 6)  # 1/2 and 1/sqrt(pi)
    (0.5, 0.56419)
    """
    check_shape("features", features, "N", *prior.event_shape)
    check_not_nan("features", features)
    zero = (features == 0).all(1)
    if bool(zero.any()):
        raise ValueError(f"features has zero rows {zero.nonzero().flatten().tolist()}, expected none")
    check_count("iterations", iterations)
    if tolerance is None:
        tolerance = math.sqrt(torch.finfo(features.dtype).eps)
    check_positive("tolerance", tolerance)
    if not 0 < damping <= 1:
        raise ValueError(f"damping is {damping!r}, expected a number in (0, 1]")
    check_count("nodes", nodes, minimum=3)
    standard = torch.linspace(-10, 10, nodes, dtype=torch.float64).to(features)[:, None]  # (Q, 1)
    precision = torch.zeros(len(features)).to(features)
    shift = torch.zeros_like(precision)
    change, sweeps = math.inf, 0
    while change >= tolerance:
        if sweeps == iterations:
            raise ValueError(
                f"iterations is {iterations}, expected more: moments still change by {change:.3g} standard "
                f"deviations; or a damping below {damping}"
            )
        sweeps += 1
        posterior, mean, variance = _marginals(prior, features, precision, shift)
        cavity = _cavity(mean, variance, precision, shift)
        log_normaliser, tilted_mean, tilted_variance = _tilted_moments(log_factor, *cavity, standard)
        change = max(
            float(((tilted_mean - mean) / variance.sqrt()).abs().max()),
            float(((tilted_variance / variance).sqrt() - 1).abs().max()),
        )
        if change >= tolerance:
            precision = precision + damping * (1 / tilted_variance - 1 / variance)
            shift = shift + damping * (tilted_mean / tilted_variance - mean / variance)
    site_terms = log_normaliser + _log_partition(*cavity) - _log_partition(1 / variance, mean / variance)
    log_evidence = site_terms.sum() + _gaussian_log_partition(posterior) - _gaussian_log_partition(prior)
    return EPFit(posterior, log_evidence, precision, shift, sweeps)


def _marginals(
    prior: MultivariateNormal, features: Tensor, precision: Tensor, shift: Tensor
) -> tuple[MultivariateNormal, Tensor, Tensor]:
    """The posterior with these sites, and mean and variance of every projection."""
    prior_precision = prior.precision_matrix
    total = prior_precision + features.T @ (precision[:, None] * features)
    factor, failed = torch.linalg.cholesky_ex(total)
    if failed:
        raise ValueError("log_factor made the posterior precision indefinite; lower the damping")
    covariance = torch.cholesky_inverse(factor)
    mean = covariance @ (prior_precision @ prior.mean + features.T @ shift)
    variance = ((features @ covariance) * features).sum(1)
    return MultivariateNormal(mean, covariance), features @ mean, variance


def _cavity(mean: Tensor, variance: Tensor, precision: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    cavity_precision = 1 / variance - precision
    if not bool((cavity_precision > 0).all()):
        worst = int(cavity_precision.argmin())
        raise ValueError(f"log_factor gave site {worst} a cavity of negative variance; lower the damping")
    return cavity_precision, mean / variance - shift


def _tilted_moments(
    log_factor: Callable[[Tensor], Tensor], precision: Tensor, shift: Tensor, standard: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Log-normaliser, mean and variance of cavity times factor, each ``(N,)``."""
    s = shift / precision + standard / precision.sqrt()  # (Q, N)
    log_t = log_factor(s)
    check_shape("log_factor(s)", log_t, *s.shape)
    check_not_nan("log_factor(s)", log_t)
    log_weights = (-0.5 * standard.square()).log_softmax(0)  # the trapezoidal rule under N(0, 1)
    log_product = log_weights + log_t
    log_normaliser = log_product.logsumexp(0)
    if not bool(log_normaliser.isfinite().all()):
        raise ValueError("log_factor(s) is -inf at every node of some factor, expected a value above")
    weights = (log_product - log_normaliser).exp()
    mean = (weights * s).sum(0)
    return log_normaliser, mean, (weights * (s - mean).square()).sum(0)


def _log_partition(precision: Tensor, shift: Tensor) -> Tensor:
    """Log-normaliser of one-dimensional Gaussians in natural parameters."""
    return 0.5 * (2 * math.pi / precision).log() + shift.square() / (2 * precision)


def _gaussian_log_partition(gaussian: MultivariateNormal) -> Tensor:
    return -gaussian.log_prob(torch.zeros_like(gaussian.mean))
