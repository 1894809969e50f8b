"""What all Markov chain samplers share: their result, the acceptance test, gradients, the step size.

A sampler runs C chains at once. Their target is any function that maps positions ``(C, D)`` to log-densities
``(C,)``, normalised or not; a position of density zero gets ``-inf``. NaN is treated as a rejected proposal.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gmtools.checks import check_count, check_float, check_not_nan, check_positive, check_shape
from gmtools.inference.diagnostics import mcmc_ess, r_hat

LogDensity = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Chains:
    """Draws of a Markov chain sampler after its warm-up.

    Attributes:
        samples: shape ``(S, C, D)``: steps, chains, coordinates.
        log_density: of the samples, shape ``(S, C)``.
        acceptance: mean acceptance probability of each chain, shape ``(C,)``; one for unadjusted samplers.
        step_size: the one used after the warm-up.
    """

    samples: Tensor
    log_density: Tensor
    acceptance: Tensor
    step_size: float

    @property
    def r_hat(self) -> Tensor:
        """:func:`~gmtools.inference.r_hat` of each coordinate, shape ``(D,)``; below 1.01 when converged."""
        return r_hat(self.samples)

    @property
    def ess(self) -> Tensor:
        """Bulk :func:`~gmtools.inference.mcmc_ess` of each coordinate, shape ``(D,)``."""
        return mcmc_ess(self.samples)

    @property
    def mean(self) -> Tensor:
        """Posterior mean over all chains, shape ``(D,)``."""
        return self.samples.mean((0, 1))

    @property
    def standard_error(self) -> Tensor:
        """Monte Carlo standard error of ``mean``, shape ``(D,)``."""
        return self.samples.flatten(0, 1).std(0) / mcmc_ess(self.samples, kind="mean").sqrt()


class Recorder:
    """Collects the steps that follow the warm-up into :class:`Chains`."""

    def __init__(self, z: Tensor, steps: int, warmup: int) -> None:
        self.samples = z.new_empty(steps, *z.shape)
        self.log_density = z.new_empty(steps, len(z))
        self.acceptance = z.new_zeros(len(z))
        self.warmup = warmup

    def add(self, step: int, z: Tensor, log_density: Tensor, acceptance: Tensor) -> None:
        """Keep one step of all chains, unless it belongs to the warm-up."""
        kept = step - self.warmup
        if kept >= 0:
            self.samples[kept], self.log_density[kept] = z, log_density
            self.acceptance += acceptance

    def chains(self, step_size: float) -> Chains:
        """What has been collected."""
        acceptance = self.acceptance / len(self.samples)
        return Chains(self.samples, self.log_density, acceptance, step_size)


class DualAveraging:
    r"""Nesterov's dual averaging of a step size towards a wanted acceptance probability.

    .. math:: \log \epsilon_{t+1} = \log(10 \epsilon_1) - \frac{\sqrt t}{\gamma} \bar H_t, \qquad
        \bar H_t = \Big(1 - \frac1{t + t_0}\Big) \bar H_{t-1} + \frac{\delta - \alpha_t}{t + t_0}

    with :math:`\gamma = 0.05, t_0 = 10`; the final step size averages the iterates with weights
    :math:`t^{-0.75}`.

    Args:
        step_size: first step size.
        target: wanted acceptance probability :math:`\delta`, between 0 and 1.

    Raises:
        ValueError: the target is not between 0 and 1.

    Reference: Hoffman, Gelman (2014), The No-U-Turn sampler, section 3.2.
    Chapter: 3-inference/29-approximate-inference-methods.

    >>> adaptation = DualAveraging(1.0, target=0.8)
    >>> for _ in range(50):
    ...     adaptation.update(acceptance=0.1)  # far too few accepted
    >>> adaptation.step_size < 0.1
    True
    """

    def __init__(self, step_size: float, target: float) -> None:
        if not 0 < target < 1:
            raise ValueError(f"target_acceptance is {target!r}, expected a number between 0 and 1")
        self.step_size = step_size
        self._target = target
        self._centre = math.log(10 * step_size)
        self._shortfall = 0.0
        self._log_average = 0.0
        self._t = 0

    def update(self, acceptance: float) -> None:
        """Move the step size after a step with this mean acceptance probability."""
        self._t += 1
        rate = 1 / (self._t + 10)
        self._shortfall = (1 - rate) * self._shortfall + rate * (self._target - acceptance)
        log_step_size = self._centre - math.sqrt(self._t) / 0.05 * self._shortfall
        weight = self._t**-0.75
        self._log_average = weight * log_step_size + (1 - weight) * self._log_average
        self.step_size = math.exp(log_step_size)

    def finish(self) -> float:
        """The averaged step size, to be used from here on; the given one if there was no update."""
        if self._t:
            self.step_size = math.exp(self._log_average)
        return self.step_size


def check_run(log_density: LogDensity, z0: Tensor, steps: int, warmup: int, step_size: float) -> Tensor:
    """Check a sampler's arguments and return the log-density at the start, shape ``(C,)``."""
    check_shape("z0", z0, "C", "D")
    check_float("z0", z0)
    check_not_nan("z0", z0)
    check_count("steps", steps)
    check_count("warmup", warmup, minimum=0)
    check_positive("step_size", step_size)
    start = log_density(z0.detach()).detach()
    check_shape("log_density(z0)", start, len(z0))
    if not bool(start.isfinite().all()):
        raise ValueError(
            f"log_density(z0) is {start.tolist()}, expected finite values: start within the support"
        )
    return start


def check_gradient_run(
    log_density: LogDensity, z0: Tensor, steps: int, warmup: int, step_size: float
) -> tuple[Tensor, Tensor]:
    """:func:`check_run` for a sampler that follows gradients; returns the first one too, ``(C, D)``."""
    check_run(log_density, z0, steps, warmup, step_size)
    start, gradient = value_and_gradient(log_density, z0)
    if not bool(gradient.isfinite().all()):
        raise ValueError(
            f"log_density has at z0 the gradient {gradient.tolist()}, expected finite values: start elsewhere"
        )
    return start, gradient


def value_and_gradient(log_density: LogDensity, z: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density ``(C,)`` and its gradient ``(C, D)`` at ``z``."""
    z = z.detach().requires_grad_()
    with torch.enable_grad():
        value = log_density(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def metropolis_test(log_ratio: Tensor) -> tuple[Tensor, Tensor]:
    """Accept with probability min(1, ratio): booleans and probabilities, both ``(C,)``. NaN is rejected."""
    probability = torch.nan_to_num(log_ratio, nan=-math.inf).clamp(max=0.0).exp()
    return torch.rand_like(probability) < probability, probability
