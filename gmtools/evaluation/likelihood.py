"""Likelihood of held-out data: nats with their standard error, and bits per dimension."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from gmtools.checks import check_count, check_float, check_not_nan, check_shape


class Estimate(NamedTuple):
    """A Monte Carlo mean with its standard error."""

    value: float
    standard_error: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ± {self.standard_error:.3f}"


def mean_and_error(values: Tensor) -> Estimate:
    r"""Mean of independent values and its standard error, :math:`s / \sqrt N`.

    Args:
        values: shape ``(N,)``, at least two.

    Returns:
        An :class:`Estimate` in the unit of the values.

    Raises:
        ValueError: another rank, fewer than two values, integers, or NaNs.

    Reference: any course of statistics.

    Chapter: 1-why/03-what-is-a-generative-model

    >>> print(mean_and_error(torch.tensor([1.0, 2.0, 3.0])))
    2.000 ± 0.577
    """
    check_shape("values", values, "N")
    check_float("values", values)
    check_count("number of values", len(values), 2)
    check_not_nan("values", values)
    return Estimate(values.mean().item(), values.std().item() / math.sqrt(len(values)))


def nll(log_prob: Tensor) -> Estimate:
    r"""Negative log-likelihood of held-out data, with its standard error.

    .. math:: -\tfrac1N \sum_n \log q(x_n) \approx H[p] + \mathrm{KL}(p \,\|\, q)

    Args:
        log_prob: :math:`\log q(x_n)` in nats, shape ``(N,)``.

    Returns:
        An :class:`Estimate` in nats a data point.

    Raises:
        ValueError: as :func:`mean_and_error`.

    Reference: Theis, van den Oord & Bethge (2016), A note on the evaluation of generative models.

    Chapter: 1-why/03-what-is-a-generative-model

    >>> nll(torch.tensor([-1.0, -3.0])).value
    2.0
    """
    return mean_and_error(-log_prob)


def bits_per_dim(log_prob: Tensor, dims: int, levels: int | None = None) -> Estimate:
    r"""Bits that a lossless code built on the model spends on a dimension (a pixel of a channel).

    .. math:: \frac{-\log q(y) + D \log L}{D \log 2}

    for a density :math:`q` of dequantised data :math:`y \in [0, 1)^D` with :math:`L` levels
    (:func:`gmtools.data.dequantise`); the term :math:`D \log L` is the volume of the bins. By Jensen this is
    an upper bound on what the implied discrete model spends. A model of the discrete data itself has no bins.

    Args:
        log_prob: :math:`\log q` in nats, shape ``(N,)``.
        dims: number :math:`D` of dimensions.
        levels: number :math:`L` of grey levels of dequantised data; None for discrete models.

    Returns:
        An :class:`Estimate` in bits a dimension.

    Raises:
        ValueError: a count out of range, or as :func:`mean_and_error`.

    Reference: Theis, van den Oord & Bethge (2016), A note on the evaluation of generative models.

    Chapter: 1-why/09-images-and-video

    >>> bits_per_dim(torch.zeros(5), dims=64, levels=256).value  # a uniform density: 8 bits a pixel
    8.0
    """
    check_count("dims", dims)
    volume = 0.0
    if levels is not None:
        check_count("levels", levels, 2)
        volume = math.log(levels)
    return mean_and_error((volume - log_prob / dims) / math.log(2))


def importance_bits_per_dim(log_prob: Tensor, dims: int, levels: int) -> Estimate:
    r"""A tighter bound on the bits per dimension, from several dequantisations of each image.

    .. math:: -\log \tfrac1K \sum_k q(y_k)\, L^{-D} \ge -\log P(x), \qquad y_k = (x + u_k) / L

    in expectation; it falls towards the discrete model's own code length as K grows.

    Args:
        log_prob: :math:`\log q(y_k)` in nats, K dequantisations first, shape ``(K, N)``.
        dims: number :math:`D` of dimensions.
        levels: number :math:`L` of grey levels.

    Returns:
        An :class:`Estimate` in bits a dimension.

    Raises:
        ValueError: another rank, or as :func:`bits_per_dim`.

    Reference: Ho et al. (2019), Flow++: improving flow-based generative models with variational
    dequantization; Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders.

    Chapter: 1-why/09-images-and-video

    >>> importance_bits_per_dim(torch.zeros(3, 5), dims=64, levels=256).value
    8.0
    """
    check_shape("log_prob", log_prob, "K", "N")
    check_count("K", len(log_prob))
    return bits_per_dim(log_prob.logsumexp(0) - math.log(len(log_prob)), dims, levels)


def logit_transform(y: Tensor, alpha: float = 0.05) -> tuple[Tensor, Tensor]:
    r"""Map [0, 1] to the real line, so that a density there can model dequantised images.

    .. math:: z = \operatorname{logit}(\alpha + (1 - 2\alpha) y), \qquad
              \log q(y) = \log q_z(z) + \sum_d \log \frac{dz_d}{dy_d}

    Args:
        y: values in [0, 1], shape ``(N, ...)``.
        alpha: keeps the ends finite, between 0 and 1/2.

    Returns:
        z: same shape.
        ladj: the log-absolute-determinant, shape ``(N,)``; add it to :math:`\log q_z(z)`.

    Raises:
        ValueError: ``alpha`` or a value out of range.

    Reference: Dinh, Sohl-Dickstein & Bengio (2017), Density estimation using Real NVP.

    Chapter: 5-posteriors/54-change-of-variables

    >>> z, ladj = logit_transform(torch.full((2, 3), 0.5))
    >>> z.abs().max(), ladj.shape
    (tensor(0.), torch.Size([2]))
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}, expected a number between 0 and 1/2")
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"y has values from {y.min():g} to {y.max():g}, expected values in [0, 1]")
    u = alpha + (1 - 2 * alpha) * y
    log_slope = math.log(1 - 2 * alpha) - u.log() - (-u).log1p()
    return torch.logit(u), log_slope[:, None].flatten(1).sum(1)  # also of shape (N,)


def inverse_logit_transform(z: Tensor, alpha: float = 0.05) -> Tensor:
    r"""Undo :func:`logit_transform`; what falls beyond the ends is put on them.

    Args:
        z: real values, any shape.
        alpha: as in :func:`logit_transform`.

    Returns:
        Values in [0, 1], same shape.

    Raises:
        ValueError: ``alpha`` out of range.

    Reference: Dinh, Sohl-Dickstein & Bengio (2017), Density estimation using Real NVP.

    Chapter: 5-posteriors/54-change-of-variables

    >>> inverse_logit_transform(torch.tensor([-9.0, 0.0, 9.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    if not 0 < alpha < 0.5:
        raise ValueError(f"alpha is {alpha}, expected a number between 0 and 1/2")
    return ((torch.sigmoid(z) - alpha) / (1 - 2 * alpha)).clamp(0, 1)
