r"""Flows of angles: Möbius maps of the circle, and flows on the torus.

Angles live in :math:`[-\pi, \pi)`; a density of angles is with respect to arc length on the unit circle.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Uniform

from gmtools.checks import check_count
from gmtools.flows.core import Bijection, Compose
from gmtools.flows.coupling import Coupling, CouplingStack
from gmtools.flows.elementwise import Elementwise, by_dimension
from gmtools.flows.root import monotone_root
from gmtools.flows.spline import SplineMap, wrap


class MobiusMap:
    r"""The elementwise map of an angle by a mixture of Möbius transformations of the circle, then a rotation.

    A centre w in the open unit disc, read as a complex number, expands the circle away from w:
    :math:`e^{i\theta} \mapsto (e^{i\theta} - w) / (1 - \bar w e^{i\theta})`. As an angle,

    .. math::

        m_w(\theta) = \theta + 2 \arg(1 - w e^{-i\theta}), \qquad
        m_w'(\theta) = \frac{1 - |w|^2}{|e^{i\theta} - w|^2}, \qquad
        x = \sum_k \rho_k\, m_{w_k}(\theta) + \varphi .

    Every :math:`m_w` is increasing and gains :math:`2\pi` a turn, and so does their mixture. Forward is a
    formula; inverse a scalar equation, solved numerically and differentiably.

    Equal centres would get equal gradients and never part, so with K > 1 the parameters are counted from
    centres :math:`r e^{2 \pi i k / K + i}` evenly around a small circle, r < 0.05, where harmonics
    below the K-th cancel. Zero parameters so give nearly the identity, with angles within
    :math:`\tfrac2K \arcsin r^K` and log-derivatives within :math:`2 \operatorname{artanh} r^K` of its own
    (K = 2: 0.0025 and 0.005; K = 4: under 0.00002), and the identity itself for K = 1.

    Args:
        centres: number of centres K.

    Shapes:
        z, x, log-derivative: ``(..., D)``; parameters: ``(..., (3 K + 1) D)``.

    Raises:
        ValueError: no centre.

    Reference: Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> mobius = MobiusMap(centres=2)
    >>> mobius.forward(torch.tensor([0.5]), torch.zeros(7))
    (tensor([0.4979]), tensor([0.0026]))
    """

    largest_radius = 0.99
    initial_radius = 0.05

    def __init__(self, centres: int = 4):
        check_count("centres", centres)
        self.centres = centres
        self.n_parameters = 3 * centres + 1

    def forward(self, z: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        centres, weights, rotation = self._read(parameters)
        moved, slope = self._mixture(z, centres, weights)
        return wrap(moved + rotation), slope.log()

    def inverse(self, x: Tensor, parameters: Tensor) -> tuple[Tensor, Tensor]:
        centres, weights, rotation = self._read(parameters)
        target = x - rotation

        def equation(angle):
            moved, slope = self._mixture(angle, centres, weights)
            return moved - target, slope

        z = monotone_root(equation, target - math.pi, target + math.pi)
        return wrap(z), -self._mixture(z, centres, weights)[1].log()

    def _read(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Centres ``(..., D, K, 2)`` inside the disc, weights ``(..., D, K)``, rotation ``(..., D)``."""
        parameters = by_dimension(parameters, self.n_parameters)
        raw = parameters[..., : 2 * self.centres].unflatten(-1, (self.centres, 2)) + self._apart(parameters)
        weights = parameters[..., 2 * self.centres : -1].softmax(-1)
        centres = self.largest_radius * raw / (1 + raw.square().sum(-1, keepdim=True)).sqrt()
        return centres, weights, parameters[..., -1]

    def _apart(self, like: Tensor) -> Tensor:
        """Offsets ``(K, 2)`` of the raw centres; a radian off the axes, which data are often symmetric in."""
        turns = torch.arange(self.centres, dtype=like.dtype, device=like.device) / self.centres
        directions = torch.stack(((2 * math.pi * turns + 1).cos(), (2 * math.pi * turns + 1).sin()), dim=-1)
        return self.initial_radius * (self.centres > 1) * directions

    @staticmethod
    def _mixture(angle: Tensor, centres: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        angle = angle[..., None]
        cos, sin = angle.cos(), angle.sin()
        a, b = centres.unbind(-1)
        real, imaginary = a * cos + b * sin, b * cos - a * sin  # of w exp(-i angle)
        squared = a.square() + b.square()
        moved = angle + 2 * torch.atan2(-imaginary, 1 - real)
        slope = (1 - squared) / (1 - 2 * real + squared)
        return (weights * moved).sum(-1), (weights * slope).sum(-1)


def circular_features(angle: Tensor) -> Tensor:
    """Cosines and sines, so that a network sees no seam: ``(..., D)`` to ``(..., 2 D)``.

    >>> circular_features(torch.zeros(1))
    tensor([1., 0.])
    """
    return torch.cat((angle.cos(), angle.sin()), dim=-1)


def torus_flow(
    dim: int,
    layers: int = 4,
    elementwise=None,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
    d_context: int = 0,
) -> Bijection:
    """A flow of D angles, the D-dimensional torus: circular couplings with alternating roles.

    One angle, the circle, has nothing to couple with: its layers are elementwise. Costs are those of the map:
    both directions one pass with splines, a numerical inverse with Möbius maps. Begins where its map does: as
    the identity with splines, near it with Möbius maps. Its base is ``uniform_angles(dim)``.

    Args:
        dim: number of angles D.
        layers: number of layers.
        elementwise: the map of each angle, ``MobiusMap()`` or (None) ``SplineMap(kind="circle")``.
        hidden, activation: the network of each layer; it sees cosines and sines.
        d_context: size of the context; 0 for none.

    Reference: Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> from gmtools.flows import Flow
    >>> p = Flow(uniform_angles(2), torus_flow(2))
    >>> p.log_prob(torch.zeros(2)), -2 * math.log(2 * math.pi)
    (tensor(-3.6758, grad_fn=<AddBackward0>), -3.6757541328186907)
    """
    check_count("layers", layers)
    elementwise = SplineMap(kind="circle") if elementwise is None else elementwise
    if dim == 1:
        return Compose(*(Elementwise(1, elementwise, d_context, hidden, activation) for _ in range(layers)))
    return CouplingStack(
        *(
            Coupling(dim, elementwise, hidden, activation, d_context, bool(index % 2), circular_features)
            for index in range(layers)
        )
    )


class ClosedUniform(Uniform):
    """Uniform on a closed interval: torch's is half-open and scores -inf where an angle rounds to the end.

    >>> ClosedUniform(0.0, 2.0).log_prob(torch.tensor(2.0))
    tensor(-0.6931)
    """

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        inside = (value >= self.low) & (value <= self.high)
        return torch.where(inside, -(self.high - self.low).log(), -torch.inf)

    def expand(self, batch_shape, _instance=None):
        return super().expand(batch_shape, self._get_checked_instance(ClosedUniform, _instance))


def uniform_angles(dim: int, like: Tensor | None = None) -> Distribution:
    r"""Independent angles, uniform on the circle; event shape ``(dim,)``, density :math:`(2\pi)^{-D}`.

    Args:
        dim: number of angles D.
        like: a tensor whose device and dtype to take; None for torch's defaults.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> uniform_angles(1).log_prob(torch.zeros(1))
    tensor(-1.8379)
    """
    check_count("dim", dim)
    half = torch.full((dim,), math.pi) if like is None else like.new_full((dim,), math.pi)
    return Independent(ClosedUniform(-half, half), 1)
