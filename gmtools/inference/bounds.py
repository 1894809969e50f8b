r"""Bounds of the log marginal likelihood, as pure functions of log-weights.

Every function takes ``log_w`` of shape ``(K, N)``,

.. math:: \log w_{kn} = \log p(x_n, z_{kn}) - \log q(z_{kn} \mid x_n), \qquad z_{kn} \sim q(\cdot \mid x_n),

and returns one value a data point, shape ``(N,)``, in nats, to be maximised. The weights carry the gradient;
how it flows through :math:`q` (pathwise, sticking the landing, ...) is decided where they are made.
"""

import math

import torch
from torch import Tensor

from gmtools.checks import check_count, check_not_nan, check_shape


def _check_log_w(log_w: Tensor) -> None:
    check_shape("log_w", log_w, "K", "N")
    if log_w.shape[0] == 0:
        raise ValueError(f"log_w has shape {tuple(log_w.shape)}, expected (K, N) with K >= 1")
    check_not_nan("log_w", log_w)


def elbo(log_w: Tensor) -> Tensor:
    r"""Evidence lower bound.

    .. math:: \mathcal L_n = \frac1K \sum_k \log w_{kn}, \qquad
        \mathbb E[\mathcal L_n] = \log p(x_n) - \mathrm{KL}(q(z \mid x_n) \,\|\, p(z \mid x_n)).

    Args:
        log_w: log-weights, shape ``(K, N)``.

    Returns:
        Shape ``(N,)``, in nats. The number of samples changes the variance only.

    Raises:
        ValueError: ``log_w`` has another shape, K = 0, or NaN entries.

    Reference: Jordan, Ghahramani, Jaakkola, Saul (1999), An introduction to variational methods for graphical
    models. Chapter: 3-inference/33-variational-bound.

    >>> elbo(torch.tensor([[0.0, 1.0], [2.0, 1.0]]))
    tensor([1., 1.])
    """
    _check_log_w(log_w)
    return log_w.mean(0)


def iwae(log_w: Tensor) -> Tensor:
    r"""Importance-weighted bound of K samples.

    .. math:: \mathcal L_n = \log \frac1K \sum_k w_{kn}, \qquad
        \mathrm{ELBO} = \mathbb E[\mathcal L^{(1)}] \le \mathbb E[\mathcal L^{(K)}]
        \le \mathbb E[\mathcal L^{(K+1)}] \le \log p(x).

    Args:
        log_w: log-weights, shape ``(K, N)``.

    Returns:
        Shape ``(N,)``, in nats.

    Raises:
        ValueError: ``log_w`` has another shape, K = 0, or NaN entries.

    Reference: Burda, Grosse, Salakhutdinov (2016), Importance weighted autoencoders.
    Chapter: 3-inference/32-importance-sampling-properties.

    >>> iwae(torch.tensor([[0.0], [2.0]])) > elbo(torch.tensor([[0.0], [2.0]]))
    tensor([True])
    """
    _check_log_w(log_w)
    return torch.logsumexp(log_w, 0) - math.log(log_w.shape[0])


def renyi(log_w: Tensor, alpha: float) -> Tensor:
    r"""Variational Rényi bound of order :math:`\alpha`.

    .. math:: \mathcal L_n^{(\alpha)} = \frac{1}{1 - \alpha} \log \frac1K \sum_k w_{kn}^{1 - \alpha}

    :math:`\alpha = 0` is :func:`iwae`, :math:`\alpha \to 1` is :func:`elbo`; the value does not increase with
    :math:`\alpha`. In expectation it bounds :math:`\log p(x)` from below for every :math:`\alpha \ge 0`. For
    :math:`\alpha < 0` it exceeds :math:`\log p(x)` as :math:`K \to \infty`, but for finite K it may fall on
    either side.

    Args:
        log_w: log-weights, shape ``(K, N)``.
        alpha: any finite number.

    Returns:
        Shape ``(N,)``, in nats.

    Raises:
        ValueError: ``log_w`` has another shape, K = 0, or NaN entries; ``alpha`` is not finite.

    Reference: Li, Turner (2016), Rényi divergence variational inference.
    Chapter: 3-inference/33-variational-bound.

    >>> log_w = torch.tensor([[0.0], [2.0]])
    >>> [round(renyi(log_w, alpha).item(), 3) for alpha in (-1.0, 0.0, 0.5, 1.0, 2.0)]
    [1.663, 1.434, 1.24, 1.0, 0.566]
    """
    _check_log_w(log_w)
    if not math.isfinite(alpha):
        raise ValueError(f"alpha is {alpha!r}, expected a finite number")
    if alpha == 1.0:
        return log_w.mean(0)
    mean = log_w.mean(0)
    power = (1 - alpha) * (log_w - mean)
    near_elbo = power.abs().amax(0) < 1  # there the logarithm of a number near one would lose its digits
    small = torch.where(near_elbo, power, torch.zeros_like(power))  # keeps the gradient free of NaN
    above_elbo = small.expm1().mean(0).log1p() / (1 - alpha)
    log_mean_power = torch.logsumexp((1 - alpha) * log_w, 0) - math.log(log_w.shape[0])
    return torch.where(near_elbo, mean + above_elbo, log_mean_power / (1 - alpha))


def perturbative(log_w: Tensor, order: int) -> Tensor:
    r"""Perturbative correction of the evidence lower bound, to any order.

    With the pointwise free energy :math:`F(x, z) = -\log w` and its mean :math:`F(x) = \mathbb E_q[F(x, z)]`,

    .. math:: \log p(x) = -F(x) + \log \sum_{j=0}^{\infty} \frac{\mathbb E_q[\Delta^j]}{j!}, \qquad
        \Delta = F(x) - F(x, z),

    cut after :math:`j =` ``order``; expectations are averages over the K samples. Orders 0 and 1 are the
    :func:`elbo`. An odd order is a lower bound because :math:`e^\Delta` lies above its Taylor polynomial of
    odd degree; on the same samples it never exceeds :func:`iwae`. An even order may lie on either side. The
    polynomial of odd degree may average to a negative number; its bound is then :math:`-\infty` (true, and
    useless).

    Args:
        log_w: log-weights, shape ``(K, N)``.
        order: where the series is cut, at least 0.

    Returns:
        Shape ``(N,)``, in nats.

    Raises:
        ValueError: ``log_w`` has another shape, K = 0, or NaN entries; ``order`` is no integer of at least 0.

    Reference: Bamler, Zhang, Opper, Mandt (2017), Perturbative black box variational inference.
    Chapter: 3-inference/35-perturbative-corrections.

    >>> log_w = torch.tensor([[0.0], [2.0]])
    >>> [round(perturbative(log_w, order).item(), 4) for order in (1, 3, 5)], round(iwae(log_w).item(), 4)
    ([1.0, 1.4055, 1.4329], 1.4338)
    """
    _check_log_w(log_w)
    check_count("order", order, minimum=0)
    dtype, log_w = log_w.dtype, log_w.double()  # powers of large deviations would overflow in float32
    mean = log_w.mean(0)
    delta = log_w - torch.where(mean.isfinite(), mean, torch.zeros_like(mean))
    term = torch.ones_like(log_w)
    total = torch.ones_like(mean)
    for j in range(1, order + 1):
        term = term * delta / j
        total = total + term.mean(0)
    valid = mean.isfinite() & (total > 0)
    log_total = torch.where(valid, total, torch.ones_like(total)).log()  # keeps the gradient free of NaN
    return torch.where(valid, mean + log_total, torch.full_like(mean, -math.inf)).to(dtype)
