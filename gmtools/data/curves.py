"""Two-dimensional densities along curves: moons, rings and spirals, thickened by Gaussian noise."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gmtools.checks import check_count, check_positive
from gmtools.data.toys import Toy


class NoisyCurves(Toy):
    r"""A point on one of several curves plus Gaussian noise; the curves are drawn with equal probability.

    .. math:: p(x) = \tfrac1K \sum_k \int_0^1 \mathcal{N}\big(x; c_k(t), \sigma^2 I\big)\, dt

    The integral has no closed form; Gauss-Legendre quadrature on pieces no longer than :math:`4\sigma` gives
    it to about eight digits. The substitution :math:`t = s^2` serves curves that begin like :math:`\sqrt t`.

    Args:
        curves: functions of ``t`` in [0, 1], shape ``(M,)``, to points ``(M, 2)``.
        noise: the standard deviation :math:`\sigma`.
        speed: an upper bound on :math:`\|d c_k(s^2) / ds\|`, which decides the number of nodes.
    """

    def __init__(self, curves: list[Callable[[Tensor], Tensor]], noise: float, speed: float):
        check_positive("noise", noise)
        self.curves, self.noise = curves, noise
        s, weights = _gauss_legendre(pieces=math.ceil(speed / (4 * noise)))
        self.points = torch.cat([c(s.square()) for c in curves])
        self.log_weights = (2 * s * weights / len(curves)).log().repeat(len(curves))
        low, high = self.points.min(0).values - 8 * noise, self.points.max(0).values + 8 * noise
        super().__init__((float(low[0]), float(high[0]), float(low[1]), float(high[1])), step=noise / 2)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        count = math.prod(sample_shape)
        t = torch.rand(count)
        points = torch.stack([c(t) for c in self.curves])[
            torch.randint(len(self.curves), (count,)), range(count)
        ]
        return (points + self.noise * torch.randn(count, 2)).reshape(*sample_shape, 2)

    def _log_prob(self, x: Tensor) -> Tensor:
        points = self.points.to(x.dtype)
        log_weights = self.log_weights.to(x.dtype)
        square = (x.square().sum(-1, keepdim=True) + points.square().sum(-1) - 2 * x @ points.T).clamp(min=0)
        log_normal = -0.5 * square / self.noise**2 - math.log(2 * math.pi * self.noise**2)
        return (log_normal + log_weights).logsumexp(-1)


def _gauss_legendre(pieces: int, order: int = 8) -> tuple[Tensor, Tensor]:
    """Nodes and weights of composite Gauss-Legendre quadrature on [0, 1]."""
    import numpy as np

    node, weight = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(order))
    starts = torch.arange(pieces, dtype=torch.float64)[:, None]
    return ((starts + (node + 1) / 2) / pieces).reshape(-1), (weight / (2 * pieces)).repeat(pieces)


def _on_circle(angle: Tensor) -> Tensor:
    return torch.stack([angle.cos(), angle.sin()], -1)


class TwoMoons(NoisyCurves):
    """Two interleaved half circles, the geometry of scikit-learn's ``make_moons``.

    >>> moons = TwoMoons()
    >>> moons.log_prob(moons.sample((5,))).shape
    torch.Size([5])
    """

    def __init__(self, noise: float = 0.1):
        def lower(t: Tensor) -> Tensor:
            return t.new_tensor([1.0, 0.5]) - _on_circle(math.pi * t)

        super().__init__([lambda t: _on_circle(math.pi * t), lower], noise, speed=2 * math.pi)


class Rings(Toy):
    r"""Concentric circles with Gaussian noise: a topology that no diffeomorphism of a Gaussian has.

    With :math:`r = \|x\|` the noise integrates to a modified Bessel function:

    .. math:: p(x) = \frac{1}{K} \sum_k \frac{1}{2\pi\sigma^2} e^{-(r^2 + R_k^2) / 2\sigma^2}
              I_0\Big(\frac{r R_k}{\sigma^2}\Big)
    """

    def __init__(self, radii: tuple[float, ...] = (1.0, 2.0, 3.0), noise: float = 0.1):
        check_positive("radii", torch.tensor(radii))
        check_positive("noise", noise)
        self.radii, self.noise, edge = torch.tensor(radii, dtype=torch.float64), noise, max(radii) + 8 * noise
        super().__init__((-edge, edge, -edge, edge), step=noise / 2)

    def sample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        radius = self.radii.to(torch.get_default_dtype())[torch.randint(len(self.radii), sample_shape)]
        points = radius[..., None] * _on_circle(2 * math.pi * torch.rand(sample_shape))
        return points + self.noise * torch.randn(*sample_shape, 2)

    def _log_prob(self, x: Tensor) -> Tensor:
        r, radii, variance = x.norm(dim=-1, keepdim=True), self.radii.to(x.dtype), self.noise**2
        log_ring = torch.special.i0e(r * radii / variance).log() - 0.5 * (r - radii).square() / variance
        return log_ring.logsumexp(-1) - math.log(2 * math.pi * variance * len(radii))


class Spirals(NoisyCurves):
    r"""Interleaved Archimedean spirals, :math:`c(t) = R \sqrt t\,(\cos, \sin)(2\pi v \sqrt t)`."""

    def __init__(self, arms: int = 2, turns: float = 1.5, radius: float = 3.0, noise: float = 0.1):
        check_count("arms", arms)
        check_positive("turns", turns)
        check_positive("radius", radius)

        def arm(k: int) -> Callable[[Tensor], Tensor]:
            def curve(t: Tensor) -> Tensor:
                root = t.sqrt()
                return radius * root[:, None] * _on_circle(2 * math.pi * (turns * root + k / arms))

            return curve

        super().__init__([arm(k) for k in range(arms)], noise, speed=radius * (1 + 2 * math.pi * turns))
