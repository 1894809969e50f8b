"""What gmtools adds to ``torch.distributions``: drawing a value together with its log-density."""

import torch
from torch import Tensor
from torch.distributions import Distribution


def rsample_and_log_prob(
    distribution: Distribution, sample_shape: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor]:
    r"""Draw :math:`z \sim q` by reparametrisation and return :math:`(z, \log q(z))`, in nats.

    A distribution that knows its density along the draw (a flow, an autoregressive posterior) offers a
    method of this name, which avoids inverting what was just computed; any other is asked for ``rsample``
    and ``log_prob``.

    Args:
        distribution: any ``Distribution`` with ``has_rsample``.
        sample_shape: leading shape of the draw, for example ``(K,)``.

    Returns:
        z: shape ``sample_shape + batch_shape + event_shape``.
        log_q: shape ``sample_shape + batch_shape``.

    Raises:
        ValueError: the distribution cannot be reparametrised.

    >>> q = torch.distributions.Normal(torch.zeros(3), 1.0)
    >>> z, log_q = rsample_and_log_prob(q, (5,))
    >>> z.shape, torch.equal(log_q, q.log_prob(z))
    (torch.Size([5, 3]), True)
    """
    if not distribution.has_rsample:
        raise ValueError(
            f"distribution {type(distribution).__name__} has no rsample; "
            "use a score-function estimator from gmtools.gradients instead"
        )
    own = getattr(distribution, "rsample_and_log_prob", None)
    if own is not None:
        return own(torch.Size(sample_shape))
    z = distribution.rsample(torch.Size(sample_shape))
    return z, distribution.log_prob(z)
