"""MADE: one masked network that computes all conditionals of an autoregressive model."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.nets.mlp import check_context


class MADE(nn.Module):
    r"""Masked autoencoder for distribution estimation: the parameters of every conditional in one pass.

    Variable :math:`i` in the order gets parameters that depend on the variables before it and the context
    only:

    .. math::

        \theta_i = f_i(x_1, \dots, x_{i-1}, c), \qquad p(x \mid c) = \prod_{i=1}^{D} p(x_i \mid \theta_i).

    Every hidden unit has a degree, the number of leading variables that it may see. Units stand sorted by
    degree, so masks are block-triangular and ``sample_with`` computes each unit exactly once: drawing all D
    variables costs the multiplications of one forward pass (in D small sequential steps), not of D passes.

    Args:
        dim: number of variables D.
        outputs_per_dim: number of parameters P of each conditional.
        hidden: sizes of the hidden layers, at least one.
        activation: called without arguments to make the elementwise nonlinearity.
        d_context: size of the context; 0 for none. It reaches every hidden unit of the first layer.
        order: the variables from first to last, a permutation of ``range(dim)``; None for the natural order.

    Shapes:
        ``forward(x, context=None)``: ``(..., D)`` and ``(..., d_context)`` to ``(..., D, P)``; batch
        dimensions broadcast.

    Raises:
        ValueError: a size is below 1, no hidden layer, ``order`` is no permutation, or a shape does not fit.

    Reference: Germain, Gregor, Murray, Larochelle (2015), MADE: masked autoencoder for distribution
        estimation.

    Chapter: ``2-models/18-spectrum-fully-observed``

    >>> made = MADE(dim=4, outputs_per_dim=2, hidden=(16, 16), d_context=3)
    >>> made(torch.zeros(5, 4), torch.zeros(5, 3)).shape
    torch.Size([5, 4, 2])
    >>> binary = MADE(dim=4, outputs_per_dim=1)
    >>> x, theta = binary.sample_with(lambda p, i: torch.bernoulli(p[..., 0].sigmoid()), (6,))
    >>> torch.allclose(theta, binary(x), atol=1e-6)
    True
    """

    def __init__(
        self,
        dim: int,
        outputs_per_dim: int,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
        d_context: int = 0,
        order: Sequence[int] | None = None,
    ):
        super().__init__()
        check_count("dim", dim)
        check_count("outputs_per_dim", outputs_per_dim)
        check_count("d_context", d_context, minimum=0)
        check_count("len(hidden)", len(hidden))
        for size in hidden:
            check_count("hidden", size)
        self.order = None if order is None else [int(i) for i in order]
        if self.order is not None and sorted(self.order) != list(range(dim)):
            raise ValueError(f"order is {self.order}, expected a permutation of range({dim})")
        self.dim, self.outputs_per_dim, self.d_context = dim, outputs_per_dim, d_context
        self.activation = activation()

        # Degree 0 sees the context alone; without a context such a unit would be a constant.
        lowest = 0 if d_context or dim == 1 else 1
        degrees = [torch.arange(1, dim + 1)]
        degrees += [lowest + torch.arange(size) * (dim - lowest) // size for size in hidden]
        sizes = (dim, *hidden)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True))
        self.output = nn.Linear(sizes[-1], outputs_per_dim * dim)  # rows ordered (P, D)
        self.context_layer = nn.Linear(d_context, hidden[0], bias=False) if d_context else None
        for index, (before, after) in enumerate(zip(degrees[:-1], degrees[1:], strict=True)):
            self.register_buffer(f"mask_{index}", (before <= after[:, None]).float(), persistent=False)
        mask = (degrees[-1] < degrees[0][:, None]).float().repeat(outputs_per_dim, 1)
        self.register_buffer("mask_output", mask, persistent=False)
        # ends[l][i]: how many units of layer l see at most the first i variables.
        self._ends = [[int((d <= i).sum()) for i in range(dim)] for d in degrees[1:]]

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        check_shape("x", x, "...", self.dim)
        check_context(context, self.d_context)
        h = x if self.order is None else x[..., self.order]
        for index, layer in enumerate(self.layers):
            h = F.linear(h, layer.weight * getattr(self, f"mask_{index}"), layer.bias)
            if index == 0 and context is not None:
                h = h + self.context_layer(context)
            h = self.activation(h)
        out = F.linear(h, self.output.weight * self.mask_output, self.output.bias)
        out = out.unflatten(-1, (self.outputs_per_dim, self.dim)).transpose(-1, -2)  # (..., D, P)
        return out if self.order is None else out[..., self._positions(), :]

    def sample_with(
        self,
        draw: Callable[[Tensor, int], Tensor],
        batch_shape: Sequence[int] = (),
        context: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Draw the variables one after the other, computing each hidden unit once.

        Args:
            draw: called as ``draw(parameters, i)`` for each variable ``i`` in the order, with parameters of
                shape ``batch_shape + (P,)``; returns the value of that variable, of shape ``batch_shape``.
            batch_shape: how many to draw.
            context: shape ``(..., d_context)``, broadcastable to ``batch_shape``.

        Returns:
            x: the draw, shape ``batch_shape + (D,)``.
            parameters: what ``forward(x, context)`` gives, shape ``batch_shape + (D, P)``.

        Raises:
            ValueError: the context does not fit.

        Gradients flow through the draw; under ``torch.no_grad()`` it is faster, for buffers are filled in
        place.
        """
        check_context(context, self.d_context)
        batch_shape = torch.Size(batch_shape)
        n = batch_shape.numel()
        outputs = self.outputs_per_dim, self.dim
        biases = [layer.bias[:, None] for layer in self.layers]
        if context is not None:
            shift = self.context_layer(context).expand(*batch_shape, -1).reshape(n, -1)
            biases[0] = biases[0] + shift.T  # (H, n)

        # steps[l][i]: biases and weights of the units of layer l that variable i needs first, () if none
        sizes = [[b - a for a, b in zip([0, *ends[:-1]], ends, strict=True)] for ends in self._ends]
        steps = [
            [
                (b, w) if len(w) else ()
                for b, w in zip(bias.split(size), layer.weight.split(size), strict=True)
            ]
            for bias, layer, size in zip(biases, self.layers, sizes, strict=True)
        ]
        out_biases = self.output.bias.unflatten(0, outputs)[..., None].unbind(1)
        out_weights = self.output.weight.unflatten(0, outputs).unbind(1)

        x = _Rows([1] * self.dim, n, self.output.weight)
        hidden = [_Rows(size, n, self.output.weight) for size in sizes]
        layers = list(zip([x, *hidden[:-1]], hidden, steps, strict=True))
        activation, parameters, flat = self.activation, [], len(batch_shape) == 1
        for i, variable in enumerate(self.order or range(self.dim)):
            for below, row, step in layers:
                if step[i]:
                    row.append(i, activation(below.linear(*step[i])))
            theta = hidden[-1].linear(out_biases[i], out_weights[i])  # (P, n)
            parameters.append(theta)
            rows = theta.T if flat else theta.T.view(*batch_shape, self.outputs_per_dim)
            x.append(i, draw(rows, variable).reshape(1, n))
        values = x.known
        if self.order is not None:
            values, parameters = values[self._positions()], [parameters[i] for i in self._positions()]
        theta = torch.stack(parameters).permute(2, 0, 1)
        return values.T.reshape(*batch_shape, self.dim), theta.reshape(*batch_shape, *theta.shape[1:])

    def _positions(self) -> list[int]:
        """Where each variable stands in the order."""
        return sorted(range(self.dim), key=self.order.__getitem__)


class _Rows:
    """Units computed so far, ``(rows, n)``: a buffer filled in place, zero where nothing is known yet; where
    autograd must look back, rows concatenated.
    """

    def __init__(self, sizes: list[int], n: int, like: Tensor):
        in_place = not torch.is_grad_enabled()
        self.known = like.new_zeros(sum(sizes) if in_place else 0, n)
        self.places = self.known.split(sizes) if in_place else None

    def append(self, i: int, new: Tensor) -> None:
        if self.places is None:
            self.known = torch.cat((self.known, new))
        else:
            self.places[i].copy_(new)

    def linear(self, bias: Tensor, weight: Tensor) -> Tensor:
        """An affine map of the units, by the leading columns of the weight when not all are there."""
        if self.places is None:
            weight = weight[:, : len(self.known)]
        return torch.addmm(bias, weight, self.known)
