"""What the latent-variable models share."""

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from gmtools.checks import check_count, check_float, check_shape
from gmtools.distributions import rsample_and_log_prob


def check_data(x: Tensor) -> None:
    """Raise ValueError unless ``x`` is a table ``(N, D)`` of finite numbers of a floating type.

    >>> check_data(torch.zeros(5, 2).long())
    Traceback (most recent call last):
    ValueError: x has dtype torch.int64, expected a floating-point one
    """
    check_shape("x", x, "N", "D")
    check_float("x", x)
    wrong = int((~torch.isfinite(x)).sum())
    if wrong:
        raise ValueError(f"x has shape {tuple(x.shape)} and {wrong} infinite or NaN entries, expected none")


class LatentVariableModel(nn.Module):
    r"""A joint :math:`p(x, z)` and a proposal :math:`q(z \mid x)`, whose log-weights make every bound.

    .. math:: \log w_{kn} = \log p(x_n, z_{kn}) - \log q(z_{kn} \mid x_n), \qquad z_{kn} \sim q(z \mid x_n)

    A model implements ``proposal``, ``log_joint`` and ``sample``. Train it with a bound of
    ``gmtools.inference``, or give ``log_joint`` and ``proposal`` to an estimator of ``gmtools.gradients``::

        fit(model, lambda x: -elbo(model.log_weights(x)).mean(), x)
        fit(model, lambda x: -vimco(lambda z: model.log_joint(x, z), model.proposal(x), 5).mean(), x)

    Reference: Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, 2016.
    Chapter: 3-inference/38-amortised-inference.
    """

    def proposal(self, x: Tensor) -> Distribution:
        """The proposal q(z | x): batch shape ``(N,)``, event shape that of a latent."""
        raise NotImplementedError

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """The log-joint of data ``(N, ...)`` and latents ``(K, N, d)``, shape ``(K, N)``, in nats."""
        raise NotImplementedError

    def sample(self, n: int) -> Tensor:
        """Draw n data points from the model."""
        raise NotImplementedError

    def log_weights(self, x: Tensor, K: int = 1) -> Tensor:
        """Log-weights of K draws a data point, shape ``(K, N)``, in nats; the mean weight estimates p(x).

        Continuous latents are reparametrised, so a bound of the weights has the pathwise gradient. Discrete
        ones are not: then only the gradient in the parameters of p(x, z) is right.
        """
        check_count("K", K)
        q = self.proposal(x)
        if q.has_rsample:
            z, log_q = rsample_and_log_prob(q, (K,))
        else:
            z = q.sample((K,))
            log_q = q.log_prob(z)
        return self.log_joint(x, z) - log_q


class UnrolledModel(LatentVariableModel):
    r"""A latent-variable model over T steps whose proposal and joint are computed in one pass.

    .. math:: q(z_{1:T} \mid x) = \prod_t q(z_t \mid z_{<t}, x)

    A model implements ``unroll`` and ``sample``.

    Reference: J. Chung and others, A Recurrent Latent Variable Model for Sequential Data, 2015.
    Chapter: 3-inference/40-richer-vaes.
    """

    def unroll(self, x: Tensor, z: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Run all steps on data ``(M, ...)``.

        Args:
            x: data, one row for each draw.
            z: latents to score, ``(M, T, d)``; None to draw them from q.

        Returns:
            z ``(M, T, d)``, log_q ``(M,)``, log_joint ``(M,)``.
        """
        raise NotImplementedError

    def propose(self, x: Tensor, K: int) -> tuple[Tensor, Tensor]:
        """Draw latents ``(K, N, T, d)`` from q, with their log-density ``(K, N)``."""
        check_count("K", K)
        z, log_q, _ = self.unroll(_repeat(x, K))
        return z.unflatten(0, (K, -1)), log_q.unflatten(0, (K, -1))

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """The log-joint of data ``(N, ...)`` and latents ``(K, N, T, d)``, shape ``(K, N)``, in nats."""
        K = z.shape[0]
        return self.unroll(_repeat(x, K), z.flatten(0, 1))[2].unflatten(0, (K, -1))

    def log_weights(self, x: Tensor, K: int = 1) -> Tensor:
        """Log-weights of K draws a data point, shape ``(K, N)``, in nats; the mean weight estimates p(x)."""
        check_count("K", K)
        _, log_q, log_joint = self.unroll(_repeat(x, K))
        return (log_joint - log_q).unflatten(0, (K, -1))


def _repeat(x: Tensor, K: int) -> Tensor:
    return x.expand(K, *x.shape).flatten(0, 1)
