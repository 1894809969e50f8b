"""Positive definite kernels, by name, and the bandwidth that the data suggest."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gmtools.checks import check_choice, check_positive, check_shape


def distances(x: Tensor, y: Tensor) -> Tensor:
    r"""Euclidean distances :math:`\|x_i - y_j\|`, with a gradient of zero (not NaN) where they vanish.

    Args:
        x: shape ``(..., N, D)``.
        y: shape ``(..., M, D)``.

    Returns:
        Shape ``(..., N, M)``.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")


_RADIAL: dict[str, Callable[[Tensor], Tensor]] = {
    "gaussian": lambda d: (-0.5 * d.square()).exp(),
    "laplace": lambda d: (-d).exp(),
    "rational_quadratic": lambda d: 1 / (1 + 0.5 * d.square()),
    "inverse_multiquadric": lambda d: (1 + d.square()).rsqrt(),
}

KERNELS = (*_RADIAL, "energy", "polynomial")
"""Names of kernels. "energy" makes the squared MMD the energy distance; "polynomial" compares moments."""


@dataclass(frozen=True)
class Kernel:
    r"""A kernel, summed over bandwidths; ``kernel(x, y)`` is the Gram matrix.

    With :math:`\delta = \|x - y\| / h`: "gaussian" :math:`e^{-\delta^2/2}`, "laplace" :math:`e^{-\delta}`,
    "rational_quadratic" :math:`(1 + \delta^2/2)^{-1}`, "inverse_multiquadric" :math:`(1 + \delta^2)^{-1/2}`,
    "energy" :math:`(\|x\| + \|y\| - \|x - y\|) / h`, "polynomial" :math:`(1 + x^\top y / h^2)^2`.

    Args:
        name: one of ``KERNELS``.
        bandwidths: one positive number, or several whose kernels are averaged.

    Raises:
        ValueError: an unknown name, or bandwidths that are not a positive number or a tuple of them.

    Reference: Gretton et al. (2012), A kernel two-sample test; Sejdinovic et al. (2013), Equivalence of
    distance-based and RKHS-based statistics in hypothesis testing.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> Kernel("gaussian", 2.0)(torch.zeros(1, 1), torch.tensor([[0.0], [2.0]]))
    tensor([[1.0000, 0.6065]])
    """

    name: str = "gaussian"
    bandwidths: float | tuple[float, ...] = 1.0

    def __post_init__(self):
        check_choice("kernel", self.name, KERNELS)
        if isinstance(self.bandwidths, list) or self.bandwidths == ():
            raise ValueError(f"bandwidths is {self.bandwidths!r}, expected a number or a tuple of numbers")
        check_positive("bandwidths", torch.tensor(self.bandwidths))

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Gram matrix ``(N, M)`` of points ``(N, D)`` and ``(M, D)``."""
        check_shape("x", x, "N", "D")
        check_shape("y", y, "M", x.shape[1])
        return self._value(distances(x, y), x @ y.T, x.norm(dim=-1)[:, None] + y.norm(dim=-1))

    def paired(self, x: Tensor, y: Tensor) -> Tensor:
        """Values ``(N,)`` of the kernel at the pairs ``(x[n], y[n])``, both of shape ``(N, D)``."""
        check_shape("x", x, "N", "D")
        check_shape("y", y, *x.shape)
        return self._value((x - y).norm(dim=-1), (x * y).sum(-1), x.norm(dim=-1) + y.norm(dim=-1))

    def _value(self, distance: Tensor, inner: Tensor, norms: Tensor) -> Tensor:
        widths = self.bandwidths if isinstance(self.bandwidths, tuple) else (self.bandwidths,)
        if self.name == "polynomial":
            return sum((1 + inner / h**2).square() for h in widths) / len(widths)
        if self.name == "energy":
            return sum((norms - distance) / h for h in widths) / len(widths)
        return sum(_RADIAL[self.name](distance / h) for h in widths) / len(widths)


def median_heuristic(x_p: Tensor, x_q: Tensor) -> float:
    """Median distance between the points of both samples together: a bandwidth of the data's own scale.

    Args:
        x_p: shape ``(N, D)``.
        x_q: shape ``(M, D)``.

    Returns:
        A positive number.

    Raises:
        ValueError: at least half of the pairs of points coincide, so that the median is zero.

    Reference: Gretton et al. (2012), A kernel two-sample test; Garreau, Jitkrittum & Kanagawa (2017), Large
    sample analysis of the median heuristic.

    Chapter: 6-comparison/68-integral-probability-metrics

    >>> median_heuristic(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0]]))
    2.0
    """
    check_shape("x_p", x_p, "N", "D")
    check_shape("x_q", x_q, "M", x_p.shape[1])
    pooled = torch.cat([x_p, x_q])
    median = torch.pdist(pooled.detach()).median().item()
    if not median > 0:
        raise ValueError(f"x_p and x_q have median distance {median}, expected points that differ")
    return median
