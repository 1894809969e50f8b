"""Sprites: one white shape on black whose every factor of variation is known."""

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gmtools.checks import check_count, check_shape

SHAPES = ("square", "ellipse", "heart")
FACTORS = ("shape", "scale", "orientation", "x", "y")


def sample_factors(n: int) -> Tensor:
    """Draw factors independently and uniformly.

    Args:
        n: how many.

    Returns:
        Shape ``(n, 5)``, columns as in ``FACTORS``: shape 0, 1 or 2; scale in [0.5, 1]; orientation in
        [0, 2 pi); x and y, the position of the centre, in [0, 1].

    Raises:
        ValueError: ``n`` is below 1.

    Chapter: 1-why/12-visual-concepts

    >>> sample_factors(4).shape
    torch.Size([4, 5])
    """
    check_count("n", n)
    u = torch.rand(n, 5)
    shape = torch.floor(u[:, 0] * len(SHAPES)).clamp(max=len(SHAPES) - 1)
    return torch.stack([shape, 0.5 + u[:, 1] / 2, 2 * math.pi * u[:, 2], u[:, 3], u[:, 4]], -1)


def factor_grid(scales: int = 3, orientations: int = 4, positions: int = 5) -> Tensor:
    """Every combination of the factors on a lattice.

    Args:
        scales: number of scales, from 0.5 to 1.
        orientations: number of orientations in [0, 2 pi).
        positions: number of positions along each axis, from 0 to 1.

    Returns:
        Shape ``(3 * scales * orientations * positions**2, 5)``.

    Raises:
        ValueError: a count is below 1.

    Chapter: 1-why/12-visual-concepts

    >>> factor_grid(2, 2, 2).shape
    torch.Size([48, 5])
    """
    for name, count in (("scales", scales), ("orientations", orientations), ("positions", positions)):
        check_count(name, count)
    angle = 2 * math.pi * torch.arange(orientations) / orientations
    place = torch.linspace(0, 1, positions)
    shape = torch.arange(len(SHAPES), dtype=torch.get_default_dtype())
    return torch.cartesian_prod(shape, torch.linspace(0.5, 1, scales), angle.to(shape), place, place)


def render_sprites(factors: Tensor, size: int = 32) -> Tensor:
    r"""Draw sprites: a pixel's value is the part of it that the shape covers.

    A point :math:`p` of the image lies in the shape :math:`S` if :math:`R(-\phi)\,(p - c) / (s r) \in S`,
    with centre :math:`c`, orientation :math:`\phi`, scale :math:`s` and :math:`r` a fifth of the side. The
    centre stays far enough from the border for no shape to be cut off.

    Args:
        factors: shape ``(N, 5)``, as :func:`sample_factors` returns.
        size: side of the image in pixels.

    Returns:
        Values in [0, 1], shape ``(N, 1, size, size)``.

    Raises:
        ValueError: ``factors`` has another shape, or its first column is not 0, 1 or 2.

    Reference: Matthey, Higgins, Hassabis & Lerchner (2017), dSprites (the same factors, drawn anew).

    Chapter: 1-why/12-visual-concepts

    >>> render_sprites(sample_factors(4)).shape
    torch.Size([4, 1, 32, 32])
    """
    check_shape("factors", factors, "N", len(FACTORS))
    check_count("size", size, 8)
    if not torch.isin(factors[:, 0], torch.arange(len(SHAPES)).to(factors)).all():
        raise ValueError(f"factors has shapes {factors[:, 0].unique().tolist()}, expected only 0, 1 and 2")
    return torch.cat([_render(rows, size) for rows in factors.split(256)])


def _render(factors: Tensor, size: int, fine: int = 4) -> Tensor:
    kind, scale, angle = (column[:, None, None] for column in factors.T[:3])
    radius = 0.2 * scale
    centre = 0.28 + 0.44 * factors[:, 3:]
    axis = ((torch.arange(fine * size) + 0.5) / (fine * size)).to(factors)
    dx = axis[None, None, :] - centre[:, 0, None, None]
    dy = 1 - axis[None, :, None] - centre[:, 1, None, None]  # y grows upwards, rows downwards
    u = (angle.cos() * dx + angle.sin() * dy) / radius
    v = (-angle.sin() * dx + angle.cos() * dy) / radius
    square = torch.maximum(u.abs(), v.abs()) <= 0.8
    ellipse = u.square() + (2 * v).square() <= 1
    a, b = 1.25 * u, 1.25 * v
    heart = (a.square() + b.square() - 1) ** 3 <= a.square() * b**3
    inside = torch.where(kind == 0, square, torch.where(kind == 1, ellipse, heart))
    return avg_pool2d(inside[:, None].to(factors), fine)
