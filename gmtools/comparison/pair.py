r"""Two Gaussians whose ratio and divergences are known: what part 6 holds its estimates against."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from gmtools.checks import check_choice, check_count, check_positive, check_shape
from gmtools.comparison.divergences import F_DIVERGENCES


@dataclass(frozen=True)
class GaussianPair:
    r"""Data :math:`p^* = \mathcal N(0, I)` and model :math:`q = \mathcal N(m \mathbf 1, s^2 I)`.

    .. math:: \log \frac{p^*(x)}{q(x)}
              = \sum_{d=1}^{D} \Big(\log s + \frac{(x_d - m)^2}{2 s^2} - \frac{x_d^2}{2}\Big)

    Args:
        shift: :math:`m`.
        scale: :math:`s`, positive.
        dim: :math:`D`.

    Raises:
        ValueError: a scale that is not positive, or no dimensions.

    Reference: Sugiyama, Suzuki & Kanamori (2012), Density ratio estimation in machine learning.

    Chapter: 6-comparison/64-density-ratio-and-classification

    >>> pair = GaussianPair(shift=0.0, scale=2.0)
    >>> pair.log_ratio(torch.zeros(1, 1))  # log 2: the model is twice as wide
    tensor([0.6931])
    """

    shift: float = 0.7
    scale: float = 1.3
    dim: int = 1

    def __post_init__(self):
        check_positive("scale", self.scale)
        check_count("dim", self.dim)

    @property
    def p(self) -> Independent:
        """The distribution of the data."""
        return Independent(Normal(torch.zeros(self.dim), 1.0), 1)

    @property
    def q(self) -> Independent:
        """The model."""
        return Independent(Normal(torch.full((self.dim,), float(self.shift)), self.scale), 1)

    def sample(self, n_p: int, n_q: int | None = None) -> tuple[Tensor, Tensor]:
        """Draw data ``(n_p, D)`` and simulated points ``(n_q, D)``, as many if ``n_q`` is None."""
        return self.p.sample((n_p,)), self.q.sample((n_p if n_q is None else n_q,))

    def log_ratio(self, x: Tensor) -> Tensor:
        """Exact :math:`\\log p^*(x)/q(x)` in nats, from points ``(..., D)`` to ``(...)``."""
        check_shape("x", x, "...", self.dim)
        own = math.log(self.scale) + ((x - self.shift) / self.scale).square() / 2 - x.square() / 2
        return own.sum(-1)

    def grid(self, points: int = 8001, deviations: float = 12.0) -> Tensor:
        """Points ``(L, 1)`` of equal step that hold all but a negligible mass of both (one dimension)."""
        if self.dim != 1:
            raise ValueError(f"dim is {self.dim}, expected 1: a grid is for one dimension")
        low = min(-deviations, self.shift - deviations * self.scale)
        high = max(deviations, self.shift + deviations * self.scale)
        return torch.linspace(low, high, points)[:, None]

    def f_divergence(self, divergence: str) -> Tensor:
        r"""Exact :math:`D_f(p^* \| q) = \int q f(p^*/q)`, in one dimension.

        Jensen-Shannon and "gan" have no closed form and are integrated, in double precision, as the tight
        :math:`\int p^* f'(r) - q f^*(f'(r))`, whose terms are bounded by logarithms.

        Args:
            divergence: key of ``F_DIVERGENCES``.

        Returns:
            A scalar; "neyman" is infinite unless :math:`s^2 < 2`, "pearson" unless :math:`s^2 > 1/2`.

        >>> pair = GaussianPair(0.7, 1.3)
        >>> torch.isclose(pair.f_divergence("kl"), torch.distributions.kl_divergence(pair.p, pair.q))
        tensor(True)
        """
        check_choice("divergence", divergence, tuple(F_DIVERGENCES))
        too_wide = divergence == "neyman" and self.scale**2 >= 2
        too_narrow = divergence == "pearson" and self.scale**2 <= 0.5
        x = self.grid().double()  # one dimension only
        if too_wide or too_narrow:
            return torch.tensor(math.inf)
        mm, ss = (torch.tensor(v, dtype=torch.float64).square() for v in (self.shift, self.scale))
        closed = {
            "kl": (ss.log() + (1 + mm) / ss - 1) / 2,
            "reverse_kl": (ss + mm - 1 - ss.log()) / 2,
            "pearson": (ss.log() - (2 * ss - 1).log() / 2 + mm / (2 * ss - 1)).expm1(),
            "neyman": (mm / (2 - ss) - (ss * (2 - ss)).log() / 2).expm1(),
            "hellinger": -2 * (((4 * ss).log() / 2 - (1 + ss).log()) / 2 - mm / (4 * (1 + ss))).expm1(),
        }
        if divergence in closed:
            return closed[divergence].to(torch.get_default_dtype())
        log_p, log_ratio, f = self.p.log_prob(x), self.log_ratio(x), F_DIVERGENCES[divergence]
        values = log_p.exp() * f.critic(log_ratio) - (log_p - log_ratio).exp() * f.penalty(log_ratio)
        return torch.trapezoid(values, x[:, 0]).to(torch.get_default_dtype())
