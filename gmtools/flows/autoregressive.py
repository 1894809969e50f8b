"""Autoregressive flows: each dimension moves as the ones before it tell."""

from collections.abc import Callable, Sequence

import torch
from torch import nn

from gmtools.checks import check_count
from gmtools.flows.core import Bijection, Compose
from gmtools.flows.coupling import AffineMap
from gmtools.nets import MADE


class Autoregressive(Bijection):
    r"""Each dimension of x is an elementwise map of noise that the dimensions of x before it choose.

    .. math::

        x_i = g(z_i;\, \theta_i(x_{<i}, c)), \qquad \log |\det J| = \sum_{i=1}^{D} \log |g'(z_i; \theta_i)|

    ``inverse`` (scoring data) is one pass through a masked network: this is a masked autoregressive flow,
    MAF. ``forward`` (drawing) goes degree by degree in D small steps, which together multiply as much as one
    pass. For a flow that draws in one pass and scores its own draws, take ``.inverse_bijection``: that is
    the inverse autoregressive flow, IAF.

    Args:
        dim: size D.
        elementwise: g, for example ``AffineMap()`` or ``SplineMap()``.
        hidden, activation: the masked network :math:`\theta`.
        d_context: size of the context c; 0 for none.
        order: the dimensions from first to last; None for the natural order.

    Raises:
        ValueError: a size below 1, an order that is no permutation, or a shape that does not fit.

    Reference: Papamakarios, Pavlakou, Murray (2017), Masked autoregressive flow for density estimation;
    Kingma, Salimans, Jozefowicz, Chen, Sutskever, Welling (2016), Improving variational inference with
    inverse autoregressive flow.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> maf = Autoregressive(3, AffineMap())
    >>> iaf = maf.inverse_bijection
    >>> x, ladj = maf(torch.randn(5, 3))
    >>> torch.allclose(iaf(x)[1], -ladj)
    True
    """

    def __init__(
        self,
        dim: int,
        elementwise,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
        d_context: int = 0,
        order: Sequence[int] | None = None,
    ):
        super().__init__(dim, d_context)
        self.elementwise = elementwise
        self.net = MADE(dim, elementwise.n_parameters, hidden, activation, d_context, order)
        nn.init.zeros_(self.net.output.weight)  # begin as the identity
        nn.init.zeros_(self.net.output.bias)

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        noise = z.movedim(-1, 0).contiguous()[..., None].unbind()  # D columns (..., 1)
        ladjs = []

        def draw(parameters, i):
            x_i, ladj = self.elementwise.forward(noise[i], parameters)
            ladjs.append(ladj)
            return x_i

        x, _ = self.net.sample_with(draw, z.shape[:-1], context)
        return x, torch.cat(ladjs, dim=-1).sum(-1)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        parameters = self.net(x, context).transpose(-1, -2).flatten(-2)  # one row, parameter by parameter
        z, ladj = self.elementwise.inverse(x, parameters)
        return z, ladj.sum(-1)


def autoregressive_stack(dim: int, layers: int, make: Callable[[list[int]], Bijection]) -> Compose:
    """Autoregressive layers in alternating directions: the last dimension of one is the first of the next.

    >>> autoregressive_stack(4, 2, lambda order: Autoregressive(4, AffineMap(), order=order)).dim
    4
    """
    check_count("layers", layers)
    order = list(range(dim))
    return Compose(*(make(order[:: -1 if index % 2 else 1]) for index in range(layers)))


def masked_autoregressive_flow(
    dim: int,
    layers: int = 5,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
    d_context: int = 0,
    bound: float = 3.0,
) -> Compose:
    """MAF: affine autoregressive layers in alternating directions; begins as the identity.

    Scoring is one pass a layer, drawing D small steps a layer. Its ``.inverse_bijection`` is the inverse
    autoregressive flow, which draws in one pass.

    Args:
        dim: size D.
        layers: number of autoregressive layers.
        hidden, activation: the masked network of each layer.
        d_context: size of the context; 0 for none.
        bound: largest absolute log-scale of a layer.

    Reference: Papamakarios, Pavlakou, Murray (2017), Masked autoregressive flow for density estimation.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> z, ladj = masked_autoregressive_flow(3).inverse(torch.randn(5, 3))
    >>> z.shape, ladj.shape
    (torch.Size([5, 3]), torch.Size([5]))
    """

    def layer(order: list[int]) -> Autoregressive:
        return Autoregressive(dim, AffineMap(bound), hidden, activation, d_context, order)

    return autoregressive_stack(dim, layers, layer)
