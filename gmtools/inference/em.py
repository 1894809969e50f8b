r"""Expectation-maximisation as coordinate ascent of one bound, with exact and with restricted posteriors.

.. math:: \mathcal F(q, \theta) = \frac1N \sum_n \mathbb E_{q_n}\big[\log p_\theta(x_n, z_n) - \log
    q_n(z_n)\big] \le \frac1N \sum_n \log p_\theta(x_n)

The E step maximises it over q, the M step over :math:`\theta`. Over all q the E step finds the posterior and
the bound is tight: exact EM. Over a smaller family it is not, and the same loop is variational EM.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from gmtools.checks import check_choice, check_count, check_float, check_not_nan, check_shape


class EMSteps(Protocol):
    """A model with its data: two maximisations and the bound that they climb."""

    e_step: Callable[[Any], Any]  # parameters to posterior
    m_step: Callable[[Any], Any]  # posterior to parameters
    bound: Callable[[Any, Any], Tensor]  # (posterior, parameters) to F, a scalar


class EMFit(NamedTuple):
    """What :func:`expectation_maximisation` found.

    Attributes:
        parameters: after the last M step.
        posterior: of the last E step.
        bounds: shape ``(T, 2)``: the bound after the E and after the M step of every iteration, in nats a
            data point. ``bounds.flatten()`` never decreases, up to rounding.
    """

    parameters: Any
    posterior: Any
    bounds: Tensor


def expectation_maximisation(
    steps: EMSteps, parameters: Any, iterations: int = 100, tolerance: float = 0.0
) -> EMFit:
    r"""Alternate E and M steps and record the bound after each.

    .. math:: q^{(t)} = \arg\max_q \mathcal F(q, \theta^{(t-1)}), \qquad
        \theta^{(t)} = \arg\max_\theta \mathcal F(q^{(t)}, \theta)

    Args:
        steps: a model with its data, :class:`MixtureEM`, :class:`FactorAnalysisEM` or your own with methods
            ``e_step(parameters)``, ``m_step(posterior)`` and ``bound(posterior, parameters)``.
        parameters: where to start.
        iterations: most iterations.
        tolerance: stop when an iteration gains less than this, in nats a data point; 0 for never.

    Returns:
        Parameters, posterior and bounds.

    Raises:
        ValueError: ``iterations`` < 1, or a bound that is NaN.

    Reference: Dempster, Laird, Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm;
    Neal, Hinton (1998), A view of the EM algorithm that justifies incremental, sparse, and other variants.
    Chapter: 3-inference/37-variational-em.

    >>> seed = torch.manual_seed(0)
    >>> x = torch.cat([torch.randn(50, 1) - 3, torch.randn(50, 1) + 3]).double()
    >>> steps = MixtureEM(x)
    >>> fit = expectation_maximisation(steps, steps.start(components=2), iterations=20)
    >>> bool((fit.bounds.flatten().diff() >= -1e-12).all())
    True
    """
    check_count("iterations", iterations)
    bounds: list[tuple[float, float]] = []
    for _ in range(iterations):
        posterior = steps.e_step(parameters)
        after_e = float(steps.bound(posterior, parameters))
        parameters = steps.m_step(posterior)
        bounds.append((after_e, float(steps.bound(posterior, parameters))))
        if not math.isfinite(bounds[-1][1]):
            raise ValueError(
                f"steps has the bound {bounds[-1][1]} in iteration {len(bounds)}, expected a number"
            )
        if tolerance > 0 and len(bounds) > 1 and bounds[-1][1] - bounds[-2][1] < tolerance:
            break
    return EMFit(parameters, posterior, torch.tensor(bounds, dtype=torch.float64))


class MixtureParameters(NamedTuple):
    """Gaussian mixture: ``weights`` ``(C,)``, ``means`` ``(C, D)``, ``covariances`` ``(C, D, D)``."""

    weights: Tensor
    means: Tensor
    covariances: Tensor


class MixtureEM:
    r"""E and M steps of a mixture of C Gaussians with full covariances.

    .. math:: r_{nc} \propto \pi_c \mathcal N(x_n \mid \mu_c, \Sigma_c), \qquad
        \pi_c = \frac{N_c}{N}, \quad \mu_c = \frac{1}{N_c} \sum_n r_{nc} x_n, \quad
        \Sigma_c = \frac{1}{N_c} \sum_n r_{nc} (x_n - \mu_c)(x_n - \mu_c)^\top, \quad N_c = \sum_n r_{nc}

    The posterior is a tensor of responsibilities ``(N, C)``. The family ``"hard"`` restricts it to point
    masses: each data point goes wholly to its most probable component, and the bound stays below the
    likelihood.

    Args:
        x: data, shape ``(N, D)``.
        family: ``"exact"`` or ``"hard"``.

    Raises:
        ValueError: wrong shapes, no floating-point numbers, NaN, an unknown family; later, a component that
            has collapsed onto at most D points, where the likelihood is unbounded.

    Reference: Bishop (2006), Pattern recognition and machine learning, section 9.2.
    Chapter: 3-inference/37-variational-em.

    >>> steps = MixtureEM(torch.tensor([[-2.0], [-1.0], [1.0], [2.0]]), family="hard")
    >>> fit = expectation_maximisation(steps, steps.start(components=2), iterations=5)
    >>> fit.parameters.means.flatten().sort().values
    tensor([-1.5000,  1.5000])
    """

    def __init__(self, x: Tensor, family: str = "exact") -> None:
        check_shape("x", x, "N", "D")
        check_float("x", x)
        check_not_nan("x", x)
        check_choice("family", family, ("exact", "hard"))
        self.x, self.family = x, family

    def start(self, components: int) -> MixtureParameters:
        """Parameters to start from: means spread over the data (k-means++), the data's covariance for all."""
        check_count("components", components)
        x = self.x
        means = x[torch.randint(len(x), (1,))]
        for _ in range(components - 1):
            nearest = (x[:, None] - means).square().sum(-1).amin(1)
            if not bool((nearest > 0).any()):
                raise ValueError(
                    f"components is {components}, expected at most the {len(means)} distinct points"
                )
            means = torch.cat([means, x[torch.multinomial(nearest, 1)]])
        covariance = torch.atleast_2d(torch.cov(x.T, correction=0))
        return MixtureParameters(
            x.new_full((components,), 1 / components), means, covariance.repeat(components, 1, 1)
        )

    def log_joint(self, parameters: MixtureParameters) -> Tensor:
        r""":math:`\log p(x_n, z_n = c)`, shape ``(N, C)``."""
        weights, means, covariances = parameters
        factor, failed = torch.linalg.cholesky_ex(covariances)
        if failed.any():
            collapsed = failed.nonzero().flatten().tolist()
            raise ValueError(
                f"covariances of the components {collapsed} are not positive definite: they have collapsed; "
                "use fewer components or another start"
            )
        return weights.log() + MultivariateNormal(means, scale_tril=factor).log_prob(self.x[:, None])

    def e_step(self, parameters: MixtureParameters) -> Tensor:
        """Responsibilities, shape ``(N, C)``."""
        log_joint = self.log_joint(parameters)
        if self.family == "hard":
            return torch.nn.functional.one_hot(log_joint.argmax(1), log_joint.shape[1]).to(log_joint)
        return log_joint.softmax(1)

    def m_step(self, responsibilities: Tensor) -> MixtureParameters:
        """Weighted means and covariances."""
        count = responsibilities.sum(0)
        if not bool((count > 0).all()):
            empty = (count <= 0).nonzero().flatten().tolist()
            raise ValueError(
                f"the components {empty} have no data left; use fewer components or another start"
            )
        means = responsibilities.T @ self.x / count[:, None]
        centred = self.x - means[:, None]  # (C, N, D)
        covariances = centred.mT @ (responsibilities.T[..., None] * centred) / count[:, None, None]
        return MixtureParameters(count / len(self.x), means, covariances)

    def bound(self, responsibilities: Tensor, parameters: MixtureParameters) -> Tensor:
        r""":math:`\mathcal F` in nats a data point, a scalar."""
        energy = torch.where(responsibilities > 0, responsibilities * self.log_joint(parameters), 0.0)
        return (energy - torch.xlogy(responsibilities, responsibilities)).sum(1).mean()


