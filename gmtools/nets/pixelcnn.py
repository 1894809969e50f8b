r"""The gated PixelCNN: all conditionals :math:`p(x_i \mid x_{<i})` of an image in one convolutional pass."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.nets.masked_conv import MaskedConv2d, RowsAboveConv2d
from gmtools.nets.mlp import check_context


def _gate(features: Tensor) -> Tensor:
    value, gate = features.chunk(2, dim=1)
    return torch.tanh(value) * torch.sigmoid(gate)


class GatedLayer(nn.Module):
    r"""One layer of the gated PixelCNN: a vertical and a horizontal stack, with a gated nonlinearity.

    .. math:: y = \tanh(W_f * x + V_f h) \odot \sigma(W_g * x + V_g h)

    The vertical stack sees the rows above, the horizontal one the pixels to the left and, through a 1 x 1
    convolution, the vertical stack; the horizontal stack is residual.

    Args:
        hidden: number of features of each stack, a multiple of ``channels``.
        size: odd kernel width.
        channels: number of channels of the image.
        d_context: dimension of the context :math:`h`; 0 for none.

    Shapes:
        vertical, horizontal: ``(N, hidden, H, W)``; context ``(N, d_context)`` or None; returns the two
        stacks.

    Reference: A. van den Oord and others, Conditional Image Generation with PixelCNN Decoders, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> v, h = GatedLayer(8, 3, 1)(torch.zeros(2, 8, 4, 4), torch.zeros(2, 8, 4, 4))
    >>> v.shape, h.shape
    (torch.Size([2, 8, 4, 4]), torch.Size([2, 8, 4, 4]))
    """

    def __init__(self, hidden: int, size: int, channels: int, d_context: int = 0):
        super().__init__()
        self.vertical = RowsAboveConv2d(hidden, 2 * hidden, size)
        self.down = nn.Conv2d(2 * hidden, 2 * hidden, 1)
        self.horizontal = MaskedConv2d(hidden, 2 * hidden, (1, size), "B", channels)
        self.out = MaskedConv2d(hidden, hidden, (1, 1), "B", channels)
        self.context = nn.Linear(d_context, 4 * hidden) if d_context else None

    def forward(
        self, vertical: Tensor, horizontal: Tensor, context: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        v = self.vertical(vertical)
        h = self.horizontal(horizontal) + self.down(v)
        if self.context is not None:
            shift_v, shift_h = self.context(context)[:, :, None, None].chunk(2, dim=1)
            v, h = v + shift_v, h + shift_h
        return _gate(v), horizontal + self.out(_gate(h))


class PixelCNN(nn.Module):
    r"""Gated PixelCNN: the logits of every pixel given the pixels before it, in one pass.

    .. math:: p(x \mid h) = \prod_i p(x_i \mid x_{<i}, h), \qquad
              p(x_i = k \mid x_{<i}, h) \propto \exp f_{ik}(x_{<i}, h)

    The pixels are ordered row by row, and the channels within a pixel. One pass is ``2 + 4 layers``
    convolutions; a sample costs one pass a pixel and channel. Turn it into a model with
    :class:`gmtools.models.PixelAutoregressive`.

    Args:
        channels: channels of the image.
        levels: number of values of a pixel.
        hidden: features of each stack, a multiple of ``channels``.
        layers: number of gated layers. Together with the first layer they reach
            ``size // 2 * (layers + 1)`` rows up and columns to the left.
        size: odd kernel width.
        d_context: dimension of a context, for example a one-hot class; 0 for none.

    Shapes:
        x: ``(N, C, H, W)``, values in [0, 1]; context: ``(N, d_context)``; returns logits ``(N, levels, C,
        H, W)``.

    Raises:
        ValueError: wrong shapes, or a context where none was declared (and the reverse).

    Reference: A. van den Oord and others, Conditional Image Generation with PixelCNN Decoders, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> PixelCNN(levels=17, hidden=8, layers=2)(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 17, 1, 8, 8])
    """

    def __init__(
        self,
        channels: int = 1,
        levels: int = 2,
        hidden: int = 32,
        layers: int = 4,
        size: int = 3,
        d_context: int = 0,
    ):
        super().__init__()
        check_count("channels", channels)
        check_count("levels", levels, 2)
        check_count("layers", layers)
        self.channels, self.levels, self.d_context = channels, levels, d_context
        self.first_vertical = RowsAboveConv2d(channels, hidden, size, strictly=True)
        self.first_horizontal = MaskedConv2d(channels, hidden, (1, size), "A", channels)
        self.down = nn.Conv2d(hidden, hidden, 1)
        self.layers = nn.ModuleList(GatedLayer(hidden, size, channels, d_context) for _ in range(layers))
        self.head = MaskedConv2d(hidden, hidden, (1, 1), "B", channels)
        self.logits = MaskedConv2d(hidden, levels * channels, (1, 1), "B", channels)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_shape("x", x, "N", self.channels, "H", "W")
        check_context(context, self.d_context)
        centred = 2 * x - 1
        vertical = self.first_vertical(centred)
        horizontal = self.first_horizontal(centred) + self.down(vertical)
        for layer in self.layers:
            vertical, horizontal = layer(vertical, horizontal, context)
        logits = self.logits(F.silu(self.head(F.silu(horizontal))))
        return logits.unflatten(1, (self.levels, self.channels))
