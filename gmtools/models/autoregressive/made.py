"""Autoregressive models with one masked network: binary or continuous variables."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Bernoulli, Normal

from gmtools.checks import check_count, check_shape
from gmtools.nets import MADE


class BernoulliMADE(nn.Module):
    r"""Autoregressive model of binary variables, all conditionals from one masked network.

    .. math:: p(x) = \prod_i \operatorname{Bern}(x_i \mid \sigma(f_i(x_{<i})))

    ``log_prob`` is one pass; a sample computes every hidden unit once.

    Args:
        dim: number of variables D.
        hidden: hidden layers.
        order: the variables from first to last; None for the natural order.

    Reference: M. Germain, K. Gregor, I. Murray, H. Larochelle, MADE: Masked Autoencoder for Distribution
    Estimation, 2015. Chapter: 2-models/18-spectrum-fully-observed.

    >>> model = BernoulliMADE(6)
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(self, dim: int, hidden: Sequence[int] = (64,), order: Sequence[int] | None = None):
        super().__init__()
        self.dim = dim
        self.net = MADE(dim, 1, hidden, order=order)

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-probability of ``(..., D)``, shape ``(...)``, in nats."""
        check_shape("x", x, "...", self.dim)
        x = x.to(self.net.output.weight.dtype)  # it may come as truth values or integers
        return Bernoulli(logits=self.net(x)[..., 0]).log_prob(x).sum(-1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n states, ``(n, D)``."""
        check_count("n", n)
        return self.net.sample_with(lambda logit, i: torch.bernoulli(logit[..., 0].sigmoid()), (n,))[0]


class GaussianMADE(nn.Module):
    r"""Autoregressive model of real variables: each a mixture of Gaussians given those before it.

    .. math:: p(x) = \prod_i \sum_{c} \pi_{ic}(x_{<i})\, \mathcal N(x_i \mid \mu_{ic}(x_{<i}),
        \sigma_{ic}(x_{<i})^2)

    With one component it is a masked autoregressive flow of one layer; with several a conditional may have
    several modes.

    Args:
        dim: number of variables D.
        components: number of components C of every conditional.
        hidden: hidden layers.
        order: the variables from first to last; None for the natural order.

    Reference: B. Uria, I. Murray, H. Larochelle, RNADE: The Real-valued Neural Autoregressive
    Density-estimator, 2013. Chapter: 2-models/18-spectrum-fully-observed.

    >>> model = GaussianMADE(3, components=2)
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(
        self,
        dim: int,
        components: int = 1,
        hidden: Sequence[int] = (64, 64),
        order: Sequence[int] | None = None,
    ):
        super().__init__()
        check_count("components", components)
        self.dim, self.components = dim, components
        self.net = MADE(dim, 3 * components, hidden, order=order)
        if components > 1:  # equal components would stay equal
            nn.init.normal_(self.net.output.bias)

    def _conditional(self, parameters: Tensor) -> tuple[Tensor, Normal]:
        logits, loc, raw_scale = parameters.chunk(3, dim=-1)
        return logits.log_softmax(-1), Normal(loc, F.softplus(raw_scale) + 1e-3)

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-density of ``(..., D)``, shape ``(...)``, in nats."""
        check_shape("x", x, "...", self.dim)
        log_weight, component = self._conditional(self.net(x))
        return (log_weight + component.log_prob(x[..., None])).logsumexp(-1).sum(-1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n data points, ``(n, D)``."""
        check_count("n", n)

        def draw(parameters: Tensor, i: int) -> Tensor:
            log_weight, component = self._conditional(parameters)
            chosen = torch.multinomial(log_weight.exp(), 1)
            return component.sample().gather(-1, chosen)[..., 0]

        return self.net.sample_with(draw, (n,))[0]
