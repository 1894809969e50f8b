"""The restricted Boltzmann machine, and three ways to its negative phase: CD, persistent CD, parallel
tempering."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.models.binary import all_binary


class RBM(nn.Module):
    r"""Restricted Boltzmann machine over binary visible and hidden variables.

    .. math:: p(v, h) = \frac1Z e^{-E(v, h)}, \qquad E(v, h) = -v^\top W h - b^\top v - c^\top h, \qquad
              p(v) = \frac1Z e^{-F(v)}, \quad F(v) = -b^\top v - \sum_j \log(1 + e^{c_j + (W^\top v)_j})

    Its log-likelihood has the gradient :math:`-\nabla F(v) + \mathbb E_p[\nabla F]`. Train by minimising
    :func:`contrastive_loss` with negative samples from ``gibbs`` started at the data (contrastive
    divergence) or from :class:`TemperedChains` that persist between updates (persistent CD, parallel
    tempering).

    Args:
        d_v: number of visible variables.
        d_h: number of hidden variables.

    Parameters: ``weight`` of shape ``(d_v, d_h)``, ``visible_bias``, ``hidden_bias``.

    Reference: G. E. Hinton, Training Products of Experts by Minimizing Contrastive Divergence, 2002.
    Chapter: 2-models/26-combining-models-and-inference.

    >>> rbm = RBM(6, 3)
    >>> round(rbm.log_prob(all_binary(6)).exp().sum().item(), 4)
    1.0
    """

    def __init__(self, d_v: int, d_h: int):
        super().__init__()
        check_count("d_v", d_v)
        check_count("d_h", d_h)
        self.d_v, self.d_h = d_v, d_h
        self.weight = nn.Parameter(0.1 * torch.randn(d_v, d_h))
        self.visible_bias = nn.Parameter(torch.zeros(d_v))
        self.hidden_bias = nn.Parameter(torch.zeros(d_h))

    def _state(self, name: str, value: Tensor, size: int) -> Tensor:
        """A state of the right size, as numbers of the model's type: it may come as truth values."""
        check_shape(name, value, "...", size)
        return value.to(self.weight.dtype)

    def energy(self, v: Tensor, h: Tensor) -> Tensor:
        """The energy of states ``(..., d_v)`` and ``(..., d_h)``, shape ``(...)``."""
        v, h = self._state("v", v, self.d_v), self._state("h", h, self.d_h)
        return -((v @ self.weight) * h).sum(-1) - v @ self.visible_bias - h @ self.hidden_bias

    def free_energy(self, v: Tensor) -> Tensor:
        """The free energy F(v) of ``(..., d_v)``, shape ``(...)``."""
        v = self._state("v", v, self.d_v)
        return -v @ self.visible_bias - F.softplus(v @ self.weight + self.hidden_bias).sum(-1)

    def log_partition(self) -> Tensor:
        """The exact log Z, a scalar, by enumeration of the smaller side (at most 16 variables)."""
        if self.d_v <= self.d_h:
            return (-self.free_energy(all_binary(self.d_v, like=self.weight))).logsumexp(0)
        h = all_binary(self.d_h, like=self.weight)
        visible = F.softplus(h @ self.weight.T + self.visible_bias).sum(-1)
        return (h @ self.hidden_bias + visible).logsumexp(0)

    def log_prob(self, v: Tensor) -> Tensor:
        """The exact log-probability of ``(..., d_v)``, shape ``(...)``, in nats."""
        return -self.free_energy(v) - self.log_partition()

    @torch.no_grad()
    def sample_hidden(self, v: Tensor, beta: Tensor | float = 1.0) -> Tensor:
        """Draw h given v under the energy scaled by ``beta`` (broadcastable to ``(..., 1)``)."""
        v = self._state("v", v, self.d_v)
        return torch.bernoulli(torch.sigmoid(beta * (v @ self.weight + self.hidden_bias)))

    @torch.no_grad()
    def sample_visible(self, h: Tensor, beta: Tensor | float = 1.0) -> Tensor:
        """Draw v given h under the energy scaled by ``beta``."""
        h = self._state("h", h, self.d_h)
        return torch.bernoulli(torch.sigmoid(beta * (h @ self.weight.T + self.visible_bias)))

    def gibbs(self, v: Tensor, steps: int = 1) -> Tensor:
        """Block Gibbs sampling: h given v, v given h, ``steps`` times. From data it is contrastive
        divergence."""
        check_count("steps", steps)
        for _ in range(steps):
            v = self.sample_visible(self.sample_hidden(v))
        return v

    def sample(self, n: int, steps: int = 200) -> Tensor:
        """Draw n visible states, ``(n, d_v)``, by parallel tempering with ten temperatures."""
        check_count("n", n)
        check_count("steps", steps)
        chains = TemperedChains(self, n, torch.linspace(1, 0, 10))
        for _ in range(steps):
            v = chains.step()
        return v


