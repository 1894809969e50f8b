"""A variational autoencoder of sequences: a latent a step, recurrent prior, recurrent inference."""

import torch
from torch import Tensor, nn

from gmtools.checks import check_count, check_shape
from gmtools.models.heads import BernoulliHead, GaussianHead
from gmtools.models.latent.base import UnrolledModel
from gmtools.nets import MLP


class SequenceVAE(UnrolledModel):
    r"""Variational recurrent network: every step of a sequence has a latent that depends on all before.

    .. math:: z_t \sim p(z_t \mid h_{t-1}), \qquad x_t \sim p(x_t \mid z_t, h_{t-1}), \qquad
              h_t = \operatorname{GRU}(h_{t-1}, [x_t, z_t])

    Inference is recurrent too: filtering, :math:`q(z_t \mid x_t, h_{t-1})`, or smoothing,
    :math:`q(z_t \mid x_t, h_{t-1}, g_t)`, where :math:`g_t` is a recurrent state that has read the sequence
    from its end back to t. The exact posterior factorises as the smoothing one does.

    Args:
        d_x: dimension of a step of the data.
        d_z: dimension of a step's latent.
        hidden: dimension of the recurrent state.
        likelihood: None for Bernoulli, or a head from ``(..., d_z + hidden)``, for example
            ``GaussianHead(MLP(d_z + hidden, 2 * d_x))``.
        smoothing: let the proposal see the future of the sequence.

    Shapes:
        x: ``(N, T, d_x)``, of any length; latents ``(K, N, T, d_z)``.

    Reference: J. Chung and others, A Recurrent Latent Variable Model for Sequential Data, 2015; R. G.
    Krishnan, U. Shalit, D. Sontag, Structured Inference Networks for Nonlinear State Space Models, 2017
    (smoothing).
    Chapter: 3-inference/40-richer-vaes.

    >>> model = SequenceVAE(d_x=5, d_z=2, hidden=8)
    >>> x = model.sample(4, length=6)
    >>> model.log_weights(x, K=3).shape, model.forecast(x, length=2).shape
    (torch.Size([3, 4]), torch.Size([4, 2, 5]))
    """

    def __init__(
        self,
        d_x: int,
        d_z: int,
        hidden: int = 64,
        likelihood: nn.Module | None = None,
        smoothing: bool = False,
    ):
        super().__init__()
        check_count("d_x", d_x)
        check_count("d_z", d_z)
        check_count("hidden", hidden)
        self.d_x, self.d_z, self.hidden = d_x, d_z, hidden
        self.prior = GaussianHead(MLP(hidden, 2 * d_z, (hidden,)))
        self.likelihood = likelihood or BernoulliHead(MLP(d_z + hidden, d_x, (hidden,)))
        self.recurrence = nn.GRUCell(d_x + d_z, hidden)
        self.backward_reader = nn.GRUCell(d_x, hidden) if smoothing else None
        seen = d_x + hidden * (2 if smoothing else 1)
        self.posterior = GaussianHead(MLP(seen, 2 * d_z, (hidden,)))

    def _evidence(self, x: Tensor) -> Tensor:
        """What the proposal sees of the data at every step, ``(N, T, ...)``."""
        if self.backward_reader is None:
            return x
        g, states = x.new_zeros(x.shape[0], self.hidden), []
        for step in reversed(x.unbind(1)):
            g = self.backward_reader(step, g)
            states.append(g)
        return torch.cat((x, torch.stack(states[::-1], 1)), -1)

    def _run(self, x: Tensor, z: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        check_shape("x", x, "N", "T", self.d_x)
        check_count("T", x.shape[1])
        if z is not None:
            check_shape("z", z, x.shape[0], x.shape[1], self.d_z)
        evidence, h = self._evidence(x), x.new_zeros(x.shape[0], self.hidden)
        log_q, log_joint, latents = 0.0, 0.0, []
        for t in range(x.shape[1]):
            q, p = self.posterior(torch.cat((evidence[:, t], h), 1)), self.prior(h)
            latent = q.rsample() if z is None else z[:, t]
            likelihood = self.likelihood(torch.cat((latent, h), 1))
            log_q = log_q + q.log_prob(latent)
            log_joint = log_joint + p.log_prob(latent) + likelihood.log_prob(x[:, t])
            h = self.recurrence(torch.cat((x[:, t], latent), 1), h)
            latents.append(latent)
        return torch.stack(latents, 1), log_q, log_joint, h

    def unroll(self, x: Tensor, z: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Run all steps; see :class:`UnrolledModel`."""
        return self._run(x, z)[:3]

    @torch.no_grad()
    def _continue(self, h: Tensor, length: int) -> Tensor:
        check_count("length", length)
        steps = []
        for _ in range(length):
            z = self.prior(h).sample()
            steps.append(self.likelihood(torch.cat((z, h), 1)).sample())
            h = self.recurrence(torch.cat((steps[-1], z), 1), h)
        return torch.stack(steps, 1)

    def sample(self, n: int, length: int) -> Tensor:
        """Draw n sequences, ``(n, length, d_x)``."""
        check_count("n", n)
        return self._continue(next(self.parameters()).new_zeros(n, self.hidden), length)

    def forecast(self, x: Tensor, length: int) -> Tensor:
        """Draw a continuation of each sequence ``(N, T, d_x)``: ``(N, length, d_x)``.

        The latents of what was seen come from the proposal: with a poor one the forecast is off.
        """
        with torch.no_grad():
            return self._continue(self._run(x, None)[3], length)
