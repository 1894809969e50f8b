r"""The pathwise estimator: differentiate the function along the path that the draw takes when q moves.

.. math:: \nabla_\phi \mathbb{E}_{q_\phi(z)}[f(z)] = \mathbb{E}_{q_\phi(z)}[\nabla_z f(z)\, \nabla_\phi z]

Where :math:`z = g_\phi(\epsilon)` is explicit, :math:`\nabla_\phi z` comes from automatic
differentiation. Where only the distribution function :math:`F_\phi` is known, it comes from differentiating
:math:`F_\phi(z) = u` implicitly.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.distributions import VonMises as TorchVonMises

from gmtools.checks import check_count, check_shape
from gmtools.distributions import rsample_and_log_prob

from .surrogate import evaluate


def pathwise(f: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the pathwise estimator (reparametrisation, stochastic backpropagation).

    .. math:: \frac{1}{K} \sum_{k=1}^K \nabla_\phi f(g_\phi(\epsilon_k)), \qquad \epsilon_k \sim p(\epsilon)

    Args:
        f: differentiable; maps draws ``(K, *batch, *event)`` to values ``(K, *batch)``.
        q: distribution with ``rsample``. Torch's gamma, beta, Dirichlet and Student t have it by implicit
            differentiation; for von Mises see `VonMises`.
        K: number of draws.

    Returns:
        surrogate of shape ``batch``: its value is the mean of ``f``, its gradient the estimate.

    Raises:
        ValueError: K < 1, q cannot be reparametrised, or ``f`` returns a wrong shape or NaN.

    Reference: Kingma & Welling (2014), Auto-encoding variational Bayes; Rezende, Mohamed & Wierstra (2014),
        Stochastic backpropagation and approximate inference in deep generative models.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> loc = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> q = torch.distributions.Normal(loc, 1.0)
    >>> pathwise(lambda z: 3 * z, q, K=1).sum().backward()
    >>> loc.grad
    tensor([3., 3.])
    """
    check_count("K", K)
    z, _ = rsample_and_log_prob(q, (K,))
    return evaluate("f", f, z, q).mean(0)


def implicit(z: Tensor, cdf: Callable[[Tensor], Tensor], log_density: Callable[[Tensor], Tensor]) -> Tensor:
    r"""Give draws of a univariate distribution the gradient of its parameters.

    .. math:: \nabla_\phi z = -\frac{\nabla_\phi F_\phi(z)}{q_\phi(z)}

    No inverse of :math:`F_\phi` is needed: draw ``z`` by any means, rejection included. Holds for the first
    derivative; a second one through the result is not defined.

    Args:
        z: draws, any shape; a gradient they may carry is dropped.
        cdf: the distribution function, elementwise, differentiable in the parameters that it closes over.
        log_density: the log-density, elementwise.

    Returns:
        the same values, of the same shape, differentiable in those parameters.

    Raises:
        ValueError: ``cdf(z)`` has another shape than ``z``.

    Reference: Figurnov, Mohamed & Mnih (2018), Implicit reparameterization gradients.

    Chapter: 4-gradients/46-reparameterisation

    >>> rate = torch.tensor(2.0, requires_grad=True)
    >>> q = torch.distributions.Exponential(rate)
    >>> z = implicit(q.sample((3,)), q.cdf, q.log_prob)
    >>> slope, = torch.autograd.grad(z.sum(), rate)
    >>> torch.allclose(slope, -z.sum() / rate)  # explicit: z = e / rate
    True
    """
    z = z.detach()
    probability = cdf(z)
    check_shape("cdf(z)", probability, *z.shape)
    return z - (probability - probability.detach()) / log_density(z).detach().exp()


class VonMises(TorchVonMises):
    r"""The von Mises distribution on the circle, reparametrised implicitly.

    .. math:: q(z) = \frac{\exp(\kappa \cos(z - \mu))}{2 \pi I_0(\kappa)}

    Torch has the sampler (by rejection) but no gradient through it; this adds ``cdf`` and ``rsample``. The
    distribution function is a Gauss-Legendre quadrature of the density, exact to rounding for the draws of
    any concentration up to about 10 000.

    Args:
        loc: direction :math:`\mu` in radians, shape ``batch``.
        concentration: :math:`\kappa > 0`, shape ``batch``.

    Raises:
        ValueError: a concentration that is not positive.

    Reference: Figurnov, Mohamed & Mnih (2018), Implicit reparameterization gradients.

    Chapter: 4-gradients/46-reparameterisation

    >>> q = VonMises(torch.tensor(0.5), torch.tensor(4.0))
    >>> round(q.cdf(torch.tensor(0.5)).item(), 6), q.rsample((7,)).shape
    (0.5, torch.Size([7]))
    """

    has_rsample = True

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density in nats, shape ``sample_shape + batch``; exact Bessel function, no overflow."""
        if self._validate_args:
            self._validate_sample(value)
        scaled_bessel = torch.special.i0e(self.concentration)  # I0(κ) exp(-κ)
        return self.concentration * ((value - self.loc).cos() - 1) - (2 * math.pi * scaled_bessel).log()

    def cdf(self, value: Tensor) -> Tensor:
        """Probability of the arc from ``loc - π`` to ``value``, shape ``sample_shape + batch``."""
        angle = value - self.loc
        angle = angle - 2 * math.pi * torch.round(angle.detach() / (2 * math.pi))
        nodes, weights = (x.to(angle) for x in _gauss_legendre(64))
        arc = angle[..., None] * (nodes + 1) / 2
        integrand = (self.concentration[..., None] * (arc.cos() - 1)).exp()
        integral = angle / 2 * (integrand @ weights)
        return 0.5 + integral / (2 * math.pi * torch.special.i0e(self.concentration))

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draws in [-π, π) with gradients, shape ``sample_shape + batch``."""
        return implicit(self.sample(torch.Size(sample_shape)), self.cdf, self.log_prob)


@lru_cache(maxsize=4)
def _gauss_legendre(n: int) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [-1, 1] by the eigenvalues of the Jacobi matrix (Golub & Welsch, 1969)."""
    k = torch.arange(1, n, dtype=torch.float64)
    beta = k / (4 * k**2 - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(beta.diag(1) + beta.diag(-1))
    return nodes, 2 * vectors[0] ** 2
