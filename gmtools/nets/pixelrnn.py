r"""The PixelRNN with diagonal BiLSTM layers: every pixel sees its whole past, at any distance."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.nets.masked_conv import MaskedConv2d, RowsAboveConv2d
from gmtools.nets.mlp import check_context


def skew(x: Tensor) -> Tensor:
    r"""Shift row :math:`r` by :math:`r` columns, so that a diagonal becomes a column.

    .. math:: y_{r, c} = x_{r, c - r}, \qquad 0 \text{ outside}

    Args:
        x: shape ``(..., H, W)``.

    Returns:
        shape ``(..., H, H + W - 1)``.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> skew(torch.tensor([[1, 2], [3, 4]]))
    tensor([[1, 2, 0],
            [0, 3, 4]])
    """
    height, width = x.shape[-2:]
    # Padding each row by H zeros and cutting the flat string into rows one shorter moves row r by r.
    flat = F.pad(x, (0, height)).flatten(-2)[..., : height * (height + width - 1)]
    return flat.unflatten(-1, (height, height + width - 1))


def unskew(y: Tensor) -> Tensor:
    """Undo :func:`skew`.

    Args:
        y: shape ``(..., H, H + W - 1)``.

    Returns:
        shape ``(..., H, W)``.

    Reference and chapter: see :func:`skew`.

    >>> unskew(skew(torch.tensor([[1, 2], [3, 4]])))
    tensor([[1, 2],
            [3, 4]])
    """
    height, skewed = y.shape[-2:]
    padded = F.pad(y.flatten(-2), (0, height)).unflatten(-1, (height, skewed + 1))
    return padded[..., : skewed - height + 1]


class DiagonalLSTM(nn.Module):
    r"""An LSTM that runs along the diagonals of an image: its state at a pixel comes from the left and from
    above.

    .. math:: (o, f, i, g)_{rc} = U\, x_{rc} + V_0\, h_{r, c-1} + V_1\, h_{r-1, c}, \quad
              s_{rc} = \sigma(f)\, s_{r,c-1} + \sigma(i) \tanh(g), \quad h_{rc} = \sigma(o) \tanh(s_{rc})

    In the skewed image the two neighbours lie in the previous column, so a column is one step: ``H + W - 1``
    steps.

    Args:
        hidden: number of features, a multiple of ``channels``.
        channels: number of channels of the image.

    Shapes:
        x: ``(N, hidden, H, W)``; returns ``(N, hidden, H, W)``.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> DiagonalLSTM(8)(torch.zeros(2, 8, 3, 4)).shape
    torch.Size([2, 8, 3, 4])
    """

    def __init__(self, hidden: int, channels: int = 1):
        super().__init__()
        self.hidden = hidden
        self.input_to_state = MaskedConv2d(hidden, 4 * hidden, (1, 1), "B", channels)
        self.state_to_state = nn.Conv1d(hidden, 4 * hidden, 2)

    def forward(self, x: Tensor) -> Tensor:
        columns = skew(self.input_to_state(x))
        state = memory = x.new_zeros(x.shape[0], self.hidden, x.shape[2])
        states = []
        for column in columns.unbind(-1):
            gates = column + self.state_to_state(F.pad(state, (1, 0)))  # rows r - 1 and r
            output, forget, write, value = gates.chunk(4, dim=1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(write) * torch.tanh(value)
            state = torch.sigmoid(output) * torch.tanh(memory)
            states.append(state)
        return unskew(torch.stack(states, dim=-1))


class DiagonalBiLSTM(nn.Module):
    r"""Two diagonal LSTMs, from the left and from the right: together they see the whole past of a pixel.

    .. math::

        y_{rc} = x_{rc} + W (\overrightarrow{h}(x) + \overleftarrow{h}(x^{\downarrow} + a))_{rc}

    The LSTM from the right would see the future in its own row; so it runs on features moved down one row,
    :math:`x^{\downarrow}_{rc} = x_{r-1,c}`, and on features :math:`a` of the rows above. The paper has no
    :math:`a`; then the first masked convolution hides each pixel from its own features, and the end of the
    row above stays unseen at the start of the next.

    Args:
        hidden: number of features, a multiple of ``channels``.
        channels: number of channels of the image.

    Shapes:
        x, above: ``(N, hidden, H, W)``; returns ``(N, hidden, H, W)``.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> DiagonalBiLSTM(8)(torch.zeros(2, 8, 3, 4), torch.zeros(2, 8, 3, 4)).shape
    torch.Size([2, 8, 3, 4])
    """

    def __init__(self, hidden: int, channels: int = 1):
        super().__init__()
        self.from_left = DiagonalLSTM(hidden, channels)
        self.from_right = DiagonalLSTM(hidden, channels)
        self.out = MaskedConv2d(hidden, hidden, (1, 1), "B", channels)

    def forward(self, x: Tensor, above: Tensor) -> Tensor:
        moved_down = F.pad(x, (0, 0, 1, 0))[:, :, :-1]
        left = self.from_left(x)
        right = self.from_right((moved_down + above).flip(-1)).flip(-1)
        return x + self.out(left + right)


class PixelRNN(nn.Module):
    r"""PixelRNN: the logits of every pixel given all pixels before it, by diagonal BiLSTM layers.

    .. math:: p(x) = \prod_i p(x_i \mid x_{<i}), \qquad p(x_i = k \mid x_{<i}) \propto \exp f_{ik}(x_{<i})

    Its field is the whole past from the first layer on, where :class:`gmtools.nets.PixelCNN` needs depth; the
    price is ``H + W - 1`` steps in sequence a layer.

    Args:
        channels: channels of the image.
        levels: number of values of a pixel.
        hidden: number of features, a multiple of ``channels``.
        layers: number of BiLSTM layers.
        size: odd width of the first convolution.

    Shapes:
        x: ``(N, C, H, W)``, values in [0, 1]; returns logits ``(N, levels, C, H, W)``.

    Raises:
        ValueError: wrong shapes or counts, or a context, of which it has none.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 1-why/09-images-and-video.

    >>> PixelRNN(levels=17, hidden=8, layers=1)(torch.rand(5, 1, 8, 8)).shape
    torch.Size([5, 17, 1, 8, 8])
    """

    def __init__(self, channels: int = 1, levels: int = 2, hidden: int = 32, layers: int = 2, size: int = 3):
        super().__init__()
        check_count("channels", channels)
        check_count("levels", levels, 2)
        check_count("layers", layers)
        self.channels, self.levels = channels, levels
        self.first = MaskedConv2d(channels, hidden, (size, size), "A", channels)
        self.above = RowsAboveConv2d(channels, hidden, size, strictly=True)
        self.layers = nn.ModuleList(DiagonalBiLSTM(hidden, channels) for _ in range(layers))
        self.head = MaskedConv2d(hidden, hidden, (1, 1), "B", channels)
        self.logits = MaskedConv2d(hidden, levels * channels, (1, 1), "B", channels)

    def forward(self, x: Tensor, context: None = None) -> Tensor:
        check_shape("x", x, "N", self.channels, "H", "W")
        check_context(context, 0)
        centred = 2 * x - 1
        features, above = self.first(centred), self.above(centred)
        for layer in self.layers:
            features = layer(features, above)
        logits = self.logits(F.silu(self.head(F.silu(features))))
        return logits.unflatten(1, (self.levels, self.channels))
