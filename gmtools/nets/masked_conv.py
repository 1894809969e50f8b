r"""Convolutions that see only the past of an image in raster order (left to right, top to bottom)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_choice, check_count


class MaskedConv2d(nn.Conv2d):
    r"""A two-dimensional convolution whose output at a pixel depends on earlier pixels only.

    .. math:: y_i = b + \sum_{j < i} W_{i-j} x_j + (M \odot W_0)\, x_i

    Pixels are ordered row by row. At the pixel itself the channels are ordered too: channel number :math:`c`
    belongs to group :math:`c \bmod G` of the :math:`G` image channels, and an output of group :math:`g` sees
    the inputs of groups :math:`< g` (kind ``"A"``, the first layer, whose input is the image) or :math:`\le
    g` (kind ``"B"``, every later layer). For grey images, :math:`G = 1`, kind A excludes the pixel itself
    and kind B includes it.

    Args:
        channels_in: number of input channels, a multiple of ``image_channels``.
        channels_out: number of output channels, a multiple of ``image_channels``.
        kernel_size: odd height and width.
        kind: ``"A"`` or ``"B"``.
        image_channels: number :math:`G` of channels of the image.

    Shapes:
        x: ``(N, channels_in, H, W)``; returns ``(N, channels_out, H, W)``.

    Raises:
        ValueError: an even kernel, an unknown kind, or channels that do not divide into groups.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> conv = MaskedConv2d(1, 1, (3, 3), "A")
    >>> conv.mask[0, 0]
    tensor([[1., 1., 1.],
            [1., 0., 0.],
            [0., 0., 0.]])
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: tuple[int, int],
        kind: str,
        image_channels: int = 1,
    ):
        check_choice("kind", kind, ("A", "B"))
        height, width = kernel_size
        if height % 2 == 0 or width % 2 == 0:
            raise ValueError(f"kernel_size is {kernel_size}, expected odd height and width")
        for name, value in (("channels_in", channels_in), ("channels_out", channels_out)):
            check_count(name, value)
            if value % image_channels:
                raise ValueError(f"{name} is {value}, expected a multiple of {image_channels}")
        super().__init__(channels_in, channels_out, kernel_size, padding=(height // 2, width // 2))
        mask = torch.zeros_like(self.weight)
        mask[:, :, : height // 2] = 1
        mask[:, :, height // 2, : width // 2] = 1
        group_out = torch.arange(channels_out)[:, None] % image_channels
        group_in = torch.arange(channels_in) % image_channels
        sees_itself = group_in < group_out if kind == "A" else group_in <= group_out
        mask[:, :, height // 2, width // 2] = sees_itself.to(mask.dtype)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


class RowsAboveConv2d(nn.Conv2d):
    r"""A convolution over whole rows: the current row and those above it, or strictly those above.

    The vertical stack of the gated PixelCNN. Its first layer takes ``strictly=True``; then a stack of layers
    at row :math:`r` depends on all columns of the rows :math:`< r`, which removes the blind spot of stacked
    masked convolutions.

    Args:
        channels_in: number of input channels.
        channels_out: number of output channels.
        size: odd width of the kernel; it reaches ``size // 2`` rows up.
        strictly: exclude the current row.

    Shapes:
        x: ``(N, channels_in, H, W)``; returns ``(N, channels_out, H, W)``.

    Raises:
        ValueError: an even or too small size.

    Reference: A. van den Oord and others, Conditional Image Generation with PixelCNN Decoders, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> RowsAboveConv2d(1, 4, 3, strictly=True)(torch.zeros(2, 1, 5, 6)).shape
    torch.Size([2, 4, 5, 6])
    """

    def __init__(self, channels_in: int, channels_out: int, size: int, strictly: bool = False):
        check_count("size", size, 3)
        if size % 2 == 0:
            raise ValueError(f"size is {size}, expected an odd width")
        self.reach = size // 2
        self.strictly = strictly
        height = self.reach if strictly else self.reach + 1
        super().__init__(channels_in, channels_out, (height, size))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (self.reach, self.reach, self.reach, 0))  # left, right, top, bottom
        y = super().forward(padded)
        return y[:, :, :-1] if self.strictly else y
