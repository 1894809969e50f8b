"""What every latent-variable model with an approximate posterior shares."""

from torch import Tensor, nn
from torch.distributions import Distribution

from gmtools.checks import check_count
from gmtools.distributions import rsample_and_log_prob


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
