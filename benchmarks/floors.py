"""The flows of the benchmark written by hand, the least it takes: the floor under a library's generality.

They hold lists of tensors, take no context and check nothing.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def linear(d_in: int, d_out: int) -> list[Tensor]:
    weight = (torch.randn(d_out, d_in) / math.sqrt(d_in)).requires_grad_()
    return [weight, torch.zeros(d_out, requires_grad=True)]


def mlp(sizes: list[int]) -> list[list[Tensor]]:
    return [linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]


def normal_log_prob(z: Tensor) -> Tensor:
    return -0.5 * z.square().sum(-1) - 0.5 * z.shape[-1] * math.log(2 * math.pi)


class CouplingFloor:
    """Real NVP's density: halves kept apart, roles exchanged by exchanging names."""

    def __init__(self, dim: int, layers: int, hidden: int, bound: float = 3.0):
        self.half, self.bound = dim // 2, bound
        self.nets = [mlp([self.half, hidden, hidden, dim]) for _ in range(layers)]
        for net in self.nets:
            net[-1][0].data.zero_()

    def parameters(self) -> list[Tensor]:
        return [p for net in self.nets for layer in net for p in layer]

    def nll(self, x: Tensor) -> Tensor:
        a, b = x.split(self.half, dim=-1)
        ladj = 0.0
        for first, second, third in reversed(self.nets):
            h = F.relu(F.linear(a, *first))
            h = F.relu(F.linear(h, *second))
            shift, raw = F.linear(h, *third).chunk(2, dim=-1)
            log_scale = self.bound * torch.tanh(raw / self.bound)
            b = torch.addcmul(shift, b, torch.exp(-log_scale))
            ladj = ladj - log_scale.sum(-1)
            a, b = b, a
        return -(normal_log_prob(torch.cat((a, b), dim=-1)) + ladj).mean()


class AutoregressiveFloor:
    """Drawing from an affine autoregressive flow: a hidden unit a degree and layer, each computed once."""

    def __init__(self, dim: int, layers: int, bound: float = 3.0):
        self.dim, self.bound = dim, bound
        self.nets = [mlp([dim, dim - 1, dim - 1, 2 * dim]) for _ in range(layers)]

    @torch.no_grad()
    def draw(self, n: int) -> Tensor:
        x = torch.randn(self.dim, n)
        for (w1, b1), (w2, b2), (w3, b3) in self.nets:
            z, x = x, torch.empty(self.dim, n)
            h1, h2 = torch.empty(self.dim - 1, n), torch.empty(self.dim - 1, n)
            w3, b3 = w3.view(2, self.dim, -1), b3.view(2, self.dim, 1)
            b1, b2 = b1[:, None], b2[:, None]
            log_scales = []
            for i in range(self.dim):
                if i:
                    h1[i - 1 : i] = F.relu(torch.addmm(b1[i - 1 : i], w1[i - 1 : i, :i], x[:i]))
                    h2[i - 1 : i] = F.relu(torch.addmm(b2[i - 1 : i], w2[i - 1 : i, :i], h1[:i]))
                shift, raw = torch.addmm(b3[:, i], w3[:, i, :i], h2[:i])
                log_scale = self.bound * torch.tanh(raw / self.bound)
                x[i] = (z[i] - shift) * torch.exp(log_scale)
                log_scales.append(log_scale)
            torch.stack(log_scales).sum(0)
            x = x.flip(0)
        return x.T


class PlanarFloor:
    """A stack of planar layers, its directions constrained, run forward with its log-determinant."""

    def __init__(self, dim: int, layers: int):
        self.w, self.u = torch.randn(2, layers, dim).div(math.sqrt(dim)).unbind()
        self.b = torch.zeros(layers)
        for p in self.parameters():
            p.requires_grad_()

    def parameters(self) -> list[Tensor]:
        return [self.w, self.u, self.b]

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        product = (self.w * self.u).sum(-1)
        slopes = F.softplus(product) - 1
        u = self.u + ((slopes - product) / self.w.square().sum(-1))[:, None] * self.w
        hs = []
        for w_k, u_k, b_k in zip(self.w.unbind(), u.unbind(), self.b.unbind(), strict=True):
            h = torch.tanh(torch.mv(z, w_k) + b_k)
            z = torch.addcmul(z, h[:, None], u_k)
            hs.append(h)
        return z, torch.log1p((1 - torch.stack(hs).square()) * slopes[:, None]).sum(0)
