"""Sylvester flows: planar layers with several directions at once."""

import math

import torch
from torch import Tensor, nn

from gmtools.checks import check_count
from gmtools.flows.core import Bijection
from gmtools.flows.planar import above_minus_one
from gmtools.flows.root import monotone_root


class Sylvester(Bijection):
    r"""A stack of orthogonal Sylvester layers: each moves points within an M-dimensional subspace.

    .. math::

        z_k = z_{k-1} + Q R\, h, \quad h = \tanh(\tilde R Q^\top z_{k-1} + b), \qquad
        \log |\det J_k| = \sum_{i=1}^{M} \log \left( 1 + (1 - h_i^2)\, R_{ii} \tilde R_{ii} \right)

    Q has M orthonormal columns, R and :math:`\tilde R` are upper triangular. A layer is invertible when
    :math:`R_{ii} \tilde R_{ii} > -1`, enforced. With M = 1 it is a planar layer. Forward: O(K D M) a point
    and one QR factorisation a layer. Inverse: K M scalar equations, from the last row up, solved numerically
    and differentiably.

    Args:
        dim: size D.
        layers: number of layers K.
        width: M, from 1 to D.

    Raises:
        ValueError: a width beyond D.

    Reference: van den Berg, Hasenclever, Tomczak, Welling (2018), Sylvester normalizing flows for variational
        inference.

    Chapter: ``5-posteriors/58-choice-of-transformation``

    >>> x, ladj = Sylvester(5, layers=2, width=3)(torch.randn(7, 5))
    >>> x.shape, ladj.shape
    (torch.Size([7, 5]), torch.Size([7]))
    """

    def __init__(self, dim: int, layers: int, width: int):
        super().__init__(dim)
        check_count("layers", layers)
        check_count("width", width)
        if width > dim:
            raise ValueError(f"width is {width}, expected at most dim = {dim}")
        self.basis = nn.Parameter(torch.randn(layers, dim, width))
        self.outer = nn.Parameter(0.1 * torch.randn(layers, width, width) / math.sqrt(width))
        self.inner = nn.Parameter(torch.randn(layers, width, width) / math.sqrt(width))
        self.b = nn.Parameter(torch.zeros(layers, width))

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        q, outer, inner, slopes = self.constrained()
        ladj = 0.0
        for q_k, outer_k, inner_k, slope, b in zip(q, outer, inner, slopes, self.b, strict=True):
            h = torch.tanh(z @ q_k @ inner_k.T + b)
            z = z + h @ outer_k.T @ q_k.T
            ladj = ladj + torch.log1p((1 - h.square()) * slope).sum(-1)
        return z, ladj

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        ladj = 0.0
        for q, outer, inner, slope, b in reversed(list(zip(*self.constrained(), self.b, strict=True))):
            moved = x @ q
            h = self._solve(moved, outer, inner, slope, b)
            x = x - h @ outer.T @ q.T
            ladj = ladj - torch.log1p((1 - h.square()) * slope).sum(-1)
        return x, ladj

    def constrained(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        r"""Q ``(K, D, M)``, R and :math:`\tilde R` ``(K, M, M)``, and the products of their diagonals ``(K,
        M)``.

        The diagonal of :math:`\tilde R` is positive and that of R follows from the constrained product.
        """
        q, _ = torch.linalg.qr(self.basis)
        inner_diagonal = torch.nn.functional.softplus(self.inner.diagonal(dim1=-2, dim2=-1)) + 1e-3
        slopes = above_minus_one(self.outer.diagonal(dim1=-2, dim2=-1))
        outer = self.outer.triu(1) + torch.diag_embed(slopes / inner_diagonal)
        inner = self.inner.triu(1) + torch.diag_embed(inner_diagonal)
        return q, outer, inner, slopes

    def _solve(self, moved: Tensor, outer: Tensor, inner: Tensor, slope: Tensor, b: Tensor) -> Tensor:
        """The h of a layer from Q'x, row by row: a row sees only itself and the rows below it."""
        ys: list[Tensor] = []  # the projections Q'z of the rows below, nearest first
        hs: list[Tensor] = []
        for i in reversed(range(len(b))):
            below = slice(i + 1, None)
            y_below, h_below = _rows(ys, moved), _rows(hs, moved)
            target = moved[..., i] - h_below @ outer[i, below]
            shift = y_below @ inner[i, below] + b[i]
            y = _solve_row(target, shift, inner[i, i], outer[i, i])
            ys.insert(0, y)
            hs.insert(0, torch.tanh(inner[i, i] * y + shift))
        return torch.stack(hs, dim=-1)


def _rows(rows: list[Tensor], like: Tensor) -> Tensor:
    return torch.stack(rows, dim=-1) if rows else like[..., :0]


def _solve_row(target: Tensor, shift: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """The y with y + outer * tanh(inner * y + shift) = target, for inner * outer > -1."""

    def equation(y):
        h = torch.tanh(inner * y + shift)
        return y + outer * h - target, 1 + inner * outer * (1 - h.square())

    width = outer.abs() + 1e-6 * target.abs()
    return monotone_root(equation, target - width, target + width)
