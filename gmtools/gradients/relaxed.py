r"""Continuous relaxations of discrete draws: biased estimators of low variance.

A categorical draw is the argmax of logits plus Gumbel noise. The softmax of the same sum at temperature
:math:`\tau` is differentiable, and tends to the draw as :math:`\tau \to 0`, while the variance of its
gradient grows.
"""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    Independent,
    OneHotCategorical,
    RelaxedBernoulli,
    RelaxedOneHotCategorical,
)

from gmtools.checks import check_count, check_positive

from .surrogate import evaluate


def gumbel_softmax(f: Callable[[Tensor], Tensor], q: Distribution, K: int, temperature: float) -> Tensor:
    r"""Surrogate of the Gumbel-softmax (concrete) estimator.

    .. math:: \frac{1}{K} \sum_{k=1}^K \nabla_\phi f(z_k), \qquad
              z_k = \operatorname{softmax}\big((\log \pi_\phi + g_k) / \tau\big),
              \quad g_k \sim \text{Gumbel}(0, 1)

    Unbiased for the relaxed problem, biased for the discrete one: value and gradient are those of ``f`` at
    relaxed draws, inside the simplex.

    Args:
        f: differentiable off the corners; maps draws ``(K, *batch, *event)`` to values ``(K, *batch)``.
        q: ``OneHotCategorical``, ``Bernoulli``, or ``Independent`` of one.
        K: number of draws.
        temperature: :math:`\tau > 0`.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 1, temperature not positive, another q, or ``f`` returns a wrong shape or NaN.

    Reference: Jang, Gu & Poole (2017), Categorical reparameterization with Gumbel-softmax; Maddison, Mnih &
        Teh (2017), The concrete distribution: a continuous relaxation of discrete random variables.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> import torch
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> q = torch.distributions.OneHotCategorical(logits=logits)
    >>> gumbel_softmax(lambda z: (z * torch.arange(3.0)).sum(-1), q, K=5, temperature=0.5).backward()
    >>> logits.grad.shape
    torch.Size([3])
    """
    check_count("K", K)
    z = relax(q, temperature).rsample((K,))
    return evaluate("f", f, z, q).mean(0)


def straight_through(
    f: Callable[[Tensor], Tensor], q: Distribution, K: int, temperature: float | None = None
) -> Tensor:
    r"""Surrogate of the straight-through estimator: a discrete draw forward, a smooth one backward.

    .. math:: z = \text{draw} + s - \operatorname{stopgrad}(s)

    With a temperature, ``s`` is the Gumbel-softmax whose argmax is the draw; without one it is the mean of
    ``q`` (Bengio's estimator). ``f`` sees true draws, so the value is unbiased; the gradient is not, except
    without temperature for an ``f`` linear in each independent variable while the others stay fixed, such as
    a product of Bernoulli draws.

    Args:
        f: differentiable; maps draws ``(K, *batch, *event)`` to values ``(K, *batch)``.
        q: ``OneHotCategorical``, ``Bernoulli``, or ``Independent`` of one.
        K: number of draws.
        temperature: :math:`\tau > 0`, or None.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 1, temperature not positive, another q, or ``f`` returns a wrong shape or NaN.

    Reference: Bengio, Léonard & Courville (2013), Estimating or propagating gradients through stochastic
        neurons for conditional computation; Jang, Gu & Poole (2017), Categorical reparameterization with
        Gumbel-softmax.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> import torch
    >>> p = torch.tensor(0.3, requires_grad=True)
    >>> straight_through(lambda z: 2 * z, torch.distributions.Bernoulli(p), K=1).backward()
    >>> p.grad
    tensor(2.)
    """
    check_count("K", K)
    relaxation = relax(q, 1.0 if temperature is None else temperature)  # also rejects any other q
    if temperature is None:
        hard, soft = q.sample((K,)), q.mean
    else:
        soft = relaxation.rsample((K,))
        hard = _discretise(soft, q)
    return evaluate("f", f, hard + (soft - soft.detach()), q).mean(0)


def relax(q: Distribution, temperature: float) -> Distribution:
    r"""The concrete distribution that stands in for a discrete one.

    Args:
        q: ``OneHotCategorical``, ``Bernoulli``, or ``Independent`` of one.
        temperature: :math:`\tau > 0`.

    Returns:
        ``RelaxedOneHotCategorical`` or ``RelaxedBernoulli`` with the batch and event shapes of ``q``.

    Raises:
        ValueError: a temperature that is not positive, or another q.

    Reference: Maddison, Mnih & Teh (2017), The concrete distribution.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> import torch
    >>> relax(torch.distributions.Bernoulli(torch.tensor(0.3)), 0.5).has_rsample
    True
    """
    check_positive("temperature", temperature)
    if isinstance(q, Independent):
        return Independent(relax(q.base_dist, temperature), q.reinterpreted_batch_ndims)
    tau = q.logits.new_tensor(temperature) if isinstance(q, (OneHotCategorical, Bernoulli)) else None
    if isinstance(q, OneHotCategorical):
        return RelaxedOneHotCategorical(tau, logits=q.logits)
    if isinstance(q, Bernoulli):
        return RelaxedBernoulli(tau, logits=q.logits)
    raise ValueError(f"q is {type(q).__name__}, expected OneHotCategorical or Bernoulli")


def _discretise(soft: Tensor, q: Distribution) -> Tensor:
    base = q.base_dist if isinstance(q, Independent) else q
    if isinstance(base, Bernoulli):
        return soft.detach().round()
    top = soft.detach().argmax(-1, keepdim=True)
    return soft.new_zeros(soft.shape).scatter(-1, top, 1.0)
