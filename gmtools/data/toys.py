r"""Two-dimensional densities to learn on: each can be sampled, evaluated and has a known entropy.

This file has the mixtures, the checkerboard and the pinwheel; ``curves.py`` the moons, rings and spirals.

A model's held-out negative log-likelihood can never fall below the entropy of the data, so the gap

.. math:: \mathbb{E}_{x \sim p^*}[-\log q(x)] - H[p^*] = \mathrm{KL}(p^* \,\|\, q) \ge 0

tells how far the model still is from the truth.
"""

import math
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, MixtureSameFamily, MultivariateNormal, constraints

from gmtools.checks import check_count, check_positive, check_shape


class Toy(Distribution):
    """A density on the plane, of event shape ``(2,)`` and no batch shape.

    Attributes:
        extent: ``(left, right, bottom, top)``, a box outside which there is practically no mass;
            the form that ``matplotlib``'s ``imshow`` takes.
        step: grid spacing fine enough to integrate the density by the trapezoidal rule.
    """

    arg_constraints = {}
    support = constraints.independent(constraints.real, 1)

    def __init__(self, extent: tuple[float, float, float, float], step: float):
        super().__init__(event_shape=torch.Size([2]))
        self.extent, self.step = extent, step

    def _log_prob(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def log_prob(self, x: Tensor) -> Tensor:
        """Log-density in nats of points ``(..., 2)``; returns shape ``(...)``."""
        check_shape("x", x, "...", 2)
        if not x.numel():
            return x.new_zeros(x.shape[:-1])
        rows = x.reshape(-1, 2).split(4096)  # bounds the memory of densities that integrate over a curve
        return torch.cat([self._log_prob(r) for r in rows]).reshape(x.shape[:-1])

    def grid(self) -> tuple[Tensor, float]:
        """Points ``(M, 2)`` of a grid over ``extent``, in float64, and the area of one cell."""
        left, right, bottom, top = self.extent
        axes = []
        for low, high in ((left, right), (bottom, top)):
            count = math.ceil((high - low) / self.step)
            axes.append(low + (high - low) * (torch.arange(count, dtype=torch.float64) + 0.5) / count)
        cell = float(axes[0][1] - axes[0][0]) * float(axes[1][1] - axes[1][0])
        return torch.cartesian_prod(*axes), cell

    @cached_property
    def _entropy(self) -> float:
        points, cell = self.grid()
        log_p = self.log_prob(points)
        return -float(torch.special.xlogy(log_p.exp(), log_p.exp()).sum()) * cell

    def entropy(self) -> Tensor:
        r"""Differential entropy :math:`-\int p \log p` in nats, by quadrature unless it has a closed form."""
        return torch.tensor(self._entropy)


class GaussianMixture2D(Toy):
    r"""Equal mixture of isotropic Gaussians.

    .. math:: p(x) = \tfrac1K \sum_k \mathcal{N}(x; \mu_k, \sigma^2 I)

    Args:
        means: shape ``(K, 2)``.
        scale: the standard deviation :math:`\sigma` of every component.

    Chapter: 1-why/03-what-is-a-generative-model

    >>> p = GaussianMixture2D(torch.zeros(1, 2), 1.0)
    >>> f"{p.entropy():.5f}"  # log(2 pi e)
    '2.83788'
    """

    def __init__(self, means: Tensor, scale: float):
        check_shape("means", means, "K", 2)
        check_positive("scale", scale)
        self.means, self.scale = means, scale
        low, high = (means.min(0).values - 8 * scale).tolist(), (means.max(0).values + 8 * scale).tolist()
        super().__init__((low[0], high[0], low[1], high[1]), step=scale / 2)

    def mixture(self, dtype: torch.dtype | None = None) -> MixtureSameFamily:
        """The same density as a ``MixtureSameFamily``."""
        means = self.means.to(dtype or torch.get_default_dtype())
        components = MultivariateNormal(means, scale_tril=self.scale * torch.eye(2, dtype=means.dtype))
        return MixtureSameFamily(Categorical(torch.ones(len(means), dtype=means.dtype)), components)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        return self.mixture().sample(torch.Size(sample_shape))

    def _log_prob(self, x: Tensor) -> Tensor:
        return self.mixture(x.dtype).log_prob(x)


class EightGaussians(GaussianMixture2D):
    """Eight Gaussians on a circle: does a model find every mode and leave the space between empty?"""

    def __init__(self, radius: float = 2.0, scale: float = 0.2):
        check_positive("radius", radius)
        angle = torch.arange(8, dtype=torch.float64) * math.pi / 4
        super().__init__(radius * torch.stack([angle.cos(), angle.sin()], -1), scale)


class GaussianGrid(GaussianMixture2D):
    """Gaussians on a ``side`` x ``side`` lattice; with the default 25 the usual test of mode collapse."""

    def __init__(self, side: int = 5, spacing: float = 1.0, scale: float = 0.1):
        check_count("side", side)
        check_positive("spacing", spacing)
        axis = spacing * (torch.arange(side, dtype=torch.float64) - (side - 1) / 2)
        super().__init__(torch.cartesian_prod(axis, axis), scale)


class Checkerboard(Toy):
    r"""Uniform on every second square of a board: sharp edges, no density between.

    With ``n`` squares a side (even) of side :math:`a`, the density is :math:`2/(na)^2` on half of the board
    and :math:`H = \log \tfrac{(na)^2}{2}`.

    >>> f"{Checkerboard().entropy():.5f}"  # log 8
    '2.07944'
    """

    def __init__(self, squares: int = 4, side: float = 1.0):
        check_count("squares", squares, 2)
        if squares % 2:
            raise ValueError(f"squares is {squares}, expected an even number")
        check_positive("side", side)
        self.squares, self.side, half = squares, side, squares * side / 2
        super().__init__((-half, half, -half, half), step=side / 20)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        row = torch.randint(self.squares, sample_shape)
        column = 2 * torch.randint(self.squares // 2, sample_shape) + row % 2
        corner = torch.stack([column, row], -1) - self.squares / 2
        return self.side * (corner + torch.rand(*sample_shape, 2))

    def _log_prob(self, x: Tensor) -> Tensor:
        square = torch.floor(x / self.side + self.squares / 2)
        inside = ((square >= 0) & (square < self.squares)).all(-1) & (square.sum(-1) % 2 == 0)
        return torch.where(inside, -math.log((self.squares * self.side) ** 2 / 2), -math.inf).to(x.dtype)

    def entropy(self) -> Tensor:
        return torch.tensor(math.log((self.squares * self.side) ** 2 / 2))


class Pinwheel(Toy):
    r"""Gaussian arms, each point turned by an angle that grows with its distance from the centre.

    .. math:: u \sim \mathcal{N}\big((\rho, 0), \mathrm{diag}(\sigma_r^2, \sigma_t^2)\big), \qquad
              x = R\big(\tfrac{2\pi k}{K} + \tau \|u\|\big)\, u

    The swirl keeps :math:`\|x\| = \|u\|` and has Jacobian determinant one, so the density of an arm is the
    Gaussian at the point turned back.

    Reference: Johnson et al. (2016), Composing graphical models with neural networks (with another swirl).
    """

    def __init__(
        self,
        arms: int = 5,
        radius: float = 2.0,
        radial_scale: float = 0.5,
        tangential_scale: float = 0.12,
        swirl: float = 0.6,
    ):
        check_count("arms", arms)
        for name, value in (("radial_scale", radial_scale), ("tangential_scale", tangential_scale)):
            check_positive(name, value)
        self.arms, self.radius, self.swirl = arms, radius, swirl
        self.scales = (radial_scale, tangential_scale)
        edge = radius + 7 * max(self.scales)
        super().__init__((-edge, edge, -edge, edge), step=min(self.scales) / 4)

    def _turn(self, u: Tensor, angle: Tensor) -> Tensor:
        c, s = angle.cos(), angle.sin()
        return torch.stack([c * u[..., 0] - s * u[..., 1], s * u[..., 0] + c * u[..., 1]], -1)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        u = torch.randn(*sample_shape, 2) * torch.tensor(self.scales) + torch.tensor([self.radius, 0.0])
        arm = torch.randint(self.arms, sample_shape) * (2 * math.pi / self.arms)
        return self._turn(u, arm + self.swirl * u.norm(dim=-1))

    def _log_prob(self, x: Tensor) -> Tensor:
        arm = torch.arange(self.arms, dtype=x.dtype)[:, None] * (2 * math.pi / self.arms)
        u = self._turn(x, -(arm + self.swirl * x.norm(dim=-1)))
        z = (u - x.new_tensor([self.radius, 0.0])) / x.new_tensor(self.scales)
        log_arm = -0.5 * z.square().sum(-1) - math.log(2 * math.pi * self.scales[0] * self.scales[1])
        return log_arm.logsumexp(0) - math.log(self.arms)
