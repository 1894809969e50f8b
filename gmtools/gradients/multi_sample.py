r"""Gradients of variational bounds that treat the two roles of :math:`\phi` in :math:`\log w` apart.

In :math:`\log w(z) = \log p(x, z) - \log q_\phi(z)` the parameters act through the draw :math:`z` and through
the density :math:`\log q_\phi`. The estimators here stop the second, or replace it, and keep the bound's
gradient.
The plain pathwise gradient, which keeps both, is ``iwae(log_w)`` on ``rsample_and_log_prob``.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count
from gmtools.distributions import rsample_and_log_prob
from gmtools.inference.bounds import iwae

from .surrogate import attach, evaluate, sum_event


def sticking_the_landing(log_joint: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the ELBO whose gradient in :math:`\phi` follows the path only.

    .. math:: \frac{1}{K} \sum_{k=1}^K \nabla_z \big[\log p(x, z_k) - \log q_\phi(z_k)\big]\, \nabla_\phi z_k

    The part left out, :math:`\nabla_\phi \log q_\phi(z)` at fixed :math:`z`, has mean zero. What remains
    vanishes for every draw when :math:`q` is the posterior, so the gradient has no noise at the optimum.
    For K draws this is the mean of K ELBOs; for the importance-weighted bound see `doubly_reparametrised`.

    Args:
        log_joint: differentiable; maps draws ``(K, *batch, *event)`` to :math:`\log p(x, z)`, shape
            ``(K, *batch)``.
        q: distribution with ``rsample``.
        K: number of draws.

    Returns:
        surrogate of shape ``batch``, in nats, to be maximised; the model's parameters get their gradient too.

    Raises:
        ValueError: K < 1, q cannot be reparametrised, or ``log_joint`` returns a wrong shape or NaN.

    Reference: Roeder, Wu & Duvenaud (2017), Sticking the landing: simple, lower-variance gradient estimators
        for variational inference.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> loc = torch.tensor(0.0, requires_grad=True)
    >>> q = torch.distributions.Normal(loc, 1.0)
    >>> posterior = torch.distributions.Normal(0.0, 1.0)
    >>> sticking_the_landing(posterior.log_prob, q, K=1).backward()
    >>> loc.grad.abs().item()  # q is the posterior: no noise
    0.0
    """
    log_w, path = _log_weights_and_path(log_joint, q, K)
    return attach(log_w, path).mean(0)


