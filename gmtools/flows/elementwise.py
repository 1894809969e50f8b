"""Bijections that treat every dimension alike: permutation, shift and scale, the logistic function."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_positive, check_shape
from gmtools.flows.core import Bijection
from gmtools.nets import MLP


class Permute(Bijection):
    r"""A fixed permutation of the dimensions, :math:`x_i = z_{\pi(i)}`; either direction is one gather.

    Args:
        order: where each dimension of x comes from, a permutation of ``range(D)``.

    Raises:
        ValueError: ``order`` is no permutation.

    Chapter: ``5-posteriors/56-sequences-of-transformations``

    >>> Permute([2, 0, 1])(torch.tensor([10.0, 20.0, 30.0]))
    (tensor([30., 10., 20.]), tensor(0.))
    """

    def __init__(self, order: Sequence[int] | Tensor):
        order = torch.as_tensor(order)
        if not torch.equal(order.sort().values, torch.arange(len(order))):
            raise ValueError(f"order is {order.tolist()}, expected a permutation of range({len(order)})")
        super().__init__(len(order))
        self.register_buffer("order", order)
        self.register_buffer("back", order.argsort())

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        return z[..., self.order], z.new_zeros(z.shape[:-1])

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        return x[..., self.back], x.new_zeros(x.shape[:-1])


class Affine(Bijection):
    r"""A learned shift and scale of every dimension, :math:`x = z \odot e^{s} + m`; both directions one pass.

    Begins as the identity. Hand in the mean and standard deviation of the data to begin there.

    Args:
        dim: size D.
        shift: initial m, shape ``(D,)``; None for zeros.
        scale: initial :math:`e^s`, shape ``(D,)``, positive; None for ones.

    Raises:
        ValueError: a wrong shape, or a scale that is not positive.

    Chapter: ``5-posteriors/55-change-of-variables``

    >>> Affine(2, scale=torch.tensor([1.0, 2.0]))(torch.ones(2))[0]
    tensor([1., 2.], grad_fn=<AddcmulBackward0>)
    """

    def __init__(self, dim: int, shift: Tensor | None = None, scale: Tensor | None = None):
        super().__init__(dim)
        shift = torch.zeros(dim) if shift is None else shift
        scale = torch.ones(dim) if scale is None else scale
        check_shape("shift", shift, dim)
        check_shape("scale", scale, dim)
        check_positive("scale", scale)
        self.shift = nn.Parameter(shift.detach().clone())
        self.log_scale = nn.Parameter(scale.detach().log())

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        return torch.addcmul(self.shift, z, self.log_scale.exp()), self.log_scale.sum().expand(z.shape[:-1])

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        return (x - self.shift) * (-self.log_scale).exp(), -self.log_scale.sum().expand(x.shape[:-1])


class Sigmoid(Bijection):
    r"""The logistic function onto an interval, so that a flow can model bounded data.

    .. math::

        x = a + (b - a)\, \sigma(z), \qquad
        \log |\det J| = \sum_i \log (b - a) + \log \sigma(z_i) + \log \sigma(-z_i)

    Both directions one pass. Values at the ends themselves have no preimage; inside the inverse they are
    moved in by a rounding error's width, so scores stay finite.

    Args:
        dim: size D.
        low: a, the lower end.
        high: b, the upper end.

    Raises:
        ValueError: ``high`` is not above ``low``.

    Reference: Dinh, Sohl-Dickstein, Bengio (2017), Density estimation using Real NVP, section 4.1.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> Sigmoid(1, low=0.0, high=10.0)(torch.zeros(1))[0]
    tensor([5.])
    """

    def __init__(self, dim: int, low: float = 0.0, high: float = 1.0):
        super().__init__(dim)
        if not high > low:
            raise ValueError(f"high is {high!r}, expected a number above low = {low!r}")
        self.low, self.high = low, high

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        return self.low + (self.high - self.low) * z.sigmoid(), self._ladj(z)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        z = torch.logit((x - self.low) / (self.high - self.low), eps=torch.finfo(x.dtype).eps)
        return z, -self._ladj(z)

    def _ladj(self, z: Tensor) -> Tensor:
        return (math.log(self.high - self.low) + F.logsigmoid(z) + F.logsigmoid(-z)).sum(-1)


class Elementwise(Bijection):
    """An elementwise map of every dimension, with parameters of its own or computed from the context.

    Dimensions stay independent given the context; couplings and autoregressive flows are what ties them. Both
    directions one pass.

    Args:
        dim: size D.
        elementwise: the map, for example ``AffineMap()`` or ``SplineMap()``.
        d_context: size of the context; 0 makes the map's parameters free parameters.
        hidden, activation: the network from the context to the map's parameters.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> from gmtools.flows import SplineMap
    >>> Elementwise(2, SplineMap(bins=4))(torch.zeros(5, 2))[0].shape
    torch.Size([5, 2])
    """

    def __init__(
        self,
        dim: int,
        elementwise,
        d_context: int = 0,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
    ):
        super().__init__(dim, d_context)
        self.elementwise = elementwise
        if d_context:
            self.net = parameter_net(d_context, dim, elementwise.n_parameters, hidden, activation)
        else:
            self.free = nn.Parameter(torch.zeros(elementwise.n_parameters * dim))

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        x, ladj = self.elementwise.forward(z, self._parameters_of_map(context))
        return x, ladj.sum(-1)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        z, ladj = self.elementwise.inverse(x, self._parameters_of_map(context))
        return z, ladj.sum(-1)

    def _parameters_of_map(self, context: Tensor | None) -> Tensor:
        return self.net(context) if self.d_context else self.free


def parameter_net(
    d_in: int,
    dim: int,
    n_parameters: int,
    hidden: Sequence[int],
    activation: Callable[[], nn.Module],
    d_context: int = 0,
) -> MLP:
    """An MLP to the parameters of ``dim`` elementwise maps that begins at zero, (near) their identity.

    >>> parameter_net(3, 2, 5, hidden=(8,), activation=nn.SiLU)(torch.ones(3)).shape
    torch.Size([10])
    """
    net = MLP(d_in, n_parameters * dim, hidden, activation, d_context)
    nn.init.zeros_(net.layers[-1].weight)
    nn.init.zeros_(net.layers[-1].bias)
    return net


def by_dimension(parameters: Tensor, n_parameters: int) -> Tensor:
    """Read a row of parameters ``(..., P D)``, ordered parameter by parameter, as ``(..., D, P)``.

    >>> by_dimension(torch.arange(6), n_parameters=3)
    tensor([[0, 2, 4],
            [1, 3, 5]])
    """
    return parameters.unflatten(-1, (n_parameters, -1)).transpose(-1, -2)
