"""Solids: simple bodies as voxels, in random places, of random sizes, turned about the vertical axis."""

import math

import torch
from torch import Tensor

from gmtools.checks import check_count

SOLIDS = ("ball", "box", "cylinder", "cone")


def solids(n: int, size: int = 12) -> tuple[Tensor, Tensor]:
    r"""Draw bodies whose kind, half-axes, place and turn are independent and uniform.

    A voxel with centre :math:`p \in [-1, 1]^3` belongs to the body with centre :math:`c`, half-axes :math:`s`
    and turn :math:`\alpha` if :math:`u = R(-\alpha)\,(p - c) / s` lies in the unit ball, box
    (:math:`\max_i |u_i| \le 0.8`), cylinder (:math:`u_1^2 + u_2^2 \le 1,\ |u_3| \le 0.8`) or cone
    (:math:`2 \sqrt{u_1^2 + u_2^2} \le 1 - u_3,\ u_3 \ge -1`).

    Args:
        n: how many.
        size: voxels along each axis, at least 4.

    Returns:
        voxels: 0 or 1, shape ``(n, 1, size, size, size)``; the last axis is the vertical one.
        kinds: index into ``SOLIDS``, shape ``(n,)``.

    Raises:
        ValueError: a count is too small.

    Reference: D. J. Rezende and others, Unsupervised Learning of 3D Structure from Images, 2016 (whose
    primitives these follow).

    Chapter: 3-inference/40-richer-vaes

    >>> voxels, kinds = solids(5)
    >>> voxels.shape, kinds.shape
    (torch.Size([5, 1, 12, 12, 12]), torch.Size([5]))
    """
    check_count("n", n)
    check_count("size", size, 4)
    kinds = torch.randint(len(SOLIDS), (n,))
    half_axes = 0.4 + 0.3 * torch.rand(n, 3)
    centre = 0.25 * (2 * torch.rand(n, 3) - 1)
    angle = 2 * math.pi * torch.rand(n)
    axis = (torch.arange(size, dtype=half_axes.dtype) + 0.5) * 2 / size - 1
    points = torch.cartesian_prod(axis, axis, axis) - centre[:, None]  # (n, size^3, 3)
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    x, y = cos * points[..., 0] + sin * points[..., 1], cos * points[..., 1] - sin * points[..., 0]
    u = torch.stack((x, y, points[..., 2]), -1) / half_axes[:, None]
    radius, height = u[..., :2].norm(dim=-1), u[..., 2]
    inside = torch.stack(
        (
            u.norm(dim=-1) <= 1,
            u.abs().amax(-1) <= 0.8,
            (radius <= 1) & (height.abs() <= 0.8),
            (2 * radius <= 1 - height) & (height >= -1),
        )
    )
    chosen = inside[kinds, torch.arange(n)]
    return chosen.to(half_axes).reshape(n, 1, size, size, size), kinds