def doubly_reparametrised(log_joint: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the importance-weighted bound with the doubly reparametrised gradient (DReG).

    .. math:: \sum_{k=1}^K \tilde w_k^2\, \nabla_z \big[\log p(x, z_k) - \log q_\phi(z_k)\big]\,
              \nabla_\phi z_k, \qquad \tilde w_k = \frac{w_k}{\sum_j w_j}

    Unbiased for every K, and its signal-to-noise ratio grows like :math:`\sqrt K`, where that of the plain
    gradient falls like :math:`1 / \sqrt K`. For K = 1 it is `sticking_the_landing`.

    Args:
        log_joint: differentiable; maps draws ``(K, *batch, *event)`` to :math:`\log p(x, z)`, shape
            ``(K, *batch)``.
        q: distribution with ``rsample``.
        K: number of draws.

    Returns:
        surrogate of shape ``batch``, in nats, to be maximised; the model's parameters get their gradient too.

    Raises:
        ValueError: K < 1, q cannot be reparametrised, or ``log_joint`` returns a wrong shape or NaN.

    Reference: Tucker, Lawson, Gu & Maddison (2019), Doubly reparameterized gradient estimators for Monte
        Carlo objectives.

    Chapter: 4-gradients/47-pathwise-estimator

    >>> q = torch.distributions.Normal(torch.zeros(3, requires_grad=True), 1.0)
    >>> doubly_reparametrised(torch.distributions.Normal(1.0, 1.0).log_prob, q, K=5).shape
    torch.Size([3])
    """
    log_w, path = _log_weights_and_path(log_joint, q, K)
    weights = log_w.detach().softmax(0)
    return attach(_iwae(log_w), (weights**2 * path).sum(0))


def vimco(log_joint: Callable[[Tensor], Tensor], q: Distribution, K: int) -> Tensor:
    r"""Surrogate of the importance-weighted bound for draws that cannot be reparametrised (VIMCO).

    .. math:: \sum_{k=1}^K (\hat L - \hat L_{-k})\, \nabla_\phi \log q_\phi(z_k)
              + \sum_{k=1}^K \tilde w_k \nabla \log w_k, \qquad
              \hat L = \log \frac{1}{K} \sum_k w_k

    :math:`\hat L_{-k}` is the bound with :math:`w_k` replaced by the geometric mean of the others, a baseline
    that does not see :math:`z_k`; where that is :math:`\log 0`, it is 0 instead. When all
    K weights are zero the surrogate is :math:`-\infty`, as the bound is, and has no gradient.

    Args:
        log_joint: maps draws ``(K, *batch, *event)`` to :math:`\log p(x, z)`, shape ``(K, *batch)``.
        q: distribution with ``sample`` and ``log_prob``, discrete or not.
        K: number of draws, at least 2.

    Returns:
        surrogate of shape ``batch``, in nats, to be maximised; the model's parameters get their gradient too.

    Raises:
        ValueError: K < 2, or ``log_joint`` returns a wrong shape or NaN.

    Reference: Mnih & Rezende (2016), Variational inference for Monte Carlo objectives.

    Chapter: 4-gradients/45-score-function-estimator

    >>> logits = torch.zeros(3, requires_grad=True)
    >>> q = torch.distributions.Bernoulli(logits=logits)
    >>> vimco(lambda z: z - 1.0, q, K=4).shape
    torch.Size([3])
    """
    check_count("K", K, minimum=2)
    z = q.sample((K,))
    log_q = q.log_prob(z)
    log_w = evaluate("log_joint", log_joint, z, q) - log_q
    bound = _iwae(log_w)
    learning_signal = (bound - _bounds_without_one(log_w)).detach()
    learning_signal = learning_signal.masked_fill(bound == -torch.inf, 0.0)  # not -inf + inf, below
    return attach(bound, (learning_signal * log_q).sum(0))


def _iwae(log_w: Tensor) -> Tensor:
    """The importance-weighted bound for any batch shape: ``(K, *batch)`` to ``batch``."""
    return iwae(log_w.reshape(log_w.shape[0], -1)).reshape(log_w.shape[1:])


def _bounds_without_one(log_w: Tensor) -> Tensor:
    """The bound with each weight in turn replaced by the geometric mean of the rest: ``(K, *batch)``.

    Zero where the rest all have weight 0: any number that they alone decide is a baseline, but no infinity.
    """
    K = log_w.shape[0]
    left_out = torch.eye(K, dtype=torch.bool, device=log_w.device).reshape(K, K, *[1] * (log_w.dim() - 1))
    geometric_mean = torch.where(left_out, 0.0, log_w[:, None]).sum(0) / (K - 1)
    bounds = _iwae(torch.where(left_out, geometric_mean, log_w[:, None]))
    return bounds.masked_fill(bounds == -torch.inf, 0.0)


def _log_weights_and_path(log_joint, q: Distribution, K: int) -> tuple[Tensor, Tensor]:
    r"""Give :math:`\log w` with the model's gradient and :math:`\nabla_z \log w \cdot z` with the path's.

    Both have shape ``(K, *batch)``. The gradient stops at the density of q because log w is differentiated
    with respect to the draw alone; no copy of q with detached parameters is needed.
    """
    check_count("K", K)
    z, _ = rsample_and_log_prob(q, (K,))

    def log_weight(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        joint, log_q = evaluate("log_joint", log_joint, x, q), q.log_prob(x)
        return (joint - log_q).sum(), (joint, log_q)

    slope, (joint, log_q) = torch.func.grad(log_weight, has_aux=True)(z.detach())
    return joint - log_q.detach(), sum_event(slope.detach() * z, q)
