"""Noise-contrastive estimation: fit an unnormalised density by telling data from noise."""

import math
from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count, check_not_nan, check_shape


def nce(log_r_data: Tensor, log_r_noise: Tensor) -> Tensor:
    r"""Noise-contrastive objective: the log-likelihood of a classifier of data against K times as much noise.

    .. math:: J_n = \log \sigma(\log r(x_n) - \log K) + \sum_k \log \sigma(\log K - \log r(z_{kn})), \qquad
        r = \frac{p_\theta}{p_{\text{noise}}}

    The density :math:`p_\theta` need not be normalised: its log-normaliser can be one more parameter, or be
    absorbed by a flexible model. The maximum is consistent for every K, and as efficient as maximum
    likelihood for large K.

    Args:
        log_r_data: log-ratios at the data, shape ``(N,)``.
        log_r_noise: log-ratios at K noise samples for every data point, shape ``(K, N)``.

    Returns:
        Shape ``(N,)``, in nats, to be maximised.

    Raises:
        ValueError: wrong shapes, K = 0, or NaN.

    Reference: Gutmann, Hyvärinen (2012), Noise-contrastive estimation of unnormalized statistical models,
    with applications to natural image statistics. Chapter: 2-models/25-choosing-a-learning-principle.

    >>> import torch
    >>> nce(torch.zeros(2), torch.zeros(1, 2))  # a classifier that cannot tell: 2 log(1/2)
    tensor([-1.3863, -1.3863])
    """
    check_shape("log_r_data", log_r_data, "N")
    check_shape("log_r_noise", log_r_noise, "K", len(log_r_data))
    if log_r_noise.shape[0] == 0:
        raise ValueError(f"log_r_noise has shape {tuple(log_r_noise.shape)}, expected (K, N) with K >= 1")
    check_not_nan("log_r_data", log_r_data)
    check_not_nan("log_r_noise", log_r_noise)
    log_K = math.log(log_r_noise.shape[0])
    return F.logsigmoid(log_r_data - log_K) + F.logsigmoid(log_K - log_r_noise).sum(0)


def noise_log_ratios(
    log_density: Callable[[Tensor], Tensor], noise: Distribution, x: Tensor, K: int
) -> tuple[Tensor, Tensor]:
    r"""Log-ratios :math:`\log p_\theta - \log p_{\text{noise}}` at data and at fresh noise, for :func:`nce`.

    Args:
        log_density: maps ``(..., D)`` to ``(...)``, normalised or not.
        noise: distribution with event shape ``(D,)`` that covers the data.
        x: data, shape ``(N, D)``.
        K: noise samples for every data point.

    Returns:
        At the data, shape ``(N,)``, and at the noise, shape ``(K, N)``; differentiable in the model.

    Raises:
        ValueError: K < 1 or wrong shapes.

    Reference: Gutmann, Hyvärinen (2012). Chapter: 2-models/25-choosing-a-learning-principle.

    >>> import torch
    >>> noise = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    >>> at_data, at_noise = noise_log_ratios(lambda x: -x.square().sum(-1), noise, torch.zeros(3, 2), K=5)
    >>> at_data.shape, at_noise.shape
    (torch.Size([3]), torch.Size([5, 3]))
    """
    check_count("K", K)
    check_shape("x", x, "N", *noise.event_shape)
    z = noise.sample((K, len(x)))
    at_data, at_noise = log_density(x), log_density(z)
    check_shape("log_density(x)", at_data, len(x))
    check_shape("log_density(z)", at_noise, K, len(x))
    return at_data - noise.log_prob(x), at_noise - noise.log_prob(z)
