"""Flows on the sphere, by splines of height and longitude."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent

from gmtools.checks import check_count
from gmtools.flows.circle import ClosedUniform, circular_features
from gmtools.flows.core import Compose
from gmtools.flows.coupling import Coupling, CouplingStack
from gmtools.flows.elementwise import Permute
from gmtools.flows.embedding import SphereEmbedding
from gmtools.flows.spline import SplineMap


def sphere_flow(
    layers: int = 3,
    bins: int = 8,
    hidden: Sequence[int] = (64, 64),
    activation: Callable[[], nn.Module] = nn.SiLU,
    d_context: int = 0,
) -> Compose:
    r"""A flow on the unit sphere in space: from height and longitude to points x with :math:`\|x\| = 1`.

    A layer moves the longitude by a circular spline given the height, then the height by a spline of
    :math:`[-1, 1]` given the longitude. Between layers the axes change places, so that no pair of poles stays
    special. With the base ``uniform_cylinder()``, ``Flow`` gives densities with respect to area on the
    sphere. Both directions are one pass. Begins as the uniform distribution.

    Args:
        layers: number of layers.
        bins: number of bins of each spline.
        hidden, activation: the network of each coupling.
        d_context: size of the context; 0 for none.

    Shapes:
        z: ``(..., 2)``, height in [-1, 1] and longitude in :math:`[-\pi, \pi)`; x: ``(..., 3)``.

    Raises:
        ValueError: a count below 1; to ``inverse``, points off the sphere.

    Reference: Rezende, Papamakarios, Racanière and others (2020), Normalizing flows on tori and spheres.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> from gmtools.flows import Flow
    >>> p = Flow(uniform_cylinder(), sphere_flow(layers=1))
    >>> p.log_prob(torch.tensor([0.0, 0.6, 0.8])), -math.log(4 * math.pi)
    (tensor(-2.5310, grad_fn=<AddBackward0>), -2.5310242469692907)
    """
    check_count("layers", layers)
    parts = []
    for index in range(layers):
        if index:
            parts += [SphereEmbedding(), Permute([1, 2, 0]), SphereEmbedding().inverse_bijection]
        longitude = SplineMap(bins, kind="circle")
        height = SplineMap(bins, bound=1.0, kind="interval")
        parts.append(
            CouplingStack(
                Coupling(2, longitude, hidden, activation, d_context),
                Coupling(2, height, hidden, activation, d_context, swap=True, features=circular_features),
            )
        )
    return Compose(*parts, SphereEmbedding())


def uniform_cylinder(like: Tensor | None = None) -> Distribution:
    r"""Height and longitude of uniform points of the sphere; event shape ``(2,)``, density :math:`1 / 4\pi`.

    Args:
        like: a tensor whose device and dtype to take; None for torch's defaults.

    Chapter: ``5-posteriors/60-flows-on-sphere-and-torus``

    >>> uniform_cylinder().log_prob(torch.zeros(2)).exp() * 4 * math.pi
    tensor(1.0000)
    """
    ends = torch.tensor([1.0, math.pi]) if like is None else like.new_tensor([1.0, math.pi])
    return Independent(ClosedUniform(-ends, ends), 1)
