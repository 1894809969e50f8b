"""Autoregressive models of images, around a network that computes all conditionals: PixelCNN, PixelRNN."""

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from gmtools.checks import check_count, check_shape


class PixelAutoregressive(nn.Module):
    r"""Autoregressive model of images with a finite number of levels a pixel.

    .. math:: p(x \mid h) = \prod_i \operatorname{Cat}(x_i \mid \operatorname{softmax} f_i(x_{<i}, h))

    Images lie in [0, 1], on the grid :math:`k / (L - 1)` of the network's L levels; the likelihood is that
    of the level, so ``log_prob / (D log 2)`` is in bits a dimension.

    Args:
        net: :class:`gmtools.nets.PixelCNN`, :class:`gmtools.nets.PixelRNN`, or any network with ``levels``
        whose
            ``forward(x, context)`` returns logits ``(N, levels, C, H, W)`` that depend on earlier pixels
            only.
        shape: shape ``(C, H, W)`` of an image.

    Raises:
        ValueError: images of another shape, or with values off the grid.

    Reference: A. van den Oord, N. Kalchbrenner, K. Kavukcuoglu, Pixel Recurrent Neural Networks, 2016.
    Chapter: 2-models/20-fully-observed-models.

    >>> from gmtools.nets import PixelCNN
    >>> model = PixelAutoregressive(PixelCNN(levels=5, hidden=4, layers=1), shape=(1, 3, 3))
    >>> model.log_prob(model.sample(2)).shape
    torch.Size([2])
    """

    def __init__(self, net: nn.Module, shape: tuple[int, int, int]):
        super().__init__()
        if len(shape) != 3:
            raise ValueError(f"shape is {shape}, expected (C, H, W)")
        self.net, self.shape = net, tuple(shape)

    def _level(self, x: Tensor) -> Tensor:
        check_shape("x", x, "N", *self.shape)
        scaled = x * (self.net.levels - 1)
        level = scaled.round()
        off_grid = ((scaled - level).abs() > 1e-3) | (x < 0) | (x > 1)
        if not torch.compiler.is_compiling() and bool(off_grid.any()):
            raise ValueError(f"x has values off the grid of {self.net.levels} levels in [0, 1]")
        return level

    def log_prob(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """The exact log-probability of images ``(N, C, H, W)``, shape ``(N,)``, in nats; one pass."""
        if not x.is_floating_point():  # truth values
            x = x.to(next((p.dtype for p in self.parameters()), torch.get_default_dtype()))
        level = self._level(x)
        logits = self.net(x, context).movedim(1, -1)
        return Categorical(logits=logits).log_prob(level).flatten(1).sum(1)

    @torch.no_grad()
    def sample(self, n: int, context: Tensor | None = None) -> Tensor:
        """Draw n images, ``(n, C, H, W)``: one pass a pixel and channel."""
        check_count("n", n)
        like = next(self.parameters())
        blank = torch.zeros(n, *self.shape, dtype=like.dtype, device=like.device)
        return self.complete(blank, known=0, context=context)

    @torch.no_grad()
    def complete(self, x: Tensor, known: int, context: Tensor | None = None) -> Tensor:
        """Draw all pixels after the first ``known`` of each image, in raster order; those stay as they are.

        Args:
            x: images, shape ``(N, C, H, W)``.
            known: number of pixels to keep, from 0 to ``H * W``.
            context: what the network takes, or None.

        Returns:
            images, shape ``(N, C, H, W)``.
        """
        check_shape("x", x, "N", *self.shape)
        check_count("known", known, 0)
        channels, height, width = self.shape
        x = x.clone()
        for pixel in range(known, height * width):
            row, column = divmod(pixel, width)
            for channel in range(channels):
                # Rows below are the future: the network need not see them.
                logits = self.net(x[:, :, : row + 1], context)[:, :, channel, row, column]
                x[:, channel, row, column] = Categorical(logits=logits).sample() / (self.net.levels - 1)
        return x
