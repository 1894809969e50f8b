"""Where a posterior's numbers come from: free, or computed from a context (amortised)."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count
from gmtools.nets.mlp import MLP, check_context


class Parameters(nn.Module):
    r"""The parameters of a variational distribution, free or amortised.

    .. math:: \phi = \phi_0 \quad\text{or}\quad \phi(c) = \phi_0 + \operatorname{MLP}(c)

    With a context, a network computes them, one inference for all data points; its last layer begins at zero,
    so that both kinds begin at :math:`\phi_0`.

    Args:
        initial: :math:`\phi_0`, any shape ``S``.
        d_context: size of the context; 0 for free parameters.
        hidden: hidden layers of the network.

    Shapes:
        ``forward(context=None)``: returns ``S``, or ``(..., *S)`` for a context ``(..., d_context)``.

    Raises:
        ValueError: a context that is missing, unexpected or of another size.

    Reference: Gershman & Goodman (2014), Amortized inference in probabilistic reasoning.

    Chapter: 3-inference/38-amortised-inference

    >>> import torch
    >>> Parameters(torch.zeros(3, 2), d_context=5)(torch.zeros(7, 5)).shape
    torch.Size([7, 3, 2])
    """

    def __init__(self, initial: Tensor, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        check_count("d_context", d_context, minimum=0)
        self.d_context = d_context
        self.initial = nn.Parameter(initial.detach().clone())
        self.net = None
        if d_context:
            self.net = MLP(d_context, initial.numel(), hidden)
            nn.init.zeros_(self.net.layers[-1].weight)
            nn.init.zeros_(self.net.layers[-1].bias)

    def forward(self, context: Tensor | None = None) -> Tensor:
        check_context(context, self.d_context)
        if self.net is None:
            return self.initial
        return self.initial + self.net(context).unflatten(-1, self.initial.shape)


def positive(raw: Tensor) -> Tensor:
    r"""Map real numbers to scales: :math:`\log(1 + (e - 1) e^{\text{raw}}) + 10^{-6}`, about 1 at 0.

    >>> import torch
    >>> positive(torch.tensor([-100.0, 0.0]))
    tensor([1.0000e-06, 1.0000e+00])
    """
    return F.softplus(raw + math.log(math.e - 1)) + 1e-6
