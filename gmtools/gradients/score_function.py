r"""The score-function estimator: differentiate the density, never the function.

.. math:: \nabla_\phi \mathbb{E}_{q_\phi(z)}[f(z)] = \mathbb{E}_{q_\phi(z)}[f(z)\, \nabla_\phi \log q_\phi(z)]
"""

from collections.abc import Callable

from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count

from .surrogate import attach, evaluate


def score_function(
    f: Callable[[Tensor], Tensor], q: Distribution, K: int, baseline: Tensor | float = 0.0
) -> Tensor:
    r"""Surrogate of the score-function estimator (REINFORCE, likelihood ratio) with a baseline.

    .. math:: \frac{1}{K} \sum_{k=1}^K (f(z_k) - b)\, \nabla_\phi \log q_\phi(z_k), \qquad z_k \sim q_\phi

    The score has mean zero, so any baseline :math:`b` that does not depend on :math:`z_k` leaves the
    gradient unbiased; one near :math:`\mathbb{E}_q[f]` takes most of the variance away. ``f`` need not be
    differentiable and ``q`` may be discrete. Parameters inside ``f`` get their gradient as well.

    Args:
        f: maps draws ``(K, *batch, *event)`` to values ``(K, *batch)``.
        q: distribution with ``sample`` and ``log_prob``.
        K: number of draws.
        baseline: a number or a tensor that broadcasts to ``(K, *batch)``; it gets no gradient.

    Returns:
        surrogate of shape ``batch``: its value is the mean of ``f``, its gradient the estimate.

    Raises:
        ValueError: K < 1, ``f`` returns a wrong shape or NaN, or the baseline does not broadcast.

    Reference: Glynn (1990), Likelihood ratio gradient estimation for stochastic systems; Williams (1992),
        Simple statistical gradient-following algorithms for connectionist reinforcement learning.

    Chapter: 4-gradients/45-score-function-estimator

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> p = torch.tensor(0.3, requires_grad=True)
    >>> q = torch.distributions.Bernoulli(p)
    >>> surrogate = score_function(lambda z: 2 * z, q, K=100_000, baseline=0.6)
    >>> round(torch.autograd.grad(surrogate, p)[0].item(), 1)  # d(2p)/dp
    2.0
    """
    check_count("K", K)
    z = q.sample((K,))
    values = evaluate("f", f, z, q)
    _check_baseline(baseline, values)
    return attach(values, (values - baseline).detach() * q.log_prob(z)).mean(0)


def _check_baseline(baseline: Tensor | float, values: Tensor) -> None:
    shape, wanted = tuple(getattr(baseline, "shape", ())), tuple(values.shape)
    aligned = zip(reversed(shape), reversed(wanted), strict=False)
    if len(shape) > len(wanted) or any(mine not in (1, size) for mine, size in aligned):
        raise ValueError(f"baseline has shape {shape}, expected one that broadcasts to {wanted}")


def leave_one_out(f: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Score-function surrogate whose baseline for each draw is the mean of the other K - 1.

    .. math:: \frac{1}{K} \sum_{k=1}^K \Big(f(z_k) - \frac{1}{K-1} \sum_{j \ne k} f(z_j)\Big)
              \nabla_\phi \log q_\phi(z_k)

    Unbiased, because the other draws are independent of :math:`z_k`, and free of tuning.

    Args:
        f: maps draws ``(K, *batch, *event)`` to values ``(K, *batch)``.
        q: distribution with ``sample`` and ``log_prob``.
        K: number of draws, at least 2.

    Returns:
        surrogate of shape ``batch``.

    Raises:
        ValueError: K < 2, or ``f`` returns a wrong shape or NaN.

    Reference: Salimans & Knowles (2014), On using control variates with stochastic approximation for
        variational Bayes; Kool, van Hoof & Welling (2019), Buy 4 REINFORCE samples, get a baseline for free!

    Chapter: 4-gradients/45-score-function-estimator

    >>> import torch
    >>> q = torch.distributions.Bernoulli(torch.tensor(0.3, requires_grad=True))
    >>> leave_one_out(lambda z: torch.ones_like(z), q, K=2).backward()  # a constant f: no noise at all
    >>> leave_one_out(lambda z: z, q, K=1)
    Traceback (most recent call last):
    ValueError: K is 1, expected an integer >= 2
    """
    check_count("K", K, minimum=2)
    z = q.sample((K,))
    values = evaluate("f", f, z, q)
    others = (values.sum(0) - values) / (K - 1)
    return attach(values, (values - others).detach() * q.log_prob(z)).mean(0)
