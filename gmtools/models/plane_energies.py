r"""Four densities on the plane known up to a constant: the targets on which flow posteriors were first shown.

Their normalising constants come from the same quadrature as those of ``plane.py``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gmtools.models.plane import PlanePosterior

EDGE, WALL = 4.0, 0.25  # where the wall begins in z_1, and its standard deviation


@dataclass(frozen=True)
class PlaneEnergy:
    r"""A density :math:`p(z) = e^{-U(z)} / Z` on the plane, between two walls.

    .. math:: \log \tilde p(z) = -U(z) - \tfrac12 \left( \frac{\max(0, |z_1| - 4)}{0.25} \right)^2

    The published energies of the wave, the split and the fork do not grow with :math:`|z_1|`, so
    :math:`e^{-U}` has no integral, and a flow would escape along the first axis. Soft walls beyond the
    published pictures give it one.

    Attributes:
        U: maps points ``(..., 2)`` to energies ``(...)``.

    Reference: Rezende & Mohamed (2015), Variational inference with normalizing flows, table 1.

    Chapter: 5-posteriors/57-flows-as-posteriors
    """

    U: Callable[[Tensor], Tensor]

    def log_joint(self, z: Tensor) -> Tensor:
        r"""The unnormalised :math:`\log \tilde p(z)` in nats, ``(...)``, at ``(..., 2)``."""
        beyond = (z[..., 0].abs() - EDGE).clamp_min(0)
        return -self.U(z) - 0.5 * (beyond / WALL).square()

    def posterior(self) -> PlanePosterior:
        r""":math:`p(z)`, normalised by quadrature; its ``log_evidence`` is :math:`\log Z`."""
        return PlanePosterior(self)


def _bump(distance: Tensor, width: float) -> Tensor:
    """Minus half the squared distance in widths: the logarithm of a Gaussian bump of height one."""
    return -0.5 * (distance / width).square()


def _wave(z: Tensor) -> Tensor:
    return torch.sin(math.pi * z[..., 0] / 2)


def ring_energy(z: Tensor) -> Tensor:
    r""":math:`U_1 = \frac12 \left(\frac{\|z\| - 2}{0.4}\right)^2 - \log\left(e^{-\frac12 ((z_1 - 2) / 0.6)^2}
    + e^{-\frac12 ((z_1 + 2) / 0.6)^2}\right)`: two opposite arcs of a ring.

    Chapter: 5-posteriors/57-flows-as-posteriors

    >>> ring_energy(torch.tensor([[2.0, 0.0], [0.0, 2.0]])).round(decimals=2).abs()
    tensor([0.0000, 4.8600])
    """
    sides = torch.logaddexp(_bump(z[..., 0] - 2, 0.6), _bump(z[..., 0] + 2, 0.6))
    return -_bump(z.norm(dim=-1) - 2, 0.4) - sides


def wave_energy(z: Tensor) -> Tensor:
    r""":math:`U_2 = \frac12 \left(\frac{z_2 - w_1(z)}{0.4}\right)^2`, :math:`w_1(z) = \sin(\pi z_1 / 2)`: a
    wave.

    Chapter: 5-posteriors/57-flows-as-posteriors

    >>> wave_energy(torch.tensor([1.0, 1.0]))
    tensor(0.)
    """
    return -_bump(z[..., 1] - _wave(z), 0.4)


def split_energy(z: Tensor) -> Tensor:
    r""":math:`U_3 = -\log\left(e^{-\frac12 ((z_2 - w_1) / 0.35)^2} + e^{-\frac12 ((z_2 - w_1 + w_2) /
    0.35)^2}\right)`, :math:`w_2 = 3 e^{-\frac12 ((z_1 - 1) / 0.6)^2}`: a wave that parts and meets again.

    Chapter: 5-posteriors/57-flows-as-posteriors

    >>> split_energy(torch.tensor([[1.0, 1.0], [1.0, -2.0]])).abs().round(decimals=4)
    tensor([0., 0.])
    """
    height = z[..., 1] - _wave(z)
    return -torch.logaddexp(_bump(height, 0.35), _bump(height + 3 * _bump(z[..., 0] - 1, 0.6).exp(), 0.35))


def fork_energy(z: Tensor) -> Tensor:
    r""":math:`U_4 = -\log\left(e^{-\frac12 ((z_2 - w_1) / 0.4)^2} + e^{-\frac12 ((z_2 - w_1 + w_3) /
    0.35)^2}\right)`, :math:`w_3 = 3\,\sigma((z_1 - 1) / 0.3)`: a wave that forks in two.

    Chapter: 5-posteriors/57-flows-as-posteriors

    >>> fork_energy(torch.tensor([[3.0, -1.0], [3.0, -4.0]])).abs().round(decimals=2)
    tensor([0., 0.])
    """
    height = z[..., 1] - _wave(z)
    step = 3 * torch.sigmoid((z[..., 0] - 1) / 0.3)
    return -torch.logaddexp(_bump(height, 0.4), _bump(height + step, 0.35))


PLANE_ENERGIES: dict[str, PlaneEnergy] = {
    "U1": PlaneEnergy(ring_energy),
    "U2": PlaneEnergy(wave_energy),
    "U3": PlaneEnergy(split_energy),
    "U4": PlaneEnergy(fork_energy),
}
