r"""Convolutional encoder and decoder for signals, images and voxels: one, two or three spatial dimensions."""

import math

from torch import Tensor, nn

from gmtools.checks import check_count, check_shape

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def _halved(size: tuple[int, ...], times: int) -> list[tuple[int, ...]]:
    """The spatial sizes from the finest to the coarsest.

    >>> _halved((8, 5), 2)
    [(8, 5), (4, 3), (2, 2)]
    """
    sizes = [tuple(size)]
    for _ in range(times):
        sizes.append(tuple(math.ceil(s / 2) for s in sizes[-1]))
    return sizes


def _check(size: tuple[int, ...], widths: tuple[int, ...]) -> None:
    if len(size) not in CONVOLUTIONS:
        raise ValueError(f"size is {size}, expected 1, 2 or 3 spatial dimensions")
    for name, values in (("size", size), ("widths", widths)):
        if not values:
            raise ValueError(f"{name} is empty, expected at least one positive integer")
        for value in values:
            check_count(name, value)


class ConvEncoder(nn.Module):
    r"""Strided convolutions and a linear layer, from an image to a vector.

    .. math::

        h_0 = x, \quad h_l = a(W_l *_{\downarrow 2} h_{l-1} + b_l), \quad y = V \operatorname{vec} h_L + c

    Args:
        channels: channels of the input.
        size: spatial size, of length 1 (signals), 2 (images) or 3 (voxels).
        d_out: dimension of the output.
        widths: channels after each halving of the resolution.
        activation: class of the nonlinearity.

    Shapes:
        x: ``(..., channels, *size)``; returns ``(..., d_out)``.

    Raises:
        ValueError: wrong shapes, or a size with other than 1, 2 or 3 entries.

    Reference: A. Radford, L. Metz, S. Chintala, Unsupervised Representation Learning with DCGAN, 2016.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> import torch
    >>> ConvEncoder(1, (8, 8), 4)(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 4])
    """

    def __init__(
        self,
        channels: int,
        size: tuple[int, ...],
        d_out: int,
        widths: tuple[int, ...] = (16, 32),
        activation: type[nn.Module] = nn.SiLU,
    ):
        super().__init__()
        _check(size, widths)
        self.event_shape = (channels, *size)
        layers: list[nn.Module] = []
        for c_in, c_out in zip((channels, *widths[:-1]), widths, strict=True):
            layers += [CONVOLUTIONS[len(size)](c_in, c_out, 3, stride=2, padding=1), activation()]
        self.convolutions = nn.Sequential(*layers)
        self.linear = nn.Linear(widths[-1] * math.prod(_halved(size, len(widths))[-1]), d_out)

    def forward(self, x: Tensor) -> Tensor:
        check_shape("x", x, "...", *self.event_shape)
        batch = x.shape[: -len(self.event_shape)]
        features = self.convolutions(x.reshape(-1, *self.event_shape))
        return self.linear(features.flatten(1)).reshape(*batch, -1)


class ConvDecoder(nn.Module):
    r"""A linear layer and transposed convolutions, from a vector to an image.

    .. math::

        h_0 = \operatorname{unvec}(V z + c), \quad h_l = W_l *_{\uparrow 2} a(h_{l-1}) + b_l, \quad y = h_L

    The mirror of :class:`ConvEncoder`: the same spatial sizes in the reverse order, so odd sizes come back
    exactly.

    Args:
        d_in: dimension of the input.
        channels: channels of the output (twice the image's for a Gaussian head with its own scales).
        size: spatial size, of length 1, 2 or 3.
        widths: channels before each doubling of the resolution.
        activation: class of the nonlinearity.

    Shapes:
        z: ``(..., d_in)``; returns ``(..., channels, *size)``.

    Raises:
        ValueError: wrong shapes, or a size with other than 1, 2 or 3 entries.

    Reference: A. Radford, L. Metz, S. Chintala, Unsupervised Representation Learning with DCGAN, 2016.
    Chapter: 3-inference/39-variational-autoencoder.

    >>> import torch
    >>> ConvDecoder(4, 1, (7, 7))(torch.randn(3, 5, 4)).shape
    torch.Size([3, 5, 1, 7, 7])
    """

    def __init__(
        self,
        d_in: int,
        channels: int,
        size: tuple[int, ...],
        widths: tuple[int, ...] = (32, 16),
        activation: type[nn.Module] = nn.SiLU,
    ):
        super().__init__()
        _check(size, widths)
        self.d_in, self.event_shape = d_in, (channels, *size)
        sizes = _halved(size, len(widths))[::-1]
        self.coarsest = (widths[0], *sizes[0])
        self.linear = nn.Linear(d_in, math.prod(self.coarsest))
        layers: list[nn.Module] = []
        for c_in, c_out, finer in zip(widths, (*widths[1:], channels), sizes[1:], strict=True):
            even = tuple(1 - s % 2 for s in finer)  # what makes 2s - 1 into 2s where the finer size is even
            layer = TRANSPOSED[len(size)](c_in, c_out, 3, stride=2, padding=1, output_padding=even)
            layers += [activation(), layer]
        self.convolutions = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        check_shape("z", z, "...", self.d_in)
        features = self.linear(z).reshape(-1, *self.coarsest)
        return self.convolutions(features).reshape(*z.shape[:-1], *self.event_shape)
