"""The fully visible Boltzmann machine, and the Ising model as one."""

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.models.binary import all_binary


class BoltzmannMachine(nn.Module):
    r"""Boltzmann machine over binary variables, all observed.

    .. math:: p(x) = \frac{1}{Z} e^{-E(x)}, \qquad E(x) = -\tfrac12 x^\top W x - b^\top x, \qquad x \in \{0,
        1\}^D

    with :math:`W` symmetric with a zero diagonal. The sum :math:`Z` has :math:`2^D` terms: exact up to 16
    variables; beyond, ``pseudo_log_prob`` trains without it.

    Args:
        dim: number of variables D.

    Parameters: ``raw_couplings`` of shape ``(D, D)``, of which the symmetric part off the diagonal counts;
    ``bias`` of shape ``(D,)``.

    Reference: D. H. Ackley, G. E. Hinton, T. J. Sejnowski, A Learning Algorithm for Boltzmann Machines, 1985.
    Chapter: 2-models/18-spectrum-fully-observed.

    >>> model = BoltzmannMachine(4)
    >>> round(model.log_prob(all_binary(4)).exp().sum().item(), 4)
    1.0
    """

    def __init__(self, dim: int):
        super().__init__()
        check_count("dim", dim)
        self.dim = dim
        self.raw_couplings = nn.Parameter(0.1 * torch.randn(dim, dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def couplings(self) -> Tensor:
        """The symmetric couplings W with a zero diagonal, shape ``(D, D)``."""
        symmetric = (self.raw_couplings + self.raw_couplings.T) / 2
        return symmetric - torch.diag(symmetric.diagonal())

    def _state(self, x: Tensor) -> Tensor:
        """States of the right size, as numbers of the model's type: they may come as truth values."""
        check_shape("x", x, "...", self.dim)
        return x.to(self.bias.dtype)

    def energy(self, x: Tensor) -> Tensor:
        """The energy of states ``(..., D)``, shape ``(...)``."""
        x = self._state(x)
        return -((x @ self.couplings()) * x).sum(-1) / 2 - x @ self.bias

    def log_partition(self) -> Tensor:
        """The exact log Z, a scalar, by enumeration of at most 16 variables."""
        return (-self.energy(all_binary(self.dim, like=self.bias))).logsumexp(0)

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-probability of states ``(..., D)``, shape ``(...)``, in nats."""
        return -self.energy(x) - self.log_partition()

    def pseudo_log_prob(self, x: Tensor) -> Tensor:
        r"""The log-pseudolikelihood of states ``(..., D)``, shape ``(...)``, in nats; it needs no Z.

        .. math:: \sum_d \log p(x_d \mid x_{-d}), \qquad p(x_d = 1 \mid x_{-d}) = \sigma((W x)_d + b_d)

        Reference: J. Besag, Statistical Analysis of Non-Lattice Data, 1975.
        """
        x = self._state(x)
        logits = x @ self.couplings() + self.bias
        return nn.functional.logsigmoid((2 * x - 1) * logits).sum(-1)

    @torch.no_grad()
    def gibbs(self, x: Tensor, sweeps: int = 1) -> Tensor:
        """Resample every variable in turn, ``sweeps`` times; states ``(..., D)`` to states of the same
        shape."""
        x, couplings = self._state(x).clone(), self.couplings()
        for _ in range(sweeps):
            for d in range(self.dim):
                x[..., d] = torch.bernoulli(torch.sigmoid(x @ couplings[d] + self.bias[d]))
        return x

    @torch.no_grad()
    def sample(self, n: int, sweeps: int = 200) -> Tensor:
        """Draw n states, ``(n, D)``: exactly up to 16 variables, by ``sweeps`` of Gibbs sampling beyond."""
        check_count("n", n)
        if self.dim <= 16:
            states = all_binary(self.dim, like=self.bias)
            return states[torch.multinomial(self.log_prob(states).exp(), n, replacement=True)]
        start = torch.bernoulli(
            torch.full((n, self.dim), 0.5, dtype=self.bias.dtype, device=self.bias.device)
        )
        return self.gibbs(start, sweeps)


@torch.no_grad()
def ising(height: int, width: int, coupling: float, field: float = 0.0) -> BoltzmannMachine:
    r"""The Ising model on a lattice with free edges, written with :math:`x = (s + 1) / 2`.

    .. math:: p(s) \propto \exp\Big(J \sum_{i \sim j} s_i s_j + h \sum_i s_i\Big), \qquad s \in \{-1, 1\}^{H
        W}

    Args:
        height, width: size of the lattice; variables are numbered row by row.
        coupling: J, the same for all neighbours.
        field: h.

    Returns:
        a :class:`BoltzmannMachine` of ``height * width`` variables.

    Reference: E. Ising, Beitrag zur Theorie des Ferromagnetismus, 1925.
    Chapter: 2-models/18-spectrum-fully-observed.

    >>> model = ising(2, 2, coupling=0.5)
    >>> model.couplings()[0]
    tensor([0., 2., 2., 0.], grad_fn=<SelectBackward0>)
    """
    check_count("height", height)
    check_count("width", width)
    model = BoltzmannMachine(height * width)
    row, column = torch.arange(height * width) // width, torch.arange(height * width) % width
    distance = (row[:, None] - row).abs() + (column[:, None] - column).abs()
    neighbours = (distance == 1).to(model.bias)
    # J s_i s_j = 4 J x_i x_j - 2 J (x_i + x_j) + const, and h s_i = 2 h x_i + const.
    model.raw_couplings.copy_(4 * coupling * neighbours)
    model.bias.copy_(2 * field - 2 * coupling * neighbours.sum(0))
    return model
