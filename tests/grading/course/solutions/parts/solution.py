"""Reference answers of the lab of parts."""

import torch
from torch import nn


class Affine(nn.Module):
    """x = exp(log_scale) z + shift; forward и inverse връщат стойност и логаритъм от |det|, (N,)."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim
        self.log_scale, self.shift = nn.Parameter(torch.zeros(dim)), nn.Parameter(torch.zeros(dim))

    def forward(self, z):
        return self.log_scale.exp() * z + self.shift, self.log_scale.sum().expand(len(z))

    def inverse(self, x):
        return (x - self.shift) * (-self.log_scale).exp(), -self.log_scale.sum().expand(len(x))


class Both(nn.Module):
    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, z):
        y, one = self.first(z)
        x, other = self.second(y)
        return x, one + other


def ascend(score, x, steps, step):
    """x след steps стъпки x + step * score(x)."""
    for _ in range(steps):
        x = x + step * score(x)
    return x
