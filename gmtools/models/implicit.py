"""Implicit models: a simulator that turns noise into data, without a density."""

import torch
from torch import Tensor, nn

from gmtools.checks import check_count
from gmtools.models.heads import StandardNormal


class ImplicitModel(nn.Module):
    r"""An implicit generative model: noise pushed through a function.

    .. math:: z \sim p(z), \qquad x = g_\theta(z)

    It has no likelihood: learn it by comparison (``gmtools.comparison``) or infer its parameters by
    simulation (``gmtools.inference``).

    Args:
        generator: the function g, a module from ``(..., d_z)`` to data; any differentiable simulator will do.
        noise: module whose ``forward()`` is the Distribution of z, or the dimension of a standard normal.

    Reference: S. Mohamed, B. Lakshminarayanan, Learning in Implicit Generative Models, 2016.
    Chapter: 2-models/17-types-of-models.

    >>> model = ImplicitModel(nn.Linear(2, 5), noise=2)
    >>> model.sample(7).shape, model.rsample(7).requires_grad
    (torch.Size([7, 5]), True)
    """

    def __init__(self, generator: nn.Module, noise: nn.Module | int):
        super().__init__()
        self.generator = generator
        self.noise = noise if isinstance(noise, nn.Module) else StandardNormal(noise)

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def rsample(self, n: int) -> Tensor:
        """Draw n data points through which gradients reach the generator."""
        check_count("n", n)
        return self.generator(self.noise().sample((n,)))

    def sample(self, n: int) -> Tensor:
        """Draw n data points."""
        with torch.no_grad():
            return self.rsample(n)
