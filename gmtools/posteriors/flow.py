"""Flow posteriors: a factorised Gaussian carried through an invertible map."""

from collections.abc import Sequence

from torch import Tensor, nn

from gmtools.flows.core import Bijection, Flow

from .gaussian import MeanField


class FlowPosterior(nn.Module):
    r"""Normalising-flow posterior.

    .. math:: z = f(z_0; c), \quad z_0 \sim \mathcal{N}(\mu(c), \operatorname{diag} \sigma(c)^2), \qquad
              \log q(z \mid c) = \log q_0(z_0 \mid c)
              - \log \left| \det \frac{\partial f}{\partial z_0} \right|

    The base always reads the context; the map does when it was built with one, and is otherwise shared by all
    data points. Training draws, so choose a map whose forward direction is one pass.

    Args:
        bijection: the map f, noise to latent, from ``gmtools.flows``.
        d_context: size of the context; 0 for none.
        hidden: hidden layers of the network of the base.

    Shapes:
        ``forward(context=None)``: a `Flow` of batch shape ``()``, or that of a context ``(..., d_context)``,
        and event shape ``(D,)``.

    Raises:
        ValueError: a bijection with a context of another size, or a context that is missing, unexpected or of
            another size.

    Reference: Rezende & Mohamed (2015), Variational inference with normalizing flows; Kingma et al. (2016),
        Improving variational inference with inverse autoregressive flow.

    Chapter: 5-posteriors/57-flows-as-posteriors

    >>> import torch
    >>> from gmtools.flows import real_nvp
    >>> q = FlowPosterior(real_nvp(2, layers=2, d_context=3), d_context=3)(torch.zeros(7, 3))
    >>> z, log_q = q.rsample_and_log_prob((5,))
    >>> z.shape, log_q.shape
    (torch.Size([5, 7, 2]), torch.Size([5, 7]))
    """

    def __init__(self, bijection: Bijection, d_context: int = 0, hidden: Sequence[int] = (64, 64)):
        super().__init__()
        if bijection.d_context not in (0, d_context):
            raise ValueError(f"bijection has d_context={bijection.d_context}, expected 0 or {d_context}")
        self.base = MeanField(bijection.dim, d_context, hidden)
        self.bijection = bijection

    def forward(self, context: Tensor | None = None) -> Flow:
        return Flow(self.base(context), self.bijection, context if self.bijection.d_context else None)
