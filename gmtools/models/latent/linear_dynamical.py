"""The linear dynamical system: Kalman filter and Rauch-Tung-Striebel smoother."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from gmtools.checks import check_count, check_shape


class Filtered(NamedTuple):
    """The result of the Kalman filter over N sequences of length T.

    Means are ``(N, T, d)``; covariances do not depend on the data and are ``(T, d, d)``. ``predicted_*``
    describe p(z_t | x_{1..t-1}), ``mean`` and ``covariance`` p(z_t | x_{1..t}); ``log_prob`` is log p(x),
    ``(N,)``.
    """

    mean: Tensor
    covariance: Tensor
    predicted_mean: Tensor
    predicted_covariance: Tensor
    log_prob: Tensor


class Smoothed(NamedTuple):
    """p(z_t | x_{1..T}): ``mean`` of shape ``(N, T, d)`` and ``covariance`` of shape ``(T, d, d)``."""

    mean: Tensor
    covariance: Tensor


class LinearDynamicalSystem(nn.Module):
    r"""Linear dynamical system with Gaussian noise.

    .. math::

        z_1 \sim \mathcal N(m, P), \qquad z_t = A z_{t-1} + \varepsilon_t, \qquad x_t = C z_t + \eta_t,
        \qquad \varepsilon_t \sim \mathcal N(0, Q), \quad \eta_t \sim \mathcal N(0, R)

    with diagonal :math:`Q`, :math:`R` and :math:`P`. The filter predicts and corrects,

    .. math:: \bar z_t = A \hat z_{t-1}, \quad \bar P_t = A P_{t-1} A^\top + Q, \quad
              S_t = C \bar P_t C^\top + R, \quad K_t = \bar P_t C^\top S_t^{-1}, \quad
              \hat z_t = \bar z_t + K_t (x_t - C \bar z_t), \quad
              \log p(x) = \sum_t \log \mathcal N(x_t \mid C \bar z_t, S_t).

    Args:
        d_x: dimension D of an observation.
        d_z: dimension d of the state.

    Parameters: ``transition`` A ``(d, d)``, ``observation`` C ``(D, d)``, ``initial_mean`` m ``(d,)``, and
    the log-variances ``log_q`` ``(d,)``, ``log_r`` ``(D,)``, ``log_p`` ``(d,)``.

    Shapes:
        x: ``(N, T, D)``.

    Reference: R. E. Kalman, A New Approach to Linear Filtering and Prediction Problems, 1960; H. E. Rauch,
    F. Tung, C. T. Striebel, Maximum Likelihood Estimates of Linear Dynamic Systems, 1965.
    Chapter: 2-models/21-spectrum-latent-variable.

    >>> model = LinearDynamicalSystem(d_x=3, d_z=2)
    >>> x = model.sample(4, length=6)
    >>> model.log_prob(x).shape, model.smooth(x).mean.shape
    (torch.Size([4]), torch.Size([4, 6, 2]))
    """

    def __init__(self, d_x: int, d_z: int):
        super().__init__()
        check_count("d_x", d_x)
        check_count("d_z", d_z)
        self.d_x, self.d_z = d_x, d_z
        self.transition = nn.Parameter(0.9 * torch.eye(d_z))
        self.observation = nn.Parameter(torch.randn(d_x, d_z) / math.sqrt(d_z))
        self.initial_mean = nn.Parameter(torch.zeros(d_z))
        self.log_q = nn.Parameter(torch.zeros(d_z))
        self.log_r = nn.Parameter(torch.zeros(d_x))
        self.log_p = nn.Parameter(torch.zeros(d_z))

    def filter(self, x: Tensor) -> Filtered:
        """The Kalman filter."""
        check_shape("x", x, "N", "T", self.d_x)
        check_count("T", x.shape[1])
        identity = torch.eye(self.d_z, dtype=x.dtype, device=x.device)
        mean, covariance = self.initial_mean.expand(x.shape[0], -1), torch.diag(self.log_p.exp())
        log_prob, steps = 0.0, []
        for t in range(x.shape[1]):
            if t:
                mean = mean @ self.transition.T
                covariance = self.transition @ covariance @ self.transition.T + torch.diag(self.log_q.exp())
            predicted = (mean, covariance)
            expected = mean @ self.observation.T
            innovation = self.observation @ covariance @ self.observation.T + torch.diag(self.log_r.exp())
            step = MultivariateNormal(expected, covariance_matrix=innovation)
            log_prob = log_prob + step.log_prob(x[:, t])
            gain = torch.cholesky_solve(self.observation @ covariance, step._unbroadcasted_scale_tril).mT
            mean = mean + (x[:, t] - expected) @ gain.T
            # Joseph's form keeps the covariance symmetric and positive definite.
            rest = identity - gain @ self.observation
            covariance = rest @ covariance @ rest.T + gain @ (self.log_r.exp()[:, None] * gain.T)
            steps.append((mean, covariance, *predicted))
        means, covariances, predicted_means, predicted_covariances = zip(*steps, strict=True)
        return Filtered(
            torch.stack(means, 1),
            torch.stack(covariances),
            torch.stack(predicted_means, 1),
            torch.stack(predicted_covariances),
            log_prob,
        )

    def smooth(self, x: Tensor) -> Smoothed:
        r"""The Rauch-Tung-Striebel smoother.

        .. math:: G_t = P_t A^\top \bar P_{t+1}^{-1}, \qquad
                  z_t^s = \hat z_t + G_t (z_{t+1}^s - \bar z_{t+1}), \qquad
                  P_t^s = P_t + G_t (P_{t+1}^s - \bar P_{t+1}) G_t^\top
        """
        f = self.filter(x)
        means, covariances = [f.mean[:, -1]], [f.covariance[-1]]
        for t in range(x.shape[1] - 2, -1, -1):
            gain = torch.linalg.solve(f.predicted_covariance[t + 1], self.transition @ f.covariance[t]).mT
            means.append(f.mean[:, t] + (means[-1] - f.predicted_mean[:, t + 1]) @ gain.T)
            change = covariances[-1] - f.predicted_covariance[t + 1]
            covariances.append(f.covariance[t] + gain @ change @ gain.T)
        return Smoothed(torch.stack(means[::-1], 1), torch.stack(covariances[::-1]))

    def log_prob(self, x: Tensor) -> Tensor:
        """The exact log-density of each sequence, shape ``(N,)``, in nats."""
        return self.filter(x).log_prob

    @torch.no_grad()
    def sample(self, n: int, length: int) -> Tensor:
        """Draw n sequences, ``(n, length, D)``."""
        check_count("n", n)
        check_count("length", length)
        noise = torch.randn(length, n, self.d_z, dtype=self.log_q.dtype, device=self.log_q.device)
        z, states = self.initial_mean + noise[0] * (self.log_p / 2).exp(), []
        for t in range(length):
            if t:
                z = z @ self.transition.T + noise[t] * (self.log_q / 2).exp()
            states.append(z)
        x = torch.stack(states, 1) @ self.observation.T
        return x + torch.randn_like(x) * (self.log_r / 2).exp()
