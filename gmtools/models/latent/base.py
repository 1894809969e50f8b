"""What every latent-variable model with an approximate posterior shares."""

from typing import Any

from torch import Tensor, nn

from gmtools.checks import check_count


class LatentVariableModel(nn.Module):
    r"""A joint :math:`p(x, z)` with a proposal :math:`q(z \mid x)`; its log-weights are the material of
    every bound.

    .. math:: \log w_{kn} = \log p(x_n, z_{kn}) - \log q(z_{kn} \mid x_n), \qquad z_{kn} \sim q(z \mid x_n)

    A model implements ``propose``, ``log_joint`` and ``sample``. Train with a bound of
    ``gmtools.inference``::

        fit(model, lambda x: -elbo(model.log_weights(x, 1)).mean(), x)

    Reference: Y. Burda, R. Grosse, R. Salakhutdinov, Importance Weighted Autoencoders, 2016.
    Chapter: 3-inference/38-amortised-inference.
    """

    def propose(self, x: Tensor, K: int) -> tuple[Any, Tensor]:
        """Draw latents: ``(z, log_q)`` with sample dimension K first and ``log_q`` of shape ``(K, N)``."""
        raise NotImplementedError

    def log_joint(self, x: Tensor, z: Any) -> Tensor:
        """The log-joint of data ``(N, ...)`` and latents ``(K, N, ...)``, shape ``(K, N)``, in nats."""
        raise NotImplementedError

    def sample(self, n: int) -> Tensor:
        """Draw n data points from the model."""
        raise NotImplementedError

    def log_weights(self, x: Tensor, K: int = 1) -> Tensor:
        """Log-weights of K draws a data point, shape ``(K, N)``, in nats; the mean weight estimates p(x)."""
        check_count("K", K)
        z, log_q = self.propose(x, K)
        return self.log_joint(x, z) - log_q
