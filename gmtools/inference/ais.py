"""Annealed importance sampling and, with resampling, the sequential Monte Carlo sampler."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Distribution

from gmtools.checks import check_count, check_not_nan, check_positive
from gmtools.inference.chains import metropolis_test, value_and_gradient
from gmtools.inference.hamiltonian import leapfrog
from gmtools.inference.importance import ImportanceSample, effective_sample_size
from gmtools.inference.smc import systematic_resampling


def annealed_importance_sampling(
    log_joint: Callable[[Tensor], Tensor],
    base: Distribution,
    K: int,
    *,
    temperatures: int | Tensor = 100,
    step_size: float,
    leapfrog_steps: int = 5,
    resample_below: float = 0.0,
) -> ImportanceSample:
    r"""Carry K particles from a base distribution to the posterior by small steps, and weigh the journey.

    .. math:: f_\beta(z) = q(z)^{1 - \beta} \, p(x, z)^\beta, \qquad 0 = \beta_0 < \dots < \beta_T = 1, \qquad
        \log w = \sum_{t=1}^T \log \frac{f_{\beta_t}(z_{t-1})}{f_{\beta_{t-1}}(z_{t-1})}, \qquad
        \mathbb E[w] = p(x)

    where :math:`z_t` comes from :math:`z_{t-1}` by one Hamiltonian step that leaves :math:`f_{\beta_t}`
    invariant. The weights are those of importance sampling on the whole path, so all diagnostics apply. With
    ``resample_below`` > 0 particles are resampled on the way: a sequential Monte Carlo sampler.

    Args:
        log_joint: maps ``z`` of shape ``(K, *B, D)`` to :math:`\log p(x, z)` of shape ``(K, *B)``;
            differentiable.
        base: distribution with event shape ``(D,)``, any batch shape B and support on all of
            :math:`\mathbb R^D`, often the prior. Transform a bounded variable first.
        K: number of particles (for every member of the batch).
        temperatures: number T of equal steps, or the rising ladder :math:`\beta_0, \dots, \beta_T` itself,
            shape ``(T + 1,)``, from 0 to 1.
        step_size: of the leapfrog; fixed, as adapting it would bias the weights.
        leapfrog_steps: number of leapfrog steps in every transition.
        resample_below: resample when the effective sample size falls below this fraction of K; 0 for never.

    Returns:
        Final particles ``(K, *B, D)`` with their log-weights ``(K, *B)``.

    Raises:
        ValueError: K < 1, a base with bounded support, a ladder that does not rise from 0 to 1, a step size
            that is not positive, wrong shapes, or NaN.

    Reference: Neal (2001), Annealed importance sampling; Del Moral, Doucet, Jasra (2006), Sequential Monte
    Carlo samplers. Chapter: 2-models/25-choosing-a-learning-principle.

    >>> seed = torch.manual_seed(0)
    >>> normal = torch.distributions.MultivariateNormal
    >>> target = normal(3 * torch.ones(2), 0.1 * torch.eye(2))  # normalised: its evidence is one
    >>> base = normal(torch.zeros(2), torch.eye(2))
    >>> sample = annealed_importance_sampling(target.log_prob, base, 200, step_size=0.2)
    >>> abs(sample.log_evidence.item()) < 5 * sample.standard_error.item()
    True
    """
    check_count("K", K)
    check_positive("step_size", step_size)
    check_count("leapfrog_steps", leapfrog_steps)
    if not 0 <= resample_below <= 1:
        raise ValueError(f"resample_below is {resample_below!r}, expected a number from 0 to 1")
    ladder = _ladder(temperatures)
    z = base.sample((K,))
    if z.shape != (K, *base.batch_shape, z.shape[-1]) or len(base.event_shape) != 1:
        raise ValueError(f"base has event shape {tuple(base.event_shape)}, expected (D,)")
    if not all(bool(base.support.check(far).all()) for far in (z + 1e6, z - 1e6)):
        raise ValueError(f"base has support {base.support}, expected all of R^D: the leapfrog would leave it")
    log_w = torch.zeros(z.shape[:-1], dtype=z.dtype, device=z.device)
    for previous, beta in zip(ladder[:-1], ladder[1:], strict=True):
        log_p = log_joint(z).detach()
        if log_p.shape != log_w.shape:
            raise ValueError(f"log_joint(z) has shape {tuple(log_p.shape)}, expected {tuple(log_w.shape)}")
        check_not_nan("log_joint(z)", log_p)
        log_w = log_w + (beta - previous) * (log_p - base.log_prob(z))
        if resample_below > 0:
            z, log_w = _resample(z, log_w, resample_below)

        def bridge(z: Tensor, beta: float = beta) -> Tensor:
            return (1 - beta) * base.log_prob(z) + beta * log_joint(z)

        z = _hamiltonian_step(bridge, z, step_size, leapfrog_steps)
    return ImportanceSample(z, log_w)


def _ladder(temperatures: int | Tensor) -> list[float]:
    if not isinstance(temperatures, Tensor):
        check_count("temperatures", temperatures)
        return [t / temperatures for t in range(temperatures + 1)]
    ladder = temperatures.double().flatten().tolist()
    rising = all(a < b for a, b in zip(ladder, ladder[1:], strict=False))
    if len(ladder) < 2 or ladder[0] != 0 or ladder[-1] != 1 or not rising:
        raise ValueError(f"temperatures is {ladder}, expected numbers rising from 0 to 1")
    return ladder


def _resample(z: Tensor, log_w: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """Resample the columns whose effective sample size is low; their weights become the mean weight."""
    K = log_w.shape[0]
    low = effective_sample_size(log_w) < fraction * K  # (*B)
    stay = torch.arange(K, device=z.device).reshape((K,) + (1,) * low.ndim).expand_as(log_w)
    ancestors = torch.where(low, systematic_resampling(log_w), stay)
    mean_log_w = torch.logsumexp(log_w, 0) - math.log(K)
    return (
        torch.take_along_dim(z, ancestors[..., None], 0),
        torch.where(low, mean_log_w, torch.take_along_dim(log_w, ancestors, 0)),
    )


def _hamiltonian_step(
    log_density: Callable[[Tensor], Tensor], z: Tensor, step_size: float, count: int
) -> Tensor:
    value, gradient = value_and_gradient(log_density, z)
    momentum = torch.randn_like(z)
    end, end_momentum, end_value, _ = leapfrog(log_density, z, momentum, gradient, step_size, count)
    kinetic_difference = 0.5 * (momentum.square() - end_momentum.square()).sum(-1)
    accepted, _ = metropolis_test(end_value - value + kinetic_difference)
    return torch.where(accepted[..., None], end, z)
