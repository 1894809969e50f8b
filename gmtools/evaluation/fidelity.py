r"""Precision and recall of samples: how many look real, and how much of reality they cover."""

from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_not_nan, check_positive, check_shape
from gmtools.comparison.kernels import distances


class Fidelity(NamedTuple):
    """Quality (precision, density) and diversity (recall, coverage) of generated samples."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real: Tensor, generated: Tensor, k: int = 5) -> Fidelity:
    r"""Precision, recall, density and coverage from nearest-neighbour balls.

    With :math:`B(x)` the ball around :math:`x` that reaches its k-th neighbour in its own sample,

    .. math::
        \text{precision} &= \tfrac1M \sum_j \mathbb{1}\big[y_j \in \textstyle\bigcup_i B(x_i)\big], &
        \text{recall} &= \tfrac1N \sum_i \mathbb{1}\big[x_i \in \textstyle\bigcup_j B(y_j)\big], \\
        \text{density} &= \tfrac{1}{kM} \sum_j \sum_i \mathbb{1}[y_j \in B(x_i)], &
        \text{coverage} &= \tfrac1N \sum_i \mathbb{1}\big[\exists j: y_j \in B(x_i)\big]

    with real :math:`x` and generated :math:`y`. For equal distributions density is about 1 and coverage about
    :math:`1 - 2^{-k}` if the samples are equally large; density may exceed 1.

    Args:
        real: features of real data, shape ``(N, D)``.
        generated: features of samples, shape ``(M, D)``.
        k: which neighbour sets the radius.

    Returns:
        A :class:`Fidelity`.

    Raises:
        ValueError: shapes that do not fit, NaNs, or not more than ``k`` points in a sample.

    Reference: Kynkäänniemi et al. (2019), Improved precision and recall metric for assessing generative
    models; Naeem et al. (2020), Reliable fidelity and diversity metrics for generative models.

    Chapter: 7-decisions/71-challenges

    >>> x = torch.arange(10.0)[:, None]
    >>> precision_recall(x, x[:2] + 0.1, k=1)
    Fidelity(precision=1.0, recall=0.3, density=2.0, coverage=0.3)
    """
    check_shape("real", real, "N", "D")
    check_shape("generated", generated, "M", real.shape[1])
    check_count("k", k)
    for name, x in (("real", real), ("generated", generated)):
        check_not_nan(name, x)
        check_count(f"number of points in {name}", len(x), k + 1)
    across = distances(real, generated)
    in_real_ball = across <= _radius(real, k)[:, None]
    in_generated_ball = across <= _radius(generated, k)
    return Fidelity(
        precision=in_real_ball.any(0).double().mean().item(),
        recall=in_generated_ball.any(1).double().mean().item(),
        density=in_real_ball.sum(0).double().mean().item() / k,
        coverage=in_real_ball.any(1).double().mean().item(),
    )


def _radius(x: Tensor, k: int) -> Tensor:
    """Distance of every point to its k-th neighbour (the nearest is the point itself)."""
    return distances(x, x).kthvalue(k + 1, dim=1).values


class Modes(NamedTuple):
    """Number of modes that got samples, and the share of samples that lie at a mode."""

    covered: int
    share: float


def modes_covered(samples: Tensor, modes: Tensor, radius: float, minimum: int = 1) -> Modes:
    r"""Count the modes of a mixture that samples reach: the plainest test of mode collapse.

    A sample belongs to its nearest mode if it is within ``radius`` of it; three standard deviations
    are usual.

    Args:
        samples: shape ``(M, D)``.
        modes: shape ``(K, D)``.
        radius: positive.
        minimum: a mode counts as covered from this many samples on.

    Returns:
        A :class:`Modes`.

    Raises:
        ValueError: shapes that do not fit, nothing to compare, NaNs, or a parameter out of range.

    Reference: Metz et al. (2017), Unrolled generative adversarial networks; Srivastava et al. (2017), VEEGAN.

    Chapter: 6-comparison/67-generative-adversarial-networks

    >>> modes_covered(torch.tensor([[0.1], [0.2], [9.0]]), torch.tensor([[0.0], [5.0]]), radius=1.0)
    Modes(covered=1, share=0.666...)
    """
    check_shape("samples", samples, "M", "D")
    check_shape("modes", modes, "K", samples.shape[1])
    for name, x in (("samples", samples), ("modes", modes)):
        check_not_nan(name, x)
        check_count(f"number of {name}", len(x))
    check_positive("radius", radius)
    check_count("minimum", minimum)
    gap, nearest = distances(samples, modes.to(samples)).min(1)
    close = gap <= radius
    hits = torch.bincount(nearest[close], minlength=len(modes))
    return Modes(int((hits >= minimum).sum()), close.double().mean().item())
