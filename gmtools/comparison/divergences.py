r"""f-divergences, their variational form, and the Bregman loss that learns the ratio behind them.

For a convex :math:`f` and the ratio :math:`r = p/q`,

.. math:: D_f(p \,\|\, q) = \mathbb{E}_q[f(r)] = \sup_T\; \mathbb{E}_p[T] - \mathbb{E}_q[f^*(T)],
          \qquad T^\star = f'(r)

Writing the critic as :math:`T = f'(e^v)` keeps it in the domain of :math:`f^*` whatever the network returns,
and makes the output :math:`v` an estimate of :math:`\log r`. The gap of the bound is then the Bregman
divergence of the two ratios,

.. math:: D_f(p \,\|\, q) - \text{bound}(v)
          = \mathbb{E}_q\big[f(r) - f(e^v) - f'(e^v)(r - e^v)\big] \ge 0,

so to tighten the bound, to match the ratio and (for the "gan" generator) to classify are one and the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from gmtools.checks import check_choice, check_not_nan

Function = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class FDivergence:
    """One f-divergence; every function acts elementwise.

    Attributes:
        name: key in ``F_DIVERGENCES``.
        generator: ``f`` as a function of ``v``, the logarithm of the ratio.
        critic: ``f'(e^v)``, the critic's value at an estimated log-ratio ``v``.
        penalty: ``f*(f'(e^v)) = e^v f'(e^v) - f(e^v)``, stable for large ``|v|`` where it can be.
        conjugate: ``f*(t)``, the convex conjugate.
    """

    name: str
    generator: Function
    critic: Function
    penalty: Function
    conjugate: Function


_LOG2 = math.log(2)
_LOWEST = -1000.0  # its exponential is zero in every precision, and so is zero times it


def _odds_times_surprise(v: Tensor) -> Tensor:
    r"""Minus :math:`e^v \log \sigma(v)`, from 0 to 1; beyond the bounds of the clamp constant to rounding."""
    v = v.clamp(_LOWEST, 40)
    return -v.exp() * logsigmoid(v)


F_DIVERGENCES = {
    d.name: d
    for d in (
        FDivergence(
            "kl",
            lambda v: v.exp() * v.clamp(min=_LOWEST),
            lambda v: v + 1,
            torch.exp,
            lambda t: (t - 1).exp(),
        ),
        FDivergence(
            "reverse_kl", lambda v: -v, lambda v: -(-v).exp(), lambda v: v - 1, lambda t: -1 - (-t).log()
        ),
        FDivergence(
            "pearson",
            lambda v: v.expm1().square(),
            lambda v: 2 * v.expm1(),
            lambda v: (2 * v).expm1(),
            lambda t: t.square() / 4 + t,
        ),
        FDivergence(
            "neyman",
            lambda v: 4 * (v / 2).sinh().square(),
            lambda v: -(-2 * v).expm1(),
            lambda v: -2 * (-v).expm1(),
            lambda t: 2 - 2 * (1 - t).sqrt(),
        ),
        FDivergence(
            "hellinger",
            lambda v: (v / 2).expm1().square(),
            lambda v: -(-v / 2).expm1(),
            lambda v: (v / 2).expm1(),
            lambda t: t / (1 - t),
        ),
        FDivergence(
            "jensen_shannon",
            lambda v: (_LOG2 * v.exp() - _odds_times_surprise(v) + _LOG2 - softplus(v)) / 2,
            lambda v: (_LOG2 + logsigmoid(v)) / 2,
            lambda v: (softplus(v) - _LOG2) / 2,
            lambda t: -(2 - (2 * t).exp()).log() / 2,
        ),
        FDivergence(
            "gan",
            lambda v: -_odds_times_surprise(v) - softplus(v),
            logsigmoid,
            softplus,
            lambda t: -(-t.expm1()).log(),
        ),
    )
}
"""By name: ``kl`` is KL(p || q), ``reverse_kl`` KL(q || p), ``pearson`` and ``neyman`` the two chi-squared,
``hellinger`` the squared distance (at most 2), ``jensen_shannon`` at most log 2, and ``gan`` slide 62's
``u log u - (u + 1) log(u + 1)``, which is twice Jensen-Shannon less log 4."""


def _get(divergence: str) -> FDivergence:
    check_choice("divergence", divergence, tuple(F_DIVERGENCES))
    return F_DIVERGENCES[divergence]


def f_divergence(divergence: str, log_ratio_q: Tensor) -> Tensor:
    r"""Monte Carlo estimate of an f-divergence from a known log-ratio.

    .. math:: D_f(p \,\|\, q) \approx \tfrac1M \sum_m f\big(p(x_m)/q(x_m)\big), \qquad x_m \sim q

    Args:
        divergence: key of ``F_DIVERGENCES``.
        log_ratio_q: :math:`\log p(x_m) - \log q(x_m)` at samples of q, shape ``(M,)``; minus infinity where
            p has no mass.

    Returns:
        A scalar, in nats where the divergence has logarithms.

    Raises:
        ValueError: an unknown divergence, or NaN among the log-ratios.

    Reference: Ali & Silvey (1966), A general class of coefficients of divergence of one distribution from
    another.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> f_divergence("hellinger", torch.zeros(3))
    tensor(0.)
    """
    check_not_nan("log_ratio_q", log_ratio_q)
    return _get(divergence).generator(log_ratio_q).mean()


def variational_bound(divergence: str, logits_p: Tensor, logits_q: Tensor) -> Tensor:
    r"""Lower bound on an f-divergence from a critic's outputs, to be maximised over the critic.

    .. math:: \mathbb{E}_p\big[f'(e^{v})\big] - \mathbb{E}_q\big[f^*(f'(e^{v}))\big] \le D_f(p \,\|\, q),

    with equality when :math:`v = \log p/q`.

    Args:
        divergence: key of ``F_DIVERGENCES``.
        logits_p: outputs :math:`v` at samples of p, shape ``(N,)``.
        logits_q: outputs at samples of q, shape ``(M,)``.

    Returns:
        A scalar.

    Raises:
        ValueError: an unknown divergence.

    Reference: Nguyen, Wainwright & Jordan (2010), Estimating divergence functionals and the likelihood
    ratio by convex risk minimization; Nowozin, Cseke & Tomioka (2016), f-GAN.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> variational_bound("kl", torch.zeros(4), torch.zeros(5))
    tensor(0.)
    """
    d = _get(divergence)
    return d.critic(logits_p).mean() - d.penalty(logits_q).mean()


def bregman_ratio_loss(divergence: str, logits_p: Tensor, logits_q: Tensor) -> Tensor:
    r"""Loss whose minimiser is the log-ratio: a Bregman divergence between ratios, up to a constant.

    .. math:: \mathbb{E}_q\big[e^v f'(e^v) - f(e^v)\big] - \mathbb{E}_p\big[f'(e^v)\big]

    It is minus :func:`variational_bound`. The generator "gan" gives the logistic loss, "pearson" that of
    uLSIF, "kl" that of KLIEP.

    Args:
        divergence: key of ``F_DIVERGENCES``.
        logits_p: estimated log-ratio at samples of p, shape ``(N,)``.
        logits_q: the same at samples of q, shape ``(M,)``.

    Returns:
        A scalar, to be minimised.

    Raises:
        ValueError: an unknown divergence.

    Reference: Sugiyama, Suzuki & Kanamori (2012), Density-ratio matching under the Bregman divergence.

    Chapter: 6-comparison/62-learning-by-comparison

    >>> bregman_ratio_loss("gan", torch.zeros(4), torch.zeros(5))  # log 4: nothing learned yet
    tensor(1.3863)
    """
    return -variational_bound(divergence, logits_p, logits_q)
