r"""Auxiliary-variable posteriors: a hierarchical q whose density is an integral, and a bound that avoids it.

.. math:: q(z \mid c) = \int q(z \mid a, c)\, q(a)\, da
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal, constraints

from gmtools.checks import check_count
from gmtools.nets.mlp import MLP, check_context

from .parameters import positive


class AuxiliaryDistribution(Distribution):
    r"""Distribution of z, where :math:`a \sim q(a), z \sim q(z \mid a)`, with a reverse model r(a | z).

    ``rsample_and_log_prob`` returns, in place of :math:`\log q(z)`, which is an integral,

    .. math:: \log q(a) + \log q(z \mid a) - \log r(a \mid z),

    whose mean exceeds that of :math:`\log q(z)` by
    :math:`\mathbb{E}_{q(z)} \mathrm{KL}(q(a \mid z) \,\|\, r(a \mid z)) \ge 0`. Put into an ELBO it gives the
    auxiliary bound, which is lower by as much, and tight when r is the posterior of a.

    Args:
        auxiliary: q(a), batch shape ``batch`` and event shape ``(A,)``, with ``rsample``.
        conditional: takes a, ``(..., *batch, A)``, gives q(z | a) of batch shape ``(..., *batch)`` and event
            shape ``(D,)``, with ``rsample``.
        reverse: takes z, ``(..., *batch, D)``, gives r(a | z).
        dim: size D of z.

    Raises:
        ValueError: ``log_prob`` is asked for; take ``log_prob_estimate``.

    Reference: Agakov & Barber (2004), An auxiliary variational method; Ranganath, Tran & Blei (2016),
        Hierarchical variational models; Maaløe, Sønderby, Sønderby & Winther (2016), Auxiliary deep
        generative models.

    Chapter: 5-posteriors/54-posterior-families

    >>> def standard(x):
    ...     return Independent(Normal(torch.zeros_like(x), 1.0), 1)
    >>> q = AuxiliaryDistribution(standard(torch.zeros(2)), standard, standard, dim=2)
    >>> z, log_q_bound = q.rsample_and_log_prob((5,))
    >>> z.shape, log_q_bound.shape
    (torch.Size([5, 2]), torch.Size([5]))
    """

    arg_constraints = {}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        auxiliary: Distribution,
        conditional: Callable[[Tensor], Distribution],
        reverse: Callable[[Tensor], Distribution],
        dim: int,
        validate_args: bool | None = None,
    ):
        self.auxiliary, self.conditional, self.reverse = auxiliary, conditional, reverse
        super().__init__(auxiliary.batch_shape, torch.Size([dim]), validate_args)

    def rsample_and_log_prob(self, sample_shape: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
        """Draws, and the upper bound of their log-density (in the mean) that is described above, in nats."""
        a = self.auxiliary.rsample(torch.Size(sample_shape))
        given_a = self.conditional(a)
        z = given_a.rsample()
        log_joint = self.auxiliary.log_prob(a) + given_a.log_prob(z)
        return z, log_joint - self.reverse(z).log_prob(a)

    def rsample(self, sample_shape: tuple[int, ...] = ()) -> Tensor:
        """Draws with gradients, shape ``sample_shape + batch + (D,)``."""
        return self.conditional(self.auxiliary.rsample(torch.Size(sample_shape))).rsample()

    def log_prob(self, value: Tensor) -> Tensor:
        raise ValueError(
            "log_prob is an integral over the auxiliary variable; use log_prob_estimate(value, K)"
        )

    def log_prob_estimate(self, value: Tensor, K: int) -> Tensor:
        r"""Estimate :math:`\log q(z)` by importance sampling from the reverse model.

        .. math:: \log \frac{1}{K} \sum_{k=1}^K \frac{q(a_k)\, q(z \mid a_k)}{r(a_k \mid z)},
                  \qquad a_k \sim r(a \mid z)

        Its exponential is unbiased; the estimate itself is below in the mean and exact as K grows.

        Args:
            value: z, shape ``(..., *batch, D)``.
            K: number of draws.

        Returns:
            shape ``(..., *batch)``, in nats.

        Raises:
            ValueError: K < 1.
        """
        check_count("K", K)
        reverse = self.reverse(value)
        a = reverse.rsample((K,))
        log_w = self.auxiliary.log_prob(a) + self.conditional(a).log_prob(value) - reverse.log_prob(a)
        return log_w.logsumexp(0) - math.log(K)


class Auxiliary(nn.Module):
    r"""Auxiliary-variable (hierarchical) posterior.

    .. math:: a \sim \mathcal{N}(0, I), \qquad
              q(z \mid a, c) = \mathcal{N}(\mu(a, c), \operatorname{diag} \sigma(a, c)^2), \qquad
              r(a \mid z, c) = \mathcal{N}(\nu(z, c), \operatorname{diag} \tau(z, c)^2)

    A continuous mixture of factorised Gaussians: dependent, skewed and multimodal, at the price of a looser
    bound.

    Args:
        dim: size D of z.
        d_auxiliary: size A of the auxiliary variable.
        d_context: size of the context; 0 for none.
        hidden: hidden layers of both networks.

    Shapes:
        ``forward(context=None)``: an `AuxiliaryDistribution` of batch shape ``()``, or that of a context
        ``(..., d_context)``, and event shape ``(D,)``.

    Raises:
        ValueError: dim < 1, d_auxiliary < 1, or a context that is missing, unexpected or of another size.

    Reference: Ranganath, Tran & Blei (2016), Hierarchical variational models.

    Chapter: 5-posteriors/54-posterior-families

    >>> Auxiliary(2, d_auxiliary=3, d_context=4)(torch.zeros(7, 4)).rsample((5,)).shape
    torch.Size([5, 7, 2])
    """

    def __init__(self, dim: int, d_auxiliary: int, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        check_count("dim", dim)
        check_count("d_auxiliary", d_auxiliary)
        self.dim, self.d_context = dim, d_context
        self.z_given_a = MLP(d_auxiliary, 2 * dim, hidden, d_context=d_context)
        self.a_given_z = MLP(dim, 2 * d_auxiliary, hidden, d_context=d_context)

    def forward(self, context: Tensor | None = None) -> AuxiliaryDistribution:
        check_context(context, self.d_context)
        like = self.z_given_a.layers[0].weight if context is None else context
        batch = () if context is None else context.shape[:-1]
        zeros = like.new_zeros(*batch, self.z_given_a.d_in)
        return AuxiliaryDistribution(
            Independent(Normal(zeros, torch.ones_like(zeros)), 1),
            partial(_factorised_normal, self.z_given_a, context=context),
            partial(_factorised_normal, self.a_given_z, context=context),
            self.dim,
        )


def _factorised_normal(net: MLP, x: Tensor, context: Tensor | None) -> Distribution:
    loc, raw_scale = net(x, context).chunk(2, dim=-1)
    return Independent(Normal(loc, positive(raw_scale)), 1)
