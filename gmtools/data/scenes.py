"""Scenes: a few pictures in random places of an empty canvas."""

import torch
from torch import Tensor

from gmtools.checks import check_count, check_shape

ATTEMPTS = 10_000  # to place the pictures of one scene


def scenes(pictures: Tensor, n: int, *, most: int = 2, size: int = 20) -> tuple[Tensor, Tensor, Tensor]:
    r"""Put up to ``most`` random pictures on each of n canvases, uniformly many, hardly touching each other.

    Args:
        pictures: values in [0, 1], shape ``(M, 1, s, s)``.
        n: how many scenes.
        most: greatest number of pictures in a scene; every number from 0 is as likely.
        size: side of the canvas in pixels.

    Returns:
        The images, the counts and the corners. An image is the sum of what was put there, shape
        ``(n, 1, size, size)``; the counts say how many pictures each has, shape ``(n,)``; the corners are row
        and column of every picture's upper left corner, shape ``(n, most, 2)``, of which the first ``counts``
        are meant. Any two are at least s - 1 pixels apart, along rows or along columns.

    Raises:
        ValueError: a canvas in which so many pictures hardly fit: below
            :math:`s \lceil\sqrt{\text{most}}\rceil + s / 2`, or no 10 000 random placements had them all
            apart.

    Reference: S. M. A. Eslami and others, Attend, Infer, Repeat: Fast Scene Understanding with Generative
    Models, 2016 (its scenes of several digits).

    Chapter: 3-inference/40-richer-vaes

    >>> images, counts, corners = scenes(torch.ones(3, 1, 4, 4), 5, size=16)
    >>> images.shape, corners.shape, bool((images.sum((1, 2, 3)) == 16 * counts).all())
    (torch.Size([5, 1, 16, 16]), torch.Size([5, 2, 2]), True)
    """
    check_count("n", n)
    check_count("most", most)
    side = pictures.shape[-1]
    check_shape("pictures", pictures, "M", 1, side, side)
    rows = 1
    while rows**2 < most:
        rows += 1
    check_count("size", size, side * rows + side // 2)
    counts = torch.randint(most + 1, (n,))
    corners = _apart(n, most, size - side + 1, side - 1)
    canvas = pictures.new_zeros(n, size, size)
    within = torch.arange(side)
    for i in range(most):
        present = (counts > i).nonzero()[:, 0]
        row = (corners[present, i, 0, None] + within)[:, :, None]
        column = (corners[present, i, 1, None] + within)[:, None, :]
        chosen = pictures[torch.randint(len(pictures), (len(present),)), 0]
        canvas[present[:, None, None], row, column] += chosen
    return canvas[:, None], counts, corners


def _apart(n: int, most: int, places: int, least: int) -> Tensor:
    """Corners ``(n, most, 2)``, uniform given that any two are ``least`` or more apart (maximum norm)."""
    corners = torch.randint(places, (n, most, 2))
    close = torch.arange(n)  # the scenes that may have to be drawn again
    for _ in range(ATTEMPTS):
        distance = (corners[close, :, None] - corners[close, None]).abs().amax(-1)
        close = close[(distance < least).float().triu(1).sum((1, 2)) > 0]
        if not len(close):
            return corners
        corners[close] = torch.randint(places, (len(close), most, 2))
    raise ValueError(
        f"size leaves {places} places a side, too few to find {most} apart by chance in {ATTEMPTS} attempts; "
        "enlarge size or lower most"
    )