class FactorParameters(NamedTuple):
    """Factor analysis: ``mean`` ``(D,)``, ``loadings`` ``(D, d)``, ``variance`` ``(D,)``."""

    mean: Tensor
    loadings: Tensor
    variance: Tensor


class FactorPosterior(NamedTuple):
    """Gaussian posteriors of the factors: ``mean`` ``(N, d)``, one ``covariance`` ``(d, d)`` for all data."""

    mean: Tensor
    covariance: Tensor


class FactorAnalysisEM:
    r"""E and M steps of factor analysis.

    .. math:: z \sim \mathcal N(0, I_d), \qquad x \mid z \sim \mathcal N(\mu + W z, \mathrm{diag}\,\psi)

    With :math:`\tilde x_n = x_n - \bar x` and :math:`M = I + W^\top \Psi^{-1} W`,

    .. math:: q_n = \mathcal N(m_n, V), \quad m_n = M^{-1} W^\top \Psi^{-1} \tilde x_n, \quad V = M^{-1},
        \qquad W = \Big(\sum_n \tilde x_n m_n^\top\Big) \Big(\sum_n m_n m_n^\top + N V\Big)^{-1}, \quad
        \psi = \frac1N \sum_n (\tilde x_n - W m_n)^2 + \mathrm{diag}(W V W^\top)

    The family ``"mean_field"`` restricts V to diagonal matrices. Its optimum keeps the means and has the
    variances :math:`1 / M_{jj}`, too small; the bound then also prefers loadings with orthogonal columns.

    Args:
        x: data, shape ``(N, D)``.
        family: ``"exact"`` or ``"mean_field"``.
        isotropic: one variance for all dimensions, which is probabilistic PCA.

    Raises:
        ValueError: wrong shapes, no floating-point numbers, NaN, an unknown family, a constant column (where
            there is one variance for all: nothing but such columns).

    Reference: Rubin, Thayer (1982), EM algorithms for ML factor analysis; Tipping, Bishop (1999),
    Probabilistic principal component analysis. Chapter: 3-inference/37-variational-em.

    >>> seed = torch.manual_seed(0)
    >>> x = torch.randn(200, 1) * torch.tensor([3.0, 2.0, 1.0]) + 0.1 * torch.randn(200, 3)
    >>> steps = FactorAnalysisEM(x.double())
    >>> fit = expectation_maximisation(steps, steps.start(factors=1), iterations=200)
    >>> bool((fit.parameters.variance < 0.03).all())
    True
    """

    def __init__(self, x: Tensor, family: str = "exact", isotropic: bool = False) -> None:
        check_shape("x", x, "N", "D")
        check_float("x", x)
        check_not_nan("x", x)
        check_choice("family", family, ("exact", "mean_field"))
        constant = (x == x[:1]).all(0)
        if bool(constant.all() if isotropic else constant.any()):
            raise ValueError(f"x has constant columns {constant.nonzero().flatten().tolist()}, expected none")
        self.x, self.family, self.isotropic = x, family, isotropic
        self.mean = x.mean(0)
        self.centred = x - self.mean

    def start(self, factors: int) -> FactorParameters:
        """Parameters to start from: random loadings, the data's variances."""
        check_count("factors", factors)
        variance = self.centred.square().mean(0)
        loadings = torch.randn(self.x.shape[1], factors).to(self.x) * (variance / factors).sqrt()[:, None]
        return FactorParameters(
            self.mean, loadings, variance.mean().expand_as(variance) if self.isotropic else variance
        )

    def e_step(self, parameters: FactorParameters) -> FactorPosterior:
        """Posterior means and covariance."""
        _, loadings, variance = parameters
        scaled = loadings / variance[:, None]
        precision = loadings.T @ scaled + torch.eye(loadings.shape[1]).to(loadings)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        mean = self.centred @ scaled @ covariance
        if self.family == "mean_field":
            covariance = precision.diagonal().reciprocal().diag()
        return FactorPosterior(mean, covariance)

    def m_step(self, posterior: FactorPosterior) -> FactorParameters:
        """Regression of the data on the factors."""
        mean, covariance = posterior
        second = mean.T @ mean + len(mean) * covariance
        cross = self.centred.T @ mean
        loadings = torch.linalg.solve(second, cross, left=False)
        variance = self._squared_error(posterior, loadings)
        if self.isotropic:
            variance = variance.mean().expand_as(variance)
        return FactorParameters(self.mean, loadings, variance)

    def _squared_error(self, posterior: FactorPosterior, loadings: Tensor) -> Tensor:
        """Expected, of the reconstruction, ``(D,)``: a sum of squares, which no rounding makes negative."""
        mean, covariance = posterior
        spread = ((loadings @ covariance) * loadings).sum(1)
        return (self.centred - mean @ loadings.T).square().mean(0) + spread

    def bound(self, posterior: FactorPosterior, parameters: FactorParameters) -> Tensor:
        r""":math:`\mathcal F` in nats a data point, a scalar."""
        (mean, covariance), (_, loadings, variance) = posterior, parameters
        error = self._squared_error(posterior, loadings)
        reconstruction = -0.5 * ((2 * math.pi * variance).log() + error / variance).sum()
        divergence = 0.5 * (
            covariance.trace() + mean.square().sum(1).mean() - mean.shape[1] - torch.logdet(covariance)
        )
        return reconstruction - divergence
