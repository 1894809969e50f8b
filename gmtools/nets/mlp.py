"""The multilayer perceptron: the function inside most encoders, decoders and conditioners of the course."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape


def join_context(x: Tensor, context: Tensor | None, d_context: int) -> Tensor:
    """Concatenate ``context`` to ``x`` along the last dimension, broadcasting their batch dimensions.

    Args:
        x: shape ``(..., d)``.
        context: shape ``(..., d_context)``, its batch broadcastable with that of ``x``; None for none.
        d_context: the size that was promised when the network was built.

    Returns:
        Shape ``(..., d + d_context)``.

    Raises:
        ValueError: a context was expected and is missing, came unexpected, or has another size.

    >>> join_context(torch.zeros(5, 3, 2), torch.ones(3, 4), d_context=4).shape
    torch.Size([5, 3, 6])
    """
    check_context(context, d_context)
    if context is None:
        return x
    batch = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])
    return torch.cat((x.expand(*batch, x.shape[-1]), context.expand(*batch, d_context)), dim=-1)


def check_context(context: Tensor | None, d_context: int) -> None:
    """Raise ValueError unless ``context`` is what ``d_context`` promised.

    >>> check_context(None, d_context=2)
    Traceback (most recent call last):
    ValueError: context is None, expected shape (..., 2)
    """
    if d_context == 0:
        if context is not None:
            raise ValueError(
                f"context has shape {tuple(context.shape)}, expected None (the module has d_context=0)"
            )
    elif context is None:
        raise ValueError(f"context is None, expected shape (..., {d_context})")
    else:
        check_shape("context", context, "...", d_context)


class MLP(nn.Module):
    r"""Multilayer perceptron, optionally conditioned on a context.

    .. math::

        h_0 = [x, c], \qquad h_{l} = \sigma(W_l h_{l-1} + b_l), \qquad f(x, c) = W_{L+1} h_L + b_{L+1}

    Args:
        d_in: size of the input.
        d_out: size of the output.
        hidden: sizes of the hidden layers; ``()`` gives a linear map.
        activation: called without arguments to make each nonlinearity.
        d_context: size of the context, concatenated to the input; 0 for none.

    Shapes:
        ``forward(x, context=None)``: ``(..., d_in)`` and ``(..., d_context)`` to ``(..., d_out)``. The batch
        dimensions of the input and the context broadcast, so one context serves K samples: ``(K, N, d_in)``
        with ``(N, d_context)``.

    Raises:
        ValueError: a size is below 1, or the input or the context has another size.

    Reference: Rosenblatt (1958), The perceptron.

    Chapter: ``1-why/01-from-features-to-generative-models``

    >>> MLP(3, 2, hidden=(8,), d_context=4)(torch.zeros(5, 7, 3), torch.zeros(7, 4)).shape
    torch.Size([5, 7, 2])
    """

    def __init__(
        self,
        d_in: int,
        d_out: int,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
        d_context: int = 0,
    ):
        super().__init__()
        check_count("d_in", d_in, minimum=0)
        check_count("d_context", d_context, minimum=0)
        check_count("d_out", d_out)
        for size in hidden:
            check_count("hidden", size)
        self.d_in, self.d_out, self.d_context = d_in, d_out, d_context
        sizes = (d_in + d_context, *hidden)
        check_count("d_in + d_context", sizes[0])
        layers: list[nn.Module] = []
        for before, after in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [nn.Linear(before, after), activation()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], d_out))

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_shape("x", x, "...", self.d_in)
        return self.layers(join_context(x, context, self.d_context))
