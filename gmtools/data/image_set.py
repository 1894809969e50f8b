"""Images on a finite number of grey levels, and the way from those to a continuous density."""

from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count


class ImageSet(NamedTuple):
    """Labelled images.

    Attributes:
        images: integers ``0 ... levels - 1``, dtype uint8, shape ``(N, C, H, W)``.
        labels: class numbers, dtype int64, shape ``(N,)``.
        levels: number of grey levels.
        name: what the images are, for titles.
    """

    images: Tensor
    labels: Tensor
    levels: int
    name: str

    @property
    def scaled(self) -> Tensor:
        """The images in [0, 1], in the default floating type."""
        return self.images.to(torch.get_default_dtype()) / (self.levels - 1)


class Splits(NamedTuple):
    """Train to learn, validation to choose, test to report."""

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def dequantise(images: Tensor, levels: int) -> Tensor:
    r"""Spread every grey level uniformly over its bin, :math:`y = (x + u) / L` with :math:`u \sim U[0, 1)`.

    A density :math:`q` of the continuous :math:`y` bounds the probability of the discrete :math:`x`:

    .. math:: \log P(x) = \log \int_{[0,1)^D} q\big(\tfrac{x + u}{L}\big) L^{-D} du
              \ge \mathbb{E}_u \log q(y) - D \log L

    Without the noise a density can put spikes on the levels and reach any likelihood.

    Args:
        images: integers ``0 ... levels - 1``, shape ``(N, ...)``.
        levels: number :math:`L` of grey levels.

    Returns:
        Values in [0, 1), same shape, default floating type; each within the bin of its level, also as
        rounded.

    Raises:
        ValueError: a value is not one of the levels.

    Reference: Uria, Murray & Larochelle (2013), RNADE; Theis, van den Oord & Bethge (2016), A note on the
    evaluation of generative models.

    Chapter: 2-models/20-fully-observed-models

    >>> y = dequantise(torch.tensor([[0, 16]]), levels=17)
    >>> (17 * y).floor()
    tensor([[ 0., 16.]])
    """
    check_count("levels", levels, 2)
    x = images.to(torch.get_default_dtype())
    if x.numel() and not (x.min() >= 0 and x.max() < levels):
        low, high = x.min().item(), x.max().item()
        raise ValueError(f"images has values from {low:g} to {high:g}, expected integers 0 to {levels - 1}")
    if (x != x.round()).any():
        raise ValueError("images has fractional values, expected integer grey levels")
    just_below = 1 - 2 * torch.finfo(x.dtype).eps  # rounding may carry x + u to the next level
    return torch.minimum((x + torch.rand_like(x)) / levels, (x + 1) / levels * just_below)
