"""The hidden Markov model: forward-backward in log space, Viterbi, Baum-Welch."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Distribution, Independent, Normal

from gmtools.checks import check_count, check_shape


class CategoricalEmission(nn.Module):
    r"""Symbols emitted by each state.

    .. math:: p(x_t = v \mid z_t = s) = \operatorname{softmax}(b_s)_v

    Args:
        states: number of states S.
        symbols: number of symbols V; data are integers below V.

    Reference: L. R. Rabiner, A Tutorial on Hidden Markov Models, 1989.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> CategoricalEmission(3, 5)().batch_shape
    torch.Size([3])
    """

    def __init__(self, states: int, symbols: int):
        super().__init__()
        check_count("symbols", symbols)
        self.logits = nn.Parameter(torch.randn(states, symbols))

    def forward(self, context: None = None) -> Distribution:
        return Categorical(logits=self.logits)

    @torch.no_grad()
    def maximise_(self, x: Tensor, gamma: Tensor) -> None:
        """Set the parameters to the weighted maximum likelihood: data ``(N, T)``, weights ``(N, T, S)``."""
        one_hot = nn.functional.one_hot(x.long(), self.logits.shape[1]).to(gamma)
        counts = torch.einsum("nts,ntv->sv", gamma, one_hot)
        self.logits.copy_(counts.clamp_min(torch.finfo(counts.dtype).tiny).log())


class GaussianEmission(nn.Module):
    r"""Vectors emitted by each state, with independent coordinates.

    .. math:: p(x_t \mid z_t = s) = \mathcal N(x_t \mid \mu_s, \operatorname{diag} e^{2 \ell_s})

    Args:
        states: number of states S.
        dim: dimension D; data are ``(N, T, D)``.

    Reference: L. R. Rabiner, A Tutorial on Hidden Markov Models, 1989.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> GaussianEmission(3, 2)().event_shape
    torch.Size([2])
    """

    def __init__(self, states: int, dim: int):
        super().__init__()
        check_count("dim", dim)
        self.means = nn.Parameter(torch.randn(states, dim))
        self.log_scales = nn.Parameter(torch.zeros(states, dim))

    def forward(self, context: None = None) -> Distribution:
        return Independent(Normal(self.means, self.log_scales.exp()), 1)

    @torch.no_grad()
    def maximise_(self, x: Tensor, gamma: Tensor) -> None:
        """Set the parameters to the weighted maximum likelihood: data ``(N, T, D)``, ``(N, T, S)``."""
        total = gamma.sum((0, 1))[:, None].clamp_min(1e-12)
        means = torch.einsum("nts,ntd->sd", gamma, x) / total
        deviation = x[:, :, None] - means
        variance = torch.einsum("nts,ntsd->sd", gamma, deviation.square()) / total
        self.means.copy_(means)
        self.log_scales.copy_(variance.clamp_min(1e-6).log() / 2)


class StatePosterior(NamedTuple):
    """The result of forward-backward, in log space.

    ``state[n, t, s]`` is log p(z_t = s | x_n); ``pair[n, t, r, s]`` is log p(z_t = r, z_{t+1} = s | x_n);
    ``log_prob[n]`` is log p(x_n).
    """

    state: Tensor
    pair: Tensor
    log_prob: Tensor


class HMM(nn.Module):
    r"""Hidden Markov model with S states.

    .. math::

        z_1 \sim \operatorname{Cat}(\pi), \qquad z_t \mid z_{t-1} \sim \operatorname{Cat}(A_{z_{t-1}}), \qquad
              x_t \mid z_t \sim p(x_t \mid z_t), \qquad
              p(x) = \sum_{z_{1:T}} p(z_1) \prod_{t > 1} p(z_t \mid z_{t-1}) \prod_t p(x_t \mid z_t)

    The sum over the :math:`S^T` paths takes :math:`T S^2` operations.

    Args:
        states: number of states S.
        emission: module whose ``forward()`` is a Distribution of batch shape ``(S,)``:
            :class:`CategoricalEmission`, :class:`GaussianEmission`, or any of one's own. For Baum-Welch it
            needs ``maximise_(x, gamma)``.

    Shapes:
        x: ``(N, T, *event)`` with the event shape of the emission.

    Raises:
        ValueError: data of a wrong shape, or a wrong number of states in the emission.

    Reference: L. R. Rabiner, A Tutorial on Hidden Markov Models, 1989.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> model = HMM(3, CategoricalEmission(3, 5))
    >>> x = model.sample(2, length=7)
    >>> model.log_prob(x).shape, model.viterbi(x)[0].shape
    (torch.Size([2]), torch.Size([2, 7]))
    """

    def __init__(self, states: int, emission: nn.Module):
        super().__init__()
        check_count("states", states)
        if emission().batch_shape != (states,):
            found = tuple(emission().batch_shape)
            raise ValueError(f"emission has batch shape {found}, expected ({states},)")
        self.states, self.emission = states, emission
        self.initial_logits = nn.Parameter(torch.randn(states))
        self.transition_logits = nn.Parameter(torch.randn(states, states))

    def log_initial(self) -> Tensor:
        """The logarithm of the initial probabilities, shape ``(S,)``."""
        return self.initial_logits.log_softmax(-1)

    def log_transition(self) -> Tensor:
        """The logarithm of the transition matrix, from row to column, shape ``(S, S)``."""
        return self.transition_logits.log_softmax(-1)

    def _log_emission(self, x: Tensor) -> Tensor:
        emission = self.emission()
        check_shape("x", x, "N", "T", *emission.event_shape)
        check_count("T", x.shape[1])
        event_dims = len(emission.event_shape)
        return emission.log_prob(x.unsqueeze(-1 - event_dims))  # (N, T, S)

    def _forward(self, emission: Tensor) -> Tensor:
        """log p(x_{1..t}, z_t) for every t, shape (N, T, S)."""
        alpha, transition = [self.log_initial() + emission[:, 0]], self.log_transition()
        for t in range(1, emission.shape[1]):
            alpha.append((alpha[-1][:, :, None] + transition).logsumexp(1) + emission[:, t])
        return torch.stack(alpha, 1)

    def _backward(self, emission: Tensor) -> Tensor:
        """log p(x_{t+1..T} | z_t) for every t, shape (N, T, S)."""
        beta, transition = [torch.zeros_like(emission[:, 0])], self.log_transition()
        for t in range(emission.shape[1] - 1, 0, -1):
            beta.append((transition + (emission[:, t] + beta[-1])[:, None]).logsumexp(2))
        return torch.stack(beta[::-1], 1)

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-likelihood of each sequence, shape ``(N,)``, in nats."""
        return self._forward(self._log_emission(x))[:, -1].logsumexp(-1)

    def posterior(self, x: Tensor) -> StatePosterior:
        """Smoothed marginals of states and of neighbouring pairs, by forward-backward."""
        emission = self._log_emission(x)
        alpha, beta = self._forward(emission), self._backward(emission)
        log_prob = alpha[:, -1].logsumexp(-1)
        ahead = (emission + beta)[:, 1:, None]  # (N, T - 1, 1, S)
        pair = alpha[:, :-1, :, None] + self.log_transition() + ahead - log_prob[:, None, None, None]
        return StatePosterior(alpha + beta - log_prob[:, None, None], pair, log_prob)

    def viterbi(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The most probable path of states, ``(N, T)``, and its log-joint with the data, ``(N,)``."""
        emission, transition = self._log_emission(x), self.log_transition()
        best, pointers = self.log_initial() + emission[:, 0], []
        for t in range(1, emission.shape[1]):
            score, origin = (best[:, :, None] + transition).max(1)
            pointers.append(origin)
            best = score + emission[:, t]
        log_joint, state = best.max(-1)
        path = [state]
        for origin in reversed(pointers):
            path.append(origin.gather(1, path[-1][:, None])[:, 0])
        return torch.stack(path[::-1], 1), log_joint

    @torch.no_grad()
    def baum_welch_step_(self, x: Tensor) -> float:
        """One EM step in place; returns the mean log-likelihood before it, in nats. It never decreases."""
        posterior = self.posterior(x)
        gamma = posterior.state.exp()
        self.initial_logits.copy_(posterior.state[:, 0].logsumexp(0))
        if x.shape[1] > 1:
            self.transition_logits.copy_(posterior.pair.flatten(0, 1).logsumexp(0))
        self.emission.maximise_(x, gamma)
        return posterior.log_prob.mean().item()

    @torch.no_grad()
    def sample(self, n: int, length: int) -> Tensor:
        """Draw n sequences, ``(n, length, *event)``."""
        check_count("n", n)
        check_count("length", length)
        state = Categorical(logits=self.initial_logits).sample((n,))
        path = [state]
        for _ in range(length - 1):
            path.append(Categorical(logits=self.transition_logits[path[-1]]).sample())
        states = torch.stack(path, 1)  # (n, length)
        draws = self.emission().sample((n, length))  # (n, length, S, *event)
        index = states.reshape(n, length, *[1] * (draws.dim() - 2)).expand(n, length, 1, *draws.shape[3:])
        return draws.gather(2, index)[:, :, 0]
