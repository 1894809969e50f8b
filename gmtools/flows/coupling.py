"""Coupling layers: one half of the dimensions moves, told how by the other half that stays."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_positive
from gmtools.flows.core import Bijection, Compose
from gmtools.flows.elementwise import Permute, parameter_net


class AffineMap:
    r"""The elementwise map :math:`x = (z - m)\, e^{s}` with a smoothly bounded log-scale.

    .. math::

        z = x e^{-s} + m, \qquad s = b \tanh(\tilde s / b), \qquad \log \left| \frac{dx}{dz} \right| = s

    The shift is on the side of the noise, as in Real NVP: scale and shift then hardly hinder one another when
    a density is fitted to data. With the shift on the other side, :math:`x = z e^{s} + m`, a flow of the same
    size was twice as far from two moons after the same few hundred steps.

    A raw :math:`e^{\tilde s}` overflows early in training on data as plain as two moons; the bound keeps
    every gradient finite and is close to the identity near zero.

    An elementwise map is what couplings and autoregressive flows apply to each dimension. It has
    ``n_parameters`` P a dimension, which come in one row ``(..., P D)`` from a network, parameter by
    parameter; all zero give the identity. ``forward(z, parameters)`` and ``inverse(x, parameters)`` return
    the value and its log-derivative, elementwise.

    Args:
        bound: b, the largest absolute log-scale, positive.

    Shapes:
        z, x, log-derivative: ``(..., D)``; parameters: ``(..., 2 D)``, the shifts, then the raw log-scales.

    Raises:
        ValueError: a bound that is not positive.

    Reference: Dinh, Sohl-Dickstein, Bengio (2017), Density estimation using Real NVP.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> AffineMap().forward(torch.tensor([2.0]), torch.tensor([1.0, 0.0]))
    (tensor([1.]), tensor([0.]))
    """

    n_parameters = 2

    def __init__(self, bound: float = 3.0):
        check_positive("bound", bound)
        self.bound = bound

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._read(parameters)
        x = (z - shift) * log_scale.exp()
        return x, log_scale if log_scale.shape == x.shape else log_scale.expand_as(x)

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_scale = self._read(parameters)
        z = torch.addcmul(shift, x, (-log_scale).exp())
        return z, (-log_scale).expand_as(z)

    def _read(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        shift, raw = parameters.chunk(2, dim=-1)
        return shift, self.bound * (raw / self.bound).tanh()


class Coupling(Bijection):
    r"""Half of the dimensions moves elementwise, with parameters computed from the other half.

    .. math::

        x_a = z_a, \qquad x_b = g(z_b;\, \theta(z_a, c)), \qquad
        \log |\det J| = \sum_{i \in b} \log |g'(z_i)|

    The first half is ``dim // 2`` dimensions. Both directions are one pass through one network.

    Args:
        dim: size D, at least 2.
        elementwise: g, for example ``AffineMap()`` or ``SplineMap()``.
        hidden, activation: the network :math:`\theta`.
        d_context: size of the context c; 0 for none.
        swap: the first half moves and the second stays. Alternate it from layer to layer.
        features: what the network sees of the half that stays; for angles ``circular_features``.

    Raises:
        ValueError: ``dim`` below 2, or a shape that does not fit.

    Reference: Dinh, Krueger, Bengio (2015), NICE: non-linear independent components estimation.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> f = Coupling(3, AffineMap(), d_context=1)
    >>> x, ladj = f(torch.randn(7, 5, 3), torch.zeros(5, 1))
    >>> x.shape, ladj.shape
    (torch.Size([7, 5, 3]), torch.Size([7, 5]))
    """

    def __init__(
        self,
        dim: int,
        elementwise,
        hidden: Sequence[int] = (64, 64),
        activation: Callable[[], nn.Module] = nn.SiLU,
        d_context: int = 0,
        swap: bool = False,
        features: Callable[[Tensor], Tensor] | None = None,
    ):
        super().__init__(dim, d_context)
        check_count("dim", dim, minimum=2)
        self.elementwise, self.swap, self.features = elementwise, swap, features
        self.split = (dim // 2, dim - dim // 2)
        n_kept, self.n_moved = reversed(self.split) if swap else self.split
        d_in = n_kept if features is None else features(torch.zeros(n_kept)).shape[-1]
        self.net = parameter_net(d_in, self.n_moved, elementwise.n_parameters, hidden, activation, d_context)

    def forward(self, z, context=None):
        return self._move(self._admit("z", z, context), context, self.elementwise.forward)

    def inverse(self, x, context=None):
        return self._move(self._admit("x", x, context), context, self.elementwise.inverse)

    def _move(self, event, context, step):
        first, second, ladj = self.move_halves(*event.split(self.split, dim=-1), context, step)
        return torch.cat((first, second), dim=-1), ladj

    def move_halves(self, first: Tensor, second: Tensor, context: Tensor | None, step) -> tuple[Tensor, ...]:
        """Move one half by ``step``, a direction of the elementwise map; returns also the log-determinant."""
        kept, moved = (second, first) if self.swap else (first, second)
        seen = kept if self.features is None else self.features(kept)
        moved, ladj = step(moved, self.net(seen, context))
        return (moved, kept, ladj.sum(-1)) if self.swap else (kept, moved, ladj.sum(-1))


class CouplingStack(Bijection):
    """Couplings one after the other: what ``Compose`` does, without joining the halves in between.

    Args:
        couplings: at least one, all of one size and with contexts of one size.

    Raises:
        ValueError: no coupling, or sizes that differ.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> f = CouplingStack(Coupling(3, AffineMap()), Coupling(3, AffineMap(), swap=True))
    >>> f(torch.zeros(5, 3))[0].shape
    torch.Size([5, 3])
    """

    def __init__(self, *couplings: Coupling):
        check_count("len(couplings)", len(couplings))
        sizes = {(c.dim, c.d_context) for c in couplings}
        if len(sizes) > 1:
            raise ValueError(f"couplings have (dim, d_context) {sorted(sizes)}, expected one size")
        super().__init__(couplings[0].dim, couplings[0].d_context)
        self.couplings = nn.ModuleList(couplings)

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        return self._run([(c, c.elementwise.forward) for c in self.couplings], z, context)

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        return self._run([(c, c.elementwise.inverse) for c in reversed(self.couplings)], x, context)

    def _run(self, steps, event, context):
        first, second = event.split(self.couplings[0].split, dim=-1)
        total = 0.0
        for coupling, step in steps:
            first, second, ladj = coupling.move_halves(first, second, context, step)
            total = total + ladj
        return torch.cat((first, second), dim=-1), total


def alternating_couplings(dim: int, layers: int, make: Callable[[bool], Coupling]) -> Compose:
    """Couplings with alternating roles and one fixed random permutation, next to the data.

    Args:
        dim: size D.
        layers: number of couplings.
        make: called as ``make(swap)`` for each layer.

    >>> alternating_couplings(4, 2, lambda swap: Coupling(4, AffineMap(), swap=swap)).dim
    4
    """
    check_count("layers", layers)
    couplings = CouplingStack(*(make(bool(index % 2)) for index in range(layers)))
    return Compose(couplings, Permute(torch.randperm(dim)))


def real_nvp(
    dim: int,
    layers: int = 8,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
    d_context: int = 0,
    bound: float = 3.0,
) -> Compose:
    """Real NVP: affine couplings with alternating roles; begins as a permutation. Both directions one pass.

    Halves that swap roles and one permutation drawn at the start (from torch's generator) are all the mixing
    there is: masks and a gather a layer cost half as much again and fit no better.

    Args:
        dim: size D, at least 2.
        layers: number of couplings; each dimension moves in half of them.
        hidden, activation: the network of each coupling.
        d_context: size of the context; 0 for none.
        bound: largest absolute log-scale of a layer.

    Reference: Dinh, Sohl-Dickstein, Bengio (2017), Density estimation using Real NVP.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> x, ladj = real_nvp(2, layers=4)(torch.randn(5, 2))
    >>> x.shape, ladj.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def layer(swap: bool) -> Coupling:
        return Coupling(dim, AffineMap(bound), hidden, activation, d_context, swap)

    return alternating_couplings(dim, layers, layer)
