r"""Gradients of Gaussian expectations of first and second order (Bonnet's and Price's theorems).

For :math:`z = \mu + C \epsilon`, :math:`\epsilon \sim \mathcal{N}(0, I)`, with the gradient
:math:`g = \nabla_z f(z)` and the Hessian :math:`H = \nabla_z^2 f(z)`, the differential of
:math:`\mathbb{E}_{\mathcal{N}(\mu, CC^\top)}[f(z)]` is

.. math:: \mathbb{E}[g^\top (d\mu + dC\, \epsilon)] = \mathbb{E}[g^\top d\mu + \operatorname{tr}(dC^\top H C)]
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
)

from gmtools.checks import check_count

from .surrogate import attach, evaluate


def gaussian_first_order(f: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the first-order Gaussian gradient, written as slide 48 writes it.

    .. math:: \frac{1}{K} \sum_k g_k^\top (\nabla_\phi \mu + \nabla_\phi C\, \epsilon_k), \qquad
              g_k = \nabla_z f(z_k)

    The pathwise estimator for a Gaussian, with :math:`g` shape ``(K, *batch, D)``, :math:`\mu` shape
    ``(*batch, D)`` and :math:`C` shape ``(*batch, D, R)`` in view.

    Args:
        f: differentiable; maps draws ``(K, *batch, D)`` to values ``(K, *batch)``.
        q: ``Normal``, ``Independent(Normal, 1)``, ``MultivariateNormal`` or ``LowRankMultivariateNormal``.
        K: number of draws.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 1, q is no Gaussian, or ``f`` returns a wrong shape or NaN.

    Reference: Bonnet (1964), Transformations des signaux aléatoires à travers les systèmes non linéaires
        sans mémoire; Rezende, Mohamed & Wierstra (2014), Stochastic backpropagation and approximate
        inference in deep generative models.

    Chapter: 4-gradients/48-gaussian-gradients

    >>> loc = torch.zeros(2, requires_grad=True)
    >>> q = torch.distributions.MultivariateNormal(loc, torch.eye(2))
    >>> gaussian_first_order(lambda z: z[..., 0] - z[..., 1], q, K=3).backward()
    >>> loc.grad
    tensor([ 1., -1.])
    """
    check_count("K", K)
    f, q, loc, factor, noise = _prepare(f, q, K)
    z = (loc + _times(factor, noise)).detach()
    with torch.no_grad():
        slope = torch.func.grad(lambda x: f(x).sum())(z)
    path = (slope * (loc + _times(factor, noise))).sum(-1)
    return attach(evaluate("f", f, z, q), path).mean(0)


def gaussian_second_order(
    f: Callable[[Tensor], Tensor], q: Distribution, K: int, probes: int | None = None
) -> Tensor:
    r"""Surrogate of the second-order Gaussian gradient, by Hessian-vector products.

    .. math:: \frac{1}{K} \sum_k g_k^\top \nabla_\phi \mu
              + \operatorname{tr}(\nabla_\phi C^\top H_k C), \qquad
              \operatorname{tr}(dC^\top H C) = \sum_r (dC\, e_r)^\top H (C e_r)
              = \mathbb{E}_\nu[(dC\, \nu)^\top H (C \nu)]

    The Hessian is never formed. Each column of :math:`C` costs one product; with ``probes``, so does each
    random sign vector :math:`\nu`, and the cost no longer grows with the dimension. ``f`` must be twice
    differentiable: a piecewise linear one (ReLU) has H = 0 almost everywhere and gives a wrong answer.

    Args:
        f: twice differentiable; maps draws ``(K, *batch, D)`` to values ``(K, *batch)``.
        q: ``Normal``, ``Independent(Normal, 1)``, ``MultivariateNormal`` or ``LowRankMultivariateNormal``.
        K: number of draws.
        probes: number of random sign vectors; None takes all columns of :math:`C` exactly.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 1, probes < 1, q is no Gaussian, or ``f`` returns a wrong shape or NaN.

    Reference: Price (1958), A useful theorem for nonlinear devices having Gaussian inputs; Rezende,
        Mohamed & Wierstra (2014), Stochastic backpropagation and approximate inference in deep generative
        models.

    Chapter: 4-gradients/48-gaussian-gradients

    >>> scale = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> q = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(2), scale), 1)
    >>> gaussian_second_order(lambda z: z.square().sum(-1), q, K=1).backward()
    >>> scale.grad  # of E[z'z] = sum of scale², without noise
    tensor([2., 4.])
    """
    check_count("K", K)
    f, q, loc, factor, noise = _prepare(f, q, K)
    z = (loc + _times(factor, noise)).detach()
    if probes is None:
        directions = torch.eye(factor.shape[-1], dtype=z.dtype, device=z.device).unbind(0)
    else:
        check_count("probes", probes)
        signs = torch.randint(0, 2, (probes, *noise.shape), device=z.device).to(z.dtype) * 2 - 1
        directions = signs.unbind(0)
    with torch.no_grad():
        slope, hessian_times = torch.func.vjp(torch.func.grad(lambda x: f(x).sum()), z)
    term = (slope * loc).sum(-1)
    for direction in directions:
        column = _times(factor, direction).expand(z.shape)
        with torch.no_grad():
            curvature = hessian_times(column.detach())[0]
        term = term + (column * curvature).sum(-1) / (probes or 1)
    return attach(evaluate("f", f, z, q), term).mean(0)


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    return (matrix @ vector[..., None])[..., 0]


def _prepare(f, q: Distribution, K: int):
    """Give a scalar Normal an event dimension; return f, q, its mean, a factor C of its covariance, noise."""
    if isinstance(q, Normal):
        scalar = f
        f, q = (
            lambda z: scalar(z[..., 0]),
            Independent(Normal(q.loc[..., None], q.scale[..., None]), 1),
        )
    loc, factor = _mean_and_factor(q)
    noise = torch.randn(K, *q.batch_shape, factor.shape[-1], dtype=loc.dtype, device=loc.device)
    return f, q, loc, factor, noise


def _mean_and_factor(q: Distribution) -> tuple[Tensor, Tensor]:
    if isinstance(q, MultivariateNormal):
        return q.loc, q.scale_tril
    if isinstance(q, LowRankMultivariateNormal):
        return q.loc, torch.cat([q.cov_factor, q.cov_diag.sqrt().diag_embed()], dim=-1)
    if isinstance(q, Independent) and isinstance(q.base_dist, Normal) and q.reinterpreted_batch_ndims == 1:
        return q.base_dist.loc, q.base_dist.scale.diag_embed()
    raise ValueError(
        f"q is {type(q).__name__}, expected Normal, Independent(Normal, 1), MultivariateNormal "
        "or LowRankMultivariateNormal"
    )
