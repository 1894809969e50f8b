r"""Models with one latent number, solved by quadrature: the running examples of part 3.

Three posteriors, from the friendliest to the least: Gaussian, skewed, two-headed. Every chapter of the part
tries its method on the same three.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal, Poisson

from gmtools.checks import check_positive


@dataclass(frozen=True)
class ScalarModel:
    r"""A latent :math:`z \sim \mathcal N(0, 1)` and one observation: :math:`p(x, z) = p(x \mid z)\, p(z)`.

    Attributes:
        log_likelihood: maps ``z`` to :math:`\log p(x \mid z)` of the same shape, for the given x.
    """

    log_likelihood: Callable[[Tensor], Tensor]

    def log_joint(self, z: Tensor) -> Tensor:
        r""":math:`\log p(x, z) = \log p(x \mid z) + \log p(z)` in nats, of the shape of ``z``."""
        return self.log_likelihood(z) + Normal(0.0, 1.0).log_prob(z)

    def grid(self, low: float = -10.0, high: float = 10.0, points: int = 20_001) -> Tensor:
        """Equally spaced latents in float64, shape ``(points,)``; the prior keeps the mass well inside."""
        return torch.linspace(low, high, points, dtype=torch.float64)

    def log_evidence(self) -> Tensor:
        r""":math:`\log p(x) = \log \int p(x \mid z)\, p(z)\, dz` in nats, by the trapezoidal rule in float64.

        The integrand is smooth and vanishes at both ends, where the rule converges faster than any power of
        the step; the value is right to about 1e-12.
        """
        z = self.grid()
        log_joint = self.log_joint(z)
        peak = log_joint.max()
        return peak + torch.trapezoid((log_joint - peak).exp(), z).log()

    def posterior(self, z: Tensor) -> Tensor:
        r""":math:`p(z \mid x) = p(x, z) / p(x)`, of the shape of ``z``."""
        return (self.log_joint(z) - self.log_evidence()).exp()


def linear_gaussian(x: float = 1.3, variance: float = 0.7) -> ScalarModel:
    r""":math:`x \mid z \sim \mathcal N(z, \sigma^2)`: a Gaussian posterior, everything known exactly.

    .. math:: p(x) = \mathcal N(x; 0, 1 + \sigma^2), \qquad
        p(z \mid x) = \mathcal N\!\left(\frac{x}{1 + \sigma^2}, \frac{\sigma^2}{1 + \sigma^2}\right)

    Args:
        x: the observation.
        variance: :math:`\sigma^2`.

    Raises:
        ValueError: ``variance`` is not positive.

    Chapter: 3-inference/30-laplace-approximation.

    >>> model = linear_gaussian(1.3, 0.7)
    >>> torch.allclose(model.log_evidence(), Normal(0.0, 1.7**0.5).log_prob(torch.tensor(1.3)).double())
    True
    """
    check_positive("variance", variance)
    return ScalarModel(lambda z: Normal(z, variance**0.5).log_prob(torch.as_tensor(x, dtype=z.dtype)))


def count(x: int = 0, slope: float = 2.0) -> ScalarModel:
    r""":math:`x \mid z \sim \mathrm{Poisson}(e^{a z})`: a small count leaves a skewed posterior.

    Args:
        x: the observed count.
        slope: :math:`a`.

    Chapter: 3-inference/30-laplace-approximation.

    >>> model = count(0)
    >>> bool(model.posterior(torch.tensor(-2.0)) > model.posterior(torch.tensor(1.0)))
    True
    """
    return ScalarModel(
        lambda z: Poisson((slope * z).exp()).log_prob(torch.as_tensor(float(x), dtype=z.dtype))
    )


def square(x: float = 1.5, variance: float = 0.1) -> ScalarModel:
    r""":math:`x \mid z \sim \mathcal N(z^2, \sigma^2)`: the sign of z is lost, the posterior has two modes.

    Args:
        x: the observation.
        variance: :math:`\sigma^2`.

    Raises:
        ValueError: ``variance`` is not positive.

    Chapter: 3-inference/30-laplace-approximation.

    >>> model, z = square(), torch.tensor(1.2)
    >>> torch.equal(model.posterior(z), model.posterior(-z))
    True
    """
    check_positive("variance", variance)
    return ScalarModel(lambda z: Normal(z**2, variance**0.5).log_prob(torch.as_tensor(x, dtype=z.dtype)))


def expectation(f: Callable[[Tensor], Tensor], q: Normal) -> Tensor:
    r""":math:`\mathbb E_{q(z)}[f(z)]` by quadrature: the truth that the chapters hold their estimates to.

    The trapezoidal rule on 20 001 points within 12 standard deviations, in float64, differentiable in the
    parameters of ``q``. For a smooth ``f`` it is right to rounding; one that grows as :math:`e^{az}` moves
    the mass by :math:`a\sigma` standard deviations and needs :math:`a\sigma` well below 12.

    Args:
        f: maps draws, shape ``(20001,)``, to values of that shape.
        q: one normal distribution, of batch shape ``()``.

    Returns:
        the expectation, shape ``()``.

    Raises:
        ValueError: ``q`` is a batch of distributions.

    Chapter: 4-gradients/42-classical-inference.

    >>> bool((expectation(torch.exp, Normal(0.5, 2.0)) - torch.tensor(2.5).exp()).abs() < 1e-5)
    True
    """
    if q.batch_shape:
        raise ValueError(f"q has batch shape {tuple(q.batch_shape)}, expected one distribution, ()")
    noise = torch.linspace(-12, 12, 20_001, dtype=torch.float64)
    density = torch.exp(-(noise**2) / 2) / (2 * torch.pi) ** 0.5
    return torch.trapezoid(density * f(q.loc + q.scale * noise), noise)
