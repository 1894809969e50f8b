"""NADE: a neural autoregressive model whose hidden layer is updated one variable at a time."""

import math

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli

from gmtools.checks import check_count, check_shape


class NADE(nn.Module):
    r"""Neural autoregressive distribution estimator over binary variables.

    .. math:: h_i = \sigma\Big(c + \sum_{j < i} W_{:j} x_j\Big), \qquad
              p(x_i = 1 \mid x_{<i}) = \sigma(b_i + V_i h_i), \qquad p(x) = \prod_i p(x_i \mid x_{<i})

    The sum grows by one term a variable: the state :math:`s_i = s_{i-1} + W_{:,i-1} x_{i-1}` is the
    recurrent way to write the same graph, and a likelihood or a sample costs :math:`O(D H)`.

    Args:
        dim: number of variables D.
        hidden: number of hidden units H.

    Reference: H. Larochelle, I. Murray, The Neural Autoregressive Distribution Estimator, 2011.
    Chapter: 2-models/19-chain-rule.

    >>> model = NADE(6, hidden=8)
    >>> model.log_prob(model.sample(5)).shape
    torch.Size([5])
    """

    def __init__(self, dim: int, hidden: int = 64):
        super().__init__()
        check_count("dim", dim)
        check_count("hidden", hidden)
        self.dim, self.hidden = dim, hidden
        self.encode = nn.Parameter(torch.randn(dim, hidden) / math.sqrt(dim))
        self.decode = nn.Parameter(torch.randn(dim, hidden) / math.sqrt(hidden))
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))
        self.visible_bias = nn.Parameter(torch.zeros(dim))

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-probability of ``(..., D)``, shape ``(...)``, in nats."""
        check_shape("x", x, "...", self.dim)
        x = x.to(self.encode.dtype)  # it may come as truth values or integers
        terms = x[..., None] * self.encode
        before = terms.cumsum(-2) - terms  # the sum over j < i
        h = torch.sigmoid(self.hidden_bias + before)
        logits = self.visible_bias + (h * self.decode).sum(-1)
        return Bernoulli(logits=logits).log_prob(x).sum(-1)

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        """Draw n states, ``(n, D)``."""
        check_count("n", n)
        state, values = self.hidden_bias.expand(n, -1), []
        for i in range(self.dim):
            logit = self.visible_bias[i] + state.sigmoid() @ self.decode[i]
            values.append(torch.bernoulli(logit.sigmoid()))
            state = state + values[-1][:, None] * self.encode[i]
        return torch.stack(values, 1)
