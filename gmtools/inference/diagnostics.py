"""Have the chains converged, and how many independent draws are they worth?

Draws have shape ``(S, C, ...)``: S steps of C chains; every further coordinate is diagnosed on its own.
"""

import math

import torch
from torch import Tensor

from gmtools.checks import check_choice, check_float, check_not_nan


def _split(samples: Tensor) -> Tensor:
    """Cut every chain into halves: ``(S, C, ...)`` to ``(S // 2, 2 C, ...)``."""
    if samples.ndim < 2 or samples.shape[0] < 4 or samples.shape[1] < 1:
        raise ValueError(
            f"samples has shape {tuple(samples.shape)}, expected (S, C, ...) with S >= 4 and C >= 1"
        )
    check_float("samples", samples)
    check_not_nan("samples", samples)
    half = samples.shape[0] // 2
    return torch.cat([samples[:half], samples[-half:]], dim=1)


def _rank_normalise(samples: Tensor) -> Tensor:
    """Normal scores of the ranks among all draws of a coordinate; ties share their mean rank."""
    values = samples.flatten(0, 1).movedim(0, -1).contiguous()  # (..., S C)
    ordered = values.sort(-1).values
    below = torch.searchsorted(ordered, values)
    up_to = torch.searchsorted(ordered, values, right=True)
    rank = 0.5 * (below + up_to + 1).to(samples.dtype)
    score = torch.special.ndtri((rank - 0.375) / (values.shape[-1] + 0.25))
    return score.movedim(-1, 0).reshape(samples.shape)


def _nan_where_equal(chains: Tensor, diagnostic: Tensor) -> Tensor:
    """Draws that are all equal have variances of rounding errors; nothing can be said of them."""
    return torch.where((chains == chains[0, 0]).flatten(0, 1).all(0), torch.nan, diagnostic)


def _plain_r_hat(chains: Tensor) -> Tensor:
    length = chains.shape[0]
    within = chains.var(0).mean(0)
    between = chains.mean(0).var(0)
    return _nan_where_equal(chains, ((length - 1) / length + between / within).sqrt())


def r_hat(samples: Tensor) -> Tensor:
    r"""Rank-normalised split R-hat, the larger of the bulk's and the tails'.

    .. math:: \hat R = \sqrt{\frac{\frac{n-1}{n} W + \frac1n B}{W}}

    with B and W the variances between and within half-chains of length n, taken on normal scores of the ranks
    (differences in location) and of the ranks of :math:`|z - \mathrm{median}|` (differences in scale). Works
    for targets without variance. Values above 1.01 say that the chains have not mixed.

    Args:
        samples: draws, shape ``(S, C, ...)``, S >= 4.

    Returns:
        Shape ``(...)``, ``(D,)`` for samples ``(S, C, D)``. NaN where all draws are equal; the bulk's alone
        where only the distances to the median are.

    Raises:
        ValueError: another shape, no floating-point numbers, or NaN entries.

    Reference: Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021), Rank-normalization, folding, and
    localization: an improved R-hat for assessing convergence of MCMC.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> mixed = torch.randn(500, 4, 1)
    >>> bool(r_hat(mixed) < 1.01), bool(r_hat(mixed + torch.tensor([0.0, 0.0, 0.0, 1.0])[:, None]) > 1.05)
    (True, True)
    """
    chains = _split(samples)
    median = chains.flatten(0, 1).quantile(0.5, dim=0)
    bulk = _plain_r_hat(_rank_normalise(chains))
    tails = _plain_r_hat(_rank_normalise((chains - median).abs()))
    return torch.fmax(bulk, tails)


def mcmc_ess(samples: Tensor, *, kind: str = "bulk") -> Tensor:
    r"""Effective sample size of autocorrelated draws, all chains together.

    .. math:: \mathrm{ESS} = \frac{S C}{1 + 2 \sum_{t \ge 1} \hat\rho_t}

    The autocorrelations :math:`\hat\rho_t` combine all half-chains, so chains that disagree count for little;
    the sum stops where a pair :math:`\hat\rho_{2t} + \hat\rho_{2t+1}` turns negative and is made monotone
    (Geyer).

    Args:
        samples: draws, shape ``(S, C, ...)``, S >= 4.
        kind: ``"bulk"``, of rank-normalised draws; ``"mean"``, of the draws themselves, for the standard
            error of their mean; ``"tail"``, the smaller of those for the 5 % and 95 % quantiles.

    Returns:
        Shape ``(...)``, ``(D,)`` for samples ``(S, C, D)``. NaN where all draws are equal, for ``"tail"``
        where no draw lies above either quantile.

    Raises:
        ValueError: another shape, no floating-point numbers, NaN entries, or an unknown kind.

    Reference: Vehtari, Gelman, Simpson, Carpenter, Bürkner (2021), Rank-normalization, folding, and
    localization; Geyer (1992), Practical Markov chain Monte Carlo.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> seed = torch.manual_seed(0)
    >>> ess = mcmc_ess(torch.randn(1000, 4, 1))  # independent draws
    >>> bool(abs(ess - 4000) < 800)
    True
    """
    check_choice("kind", kind, ("bulk", "mean", "tail"))
    chains = _split(samples)
    if kind == "bulk":
        return _geyer_ess(_rank_normalise(chains))
    if kind == "mean":
        return _geyer_ess(chains)
    low, high = chains.flatten(0, 1).quantile(torch.tensor([0.05, 0.95]).to(chains), dim=0)
    return torch.fmin(_geyer_ess((chains <= low).to(chains)), _geyer_ess((chains <= high).to(chains)))


def _geyer_ess(chains: Tensor) -> Tensor:
    length, count = chains.shape[:2]
    autocovariance = _autocovariance(chains).mean(1)  # (n, ...)
    within = autocovariance[0] * length / (length - 1)
    total = autocovariance[0] + chains.mean(0).var(0)
    correlation = 1 - (within - autocovariance) / total
    correlation[0] = 1.0
    pairs = correlation[: length // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).cumprod(0)
    time = 2 * (pairs.cummin(0).values * positive).sum(0) - 1
    return _nan_where_equal(chains, length * count / time.clamp(min=1 / math.log10(length * count)))


def _autocovariance(chains: Tensor) -> Tensor:
    """Autocovariance at all lags along the first dimension, by the fast Fourier transform."""
    length = chains.shape[0]
    spectrum = torch.fft.rfft(chains - chains.mean(0), n=2 * length, dim=0)
    return torch.fft.irfft(spectrum.abs().square(), n=2 * length, dim=0)[:length] / length
