"""How biased and how noisy is a gradient estimator? Measure it on many independent repetitions at once."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_shape


class GradientMoments(NamedTuple):
    """What repetitions say about the estimate of one parameter's gradient; each has the parameter's shape.

    Attributes:
        mean: average of the estimates; its distance from the true gradient is the bias.
        standard_error: of that mean. A bias of several standard errors is real.
        variance: of a single estimate.
    """

    mean: Tensor
    standard_error: Tensor
    variance: Tensor


def gradient_samples(
    surrogate: Callable[..., Tensor], parameters: tuple[Tensor, ...], repeats: int
) -> tuple[Tensor, ...]:
    r"""Draw independent estimates of a gradient, all in one backward pass.

    Each parameter is copied ``repeats`` times along a new first dimension, so that the distribution that
    ``surrogate`` builds gets a batch of ``repeats`` members, each with its own draws.

    Args:
        surrogate: takes the copies, of shape ``(repeats, *shape)`` each, builds q, and returns an estimator's
            surrogate of shape ``(repeats,)``.
        parameters: values at which to take the gradient.
        repeats: number of estimates.

    Returns:
        for each parameter its estimates, shape ``(repeats, *shape)``.

    Raises:
        ValueError: repeats < 1, or the surrogate has another shape: the batch was lost or summed.

    Chapter: 4-gradients/44-gradient-estimators

    >>> from gmtools.gradients import pathwise
    >>> square = lambda loc: pathwise(lambda z: z**2, torch.distributions.Normal(loc, 1.0), K=10)
    >>> gradients, = gradient_samples(square, (torch.tensor(3.0),), repeats=100)
    >>> gradients.shape
    torch.Size([100])
    """
    check_count("repeats", repeats)
    copies = [p.detach().expand(repeats, *p.shape).clone().requires_grad_() for p in parameters]
    values = surrogate(*copies)
    check_shape("surrogate(*parameters)", values, repeats)
    return torch.autograd.grad(values.sum(), copies)


def gradient_moments(
    surrogate: Callable[..., Tensor], parameters: tuple[Tensor, ...], repeats: int
) -> tuple[GradientMoments, ...]:
    r"""Mean, standard error and variance of a gradient estimator.

    .. math:: \bar g = \frac{1}{R} \sum_r g_r, \qquad s^2 = \frac{1}{R-1} \sum_r (g_r - \bar g)^2, \qquad
              \text{s.e.} = s / \sqrt R

    Args:
        surrogate: as in `gradient_samples`.
        parameters: values at which to take the gradient.
        repeats: number of estimates R, at least 2.

    Returns:
        for each parameter its `GradientMoments`.

    Raises:
        ValueError: repeats < 2, or the surrogate has a wrong shape.

    Reference: Mohamed, Rosca, Figurnov & Mnih (2020), Monte Carlo gradient estimation in machine learning.

    Chapter: 4-gradients/44-gradient-estimators

    >>> from gmtools.gradients import pathwise, score_function
    >>> def variance(estimator):
    ...     surrogate = lambda loc: estimator(lambda z: z**2, torch.distributions.Normal(loc, 1.0), K=1)
    ...     return gradient_moments(surrogate, (torch.tensor(3.0),), repeats=10_000)[0].variance
    >>> bool(variance(pathwise) < variance(score_function))
    True
    """
    check_count("repeats", repeats, minimum=2)
    moments = []
    for samples in gradient_samples(surrogate, parameters, repeats):
        variance = samples.var(0)
        moments.append(GradientMoments(samples.mean(0), (variance / repeats).sqrt(), variance))
    return tuple(moments)
