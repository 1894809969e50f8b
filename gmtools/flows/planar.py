"""Planar and radial flows, as stacks of layers with all parameters in a few tensors."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gmtools.checks import check_count
from gmtools.flows.core import Bijection
from gmtools.flows.root import monotone_root

MARGIN = 1e-3  # how far every layer stays from being singular


class Planar(Bijection):
    r"""A stack of planar layers: each moves points along one direction by a function of one projection.

    .. math::

        z_{k} = z_{k-1} + \hat u_k h_k, \quad h_k = \tanh(w_k^\top z_{k-1} + b_k), \qquad
        \log |\det J| = \sum_k \log \left( 1 + (1 - h_k^2)\, w_k^\top \hat u_k \right)

    A layer is invertible when :math:`w^\top \hat u > -1`, which is enforced by

    .. math::

        \hat u = u + \left( m(w^\top u) - w^\top u \right) \frac{w}{\|w\|^2}, \qquad
        m(a) = -1 + \varepsilon + \operatorname{softplus}(a + \text{const}), \quad m(0) = 0.

    Forward: K products with a vector, O(K D) a point. Inverse: one scalar equation a layer, solved
    numerically and differentiably, at some ten to twenty times the cost of forward.

    Args:
        dim: size D.
        layers: number of layers K.

    Shapes:
        parameters: ``u`` and ``w`` of shape ``(K, D)``, ``b`` of shape ``(K,)``.

    Reference: Rezende, Mohamed (2015), Variational inference with normalizing flows, sections 4.1 and A.1.

    Chapter: ``5-posteriors/56-sequences-of-transformations``

    >>> f = Planar(2, layers=8)
    >>> z = torch.randn(5, 2)
    >>> x, ladj = f(z)
    >>> torch.allclose(f.inverse(x)[0], z, atol=1e-5)
    True
    """

    def __init__(self, dim: int, layers: int):
        super().__init__(dim)
        check_count("layers", layers)
        self.w = nn.Parameter(torch.randn(layers, dim) / math.sqrt(dim))
        self.u = nn.Parameter(0.1 * torch.randn(layers, dim) / math.sqrt(dim))
        self.b = nn.Parameter(torch.zeros(layers))

    def forward(self, z, context=None):
        x = self._admit("z", z, context)
        batch = x.shape[:-1]
        x = x.reshape(-1, self.dim)
        u, slopes = self.constrained()
        hs = []
        for w_k, u_k, b_k in zip(self.w.unbind(), u.unbind(), self.b.unbind(), strict=True):
            h = torch.tanh(torch.mv(x, w_k) + b_k)
            x = torch.addcmul(x, h[:, None], u_k)
            hs.append(h)
        return x.reshape(z.shape), self._ladj(torch.stack(hs), slopes).reshape(batch)

    def inverse(self, x, context=None):
        z = self._admit("x", x, context)
        batch = z.shape[:-1]
        z = z.reshape(-1, self.dim)
        u, slopes = self.constrained()
        hs = []
        for w_k, u_k, b_k, slope in reversed(list(zip(self.w, u, self.b, slopes, strict=True))):
            a = _solve_tanh(torch.mv(z, w_k) + b_k, slope)
            h = torch.tanh(a)
            z = z - h[:, None] * u_k
            hs.append(h)
        return z.reshape(x.shape), -self._ladj(torch.stack(hs[::-1]), slopes).reshape(batch)

    def constrained(self) -> tuple[Tensor, Tensor]:
        r"""The invertible directions :math:`\hat u`, ``(K, D)``, and :math:`w^\top \hat u`, ``(K,)``."""
        product = (self.w * self.u).sum(-1)
        slopes = above_minus_one(product)
        squared = self.w.square().sum(-1).clamp_min(torch.finfo(self.w.dtype).tiny)
        return self.u + ((slopes - product) / squared)[:, None] * self.w, slopes

    @staticmethod
    def _ladj(h: Tensor, slopes: Tensor) -> Tensor:
        return torch.log1p((1 - h.square()) * slopes[:, None]).sum(0)


class Radial(Bijection):
    r"""A stack of radial layers: each draws points towards a centre or pushes them away.

    .. math::

        z_k = z_{k-1} + \frac{\beta_k}{\alpha_k + r} (z_{k-1} - c_k), \quad r = \|z_{k-1} - c_k\|, \qquad
        \log |\det J_k| = (D - 1) \log \left( 1 + \frac{\beta}{\alpha + r} \right)
                        + \log \left( 1 + \frac{\alpha \beta}{(\alpha + r)^2} \right)

    A layer is invertible when :math:`\beta > -\alpha`, enforced by :math:`\alpha = e^a` and
    :math:`\beta = \alpha\, m(b)` with :math:`m > -1`. Both directions cost O(K D) a point: the new radius is
    a quadratic equation of the old one, which the inverse solves in closed form.

    Args:
        dim: size D.
        layers: number of layers K.

    Shapes:
        parameters: ``centre`` ``(K, D)``, ``log_alpha`` and ``raw_beta`` ``(K,)``.

    Reference: Rezende, Mohamed (2015), Variational inference with normalizing flows, sections 4.1 and A.2.

    Chapter: ``5-posteriors/56-sequences-of-transformations``

    >>> x, ladj = Radial(2, layers=8)(torch.randn(5, 2))
    >>> x.shape, ladj.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    def __init__(self, dim: int, layers: int):
        super().__init__(dim)
        check_count("layers", layers)
        self.centre = nn.Parameter(torch.randn(layers, dim))
        self.log_alpha = nn.Parameter(torch.zeros(layers))
        self.raw_beta = nn.Parameter(0.1 * torch.randn(layers))

    def forward(self, z, context=None):
        z = self._admit("z", z, context)
        radii = []
        for centre, alpha, beta in zip(self.centre, *self.constrained(), strict=True):
            offset, r = _polar(z, centre)
            z = torch.addcmul(z, beta / (alpha + r), offset)
            radii.append(r)
        return z, self._ladj(torch.cat(radii, dim=-1))

    def inverse(self, x, context=None):
        x = self._admit("x", x, context)
        radii = []
        for centre, alpha, beta in reversed(list(zip(self.centre, *self.constrained(), strict=True))):
            offset, moved = _polar(x, centre)
            # r (alpha + r + beta) = moved (alpha + r), written so that nothing cancels
            b = alpha + beta - moved
            root = (b.square() + 4 * alpha * moved).sqrt()
            r = torch.where(b > 0, 2 * alpha * moved / (root + b.abs()), (root + b.abs()) / 2)
            x = centre + offset / (1 + beta / (alpha + r))
            radii.append(r)
        return x, -self._ladj(torch.cat(radii[::-1], dim=-1))

    def constrained(self) -> tuple[Tensor, Tensor]:
        r"""The :math:`\alpha > 0` and :math:`\beta > -\alpha`, each ``(K,)``."""
        alpha = self.log_alpha.exp()
        return alpha, alpha * above_minus_one(self.raw_beta)

    def _ladj(self, r: Tensor) -> Tensor:
        alpha, beta = self.constrained()
        ratio = beta / (alpha + r)
        return ((self.dim - 1) * ratio.log1p() + (ratio * alpha / (alpha + r)).log1p()).sum(-1)


def above_minus_one(raw: Tensor) -> Tensor:
    """Map the line onto numbers above -1 (by a small margin), zero to zero.

    >>> above_minus_one(torch.tensor([-100.0, 0.0])).round(decimals=4).abs()
    tensor([0.9990, 0.0000])
    """
    return MARGIN - 1 + F.softplus(raw + math.log(math.expm1(1 - MARGIN)))


def _solve_tanh(target: Tensor, slope: Tensor) -> Tensor:
    """The a with a + slope * tanh(a) = target, for slope > -1."""

    def equation(a):
        h = torch.tanh(a)
        return a + slope * h - target, 1 + slope * (1 - h.square())

    width = slope.abs() + 1e-6 * target.abs()
    return monotone_root(equation, target - width, target + width)


def _polar(z: Tensor, centre: Tensor) -> tuple[Tensor, Tensor]:
    """Offset from the centre and its length ``(..., 1)``, whose gradient at the centre is zero, not NaN."""
    offset = z - centre
    squared = offset.square().sum(-1, keepdim=True)
    return offset, squared.clamp_min(torch.finfo(z.dtype).tiny).sqrt()
