r"""Models with two latent numbers, solved by quadrature on the plane: the running examples of part 5.

One observation of a function of two unknowns leaves four kinds of posterior: correlated, bent, two-headed and
ring-shaped. Every family of the part is measured on the same four.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal

from gmtools.checks import check_positive
from gmtools.data.toys import Toy


@dataclass(frozen=True)
class PlaneModel:
    r"""Latents :math:`z \sim \mathcal N(0, I_2)` and one observation :math:`x \mid z \sim \mathcal N(f(z),
    \sigma^2)`.

    Attributes:
        f: maps latents ``(..., 2)`` to what is measured of them, ``(...)``.
        x: the observation.
        variance: :math:`\sigma^2`, positive.

    Chapter: 5-posteriors/49-choosing-the-posterior
    """

    f: Callable[[Tensor], Tensor]
    x: float
    variance: float

    def __post_init__(self):
        check_positive("variance", self.variance)

    def log_joint(self, z: Tensor) -> Tensor:
        r""":math:`\log p(x, z) = \log p(x \mid z) + \log p(z)` in nats, ``(...)``, at ``(..., 2)``."""
        likelihood = Normal(self.f(z), self.variance**0.5)
        log_prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
        return likelihood.log_prob(torch.as_tensor(self.x, dtype=z.dtype)) + log_prior

    def posterior(self) -> "PlanePosterior":
        r""":math:`p(z \mid x)`, normalised by quadrature; its ``log_evidence`` is :math:`\log p(x)`."""
        return PlanePosterior(self)


class PlanePosterior(Toy):
    r"""The exact posterior of a `PlaneModel`: density, draws, moments and :math:`\log p(x)`.

    The integrals are sums over a grid of cell 0.02 on :math:`[-6, 6]^2`. The integrand is smooth and vanishes
    at the border, so they are right to about 1e-8 while the standard deviation of the observation is several
    cells wide.

    Attributes:
        log_evidence: :math:`\log p(x)` in nats, shape ``()``, float64.
    """

    def __init__(self, model: PlaneModel):
        super().__init__((-6.0, 6.0, -6.0, 6.0), step=0.02)
        self.model = model
        points, cell = self.grid()
        log_joint = model.log_joint(points)
        self.log_evidence = log_joint.logsumexp(0) + math.log(cell)
        self._points, self._weights = points, (log_joint - log_joint.logsumexp(0)).exp()

    def _log_prob(self, x: Tensor) -> Tensor:
        return self.model.log_joint(x) - self.log_evidence.to(x.dtype)

    @property
    def mean(self) -> Tensor:
        """Shape ``(2,)``, float64."""
        return self._weights @ self._points

    @property
    def covariance_matrix(self) -> Tensor:
        """Shape ``(2, 2)``, float64."""
        centred = self._points - self.mean
        return (self._weights[:, None] * centred).T @ centred

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draws ``sample_shape + (2,)``: a cell by its mass, then uniformly within it."""
        count = torch.Size(sample_shape).numel()
        cells = torch.multinomial(self._weights, count, replacement=True) if count else torch.zeros(0).long()
        within = self.step * (torch.rand(count, 2, dtype=torch.float64) - 0.5)
        return (self._points[cells] + within).reshape(*sample_shape, 2)

    def kl_from(self, q: torch.distributions.Distribution) -> Tensor:
        r""":math:`\mathrm{KL}(q \,\|\, p(\cdot \mid x)) = \int q \log (q / p)` in nats, on the same grid.

        Args:
            q: a distribution with ``log_prob``, batch shape ``()`` and event shape ``(2,)``.

        Raises:
            ValueError: the grid sees less than 99.9 % of q, or more than all of it: q is too wide for the
                square or too narrow for the cells.
        """
        log_q = q.log_prob(self._points)
        cell = self.step**2
        mass = float(log_q.detach().exp().sum()) * cell
        if not 0.999 < mass < 1.001:
            raise ValueError(f"q has mass {mass:.4f} on the grid, expected 1 to within 0.001")
        return (log_q.exp() * (log_q - self.log_prob(self._points))).sum() * cell


def total(x: float = 1.0, variance: float = 0.1) -> PlaneModel:
    r"""The sum, :math:`x \mid z \sim \mathcal N(z_1 + z_2, \sigma^2)`: one latent can explain
    what the other does not.

    .. math:: p(z \mid x) = \mathcal N\!\left(\frac{x}{2 + \sigma^2} \mathbf 1, \Lambda^{-1}\right), \qquad
        \Lambda = I + \sigma^{-2} \mathbf 1 \mathbf 1^\top

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> covariance = total(1.0, 0.1).posterior().covariance_matrix
    >>> f"{covariance[0, 1] / covariance[0, 0]:.4f}"  # -10/11
    '-0.9091'
    """
    return PlaneModel(lambda z: z.sum(-1), x, variance)


def parabola(x: float = 1.0, variance: float = 0.1) -> PlaneModel:
    r""":math:`x \mid z \sim \mathcal N(z_2 + z_1^2, \sigma^2)`: one mode, bent.

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> p, z = parabola().posterior(), torch.tensor([0.9, 0.2])
    >>> torch.equal(p.log_prob(z), p.log_prob(z * torch.tensor([-1.0, 1.0])))
    True
    """
    return PlaneModel(lambda z: z[..., 1] + z[..., 0].square(), x, variance)


def product(x: float = 1.5, variance: float = 0.1) -> PlaneModel:
    r""":math:`x \mid z \sim \mathcal N(z_1 z_2, \sigma^2)`: the common sign is lost, two bent modes remain.

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> p, z = product().posterior(), torch.tensor([0.9, 1.2])
    >>> torch.equal(p.log_prob(z), p.log_prob(-z))
    True
    """
    return PlaneModel(lambda z: z[..., 0] * z[..., 1], x, variance)


def distance(x: float = 2.0, variance: float = 0.1) -> PlaneModel:
    r""":math:`x \mid z \sim \mathcal N(\lVert z \rVert, \sigma^2)`: no direction is preferred.

    Chapter: 5-posteriors/49-choosing-the-posterior

    >>> p = distance().posterior()
    >>> torch.allclose(p.log_prob(torch.tensor([1.2, 1.6])), p.log_prob(torch.tensor([-2.0, 0.0])))
    True
    """
    return PlaneModel(lambda z: z.norm(dim=-1), x, variance)


PLANE_MODELS: dict[str, Callable[[], PlaneModel]] = {
    "total": total,
    "parabola": parabola,
    "product": product,
    "distance": distance,
}