def contrastive_loss(rbm: RBM, data: Tensor, negative: Tensor) -> Tensor:
    r"""A scalar whose gradient is the negative log-likelihood's, with the model's samples in place of its
    mean.

    .. math:: \frac1N \sum_n F(v_n) - \frac1M \sum_m F(v_m^-)

    Its value is no bound of the likelihood; only its gradient means something.

    Args:
        rbm: the model.
        data: visible states, shape ``(N, d_v)``.
        negative: samples of the model, shape ``(M, d_v)``; no gradient flows through them.

    Returns:
        a scalar to minimise.

    Reference: T. Tieleman, Training Restricted Boltzmann Machines using Approximations to the Likelihood
    Gradient, 2008. Chapter: 2-models/26-combining-models-and-inference.

    >>> rbm = RBM(4, 2)
    >>> v = all_binary(4)
    >>> contrastive_loss(rbm, v, rbm.gibbs(v, 3)).shape
    torch.Size([])
    """
    return rbm.free_energy(data).mean() - rbm.free_energy(negative.detach()).mean()


class TemperedChains:
    r"""Markov chains of an RBM that persist: one temperature is persistent CD, several are parallel
    tempering.

    .. math:: p_\beta(v, h) \propto e^{-\beta E(v, h)}, \qquad
              P(\text{swap } i, j) = \min\left(1, e^{(\beta_i - \beta_j)(E_i - E_j)}\right)

    A step is one round of Gibbs sampling at every temperature, then proposed swaps of neighbours, of even
    and odd pairs in turn. Hot chains cross between modes, and swaps bring what they find to :math:`\beta =
    1`.

    Args:
        rbm: the model; it may learn between steps.
        chains: number M of independent sets of chains.
        betas: inverse temperatures, decreasing from 1; None for ``[1.0]``.

    Raises:
        ValueError: ``betas`` do not start at 1 or do not decrease.

    Reference: G. Desjardins and others, Tempered Markov Chain Monte Carlo for Training of Restricted
    Boltzmann Machines, 2010. Chapter: 2-models/26-combining-models-and-inference.

    >>> chains = TemperedChains(RBM(6, 3), chains=5, betas=torch.tensor([1.0, 0.5, 0.0]))
    >>> chains.step().shape, chains.v.shape
    (torch.Size([5, 6]), torch.Size([3, 5, 6]))
    """

    def __init__(self, rbm: RBM, chains: int, betas: Tensor | None = None):
        check_count("chains", chains)
        betas = torch.ones(1) if betas is None else betas
        check_shape("betas", betas, "B")
        if betas[0] != 1 or (betas.diff() >= 0).any():
            raise ValueError(f"betas is {betas.tolist()}, expected to start at 1 and to decrease")
        self.rbm = rbm
        self.betas = betas.to(rbm.weight)[:, None, None]
        self.v = torch.bernoulli(torch.full_like(rbm.visible_bias, 0.5).expand(len(betas), chains, -1))
        self._odd = 0

    @torch.no_grad()
    def step(self) -> Tensor:
        """One round; returns the states at beta = 1, shape ``(M, d_v)``."""
        h = self.rbm.sample_hidden(self.v, self.betas)
        v = self.rbm.sample_visible(h, self.betas)
        energy, beta = self.rbm.energy(v, h), self.betas[:, 0]  # (B, M), (B, 1)
        order = torch.arange(len(beta), device=v.device)[:, None].repeat(1, v.shape[1])
        i = torch.arange(len(beta) - 1, device=v.device)[self._odd :: 2]
        log_ratio = (beta[i] - beta[i + 1]) * (energy[i] - energy[i + 1])
        swap = (torch.rand_like(log_ratio).log() < log_ratio).long()
        order[i] += swap
        order[i + 1] -= swap
        self._odd = 1 - self._odd
        self.v = v.gather(0, order[..., None].expand_as(v))
        return self.v[0].clone()
