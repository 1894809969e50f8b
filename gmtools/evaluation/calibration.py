"""Calibration: do stated probabilities come true as often as they say?"""

from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_not_nan, check_shape


class Reliability(NamedTuple):
    """A reliability curve over bins of predicted probability; empty bins are left out.

    Attributes:
        predicted: mean prediction in the bin, shape ``(B,)``.
        observed: share of outcomes that were 1, shape ``(B,)``.
        count: predictions in the bin, shape ``(B,)``.
    """

    predicted: Tensor
    observed: Tensor
    count: Tensor


def reliability_curve(probability: Tensor, outcome: Tensor, bins: int = 10) -> Reliability:
    r"""Predicted against observed frequencies, in bins of equal width.

    A calibrated predictor has :math:`P(y = 1 \mid \hat p = c) = c`: the curve is the diagonal.

    Args:
        probability: predicted probability of 1, shape ``(N,)``.
        outcome: 0 or 1, shape ``(N,)``.
        bins: number of bins on [0, 1].

    Returns:
        A :class:`Reliability`.

    Raises:
        ValueError: shapes that differ, probabilities outside [0, 1], other outcomes, or no bins.

    Reference: DeGroot & Fienberg (1983), The comparison and evaluation of forecasters.

    Chapter: 6-comparison/65-density-ratio-by-bayes

    >>> reliability_curve(torch.tensor([0.1, 0.1, 0.9]), torch.tensor([0, 1, 1]), bins=2)
    Reliability(predicted=tensor([0.1000, 0.9000]), observed=tensor([0.5000, 1.0000]), count=tensor([2, 1]))
    """
    check_shape("probability", probability, "N")
    check_shape("outcome", outcome, len(probability))
    check_count("bins", bins)
    check_count("number of predictions", len(probability))
    if not ((probability >= 0) & (probability <= 1)).all():
        low, high = probability.min().item(), probability.max().item()
        raise ValueError(f"probability has values from {low:g} to {high:g}, expected values in [0, 1]")
    if not ((outcome == 0) | (outcome == 1)).all():
        raise ValueError(f"outcome has values {outcome.unique().tolist()}, expected only 0 and 1")
    which = (probability * bins).long().clamp(max=bins - 1)
    count = torch.bincount(which, minlength=bins)
    used = count > 0

    def mean(values: Tensor) -> Tensor:
        total = probability.new_zeros(bins).index_add(0, which, values.to(probability))
        return total[used] / count[used]

    return Reliability(mean(probability), mean(outcome), count[used])


def expected_calibration_error(probability: Tensor, outcome: Tensor, bins: int = 10) -> Tensor:
    r"""Mean distance of the reliability curve from the diagonal, weighted by the bins' counts.

    .. math:: \mathrm{ECE} = \sum_b \tfrac{n_b}{N} \big|\, \bar y_b - \bar p_b \,\big|

    For several classes pass the probability of the predicted class and whether it was right. A finite sample
    gives a positive value even to a calibrated predictor: about :math:`\sqrt{B / N}` times a third.

    Args:
        probability: shape ``(N,)``.
        outcome: 0 or 1, shape ``(N,)``.
        bins: number of bins on [0, 1].

    Returns:
        A scalar in [0, 1].

    Raises:
        ValueError: as :func:`reliability_curve`.

    Reference: Naeini, Cooper & Hauskrecht (2015), Obtaining well calibrated probabilities using Bayesian
    binning; Guo et al. (2017), On calibration of modern neural networks.

    Chapter: 6-comparison/65-density-ratio-by-bayes

    >>> expected_calibration_error(torch.full((4,), 0.75), torch.tensor([1, 1, 1, 0]))
    tensor(0.)
    """
    curve = reliability_curve(probability, outcome, bins)
    weight = curve.count.to(probability) / len(probability)
    return (weight * (curve.observed - curve.predicted).abs()).sum()


def pit(draws: Tensor, truth: Tensor) -> Tensor:
    r"""Probability integral transform: the rank of the truth among draws of its predictive distribution.

    .. math:: u_n = \tfrac1{K+1}\Big(\#\{k : z_{kn} < z_n\} + v_n \big(1 + \#\{k : z_{kn} = z_n\}\big)\Big),
              \qquad v_n \sim U[0, 1]

    Uniform on [0, 1], exactly, if truth and draws come from the same distribution: then the ranks are equally
    likely (simulation-based calibration). A hump in their histogram means too wide, a valley too narrow.

    Args:
        draws: K draws for each of N truths, shape ``(K, N)``; numbers or counts.
        truth: shape ``(N,)``.

    Returns:
        Shape ``(N,)``.

    Raises:
        ValueError: shapes that do not fit, NaNs, or no draws.

    Reference: Dawid (1984), Statistical theory: the prequential approach; Talts et al. (2018), Validating
    Bayesian inference algorithms with simulation-based calibration.

    Chapter: 7-decisions/71-challenges

    >>> pit(torch.tensor([[0.0], [1.0], [2.0]]), torch.tensor([5.0])) >= 0.75
    tensor([True])
    """
    check_shape("truth", truth, "N")
    check_shape("draws", draws, "K", len(truth))
    check_count("K", len(draws))
    check_not_nan("draws", draws)
    check_not_nan("truth", truth)
    below, equal = (draws < truth).sum(0), (draws == truth).sum(0)
    v = torch.rand_like(1.0 * truth)  # of floating point for counts too
    return (below + v * (1 + equal)) / (len(draws) + 1)


def interval_coverage(draws: Tensor, truth: Tensor, levels: Tensor) -> Tensor:
    r"""How often central credible intervals contain the truth.

    .. math:: \hat c(\gamma) = \tfrac1N \sum_n \mathbb{1}\big[\,|2 u_n - 1| \le \gamma\,\big]

    with :math:`u_n` the :func:`pit`. Calibrated means :math:`\hat c(\gamma) \approx \gamma`, with standard
    error :math:`\sqrt{\gamma (1 - \gamma) / N}`; below it the posterior is overconfident.

    Args:
        draws: K draws for each of N truths, shape ``(K, N)``.
        truth: shape ``(N,)``.
        levels: nominal probabilities :math:`\gamma`, shape ``(L,)``.

    Returns:
        Observed frequencies, shape ``(L,)``.

    Raises:
        ValueError: shapes that do not fit, NaNs, no draws, or levels outside [0, 1].

    Reference: Hermans et al. (2022), A crisis in simulation-based inference? Beware, your posterior
    approximations can be unfaithful.

    Chapter: 7-decisions/71-challenges

    >>> interval_coverage(torch.randn(99, 5), torch.full((5,), 100.0), torch.tensor([0.5, 0.9]))
    tensor([0., 0.])
    """
    check_shape("levels", levels, "L")
    if not ((levels >= 0) & (levels <= 1)).all():
        raise ValueError(f"levels has values {levels.tolist()}, expected values in [0, 1]")
    reach = (2 * pit(draws, truth) - 1).abs()
    return (reach[:, None] <= levels.to(reach)).to(reach.dtype).mean(0)
