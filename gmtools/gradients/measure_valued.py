r"""Measure-valued (weak) derivatives: the derivative of a density as a difference of two densities.

.. math:: \nabla_\phi q_\phi(z) = c_\phi\, \big(q^+_\phi(z) - q^-_\phi(z)\big)
          \quad\Rightarrow\quad
          \nabla_\phi \mathbb{E}_q[f] = c_\phi\, \big(\mathbb{E}_{q^+}[f] - \mathbb{E}_{q^-}[f]\big)

Neither the function nor the sampler is differentiated, and ``f`` may jump. The price is two evaluations of
``f`` for each parameter of each coordinate. The two draws are coupled, which takes most of the noise away.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Exponential, Independent, Normal, Poisson

from gmtools.checks import check_count

from .surrogate import attach, evaluate


class WeakDerivative(NamedTuple):
    r"""One parameter's triple :math:`(c_\phi, q^+_\phi, q^-_\phi)`, the distributions as coupled draws.

    Attributes:
        parameter: :math:`\phi`, shape ``(*batch, D)``.
        constant: :math:`c_\phi`, shape ``(*batch, D)``.
        positive: draws of :math:`q^+_\phi`, shape ``(K, *batch, D)``.
        negative: draws of :math:`q^-_\phi`, shape ``(K, *batch, D)``.
    """

    parameter: Tensor
    constant: Tensor
    positive: Tensor
    negative: Tensor


def measure_valued(f: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the measure-valued gradient, coordinate by coordinate.

    .. math:: \frac{1}{K} \sum_{k=1}^K c_{\phi_d}\, \big(f(z_k^{d+}) - f(z_k^{d-})\big),

    where :math:`z^{d\pm}` has its coordinate d drawn from :math:`q^\pm` and the others from q.

    ======================  ==================  ============================  ============================
    parameter               constant            positive part                 negative part
    ======================  ==================  ============================  ============================
    normal mean             1 / (σ √(2π))       μ + σ Rayleigh                μ - σ Rayleigh
    normal scale            1 / σ               double-sided Maxwell (μ, σ)   normal (μ, σ)
    Poisson rate            1                   Poisson + 1                   Poisson
    exponential rate λ      1 / λ               exponential(λ)                gamma(2, λ)
    Bernoulli probability   1                   1                             0
    ======================  ==================  ============================  ============================

    Args:
        f: any function; maps draws ``(n, *batch, *event)`` to values ``(n, *batch)`` for every n.
        q: ``Normal``, ``Poisson``, ``Exponential`` or ``Bernoulli``, or ``Independent(..., 1)`` of one.
        K: number of draws; each costs 2 D evaluations of ``f`` a parameter.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 1, another q, or ``f`` returns a wrong shape or NaN.

    Reference: Pflug (1989), Sampling derivatives of probabilities; Mohamed, Rosca, Figurnov & Mnih (2020),
        Monte Carlo gradient estimation in machine learning, section 6.

    Chapter: 4-gradients/44-gradient-estimators

    >>> rate = torch.tensor(3.0, requires_grad=True)
    >>> measure_valued(lambda z: 2 * z, torch.distributions.Poisson(rate), K=1).backward()
    >>> rate.grad
    tensor(2.)
    """
    check_count("K", K)
    if not q.event_shape:
        scalar = f
        f, base = (lambda z: scalar(z[..., 0])), _unsqueeze(q)
    elif isinstance(q, Independent) and q.reinterpreted_batch_ndims == 1:
        base = q.base_dist
    else:
        raise ValueError(f"q is {type(q).__name__}, expected independent coordinates: Independent(..., 1)")
    q = Independent(base, 1)
    z = q.sample((K,))
    term = torch.zeros(K, *q.batch_shape, dtype=z.dtype, device=z.device)
    for triple in _weak_derivatives(base, K):
        difference = _swap_each(f, z, triple.positive, q) - _swap_each(f, z, triple.negative, q)
        term = term + (triple.parameter * (triple.constant * difference).detach()).sum(-1)
    return attach(evaluate("f", f, z, q), term).mean(0)


def _swap_each(f: Callable[[Tensor], Tensor], z: Tensor, other: Tensor, q: Distribution) -> Tensor:
    """Values of ``f`` with each coordinate in turn taken from ``other``, shape ``(K, *batch, D)``."""
    K, D = z.shape[0], z.shape[-1]
    turn = torch.eye(D, dtype=torch.bool, device=z.device).reshape(D, *[1] * (z.dim() - 1), D)
    swapped = torch.where(turn, other, z)  # (D, K, *batch, D)
    values = evaluate("f", f, swapped.flatten(0, 1), q)
    return values.unflatten(0, (D, K)).movedim(0, -1)


def _weak_derivatives(base: Distribution, K: int) -> list[WeakDerivative]:
    if isinstance(base, Normal):
        return [_normal_mean(base, K), _normal_scale(base, K)]
    z = base.sample((K,))
    if isinstance(base, Poisson):
        return [WeakDerivative(base.rate, torch.ones_like(base.rate), z + 1, z)]
    if isinstance(base, Exponential):
        return [WeakDerivative(base.rate, 1 / base.rate, z, z + base.sample((K,)))]
    if isinstance(base, Bernoulli):
        return [
            WeakDerivative(base.probs, torch.ones_like(base.probs), torch.ones_like(z), torch.zeros_like(z))
        ]
    raise ValueError(f"q is {type(base).__name__}, expected Normal, Poisson, Exponential or Bernoulli")


def _normal_mean(base: Normal, K: int) -> WeakDerivative:
    rayleigh = (2 * torch.empty_like(base.loc.expand(K, *base.batch_shape)).exponential_()).sqrt()
    constant = 1 / (base.scale * math.sqrt(2 * math.pi))
    step = base.scale * rayleigh
    return WeakDerivative(base.loc, constant, base.loc + step, base.loc - step)


def _normal_scale(base: Normal, K: int) -> WeakDerivative:
    shape = (3, K, *base.batch_shape)
    maxwell = torch.randn(shape, dtype=base.loc.dtype, device=base.loc.device).norm(dim=0)
    uniform = 2 * torch.rand(shape[1:], dtype=base.loc.dtype, device=base.loc.device) - 1
    positive = base.loc + base.scale * maxwell * uniform.sign()
    negative = base.loc + base.scale * maxwell * uniform  # Maxwell times uniform is half-normal
    return WeakDerivative(base.scale, 1 / base.scale, positive, negative)


def _unsqueeze(q: Distribution) -> Distribution:
    """Turn the last scalar into a vector of one coordinate."""
    arguments = {
        Normal: ("loc", "scale"),
        Poisson: ("rate",),
        Exponential: ("rate",),
        Bernoulli: ("probs",),
    }.get(type(q))
    if arguments is None:
        raise ValueError(f"q is {type(q).__name__}, expected Normal, Poisson, Exponential or Bernoulli")
    return type(q)(*(getattr(q, name)[..., None] for name in arguments))
